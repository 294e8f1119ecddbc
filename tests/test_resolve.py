"""Whose a file is: every way of telling, and every refusal to guess."""

import json
from pathlib import Path

import pytest

from leadline import catalog, hub
from leadline.errors import InputError, MissingWeightsError, UnknownNameError, WeightsError
from leadline.kinds import DepthKind
from leadline.resolve import identify
from leadline.spec import Sidecar, sidecar_path

CONFIG = {
    "model_type": "depth_anything",
    "backbone_config": {"hidden_size": 384, "out_indices": [3, 6, 9, 12]},
    "depth_estimation_type": "relative",
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A Depth Anything ViT-S checkpoint, as far as its marks go."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "mine.pth"
    tensors = {
        "pretrained.pos_embed": torch.zeros(1, 1370, 384),
        "depth_head.scratch.output_conv1.weight": torch.zeros(32, 64, 3, 3),
    }
    torch.save({"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path)
    return path


def blank(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def write_config(folder: Path, **changes: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))


def test_a_name_with_weights_is_believed(tmp_path: Path) -> None:
    found = identify("depth-anything-v2-vits", weights=blank(tmp_path / "x.pth"))
    assert found.spec == catalog.get("depth-anything-v2-vits")
    assert found.told_by == "the name that was given"
    assert not found.is_graph


def test_an_unknown_origin_is_asked_about(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="max_depth=METRES") as caught:
        identify(checkpoint)
    assert "depth-anything-v2-vits, depth-anything-v1-vits" in str(caught.value)


def test_max_depth_answers_the_question(checkpoint: Path) -> None:
    found = identify(checkpoint, max_depth=12)
    assert found.spec.kind is DepthKind.METRIC_DEPTH
    assert found.spec.options["max_depth"] == found.spec.max_depth == 12


def test_tensors_of_nobody_are_told(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no model that we know"):
        identify(tmp_path / "a.pth")


def test_the_hubs_cache_tells(tmp_path: Path) -> None:
    folder = "models--depth-anything--Depth-Anything-V2-Metric-Hypersim-Base"
    file = "depth_anything_v2_metric_hypersim_vitb.pth"
    path = blank(tmp_path / folder / "snapshots" / "abc" / file)
    found = identify(path)
    assert found.spec.name == "depth-anything-v2-metric-indoor-vitb"
    with pytest.raises(WeightsError, match="metric_depth"):
        identify("depth-anything-v2-vitb", weights=path)


@pytest.mark.parametrize(
    ("changes", "name", "max_depth"),
    [
        ({}, "depth-anything-v2-vits", None),
        (
            {"depth_estimation_type": "metric", "max_depth": 20},
            "depth-anything-v2-metric-indoor-vits",
            20,
        ),
        (
            {"depth_estimation_type": "metric", "max_depth": 80},
            "depth-anything-v2-metric-outdoor-vits",
            80,
        ),
        (
            {"depth_estimation_type": "metric", "max_depth": 10},
            "depth-anything-v2-metric-indoor-vits",
            10,
        ),
        (
            {"backbone_config": {"hidden_size": 1024, "out_indices": [21, 22, 23, 24]}},
            "depth-anything-v1-vitl",
            None,
        ),
    ],
)
def test_config_json_tells(
    tmp_path: Path, changes: dict, name: str, max_depth: float | None
) -> None:
    write_config(tmp_path, **changes)
    blank(tmp_path / "model.safetensors")
    found = identify(tmp_path)
    assert (found.spec.name, found.spec.max_depth) == (name, max_depth)
    assert found.path == tmp_path / "model.safetensors"


def test_an_odd_config_is_told(tmp_path: Path) -> None:
    write_config(tmp_path, backbone_config={"hidden_size": 7})
    blank(tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="hidden_size 7"):
        identify(tmp_path)


def test_an_export_in_the_hubs_layout_loads_with_its_own_preprocessing(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 392, "width": 392}, "image_mean": [0.5, 0.5, 0.5]})
    )
    blank(tmp_path / "onnx" / "model.onnx")
    found = identify(tmp_path)
    assert found.is_graph
    assert dict(found.inputs) == {"pixel_values": "image"}
    assert dict(found.outputs) == {"predicted_depth": "depth"}
    assert found.spec.preprocess.size == (392, 392)
    assert found.spec.preprocess.mean == (0.5, 0.5, 0.5)
    assert found.spec.preprocess.resize == "minimal"
    assert found.spec.preprocess.interpolation == "pil_bicubic"


def test_a_checkpoint_in_the_hubs_layout_brings_its_own_preprocessing(tmp_path: Path) -> None:
    write_config(tmp_path)
    blank(tmp_path / "model.safetensors")
    assert identify(tmp_path).spec.preprocess == catalog.PREPROCESS["depth-anything-v2"]
    own = {
        "size": {"height": 392, "width": 518},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.1, 0.2, 0.3],
        "ensure_multiple_of": 28,
        "keep_aspect_ratio": False,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(own))
    preprocess = identify(tmp_path).spec.preprocess
    assert (preprocess.size, preprocess.multiple_of) == ((392, 518), 28)
    assert (preprocess.mean, preprocess.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert preprocess.resize == "exact"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(own | {"do_normalize": False}))
    assert identify(tmp_path).spec.preprocess.std == (1, 1, 1)
    blank(tmp_path / "onnx" / "model.onnx")
    twin = identify(tmp_path / "onnx" / "model.onnx").spec.preprocess
    assert twin == identify(tmp_path / "model.safetensors").spec.preprocess


