"""MoGe-1 and MoGe-2: equal to the originals, and to themselves once exported."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError, WeightsError  # noqa: E402
from leadline.models import moge, moge2  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.moge import choose_token_grid, make_view_plane  # noqa: E402
from leadline.point_map import make_view_plane_uv, resolve_points  # noqa: E402
from testing.goldens import FULL, Golden, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from leadline.models.base import DepthModule

TOLERANCE = 1e-5
NORMAL_NOISE = 1.2e-4  # of the original itself, where a vector is short before it is normalised

# name: (tensors, parameters)
PUBLISHED = {
    "moge-1-vitl": (421, 314_174_020),
    "moge-2-vits": (299, 31_968_453),
    "moge-2-vitb": (299, 100_772_421),
    "moge-2-vitl": (483, 326_209_221),
    "moge-2-vits-normal": (337, 35_103_656),
    "moge-2-vitb-normal": (337, 104_743_592),
    "moge-2-vitl-normal": (521, 330_901_544),
}
DIGESTS = {  # of sorted names and shapes
    "moge-1-vits": "207370f4345786c0",
    "moge-2-vits": "c734fc33de3753c1",
    "moge-2-vits-normal": "b6a394e21f4bf107",
    "moge-2-vitb-normal": "27dcd4e64a9b5dad",
}
GOLDENS: dict[str, tuple[str, dict[str, Any]]] = {
    "moge1_vits": ("moge-1-vitl", {"encoder": "vits"}),
    "moge2_vits_plain": ("moge-2-vits", {}),
    "moge2_vits_normal": ("moge-2-vits-normal", {}),
}


@lru_cache(maxsize=3)
def small_weights(file: str) -> dict[str, Tensor]:
    """The golden file's weights: drawing 35 million numbers takes a while."""
    golden = load_golden(file, extract=file != "moge2_vits_plain")
    name, options = GOLDENS[file]
    return golden.weights(models.build(name, **options))


