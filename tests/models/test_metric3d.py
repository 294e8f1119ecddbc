"""Metric3D v2: equal to the original, and to itself once exported."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError, WeightsError  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.metric3d import CONFIGS, Metric3D  # noqa: E402
from leadline.models.metric3d_updates import upsample_convex  # noqa: E402
from testing.goldens import FULL, Golden, fill_value, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

TINY: dict[str, Any] = {
    "encoder": "tiny",
    "features": (12, 24, 32),
    "decoder": (12, 24, 32, 32),
    "hidden": 8,
    "iterations": 2,
}


def authors_shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """The authors' names: blocks nested once more, and one norm under two names."""
    shapes = {}
    for name, tensor in module.state_dict().items():
        name = "depth_model." + re.sub(r"^encoder\.blocks\.", "encoder.blocks.0.", name)
        shapes[name] = tuple(tensor.shape)
        if ".downsample.1." in name:
            shapes[name.replace("downsample.1", "norm3")] = tuple(tensor.shape)
    return shapes


@lru_cache(maxsize=1)
def small_weights() -> dict[str, Tensor]:
    with torch.device("meta"):
        module = models.build("metric3d-v2-vits")
    made = {name: fill_value(name, shape) for name, shape in authors_shapes(module).items()}
    return {name: torch.from_numpy(values) for name, values in made.items() if values is not None}


def small() -> Metric3D:
    with torch.device("meta"):
        module = models.build("metric3d-v2-vits")
    models.load_weights(module, small_weights())
    assert isinstance(module, Metric3D)
    return module


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Metric3D:
    """A small network with deterministic weights."""
    monkeypatch.setitem(ENCODERS, "tiny", EncoderConfig(width=32, depth=4, heads=2))
    module = models.build("metric3d-v2-vits", **TINY)
    module.load_state_dict(filled(module))
    assert isinstance(module, Metric3D)
    return module


def check_golden(golden: Golden, case: str) -> None:
    module, picture = small(), torch.from_numpy(golden.input(case))
    states, inner = watch(module, lambda: module.states(picture))
    with torch.no_grad():
        outputs = module.outputs(picture)
        described = [module.describe(state)["depth"] for state in states]
    maps = {name.removeprefix("decoder."): value for name, value in inner.items()}
    maps["features"] = inner["encoder"][0]
    for level, value in enumerate(inner["decoder.token2feature"]):
        # The original's fusion rectifies in place the three that it reads.
        maps[f"token2feature.{level}"] = value.relu() if level < 3 else value
    maps |= {f"prediction.{i}": depth[:, None] for i, depth in enumerate(described)}
    maps["confidence"] = outputs["depth_conf"][:, None]
    maps["prediction_normal"] = torch.cat([outputs["normal"], outputs["normal_conf"][:, None]], 1)
    for what in golden.keys(case):
        assert golden.relative_error(f"{case}/{what}", maps[what].numpy()) < 1e-5, what
    assert torch.equal(outputs["depth"], described[-1])


# --- names, counts, options ----------------------------------------------------------------------


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {name for name in models.names() if name.startswith("metric3d-")} == set(CONFIGS)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("metric3d-v2-vits", 37_495_051),  # as published
        ("metric3d-v2-vitl", 411_941_915),
        pytest.param("metric3d-v2-giant2", 1_377_675_099, marks=pytest.mark.slow),
    ],
)
def test_counts_and_shapes(name: str, parameters: int) -> None:
    with torch.device("meta"):
        module = models.build(name)
        found = module.outputs(torch.zeros(2, 3, 56, 84))
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert found["depth"].shape == found["depth_conf"].shape == (2, 56, 84)
    assert found["normal"].shape == (2, 3, 56, 84)


