import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.errors import InputError
from leadline.tiles import Box, TileBlend, fit_affine, tile_boxes


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 8))
def test_tiles_cover_the_picture_and_stay_inside(height: int, width: int, count: int) -> None:
    boxes = tile_boxes(height, width, count)
    covered = np.zeros((height, width), bool)
    for box in boxes:
        assert box.of(covered).shape == (box.height, box.width)
        box.of(covered)[:] = True
    assert covered.all()
    assert len({(box.height, box.width) for box in boxes}) == 1


def test_neighbours_overlap_by_a_quarter() -> None:
    boxes = tile_boxes(700, 700, 2)
    assert len(boxes) == 4
    assert boxes[0] == Box(top=0, left=0, height=400, width=400)
    assert boxes[3] == Box(top=300, left=300, height=400, width=400)


def test_the_long_side_gets_more_tiles() -> None:
    assert len(tile_boxes(300, 900, 2)) == 2 * 6
    assert len(tile_boxes(900, 300, 2)) == 6 * 2
    assert len(tile_boxes(10, 20000, 2)) <= 2 * 32


@pytest.mark.parametrize("count", [0, -1, 9])
def test_odd_counts_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"tiles={count}"):
        tile_boxes(100, 100, count)


def test_fit_finds_scale_and_shift_and_refuses_nonsense() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 30))
    found = fit_affine(np.where(x > 2, np.nan, x), 3 * x - 5)
    assert found == pytest.approx((3, -5))
    assert fit_affine(x, -x) is None
    assert fit_affine(x, rng.normal(size=x.shape)) is None
    assert fit_affine(np.ones((4, 4)), x[:4, :4]) is None
    assert fit_affine(np.full((4, 4), np.nan), x[:4, :4]) is None


def test_tiles_with_any_scale_and_shift_join_without_a_seam() -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:120, 0:160] / 40
    truth = (np.sin(3 * x) + np.cos(2 * y) + x * y).astype(np.float32)
    blend = TileBlend(truth)
    for box in tile_boxes(120, 160, 3):
        scale, shift = rng.uniform(0.2, 5), rng.normal()
        assert blend.add(box, (box.of(truth) - shift) / scale)
    np.testing.assert_allclose(blend.result(), truth, atol=1e-4)


def test_tiles_bring_detail_to_a_blurred_whole() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:256, 0:256] / 64
    smooth = (x + 2 * y).astype(np.float32)
    noise = np.where(rng.random((256, 256)) > 0.5, 1, -1).astype(np.float32)
    truth = smooth + noise
    blend = TileBlend(smooth)
    for box in tile_boxes(256, 256, 2):
        blend.add(box, box.of(truth) * 2 + 1)
    assert np.abs(smooth - truth).mean() == 1
    assert np.abs(blend.result() - truth).mean() < 0.05


def test_a_tile_that_contradicts_is_left_out() -> None:
    whole = np.tile(np.arange(40, dtype=np.float32), (40, 1))
    blend = TileBlend(whole)
    box = Box(top=0, left=0, height=40, width=20)
    assert not blend.add(box, -box.of(whole))
    np.testing.assert_array_equal(blend.result(), whole)


def test_unknown_pixels_of_a_tile_come_from_the_whole() -> None:
    whole = np.tile(np.arange(40, dtype=np.float32), (40, 1))
    blend = TileBlend(whole)
    values = 2 * whole
    values[3, 4] = np.nan
    assert blend.add(Box(top=0, left=0, height=40, width=40), values)
    np.testing.assert_allclose(blend.result(), whole, atol=1e-4)
