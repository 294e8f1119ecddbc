"""Networks of several outputs through the whole path: catalogue entry, picture, prediction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import leadline
from leadline import catalog
from leadline.camera import Camera
from leadline.estimator import DepthEstimator
from leadline.image import Image
from leadline.kinds import DepthKind
from testing.goldens import filled

torch = pytest.importorskip("torch")

from leadline import models  # noqa: E402
from leadline.models.depth_anything_3_config import AnyViewConfig, SkyConfig  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.weights import save_weights  # noqa: E402
from leadline.runtime.torch import TorchRuntime  # noqa: E402

HEAD: dict[str, Any] = {"encoder": "tiny", "features": 16, "out_channels": (8, 12, 16, 20)}
VIEWS = {"alternate_from": 2, "taps": (2, 3, 4, 5), **HEAD}
SKY = {"taps": (1, 2, 3, 4), **HEAD}
MOGE = {"encoder": "tiny", "taps": (0, 1), "num_tokens": 20}
OPTIONS: dict[str, dict[str, Any]] = {
    "da3-small": VIEWS,
    "da3mono-large": SKY,
    "da3metric-large": SKY,
    "da3nested-giant-large": {},
    "video-depth-anything-vits": {
        "encoder": "tiny",
        "taps": (0, 1, 2, 3),
        "features": 64,
        "out_channels": (8, 12, 64, 128),
    },
    "depth-pro": {
        "width": 24,
        "depth": 3,
        "heads": 2,
        "grid": 8,
        "hook_block_ids": (0, 1),
        "dims_encoder": (16, 24, 20, 28),
        "decoder_features": 16,
    },
    "prompt-depth-anything-vits": {**HEAD, "taps": (0, 1, 2, 3)},
    "moge-2-vits": MOGE,
    "moge-2-vits-normal": MOGE,
    "metric3d-v2-vits": {
        "encoder": "tiny",
        "features": (16, 24, 64),
        "decoder": (16, 24, 64, 64),
        "hidden": 16,
        "iterations": 2,
    },
}
"""Catalogue entry -> options of a small network of its kind."""
SMALL = {"depth-pro": (512, 512), "moge-2-vits": (48, 64), "moge-2-vits-normal": (48, 64)}
SMALL["metric3d-v2-vits"] = (56, 84)


@pytest.fixture(autouse=True)
def _tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", EncoderConfig(width=64, depth=6, heads=2))


def open_small(name: str, **how: Any) -> DepthEstimator:
    """The entry's own spec with a small network of deterministic weights."""
    spec = catalog.get(name)
    options = OPTIONS[name]
    if name == "da3nested-giant-large":
        options = {"any_view": AnyViewConfig(**VIEWS), "metric": SkyConfig(**SKY)}
    module = models.build(name, **options)
    statistics = {k: v for k, v in module.state_dict().items() if k.endswith(("_mean", "_std"))}
    wide = {"fov.head.4.bias": {"add": 55.0}, "head.4.bias": {"add": 0.5}}
    overrides = wide if name == "depth-pro" else {}
    module.load_state_dict({**filled(module, overrides=overrides), **statistics})
    preprocess = replace(spec.preprocess, size=SMALL.get(name, (56, 56)))
    return DepthEstimator(TorchRuntime(module), replace(spec, preprocess=preprocess), **how)


def make_picture(*, lens: bool = False, seed: int = 0) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    camera = Camera.from_fov(64, 48, fov_deg=60) if lens else None
    prompt = np.random.default_rng(1).uniform(1, 4, (12, 16)).astype(np.float32)
    return Image(pixels=pixels, camera=camera, prompt_depth=prompt)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_entry_predicts_a_picture(name):
    spec, made = catalog.get(name), open_small(name).predict(make_picture())
    assert made.size == (48, 64)
    assert made.kind is spec.kind
    assert made.model == name
    assert np.isfinite(made.values[made.known]).all()
    assert made.known.any()
    roles = {output.role for output in spec.outputs.values()}
    assert (made.normals is not None) == ("normal" in roles)
    assert (made.sky is not None) == ("sky" in roles)
    assert (made.points is not None) == ("points" in roles)
    lens = roles & {"focal", "intrinsics", "points"}
    assert (made.camera is not None and made.camera.source == "predicted") == bool(lens)
    if "pose" in roles:
        assert made.camera.world_from_camera is not None


