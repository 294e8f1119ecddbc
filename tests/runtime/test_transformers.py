"""Networks of transformers: equal to its own pipeline, of the right kind, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", minversion="5")

import leadline  # noqa: E402
from leadline.camera import Camera  # noqa: E402
from leadline.errors import (  # noqa: E402
    DeviceError,
    InputError,
    LeadlineError,
    MissingWeightsError,
    WeightsError,
)
from leadline.hub_config import is_published  # noqa: E402
from leadline.image import Image  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.runtime import families  # noqa: E402
from leadline.transformers_models import describe_network  # noqa: E402
from testing.hub_server import COMMIT, serve_hub, use_hub  # noqa: E402
from testing.transformers_folders import MAKERS, save_folder  # noqa: E402

METRES, DISPARITY = DepthKind.METRIC_DEPTH, DepthKind.AFFINE_DISPARITY
VARIANTS: dict[str, tuple[str, dict[str, Any], DepthKind, float | None]] = {
    "depth_anything": ("depth_anything", {}, DISPARITY, None),
    "depth_anything metric": (
        "depth_anything",
        {"depth_estimation_type": "metric", "max_depth": 80},
        METRES,
        80,
    ),
    "depth_pro": ("depth_pro", {}, METRES, None),
    "dpt": ("dpt", {}, DISPARITY, None),
    "glpn": ("glpn", {"max_depth": 80}, METRES, 80),
    "tipsv2_dpt": ("tipsv2_dpt", {}, METRES, 10),
    "zoedepth": ("zoedepth", {}, METRES, 10),
}
"""Family, fields of its config, what its values mean, and the most metres."""

Saved = Callable[..., Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Folders by family and config, each written once."""
    made: dict[str, Path] = {}

    def save(family: str, **config: Any) -> Path:
        key = f"{family} {config}"
        if key not in made:
            made[key] = save_folder(tmp_path_factory.mktemp("hub") / family, family, **config)
        return made[key]

    return save


