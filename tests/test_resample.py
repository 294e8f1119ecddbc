from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.errors import InputError, UnknownNameError
from leadline.resample import resize, resize_planes
from testing import resampled

CASES = [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in resampled.SIZES]


@pytest.fixture(scope="module")
def kept():
    with np.load(resampled.PATH) as file:
        return dict(file)


@pytest.mark.parametrize(("source", "size"), CASES)
@pytest.mark.parametrize("rule", ["nearest", "linear", "cubic", "area"])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_equals_opencv(kept, source, size, rule, kind):
    out = resize(resampled.picture(source).astype(kind), size, rule)
    expected = kept[resampled.key(f"cv2_{rule}_{kind}", source, size)]
    np.testing.assert_allclose(out / 255, expected / 255, atol=1e-6)


@pytest.mark.parametrize(("source", "size"), CASES)
@pytest.mark.parametrize("rule", ["linear", "cubic"])
@pytest.mark.parametrize("corners", [False, True])
def test_equals_torch(kept, source, size, rule, corners):
    array = resampled.picture(source).astype(np.float32)
    out = resize(array, size, rule, align_corners=corners)
    expected = kept[resampled.key(f"torch_{rule}_{corners}", source, size)]
    # torch rounds positions to float32: up to 6e-8 of the width in pixels
    np.testing.assert_allclose(out / 255, expected / 255, atol=2e-6 + 2e-7 * max(source))


@pytest.mark.parametrize(("source", "size"), CASES)
def test_equals_pillow(kept, source, size):
    out = resize(resampled.picture(source), size, "pil_bicubic")
    np.testing.assert_array_equal(out, kept[resampled.key("pillow", source, size)])


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ((480, 640), (518, 686)),
        ((375, 1242), (518, 1722)),
        ((300, 4000), (51, 686)),
        ((10, 20000), (57, 2072)),
        ((480, 640), (240, 320)),
        ((100, 100), (100, 55)),
    ],
)
@pytest.mark.parametrize("rule", ["nearest", "linear", "cubic", "area"])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_equals_the_installed_opencv_on_real_sizes(source, size, rule, kind):
    pytest.importorskip("cv2")
    array = np.random.default_rng(0).random((*source, 3)).astype(kind)
    expected = resampled.cv2_reference(array, size, rule)
    np.testing.assert_allclose(resize(array, size, rule), expected, atol=1e-6)


def test_area_linear_is_area_when_smaller_and_linear_when_larger():
    array = resampled.picture((24, 36))
    np.testing.assert_array_equal(
        resize(array, (12, 12), "area_linear"), resize(array, (12, 12), "area")
    )
    np.testing.assert_array_equal(
        resize(array, (48, 12), "area_linear"), resize(array, (48, 12), "linear")
    )


@settings(max_examples=60, deadline=None)
@given(
    h=st.integers(1, 90),
    w=st.integers(1, 90),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    rule=st.sampled_from(["nearest", "linear", "cubic", "area", "area_linear"]),
)
def test_a_constant_stays_constant_and_range_is_kept(h, w, height, width, rule):
    out = resize(np.full((h, w), 7.25), (height, width), rule)
    assert out.shape == (height, width)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, 7.25, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(h=st.integers(2, 60), w=st.integers(2, 60), height=st.integers(2, 90))
def test_corners_meet_when_aligned(h, w, height):
    array = np.random.default_rng(h * w).random((h, w), dtype=np.float32)
    out = resize(array, (height, 33), "linear", align_corners=True)
    for row in (0, -1):
        for column in (0, -1):
            assert out[row, column] == pytest.approx(array[row, column], abs=1e-5)


def test_a_ramp_keeps_its_pixel_centres():
    ramp = np.arange(64, dtype=np.float32)[None].repeat(3, 0)
    out = resize(ramp, (3, 16), "linear")[1]
    np.testing.assert_allclose(out[2:-2], (np.arange(16)[2:-2] + 0.5) * 4 - 0.5, atol=1e-5)


def test_layouts_agree():
    pixels = resampled.picture((48, 70))
    by_pixels = resize(pixels, (30, 19), "cubic")
    by_planes = resize_planes(np.moveaxis(pixels, 2, 0).copy(), (30, 19), "cubic")
    one_plane = resize(pixels[..., 1], (30, 19), "cubic")
    np.testing.assert_allclose(by_pixels, np.moveaxis(by_planes, 0, 2), atol=1e-4)
    np.testing.assert_allclose(by_pixels[..., 1], one_plane, atol=1e-4)


def test_the_same_size_gives_the_same_values_in_new_memory():
    array = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    out = resize(array, (5, 6), "cubic")
    np.testing.assert_array_equal(out, array)
    out[0, 0] = 9
    assert array[0, 0] != 9


def test_nearest_does_not_spread_what_is_not_finite():
    array = np.array([[1.0, np.nan], [np.inf, 2.0]])
    out = resize(array, (4, 4), "nearest")
    assert np.isnan(out).sum() == 4
    assert np.isinf(out).sum() == 4


@pytest.mark.parametrize(
    ("array", "size", "options", "error"),
    [
        (np.zeros((0, 3)), (2, 2), {}, InputError),
        (np.zeros(3), (2, 2), {}, InputError),
        (np.zeros((1, 2, 3, 4)), (2, 2), {}, InputError),
        (np.zeros((3, 3)), (0, 2), {}, InputError),
        (np.zeros((3, 3)), (2, 2), {"interpolation": "lanczos"}, UnknownNameError),
        (np.zeros((3, 3)), (2, 2), {"interpolation": "pil_bicubic"}, InputError),
        (np.zeros((3, 3)), (2, 2), {"interpolation": "area", "align_corners": True}, InputError),
    ],
)
def test_refuses(array, size, options, error):
    with pytest.raises(error):
        resize(array, size, **options)