def test_names_and_shapes_match_the_key_list() -> None:
    path = FULL.parent / "facts" / "keys" / "keys_metric3d_v2_vits.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    expected = {}
    for line in path.read_text().splitlines()[1:]:
        repeated = re.search(r"\{(\d+)\.\.(\d+)\}", line)
        first, last = (int(n) for n in repeated.groups()) if repeated else (0, 0)
        for i in range(first, last + 1):
            name, shape = re.sub(r"\{.*\}", str(i), line).split(" ", 1)
            expected[name] = tuple(int(n) for n in re.findall(r"\d+", shape))
    with torch.device("meta"):
        assert authors_shapes(models.build("metric3d-v2-vits")) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": 1}, "no option 'feature'; it takes encoder, taps, features"),
        ({"features": (96, 192)}, "3 counts are needed"),
        ({"features": (96, 192, 256)}, "the encoder's width, 384"),
        ({"taps": (1, 2)}, "four block numbers, or none, are needed"),
        ({"taps": (1, 2, 3, 12)}, "block numbers from 0 to 11"),
        ({"iterations": 0}, "at least 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("metric3d-v2-vits", **options)
    with pytest.raises(UnknownNameError, match="encoder"):
        models.build("metric3d-v2-vits", encoder="vith")


# --- parity with the original --------------------------------------------------------------------


@pytest.mark.parametrize("case", ["even", "batch2"])
def test_every_map_equals_the_originals_extract(case: str) -> None:
    check_golden(load_golden("metric3d_v2_vits", extract=True), case)


@pytest.mark.parametrize("case", ["even", "batch2"])
def test_every_map_equals_the_originals(case: str) -> None:
    check_golden(load_golden("metric3d_v2_vits"), case)


# --- layers and weights --------------------------------------------------------------------------


def test_maps_are_what_they_are_said_to_be(tiny: Metric3D) -> None:
    picture = torch.randn(2, 3, 56, 84, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = tiny.outputs(picture)
        torch.testing.assert_close(tiny(picture), found["depth"])
    assert ((found["depth"] >= 0.1) & (found["depth"] <= 200)).all()
    torch.testing.assert_close(found["normal"].norm(dim=1), torch.ones(2, 56, 84))
    assert (found["normal_conf"] > 0).all()
    with pytest.raises(InputError, match="multiples of 28"):
        tiny(torch.zeros(1, 3, 42, 56))


def test_the_giant_reads_raw_tokens_of_four_blocks(
    tiny: Metric3D, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = models.build("metric3d-v2-giant2", **{**TINY, "taps": (0, 1, 2, 3)})
    models.load_weights(module, tiny.state_dict())
    picture = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = module(picture)
        module.encoder.norm.weight.mul_(2)  # it reads nothing normed
        torch.testing.assert_close(module(picture), before)
        seen: list[Tensor] = []
        monkeypatch.setattr(
            module.decoder.token2feature.read_0, "forward", lambda x, grid: seen.append(x)
        )
        module.decoder.token2feature(module.encoder.run_blocks(picture, (0, 1, 2, 3)), (4, 4))
        finest = module.encoder.run_blocks(picture, (0,))[0]
    torch.testing.assert_close(seen[0], finest)
    assert finest.shape == (1, 1 + 4 + 16, 32)


def test_convex_upsampling_keeps_what_is_constant_inside() -> None:
    state = torch.full((1, 2, 5, 6), 3.0)
    weights = torch.randn(1, 144, 5, 6, generator=torch.Generator().manual_seed(0))
    fine = upsample_convex(state, weights)
    assert fine.shape == (1, 2, 20, 24)
    torch.testing.assert_close(fine[..., 4:-4, 4:-4], torch.full((1, 2, 12, 16), 3.0))
    picked = torch.full((1, 9, 16, 5, 6), -50.0)
    picked[:, 4] = 50.0  # the middle of the nine
    state = torch.arange(30.0).view(1, 1, 5, 6)
    nearest = torch.nn.functional.interpolate(state, scale_factor=4)
    torch.testing.assert_close(upsample_convex(state, picked.view(1, 144, 5, 6)), nearest)


def test_weights_of_another_size_are_told_apart(tiny: Metric3D) -> None:
    theirs = {n: torch.empty(s, device="meta") for n, s in authors_shapes(tiny).items()}
    with torch.device("meta"):
        theirs["depth_model.encoder.register_tokens"] = torch.empty(1, 4, 1024)
    with pytest.raises(WeightsError, match="Metric3D v2 ViT-L"):
        models.load_weights(tiny, theirs)


@pytest.mark.slow
def test_it_exports_with_dynamic_sides(tiny: Metric3D, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    import onnxruntime
    import openvino

    batch, h, w = (torch.export.Dim(name, max=500) for name in ("b", "h", "w"))
    example = torch.zeros(2, 3, 84, 112)
    torch.onnx.export(
        tiny.eval(),
        (example,),
        dynamo=True,
        dynamic_shapes=({0: batch, 2: 28 * h, 3: 28 * w},),
        opset_version=18,
        verbose=False,
    ).save(tmp_path / "net.onnx")  # ty: ignore[unresolved-attribute]
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    graph = openvino.Core().compile_model(tmp_path / "net.onnx", "CPU", precise)
    picture = torch.randn(1, 3, 140, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = tiny(picture).numpy()
    for found in (
        session.run(None, {session.get_inputs()[0].name: picture.numpy()})[0],
        graph(picture.numpy())[0],
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())