def test_a_checkpoint_in_parts_is_found_by_its_index(tmp_path: Path) -> None:
    write_config(tmp_path)
    parts = [f"model-{n:05}-of-00002.safetensors" for n in (1, 2)]
    for part in parts:
        blank(tmp_path / part)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": parts[0], "b": parts[1]}}))
    found = identify(tmp_path)
    assert (found.path, found.is_graph, found.told_by) == (index, False, "config.json")
    assert hub.weights_beside(index) == [tmp_path / part for part in parts]
    before = hub.sha256_of_model(index)
    (tmp_path / parts[1]).write_bytes(b"other")
    assert hub.sha256_of_model(index) != before


@pytest.mark.parametrize(
    "text", ["runs/mine", "./runs/mine", "/runs/mine", "a/b/c", "runs\\mine/x"]
)
def test_a_missing_path_is_not_asked_of_the_hub(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the hub was asked")

    for name in ("locate", "fetch", "fetch_file"):
        monkeypatch.setattr(hub, name, fail)
    with pytest.raises(MissingWeightsError, match="no file or folder") as caught:
        identify(text)
    assert ("hf:runs/mine" in str(caught.value)) == (text == "runs/mine")
    with pytest.raises(MissingWeightsError, match="no file or folder"):
        identify("depth-anything-v2-vits", weights=text)


def test_hub_ids_are_marked_or_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "leadline.resolve._find_on_hub", lambda repo: asked.append(repo) or Path("x.pth")
    )
    monkeypatch.setattr("leadline.resolve.find_network", lambda *_: None)
    for text in ("hf:me/mine", "depth-anything/Depth-Anything-V2-Small", "LiheYoung/none"):
        with pytest.raises(MissingWeightsError):
            identify(text)
    assert asked == ["me/mine", "depth-anything/Depth-Anything-V2-Small"]


@pytest.mark.parametrize("text", ["hf:", "hf:mine", "hf:a/b/c", "hf:../x"])
def test_what_is_no_hub_id_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="owner/name"):
        identify(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": "\x9b', "cannot be read as text"),
        (b"[" * 100_000, "cannot be read as a model description"),
        (b'{"name": "x", "kind": "metric_depth", "preprocess": 7}', "cannot be read as a model"),
    ],
)
def test_a_damaged_description_is_one_line(tiny_model: Path, content: bytes, message: str) -> None:
    sidecar_path(tiny_model).write_bytes(content)
    with pytest.raises((InputError, WeightsError), match=message) as caught:
        identify(tiny_model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"options": 2**63}, "options = 9223372036854775808: a table is needed"),
        ({"crop": [[None], 1.0]}, r"crop = .*\[a number, a number\] is needed"),
        ({"mean": [0.5, 0.5]}, r"\[a number, a number, a number\] is needed"),
        ({"size": [64, 64.5]}, "a whole number"),
        ({"resize": "letterbx"}, "letterbox"),
        ({"sise": [1, 1]}, "sise.*preprocess knows size, resize"),
        ({"inputs": {"x": 3}}, "inputs"),
        ({"outputs": None}, "outputs = None"),
        ({"std": [float("nan")] * 3}, "std"),
    ],
)
def test_values_that_a_description_cannot_have_are_named(
    tiny_model: Path, changes: dict, wanted: str
) -> None:
    beside = sidecar_path(tiny_model)
    record = json.loads(beside.read_text())
    place = record if set(changes) & set(record) else record["preprocess"]
    place |= changes
    beside.write_text(json.dumps(record))
    with pytest.raises(InputError, match=wanted):
        identify(tiny_model)


