"""UniDepth v2: equal to the original, and to itself once exported."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError, WeightsError  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.unidepth import CONFIGS, UniDepth, cast_rays, embed_rays  # noqa: E402
from testing.goldens import FULL, Golden, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@lru_cache(maxsize=1)
def small() -> UniDepth:
    with torch.device("meta"):
        module = models.build("unidepth-v2-vits")
    golden = load_golden("unidepth_v2_vits", extract=True)
    models.load_weights(module, golden.weights(module))
    assert isinstance(module, UniDepth)
    return module


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> UniDepth:
    """A small network with deterministic weights."""
    monkeypatch.setitem(ENCODERS, "tiny", EncoderConfig(width=32, depth=4, heads=2))
    module = models.build(
        "unidepth-v2-vits", encoder="tiny", taps=(0, 1, 2, 3), hidden_dim=32, out_dim=8
    )
    module.load_state_dict(filled(module))
    assert isinstance(module, UniDepth)
    return module


def check_golden(golden: Golden) -> None:
    module, picture = small(), torch.from_numpy(golden.input("small"))
    outputs, inner = watch(module, lambda: module.outputs(picture))
    maps = {name.removeprefix("pixel_decoder."): x for name, x in inner.items()}
    maps |= {name.removeprefix("depth_layer."): x for name, x in maps.items()}
    for i in range(4):
        adapted = maps[f"input_adapter.input_adapters.{i}"]
        maps[f"input_adapter.{i}"] = adapted.unflatten(1, (6, 8))
    maps |= {name: x[:, None] if x.ndim == 3 else x for name, x in outputs.items()}
    maps["confidence"] = maps.pop("depth_error")
    maps["intrinsics"] = outputs["intrinsics"]
    maps["rays_embedding"] = embed_rays(outputs["rays"], (6, 8), 256)
    for what in golden.keys("small"):
        tolerance = 2e-5 if what == "rays_embedding" else 1e-5  # sines of large angles
        assert golden.relative_error(f"small/{what}", maps[what].numpy()) < tolerance, what


# --- names, counts, options ----------------------------------------------------------------------


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {name for name in models.names() if name.startswith("unidepth-")} == set(CONFIGS)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("unidepth-v2-vits", 34_184_323),  # as published
        ("unidepth-v2-vitb", 114_435_267),
        ("unidepth-v2-vitl", 353_868_035),
    ],
)
def test_counts_and_shapes(name: str, parameters: int) -> None:
    with torch.device("meta"):
        module = models.build(name)
        found = module.outputs(torch.zeros(2, 3, 28, 42))
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert found["depth"].shape == found["depth_error"].shape == (2, 28, 42)
    assert found["points"].shape == found["rays"].shape == (2, 3, 28, 42)
    assert found["intrinsics"].shape == (2, 3, 3)


def test_names_and_shapes_match_the_key_list() -> None:
    path = FULL.parent / "facts" / "keys" / "keys_unidepth_v2_vits.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    expected = []
    for line in path.read_text().splitlines()[1:]:
        repeated = re.search(r"\{(\d+)\.\.(\d+)\}", line)
        first, last = (int(n) for n in repeated.groups()) if repeated else (0, 0)
        expected += [re.sub(r"\{.*\}", str(i), line) for i in range(first, last + 1)]
    with torch.device("meta"):
        state = models.build("unidepth-v2-vits").state_dict()
    assert sorted(f"{name} {list(x.shape)}" for name, x in state.items()) == sorted(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 1}, "no option 'hidden'; it takes encoder, taps, hidden_dim"),
        ({"taps": (2, 5, 8, 12)}, "four increasing block numbers from 0 to 11"),
        ({"hidden_dim": 20}, "a multiple of 8"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("unidepth-v2-vits", **options)
    with pytest.raises(UnknownNameError, match="encoder"):
        models.build("unidepth-v2-vits", encoder="vith")


# --- parity with the original --------------------------------------------------------------------


def test_every_map_equals_the_originals_extract() -> None:
    check_golden(load_golden("unidepth_v2_vits", extract=True))


def test_every_map_equals_the_originals() -> None:
    check_golden(load_golden("unidepth_v2_vits"))


@pytest.mark.parametrize("run", ["nocam", "pinhole"])
def test_a_picture_with_and_without_its_camera_equals_the_original(run: str) -> None:
    """From pixels to the maps at the picture's size, by the original's resizing."""
    golden = load_golden("unidepth_v2_vits")
    rgb = torch.from_numpy(golden.arrays["infer/rgb"]).permute(2, 0, 1)[None] / 255
    enlarge = (200_000 / (150 * 250)) ** 0.5
    picture = F.interpolate((rgb - MEAN) / STD, (350, 588), mode="bilinear")
    scaled = torch.diag(torch.tensor([enlarge, enlarge, 1.0]))
    given = scaled @ torch.tensor([[300.0, 0, 125], [0, 300, 75], [0, 0, 1]])
    with torch.no_grad():
        found = small().outputs(picture, intrinsics=given[None] if run == "pinhole" else None)
    focal = torch.linalg.inv(scaled) @ found["intrinsics"]
    assert golden.relative_error(f"infer/{run}/intrinsics", focal.numpy()) < 1e-5
    for what in ("depth", "radius", "points", "rays", "depth_error"):
        x = found[what] if found[what].ndim == 4 else found[what][:, None]
        back = F.interpolate(x, (150, 250), mode="bilinear").numpy()
        name = "confidence" if what == "depth_error" else what
        assert golden.relative_error(f"infer/{run}/{name}", back) < 1e-5, what


# --- rays and weights ----------------------------------------------------------------------------


def test_rays_are_those_of_the_camera() -> None:
    rays = cast_rays(torch.tensor([[50.0, 40.0, 8.0, 6.0]]), (12, 16))
    torch.testing.assert_close(rays.norm(dim=1), torch.ones(1, 12, 16))
    x, y, z = rays[0, :, 2, 11]
    torch.testing.assert_close(x / z, torch.tensor((11.5 - 8) / 50))
    torch.testing.assert_close(y / z, torch.tensor((2.5 - 6) / 40))


def test_depth_is_z_and_not_the_distance(tiny: UniDepth) -> None:
    picture = torch.randn(1, 3, 42, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = tiny.outputs(picture)
        given = tiny.outputs(picture, intrinsics=found["intrinsics"])
        other = tiny.outputs(
            picture, intrinsics=found["intrinsics"] * torch.tensor([[2.0], [2], [1]])
        )
    torch.testing.assert_close(found["depth"], found["points"][:, 2])
    torch.testing.assert_close(found["points"].norm(dim=1), found["radius"])
    assert (found["depth"] < found["radius"]).any()
    torch.testing.assert_close(given["points"], found["points"])
    torch.testing.assert_close(other["intrinsics"], found["intrinsics"])  # always the predicted
    assert (other["depth"] - found["depth"]).abs().max() > 1e-4


def test_weights_of_another_size_are_told_apart(tiny: UniDepth) -> None:
    with torch.device("meta"):
        theirs = models.build("unidepth-v2-vitb").state_dict()
    with pytest.raises(WeightsError, match="UniDepth v2 ViT-B"):
        models.load_weights(tiny, theirs)


@pytest.mark.slow
def test_one_size_exports(tiny: UniDepth, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    import onnxruntime
    import openvino

    picture = torch.randn(2, 3, 56, 84, generator=torch.Generator().manual_seed(0))
    program = torch.onnx.export(
        tiny.eval(), (picture,), dynamo=True, opset_version=18, verbose=False
    )
    program.save(tmp_path / "net.onnx")  # ty: ignore[unresolved-attribute]
    with torch.no_grad():
        expected = tiny(picture).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    graph = openvino.Core().compile_model(tmp_path / "net.onnx", "CPU", precise)
    for found in (
        session.run(None, {session.get_inputs()[0].name: picture.numpy()})[0],
        graph(picture.numpy())[0],
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.max())