KNOWN = ("da3-small", "da3metric-large", "depth-pro", "moge-2-vits", "metric3d-v2-vits")


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_lens_counts(name):
    estimator = open_small(name)
    own, known = estimator.predict(make_picture()), estimator.predict(make_picture(lens=True))
    if name == "metric3d-v2-vits":
        assert known.kind is DepthKind.METRIC_DEPTH
        scale = min(56 / 48, 84 / 64)  # into the letterbox
        focal = known.camera.fy * round(scale * 48) / 48
        np.testing.assert_allclose(known.values / own.values, focal / 1000, rtol=1e-4)
    elif name == "da3metric-large":
        assert (own.kind, known.kind) == (DepthKind.SCALED_DEPTH, DepthKind.METRIC_DEPTH)
        focal = known.camera.fx * (56 / 64 + 42 / 48) / 2  # to the input's sides
        np.testing.assert_allclose(known.values / own.values, focal / 300, rtol=1e-4)
    elif name == "da3-small":  # its own lens goes with its own poses
        assert known.camera.source == "predicted"
    else:
        assert known.camera.fov_deg == pytest.approx(60)
        assert not np.allclose(known.values[known.known], own.values[known.known])


def test_a_lens_whose_origin_is_the_corner_is_moved_by_half_a_pixel():
    made = open_small("da3-small").predict(make_picture())
    assert (made.camera.cx, made.camera.cy) == pytest.approx((31.5, 23.5), abs=1e-3)


def test_points_lie_on_the_rays_of_their_pixels():
    made = open_small("moge-2-vits-normal").predict(make_picture())
    camera, (v, u) = made.camera, np.nonzero(made.known)
    points = made.points[v, u]
    np.testing.assert_allclose(points[:, 2], made.values[v, u], rtol=1e-6)
    x = (u - camera.cx) / camera.fx * points[:, 2]
    np.testing.assert_allclose(points[:, 0], x, rtol=1e-3, atol=1e-3 * np.abs(x).max())
    assert made.known.all() or not made.valid.all()


@pytest.mark.parametrize("name", ["da3-small", "moge-2-vits-normal", "prompt-depth-anything-vits"])
def test_flips_keep_what_has_no_side(name):
    made = open_small(name, policy="flip").predict(make_picture())
    assert made.known.any()


def test_several_views_have_one_world():
    pictures = [make_picture(seed=seed) for seed in range(3)]
    made = open_small("da3-small").predict_views(pictures)
    assert len(made) == 3
    assert all(view.camera.world_from_camera is not None for view in made)
    assert made[0].confidence is not None
    assert len(made.point_cloud(edges="keep").points) == sum(
        int((v.known & (v.values > 0)).sum()) for v in made
    )


def test_a_prompt_is_needed_and_has_no_holes():
    estimator, picture = open_small("prompt-depth-anything-vits"), make_picture()
    with pytest.raises(leadline.InputError, match="--prompt-depth"):
        estimator.predict(replace(picture, prompt_depth=None))
    holes = picture.prompt_depth.copy()
    holes[:3] = 0
    with pytest.raises(leadline.InputError, match="25%"):
        estimator.predict(replace(picture, prompt_depth=holes))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["da3-small", "video-depth-anything-vits", "moge-2-vits-normal"])
def test_python_command_and_exported_file_agree(name, tmp_path: Path, capsys):
    """The published size with deterministic weights, through a checkpoint and an export."""
    from PIL import Image as PilImage

    from leadline.cli import main
    from leadline.export import export

    module = models.build(name)
    statistics = {k: v for k, v in module.state_dict().items() if k.endswith(("_mean", "_std"))}
    module.load_state_dict({**filled(module), **statistics})
    weights, photo = tmp_path / "weights.safetensors", tmp_path / "photo.png"
    save_weights(module, weights)
    PilImage.fromarray(make_picture().pixels).resize((168, 126)).save(photo)
    size = () if name.startswith("moge") else ("--size", "126")
    words = ("--weights", str(weights), "--format", "npz", *size)
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(photo), "--out", str(tmp_path / "cli"), "--model", name, *words])
    assert ended.value.code == 0, capsys.readouterr().err
    by_command = leadline.read_prediction(tmp_path / "cli" / "photo.npz")
    options = {"weights": weights} | ({"size": 126} if size else {})
    wanted = leadline.load(name, **options).predict(photo)
    np.testing.assert_allclose(by_command.values, wanted.values, rtol=1e-6)
    sides = None if name == "da3-small" else (126, 168)  # stretching is not its size rule
    export(leadline.LoadOptions(model=name, **options), tmp_path / "model.onnx", sides=sides)
    found = leadline.load(tmp_path / "model.onnx").predict(photo)
    assert found.kind is wanted.kind
    both = wanted.known & found.known
    assert both.mean() > 0.99 * wanted.known.mean()
    np.testing.assert_allclose(found.values[both], wanted.values[both], rtol=5e-3)