def run_golden(golden: Golden, case: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outputs as the golden file lays them out, and every inner map by its name there."""
    name, small = GOLDENS[golden.name]
    tokens = golden.cases[case]["num_tokens"]
    with torch.device("meta"):
        module = models.build(name, **small, **{"num_tokens": tokens} | options)
    models.load_weights(module, small_weights(golden.name))
    picture = torch.from_numpy(golden.input(case))
    outputs, inner = watch(module, lambda: module.outputs(picture))
    found = {n: (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).numpy() for n, x in outputs.items()}
    return found, named_by_the_original(inner)


def named_by_the_original(inner: dict[str, Any]) -> dict[str, Any]:
    maps = {name.removeprefix("encoder."): value for name, value in inner.items()}
    if "neck" in inner:
        maps["encoder.features"], maps["encoder.cls"] = inner["encoder"]
        maps |= {f"neck.{level}": value for level, value in enumerate(inner["neck"])}
        maps |= {name: value[-1] for name, value in inner.items() if name.endswith("_head")}
        maps["patch_embed"] = inner["encoder.backbone.patch_embed"]
        maps["block0"] = inner["encoder.backbone.blocks.0"]
    return maps


def check_golden(golden: Golden, case: str) -> None:
    outputs, maps = run_golden(golden, case)
    compared = 0
    for what in golden.keys(case):
        if what.startswith(("infer.", "onnx_mode.", "image_", "tokens_in")):
            continue
        values = outputs[what] if what in outputs else maps[what].numpy()
        error = golden.relative_error(f"{case}/{what}", values)
        assert error < (NORMAL_NOISE if what == "normal" else TOLERANCE), what
        compared += 1
    assert compared > 8
    for run, asked in golden.cases[case].get("infer", {}).items():
        check_infer(golden, f"{case}/infer.{run}", outputs, dict(asked["kwargs"]))


def check_infer(
    golden: Golden, run: str, outputs: dict[str, np.ndarray], options: dict[str, Any]
) -> None:
    fov = options.pop("fov_x", None)
    for what in ("points", "depth", "mask", "normal", "intrinsics"):
        if f"{run}/{what}" not in golden.arrays:
            continue
        resolved = []
        for i in range(len(outputs["points"])):
            found = resolve_points(
                outputs["points"][i],
                outputs["mask"][i],
                normal=outputs["normal"][i] if "normal" in outputs else None,
                metric_scale=float(outputs["metric_scale"][i]),
                fov_x_deg=fov[i] if isinstance(fov, list) else fov,
                **options,
            )
            camera = found.camera
            focal = np.diag([camera.fx / camera.width, camera.fy / camera.height, 1.0])
            focal[:2, 2] = 0.5
            values = {"mask": found.valid, "intrinsics": focal}
            resolved.append(values.get(what, getattr(found, what, None)))
        reference = golden.arrays[f"{run}/{what}"]
        kept = golden.kept(f"{run}/{what}", np.stack(resolved))
        if what == "mask":
            np.testing.assert_array_equal(kept, reference)
            continue
        largest = np.abs(reference[np.isfinite(reference)]).max()
        atol = NORMAL_NOISE if what == "normal" else 1e-6 + 1e-5 * largest
        np.testing.assert_allclose(kept, reference, rtol=0, atol=atol, err_msg=what)


# --- names, counts, options ----------------------------------------------------------------------


def test_the_table_and_the_configs_name_the_same_models() -> None:
    named = {name for name in models.names() if name.startswith("moge-")}
    assert named == {*moge.CONFIGS, *moge2.CONFIGS} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        module = models.build(name, num_tokens=6)
        found = module.outputs(torch.zeros(2, 3, 40, 60))
    state = module.state_dict()
    assert (len(state), sum(p.numel() for p in module.parameters())) == PUBLISHED[name]
    assert found["points"].shape == (2, 3, 40, 60)
    assert found["mask"].shape == (2, 40, 60)
    assert ("normal" in found) == name.endswith("-normal")
    assert module(torch.zeros(2, 3, 40, 60, device="meta")).shape == (2, 40, 60)


def lines_of(name: str) -> list[str]:
    options = {"encoder": "vits"} if name == "moge-1-vits" else {}
    with torch.device("meta"):
        state = models.build("moge-1-vitl" if options else name, **options).state_dict()
    return sorted(f"{key} {list(tensor.shape)}" for key, tensor in state.items())


@pytest.mark.parametrize("name", DIGESTS)
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    digest = hashlib.sha256("\n".join(lines_of(name)).encode()).hexdigest()
    assert digest.startswith(DIGESTS[name])


@pytest.mark.parametrize("file", ["vits_plain", "vits_normal", "vitb_normal"])
def test_names_and_shapes_match_the_key_lists(file: str) -> None:
    path = FULL.parent / "facts" / "keys" / f"keys_moge2_{file}.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    expected = []
    for line in path.read_text().splitlines()[1:]:
        repeated = re.search(r"\{(\d+)\.\.(\d+)\}", line)
        first, last = (int(n) for n in repeated.groups()) if repeated else (0, 0)
        expected += [re.sub(r"\{.*\}", str(i), line) for i in range(first, last + 1)]
    assert lines_of("moge-2-" + file.replace("_", "-").removesuffix("-plain")) == sorted(expected)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("moge-2-vits", {"tap": (5, 11)}, "no option 'tap'; it takes encoder, remap_output"),
        ("moge-2-vits", {"taps": (5, 12)}, "increasing block numbers from 0 to 11"),
        ("moge-2-vits", {"neck_blocks": -1}, "counts from 0"),
        ("moge-2-vits", {"num_tokens": 0}, "at least 1 patch"),
        ("moge-2-vits", {"resolution_level": 10}, "a level from 0 to 9"),
        ("moge-1-vitl", {"intermediate_layers": 25}, "1 to 24 of the last blocks"),
        ("moge-1-vitl", {"dim_upsample": (256, 128)}, "three channel counts"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build(name, **options)
    for option in ({"encoder": "vith"}, {"remap_output": "log"}):
        with pytest.raises(UnknownNameError):
            models.build(name, **option)


# --- patches and places --------------------------------------------------------------------------


def test_grids_and_levels_equal_the_originals() -> None:
    arrays = load_golden("moge_solver").arrays
    for h, w, tokens, rows, columns, *_ in arrays["token_grid"].tolist():
        assert choose_token_grid(h, w, tokens) == (rows, columns)
    for level, moge_2, moge_1 in arrays["level_tokens"].tolist():
        second = moge2.Moge2Config(encoder="vits", taps=(5,), neck_blocks=1, resolution_level=level)
        assert second.tokens == moge_2
        assert moge.MogeConfig(encoder="vits", resolution_level=level).tokens == moge_1


def test_a_picture_keeps_its_shape_in_patches() -> None:
    assert choose_token_grid(480, 640, 1200) == (30, 40)
    assert choose_token_grid(640, 480, 1200) == (40, 30)
    assert choose_token_grid(1, 4000, 100) == (1, 632)  # the originals have no row here
    config = moge2.CONFIGS["moge-2-vitl"]
    assert config.tokens == 3600
    assert moge2.Moge2Config(encoder="vits", taps=(5,), neck_blocks=1, num_tokens=77).tokens == 77


@pytest.mark.parametrize(("height", "width", "aspect"), [(6, 10, 1.7), (5, 1, 0.3), (8, 8, 1.0)])
def test_places_are_those_of_the_solver(height: int, width: int, aspect: float) -> None:
    ours = make_view_plane(height, width, aspect, like=torch.zeros(1))[0].permute(1, 2, 0)
    np.testing.assert_allclose(ours, make_view_plane_uv(height, width, aspect), atol=1e-6)


# --- parity with the originals -------------------------------------------------------------------


@pytest.mark.parametrize("file", ["moge1_vits", "moge2_vits_normal"])
def test_every_map_equals_the_originals_extract(file: str) -> None:
    check_golden(load_golden(file, extract=True), "wide")


@pytest.mark.parametrize(
    ("file", "case"),
    [
        ("moge1_vits", "wide"),
        ("moge1_vits", "tall"),
        ("moge2_vits_normal", "wide"),
        ("moge2_vits_normal", "tall_batch"),
        ("moge2_vits_plain", "sq"),
    ],
)
def test_every_map_equals_the_originals(file: str, case: str) -> None:
    check_golden(load_golden(file), case)


def test_the_authors_onnx_mode_is_there_by_name() -> None:
    golden = load_golden("moge2_vits_normal", extract=True)
    outputs, _ = run_golden(golden, "wide", onnx_mode=True)
    for what, values in outputs.items():
        error = golden.relative_error(f"wide/onnx_mode.{what}", values)
        assert error < (NORMAL_NOISE if what == "normal" else TOLERANCE), what
    assert golden.relative_error("wide/points", outputs["points"]) > 1e-3


# --- heads and weights ---------------------------------------------------------------------------


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that builds a small network with deterministic weights."""
    monkeypatch.setitem(ENCODERS, "tiny", EncoderConfig(width=32, depth=2, heads=2))

    def build(name: str, **options: Any) -> DepthModule:
        if name.startswith("moge-2"):
            options = {"taps": (0, 1)} | options
        else:
            options = {
                "intermediate_layers": 2,
                "dim_proj": 32,
                "dim_upsample": (32, 32, 16),
            } | options
        module = models.build(name, encoder="tiny", **{"num_tokens": 20} | options)
        statistics = {
            k: torch.full((1, 3, 1, 1), 0.5) for k in module.state_dict() if "image_" in k
        }
        models.load_weights(module, filled(module) | statistics)
        return module

    return build


def test_each_remap_makes_its_points(tiny: Any) -> None:
    picture = torch.rand(1, 3, 42, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = {
            remap: tiny("moge-2-vits", remap_output=remap).outputs(picture)["points"]
            for remap in ("exp", "linear", "sinh", "sinh_exp")
        }
    raw = found["linear"]
    z = raw[:, 2:].exp()
    torch.testing.assert_close(found["exp"], torch.cat([raw[:, :2] * z, z], 1))
    torch.testing.assert_close(found["sinh"], raw.sinh())
    torch.testing.assert_close(found["sinh_exp"], torch.cat([raw[:, :2].sinh(), z], 1))


def test_maps_are_what_they_are_said_to_be(tiny: Any) -> None:
    picture = torch.rand(2, 3, 42, 56, generator=torch.Generator().manual_seed(1))
    module = tiny("moge-2-vits-normal")
    with torch.no_grad():
        found = module.outputs(picture)
        depth = module(picture)
    torch.testing.assert_close(found["normal"].norm(dim=1), torch.ones(2, 42, 56))
    assert ((found["mask"] > 0) & (found["mask"] < 1)).all()
    assert found["metric_scale"].shape == (2,)
    assert (found["metric_scale"] > 0).all()
    torch.testing.assert_close(depth, found["points"][:, 2])
    with pytest.raises(InputError, match=r"\(b, 3, h, w\) batch"):
        module.outputs(picture[0])


def published(path: Path, module: DepthModule, model_config: dict[str, Any]) -> Path:
    torch.save({"model_config": model_config, "model": module.state_dict()}, path)
    return path


def config_of_moge2(**changes: Any) -> dict[str, Any]:
    blocks = {"num_res_blocks": [0, 1, 1, 1, 0]}
    return {
        "encoder": {"backbone": "dinov2_tiny14", "intermediate_layers": 1, "dim_out": 32},
        "neck": blocks,
        "points_head": blocks,
        "mask_head": blocks,
        "scale_head": {"dims": [32, 32, 32, 1]},
        "remap_output": "exp",
        "num_tokens_range": [20, 30],
    } | changes


def test_the_authors_file_says_what_no_tensor_says(tiny: Any, tmp_path: Path) -> None:
    module = tiny("moge-2-vits", taps=(0,), num_tokens=None)
    file = published(tmp_path / "model.pt", module, config_of_moge2())
    models.load_weights(module, file)
    assert module.config.taps == (1,)  # the last one
    assert module.config.tokens == 30
    models.load_weights(module, tmp_path)  # its folder
    first = tiny("moge-1-vitl", num_tokens=None)
    file = published(
        tmp_path / "model.pt",
        first,
        {"encoder": "dinov2_tiny14", "num_tokens_range": [5, 9], "split_head": True},
    )
    models.load_weights(first, file)
    assert first.config.tokens == 9


def test_a_file_with_other_layers_is_refused_with_the_options(tiny: Any, tmp_path: Path) -> None:
    module = tiny("moge-2-vits-normal")
    two = config_of_moge2(encoder={"backbone": "dinov2_tiny14", "intermediate_layers": [0, 1]})
    file = published(tmp_path / "model.pt", module, two)
    with pytest.raises(WeightsError, match=r"without normals; .* pass .*normal=False"):
        models.load_weights(module, file)
    assert module.config.num_tokens_range == (1200, 3600)  # nothing changed


def test_moge_3_is_refused_by_name(tiny: Any) -> None:
    for name in ("moge-1-vitl", "moge-2-vits"):
        module = tiny(name)
        theirs = {**module.state_dict(), "refiner.0.weight": torch.zeros(1)}
        with pytest.raises(WeightsError, match="MoGe-3"):
            models.load_weights(module, theirs)


@pytest.mark.parametrize("name", ["moge-1-vitl", "moge-2-vits-normal"])
def test_weights_of_another_model_are_told_apart(name: str, tiny: Any) -> None:
    with torch.device("meta"):
        other = models.build("moge-2-vitb-normal" if "2" in name else name)
    message = "MoGe-2 ViT-B with normals" if "2" in name else "MoGe-1 ViT-L"
    with pytest.raises(WeightsError, match=message):
        models.load_weights(tiny(name), other.state_dict())


# --- exported ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moge-1-vitl", "moge-2-vits-normal"])
def test_one_size_exports_to_onnx(name: str, tiny: Any, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    import onnxruntime
    import openvino

    module = tiny(name)
    picture = torch.rand(2, 3, 60, 90, generator=torch.Generator().manual_seed(2))
    program = torch.onnx.export(
        Outputs(module).eval(), (picture,), dynamo=True, opset_version=18, verbose=False
    )
    program.save(tmp_path / "net.onnx")
    with torch.no_grad():
        expected = Outputs(module)(picture)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    core, precise = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    graph = core.compile_model(tmp_path / "net.onnx", "CPU", precise)
    results = (
        session.run(None, {session.get_inputs()[0].name: picture.numpy()}),
        [graph(picture.numpy())[i] for i in range(len(expected))],
    )
    for arrays in results:
        for array, reference in zip(arrays, expected, strict=True):
            largest = float(reference.abs().max())
            np.testing.assert_allclose(array, reference, rtol=0, atol=1e-4 * largest)


class Outputs(torch.nn.Module):
    """The outputs as a tuple, which exporters name by place."""

    def __init__(self, module: DepthModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.module.outputs(image).values())