def test_a_description_without_a_schema_keeps_what_it_says(tiny_model: Path) -> None:
    beside = sidecar_path(tiny_model)
    record = {"name": "mine", "kind": "scaled_depth", "preprocess": {"size": [64, 64]}}
    record |= {"decoder": "canonical_depth", "canonical_focal_px": 500.0}
    beside.write_text(json.dumps(record))
    spec = identify(tiny_model).spec
    assert (spec.decoder, spec.canonical_focal_px) == ("canonical_depth", 500.0)


def test_a_sidecar_tells(tiny_model: Path) -> None:
    found = identify(tiny_model)
    assert (found.spec.name, found.told_by) == ("tiny", "tiny.json")


def test_a_sidecar_of_another_file_is_noticed(tiny_model: Path) -> None:
    beside = sidecar_path(tiny_model)
    record = json.loads(beside.read_text()) | {"digest": hub.sha256_of(tiny_model)}
    beside.write_text(json.dumps(record))
    assert identify(tiny_model).spec.name == "tiny"
    tiny_model.write_bytes(tiny_model.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"not the file that tiny\.json describes"):
        identify(tiny_model)


def test_the_catalogues_files_are_chosen_by_what_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "EMBEDDED_FOLDER", tmp_path)
    blank(tmp_path / "lite.onnx")
    blank(tmp_path / "lite.safetensors")
    assert identify().path.name == "lite.onnx"
    assert identify("lite", prefer="graph").path.name == "lite.onnx"
    assert identify("lite", prefer="checkpoint").path.name == "lite.safetensors"


def test_a_folder_with_one_model_file_means_that_file(tmp_path: Path) -> None:
    blank(tmp_path / "mine.pth")
    assert identify("lite", weights=tmp_path).path == tmp_path / "mine.pth"
    blank(tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="holds 2 model files"):
        identify("lite", weights=tmp_path)


def test_weights_beside_a_graph_share_its_description(tiny_model: Path) -> None:
    beside = sidecar_path(tiny_model)
    record = json.loads(beside.read_text()) | {"digest": hub.sha256_of(tiny_model)}
    beside.write_text(json.dumps(record | {"name": "lite"}))
    found = identify(blank(tiny_model.with_suffix(".safetensors")))
    assert (found.spec.name, found.spec.architecture) == ("lite", "lite")


def test_a_damaged_sidecar_is_told(tiny_model: Path) -> None:
    sidecar_path(tiny_model).write_text("{}")
    with pytest.raises(InputError, match=r"tiny\.json cannot be read"):
        identify(tiny_model)


def test_a_network_without_description_is_asked_about(tiny_model: Path) -> None:
    sidecar_path(tiny_model).unlink()
    with pytest.raises(WeightsError, match="no description"):
        identify(tiny_model)
    assert identify("lite", weights=tiny_model).spec == catalog.get("lite")


def test_our_own_header_tells(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    path = tmp_path / "trained.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"architecture": "depth-anything-v2-vits"})
    found = identify(path)
    assert (found.spec.name, found.told_by) == ("depth-anything-v2-vits", "its own header")


def test_max_depth_for_a_model_without_one_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="without a unit"):
        identify("depth-anything-v2-vits", weights=blank(tmp_path / "x.pth"), max_depth=20)
    with pytest.raises(InputError, match="without a unit"):
        identify(tiny_model, max_depth=20)
    with pytest.raises(InputError, match="positive"):
        identify(tiny_model, max_depth=0)


def test_what_is_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'lite'"):
        identify("liet")
    with pytest.raises(MissingWeightsError, match="no such file"):
        identify(tmp_path / "no.onnx")
    with pytest.raises(WeightsError, match="holds no weights"):
        identify(tmp_path)
    with pytest.raises(MissingWeightsError, match="published no weights"):
        identify("depth-anything-v2-vitg")
    with pytest.raises(WeightsError, match=r"ends in \.onnx"):
        identify(blank(tmp_path / "x.tflite"))


@pytest.mark.parametrize("name", ["lite", "lite-metric", "fastdepth-world"])
def test_an_embedded_model_agrees_with_its_sidecar(name: str) -> None:
    spec = catalog.get(name)
    path = hub.locate(spec.weights[0])
    if path is None:
        pytest.skip("the embedded file is not in this copy")
    sidecar = Sidecar.from_json(sidecar_path(path).read_text())
    assert (sidecar.name, sidecar.kind) == (spec.name, spec.kind)
    assert sidecar.options == spec.options
    assert sidecar.preprocess == spec.preprocess
    assert sidecar.digest == hub.sha256_of(path)