def picture(height: int = 70, width: int = 101, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 10 + 1, width // 10 + 1, 3), dtype=np.uint8)
    return np.asarray(PilImage.fromarray(coarse).resize((width, height)))


def pipe(folder: Path, pixels: np.ndarray) -> np.ndarray:
    """What transformers' own pipeline makes of a picture."""
    pipeline = transformers.pipeline("depth-estimation", model=str(folder), device="cpu")
    return pipeline(PilImage.fromarray(pixels))["predicted_depth"].numpy()


# --- values and kinds ----------------------------------------------------------------------------


def test_every_depth_network_of_transformers_is_tested() -> None:
    assert not set(families()) - set(MAKERS) - {"chmv2"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_equals_the_pipeline(variant: str, saved: Saved) -> None:
    family, config, kind, max_depth = VARIANTS[variant]
    folder = saved(family, **config)
    estimator = leadline.load(f"hf:{folder}")
    made, reference = estimator.predict(picture()), pipe(folder, picture())
    assert reference.std() > 0.005 * reference.mean()  # a dead output agrees with anything
    assert made.size == (70, 101)
    np.testing.assert_allclose(made.values, reference, rtol=1e-5, atol=1e-6)
    assert (made.kind, made.model) == (kind, family)
    assert estimator.spec.max_depth == max_depth


def test_prompt_depth_anything_takes_metres(saved: Saved) -> None:
    folder = saved("prompt_depth_anything")
    rng = np.random.default_rng(1)
    prompt = rng.uniform(1, 4, (20, 30)).astype(np.float32)
    estimator = leadline.load(f"hf:{folder}")
    made = estimator.predict(Image(pixels=picture(), prompt_depth=prompt))
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    inputs = processor(
        images=PilImage.fromarray(picture()), prompt_depth=prompt * 1000, return_tensors="pt"
    )
    with torch.inference_mode():
        outputs = network(**inputs)
    reference = processor.post_process_depth_estimation(outputs, target_sizes=[(70, 101)])
    reference = reference[0]["predicted_depth"].numpy()
    assert reference.std() > 0.01
    np.testing.assert_allclose(made.values, reference, rtol=1e-5)
    assert made.kind is METRES
    with pytest.raises(InputError, match="--prompt-depth"):
        estimator.predict(picture())


def test_depth_pro_predicts_a_lens_and_honours_one(saved: Saved) -> None:
    folder = saved("depth_pro")
    estimator = leadline.load(f"hf:{folder}")
    alone = estimator.predict(picture())
    assert alone.camera is not None
    assert alone.camera.source == "predicted"
    known = Camera.from_focal(101, 70, focal_px=1.5 * alone.camera.fx)
    told = estimator.predict(Image(pixels=picture(), camera=known))
    inside = (alone.values > 1e-3) & (alone.values < 1e3)
    np.testing.assert_allclose(told.values[inside], 1.5 * alone.values[inside], rtol=1e-4)
    without = leadline.load(f"hf:{saved('depth_pro', use_fov_model=False)}")
    with pytest.raises(InputError, match="--fov"):
        without.predict(picture())


def test_pictures_together_and_mirrored(saved: Saved) -> None:
    folder = saved("zoedepth")
    pictures = [picture(), picture(seed=1)]
    together = leadline.load(f"hf:{folder}").predict_batch(pictures)
    for one, pixels in zip(together, pictures, strict=True):
        np.testing.assert_allclose(one.values, pipe(folder, pixels), rtol=1e-4, atol=1e-5)
    both = leadline.load(f"hf:{folder}", policy="flip").predict(picture())
    mirrored = pipe(folder, np.ascontiguousarray(picture()[:, ::-1]))[:, ::-1]
    mean = (pipe(folder, picture()) + mirrored) / 2
    np.testing.assert_allclose(both.values, mean, rtol=1e-4, atol=1e-5)


def test_narrow_pictures(saved: Saved) -> None:
    assert leadline.load(f"hf:{saved('dpt')}").predict(picture(40, 1)).size == (40, 1)
    with pytest.raises(InputError, match="20x20 pixels is none that this glpn"):
        leadline.load(f"hf:{saved('glpn')}").predict(picture(20, 20))


def test_half_precision_files_run_in_f32(saved: Saved, tmp_path: Path) -> None:
    folder = shutil.copytree(saved("glpn"), tmp_path / "half")
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    network.half().save_pretrained(folder)
    full = leadline.load(f"hf:{saved('glpn')}").predict(picture()).values
    half = leadline.load(f"hf:{folder}").predict(picture()).values
    assert 0 < np.abs(half - full).max() < 0.05


# --- what config.json says -----------------------------------------------------------------------


def test_the_caller_says_what_a_dpt_means(saved: Saved) -> None:
    estimator = leadline.load(f"hf:{saved('dpt')}", kind="metric_depth")
    assert estimator.predict(picture()).kind is METRES
    later = {"model_type": "dpt", "backbone_config": {"model_type": "dinov2"}}
    with pytest.raises(InputError, match="--kind metric_depth"):
        describe_network(later, "dpt-dinov2-small-nyu")
    assert describe_network(later, "it", METRES).kind is METRES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "scaled_depth"}, "its config.json says metric_depth"),
        ({"max_depth": 20}, "max_depth=20"),
        ({"normalize": "half"}, "normalize=half"),
        ({"size": 256}, "resizes it itself"),
    ],
)
def test_options_that_the_network_decides(
    options: dict[str, Any], message: str, saved: Saved
) -> None:
    with pytest.raises(InputError, match=message):
        leadline.load(f"hf:{saved('glpn')}", **options)


def test_another_runtime_does_not_read_it(saved: Saved) -> None:
    with pytest.raises(DeviceError, match="transformers does"):
        leadline.load(f"hf:{saved('glpn')}", runtime="torch")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "chmv2"}, "height of plants"),
        ({"model_type": "llama"}, "is a llama .* no depth network"),
        (
            {"model_type": "depth_anything", "depth_estimation_type": "logarithmic"},
            "nothing says what its values mean",
        ),
    ],
)
def test_networks_that_give_no_depth_are_refused(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        leadline.load(f"hf:{tmp_path}")


def test_moge_3_is_refused_by_name() -> None:
    with pytest.raises(WeightsError, match="moge-2-vitl-normal"):
        leadline.load("hf:Ruicheng/moge-3-vitl")


@pytest.mark.parametrize("file", ["preprocessor_config.json", "model.safetensors"])
def test_missing_files_are_named(file: str, saved: Saved, tmp_path: Path) -> None:
    folder = shutil.copytree(saved("glpn"), tmp_path / "part")
    (folder / file).unlink()
    with pytest.raises(WeightsError, match=f"no {file}"):
        leadline.load(f"hf:{folder}")


def test_missing_tensors_are_no_random_ones(saved: Saved, tmp_path: Path) -> None:
    folder = shutil.copytree(saved("glpn"), tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"depths": [2, 1, 1, 1]}))
    with pytest.raises(WeightsError, match=r"lack \d+ tensors"):
        leadline.load(f"hf:{folder}")


