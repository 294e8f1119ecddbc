"""The mirrored margin and the mirrored picture around a network, as ZoeDepth's authors use them."""

from __future__ import annotations

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.estimator import DepthEstimator
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.preprocess import Preprocess, reflect_margin
from leadline.spec import ModelSpec, PreprocessSpec
from testing.goldens import load_golden


class Toy:
    """The network of the golden file: colours plus ramps, then the mean of ``down`` x ``down``."""

    name, device, precision = "toy", "cpu", "f32"

    def __init__(self, down: int) -> None:
        self.down = down
        self.calls: list[tuple[int, ...]] = []

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        image = arrays["image"]
        self.calls.append(image.shape)
        b, _, h, w = image.shape
        out = np.einsum("bchw,c->bhw", image, np.array([0.2, 0.5, 0.3], dtype=np.float32))
        out = out + np.linspace(0, 1, w) + 0.5 * np.linspace(0, 1, h)[:, None]
        d = self.down
        return {"depth": out.reshape(b, h // d, d, w // d, d).mean((2, 4)).astype(np.float32)}


def estimator(size: tuple[int, int], policy: str, down: int = 1) -> DepthEstimator:
    spec = ModelSpec(
        name="toy",
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PreprocessSpec(
            size=size,
            resize="exact",
            interpolation="linear",
            mean=(0, 0, 0),
            std=(1, 1, 1),
            output_interpolation="cubic",
        ),
    )
    return DepthEstimator(Toy(down), spec, policy=policy)  # ty: ignore[invalid-argument-type]


@pytest.mark.parametrize("extract", [True, False])
@pytest.mark.parametrize("down", [1, 2])
def test_pad_and_flip_equal_the_original(down: int, extract: bool) -> None:
    golden = load_golden("zoe_infer", extract=extract)
    pixels = golden.arrays["pil/image"]
    height, width = pixels.shape[:2]
    rows, columns = reflect_margin(height, width)
    toy = estimator((height + 2 * rows, width + 2 * columns), "pad-flip", down)
    depth = toy.predict(pixels).values
    assert golden.relative_error(f"pil/down{down}/numpy", depth) < 1e-5
    millimetres = (depth.astype(np.float64) * 256).astype(np.uint16)
    reference = golden.arrays[f"pil/down{down}/pil_u16"]
    assert np.abs(millimetres.astype(int) - reference).max() <= 1


def test_margins_equal_the_originals() -> None:
    for size, margin in load_golden("zoe_infer", extract=True).meta["pad"].items():
        height, width = (int(side) for side in size.split("x"))
        assert list(reflect_margin(height, width)) == margin
    assert reflect_margin(1, 3) == (0, 2)  # a mirror needs the pixels it repeats


@pytest.mark.parametrize(
    ("policy", "padded", "pictures"),
    [("single", False, 1), ("flip", False, 2), ("pad", True, 1), ("pad-flip", True, 2)],
)
def test_the_network_sees_what_the_policy_says(policy: str, padded: bool, pictures: int) -> None:
    spec = PreprocessSpec(size=(64, 64), resize="short_side", multiple_of=1, max_aspect=None)
    toy = estimator((64, 64), policy)
    toy.preprocess = Preprocess(spec)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    prediction = toy.predict(pixels)
    assert prediction.size == (64, 128)
    rows, columns = reflect_margin(64, 128)
    wide = round(64 * (128 + 2 * columns) / (64 + 2 * rows)) if padded else 128
    assert toy.runtime.calls == [(pictures, 3, 64, wide)]  # ty: ignore[unresolved-attribute]


def test_padding_leaves_a_network_that_works_pixel_by_pixel_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)

    class Red(Toy):
        def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"depth": arrays["image"][:, 0]}

    rows, columns = reflect_margin(48, 64)
    plain, padded = estimator((48, 64), "single"), estimator((48, 64), "pad")
    padded.preprocess = Preprocess(
        estimator((48 + 2 * rows, 64 + 2 * columns), "pad").spec.preprocess
    )
    plain.runtime = padded.runtime = Red(1)
    np.testing.assert_allclose(
        padded.predict(pixels).values, plain.predict(pixels).values, atol=1e-6
    )


def test_the_inputs_camera_knows_of_the_margin() -> None:
    camera = Camera.from_focal(64, 48, focal_px=50.0)
    image = Image(pixels=np.zeros((48, 64, 3), np.uint8), camera=camera)
    preprocess = Preprocess(PreprocessSpec(size=(76, 96), resize="exact"))
    inner = preprocess(image, margin=(14, 16)).input_camera
    assert inner is not None
    assert (inner.cx, inner.cy) == (camera.cx + 16, camera.cy + 14)
    assert inner.fx == pytest.approx(camera.fx)
    assert preprocess(image).camera == camera
