from __future__ import annotations

import numpy as np
import pytest

from leadline import viz
from leadline.errors import InputError, UnknownNameError
from leadline.kinds import DepthKind

RAMP = np.linspace(1, 9, 400).reshape(20, 20)


def luminance(picture: np.ndarray) -> np.ndarray:
    return picture @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("kind", DepthKind)
def test_nearer_is_brighter_whatever_the_kind(kind):
    picture = viz.colorize(viz.nearness(RAMP, kind))
    first, last = luminance(picture[0, 0]), luminance(picture[-1, -1])
    assert bool(last > first) is kind.larger_is_nearer


@pytest.mark.parametrize("cmap", viz.CMAPS)
def test_maps_are_smooth_and_span_their_table(cmap):
    picture = viz.colorize(np.arange(256.0)[None], cmap=cmap, limits=(0, 255))
    steps = np.abs(np.diff(picture[0].astype(int), axis=0))
    assert steps.max() <= 12
    assert len(np.unique(picture[0], axis=0)) > 200


@pytest.mark.parametrize("cmap", ["inferno", "magma", "viridis", "grey"])
def test_perceptual_maps_grow_brighter(cmap):
    picture = viz.colorize(np.arange(256.0)[None], cmap=cmap, limits=(0, 255))
    assert (np.diff(luminance(picture[0])) > -0.6).all()


@pytest.mark.parametrize("cmap", ["turbo", "spectral"])
def test_warm_is_near(cmap):
    picture = viz.colorize(np.arange(256.0)[None], cmap=cmap, limits=(0, 255)).astype(int)
    assert picture[0, -20, 0] > picture[0, -20, 2]
    assert picture[0, 20, 2] > picture[0, 20, 0]


def test_outliers_do_not_flatten_the_range():
    values = RAMP.copy()
    values[0, 0], values[0, 1] = 1e6, -1e6
    assert viz.value_range(values) == pytest.approx((1.15, 8.85), abs=0.1)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-30, 5.0])
def test_constant_maps_get_one_colour(value):
    picture = viz.colorize(np.full((4, 5), value))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1
    assert tuple(picture[0, 0]) != viz.NO_VALUE_RGB


def test_a_mostly_constant_map_shows_the_rest():
    values = np.ones((50, 50))
    values[0, 0] = 2
    picture = viz.colorize(values)
    assert (picture[0, 0] != picture[1, 1]).any()


def test_pixels_without_a_value_have_their_own_colour():
    values = RAMP.copy()
    values[0, 0], values[0, 1] = np.nan, np.inf
    valid = np.ones(RAMP.shape, bool)
    valid[0, 2] = False
    picture = viz.colorize(values, valid=valid)
    assert (picture[0, :3] == viz.NO_VALUE_RGB).all()
    assert not (picture[1:] == viz.NO_VALUE_RGB).all(-1).any()
    nothing = viz.colorize(np.full((2, 2), np.nan))
    assert (nothing == viz.NO_VALUE_RGB).all()


def test_depth_that_is_not_positive_has_no_nearness():
    near = viz.nearness(np.array([[0.0, -1.0, 2.0]]), DepthKind.METRIC_DEPTH)
    np.testing.assert_array_equal(near, [[np.nan, np.nan, 0.5]])


def test_limits_make_maps_comparable():
    low, high = (
        viz.colorize(np.full((1, 1), 1.0), limits=(0, 4)),
        viz.colorize(np.full((1, 1), 3.0), limits=(0, 4)),
    )
    assert luminance(high[0, 0]) > luminance(low[0, 0])


def test_side_by_side_fits_heights():
    left, right = np.zeros((40, 60, 3), np.uint8), np.full((20, 10, 3), 200, np.uint8)
    both = viz.side_by_side(left, right, gap=4)
    assert both.shape == (40, 60 + 4 + 20, 3)
    assert (both[:, 60:64] == 255).all()
    assert (both[:, 64:] == 200).all()


def test_contact_sheet_places_every_picture():
    pictures = [np.full((30, 20 + 10 * i, 3), 40 * i, np.uint8) for i in range(5)]
    sheet = viz.contact_sheet(pictures, columns=2, cell=(30, 60))
    assert sheet.shape == (3 * 36 + 6, 2 * 66 + 6, 3)
    for i in range(5):
        assert (sheet == 40 * i).all(-1).any()
    assert viz.contact_sheet(pictures[:1]).shape == (42, 32, 3)


def test_refuses():
    with pytest.raises(UnknownNameError, match="inferno"):
        viz.colorize(RAMP, cmap="infernal")
    with pytest.raises(InputError, match="shape"):
        viz.colorize(np.zeros((2, 2, 3)))
    with pytest.raises(InputError, match="at least 1"):
        viz.contact_sheet([])