def test_damaged_weights(saved: Saved, tmp_path: Path) -> None:
    folder = shutil.copytree(saved("glpn"), tmp_path / "cut")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:1000])
    with pytest.raises(WeightsError, match="cannot be opened by transformers"):
        leadline.load(f"hf:{folder}")


def test_our_own_depth_anything_comes_first() -> None:
    backbone = {"hidden_size": 384, "out_indices": [3, 6, 9, 12]}
    published = {"model_type": "depth_anything", "backbone_config": backbone}
    assert is_published(published)
    assert not is_published(published | {"model_type": "prompt_depth_anything"})
    assert not is_published(published | {"backbone_config": backbone | {"hidden_size": 24}})
    shallow = backbone | {"out_indices": [1, 2, 3, 4]}
    assert not is_published(published | {"backbone_config": shallow})


# --- the hub -------------------------------------------------------------------------------------


def test_a_repository_is_fetched_once_and_from_one_commit(
    saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved("glpn")
    files = {f"lab/tiny-glpn/{path.name}": path.read_bytes() for path in folder.iterdir()}
    reference = leadline.load(f"hf:{folder}").predict(picture()).values
    with serve_hub(files) as hub:
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        made = leadline.load("hf:lab/tiny-glpn").predict(picture())
        asked = {path for _, path, _ in hub.requests if "/resolve/" in path}
    begin = "/lab/tiny-glpn/resolve"
    assert asked == {
        f"{begin}/main/config.json",
        f"{begin}/{COMMIT}/preprocessor_config.json",
        f"{begin}/{COMMIT}/model.safetensors",
    }
    np.testing.assert_array_equal(made.values, reference)
    assert made.model == "lab/tiny-glpn"
    again = leadline.load("hf:lab/tiny-glpn")  # the hub is gone, the cache is there
    np.testing.assert_array_equal(again.predict(picture()).values, reference)
    pinned = leadline.load(f"hf:lab/tiny-glpn@{COMMIT}")
    np.testing.assert_array_equal(pinned.predict(picture()).values, reference)
    with pytest.raises(MissingWeightsError):
        leadline.load("hf:lab/another")


def test_code_of_a_repository_is_never_run(saved: Saved, tmp_path: Path) -> None:
    folder = shutil.copytree(saved("glpn"), tmp_path / "coded")
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for name, part in (
        ("config.json", "AutoModelForDepthEstimation"),
        ("preprocessor_config.json", "AutoImageProcessor"),
    ):
        table = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(table | {"auto_map": {part: "code.Net"}}))
    with suppress(LeadlineError):  # refused is as good
        leadline.load(f"hf:{folder}").predict(picture())
    assert not (tmp_path / "ran").exists()


def test_the_description_changes_with_weights_and_processor(saved: Saved, tmp_path: Path) -> None:
    folder = shutil.copytree(saved("glpn"), tmp_path / "glpn")
    options = leadline.LoadOptions(model=f"hf:{folder}")
    described, stamp = options.describe(), options.stamp()
    assert described["model"] == "glpn"
    assert len(described["model_sha256"]) == 64
    processor = folder / "preprocessor_config.json"
    processor.write_text(processor.read_text().replace("32", "64"))
    assert options.describe() != described
    assert options.stamp() != stamp


def test_the_command_line_takes_it(saved: Saved, tmp_path: Path) -> None:
    from leadline.cli import main

    PilImage.fromarray(picture()).save(tmp_path / "photo.png")
    folder = saved("glpn")
    words = ["predict", str(tmp_path / "photo.png"), "--model", f"hf:{folder}", "--format", "npz"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--out", str(tmp_path / "out")])
    assert not caught.value.code
    (file,) = (tmp_path / "out").rglob("*.npz")
    made = leadline.read_prediction(file)
    assert made.kind is METRES
    np.testing.assert_allclose(made.values, pipe(folder, picture()), rtol=1e-3)
