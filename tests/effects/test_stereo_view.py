"""Stereo pictures from one picture: what moves, what is hidden, what fills it."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.effects import pack_pair, refocus, render_pair, render_wiggle, shift_view
from leadline.errors import InputError, UnknownNameError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

WIDTH, HEIGHT = 100, 30
RED, BLUE = (200, 0, 0), (0, 0, 200)


def scene(kind: DepthKind = DepthKind.AFFINE_DISPARITY) -> Prediction:
    """A red bar before a blue wall with a ramp of green; 100 pixels wide."""
    near = np.zeros((HEIGHT, WIDTH), np.float32)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = BLUE
    pixels[..., 1] = np.arange(WIDTH)
    near[:, 40:60] = 1
    pixels[:, 40:60] = RED
    values = near if kind.larger_is_nearer else 2 - near
    return Prediction(values=values, kind=kind, image=Image(pixels=pixels))


def red_columns(view: np.ndarray) -> list[int]:
    return np.flatnonzero(view[15, :, 0] > 150).tolist()


@pytest.mark.parametrize("kind", [DepthKind.AFFINE_DISPARITY, DepthKind.METRIC_DEPTH])
def test_near_things_move_apart_between_the_views(kind: DepthKind) -> None:
    left, right = render_pair(scene(kind), divergence=10, convergence=0)
    # 10 % of half the width is 5 pixels a view: to the right for the left eye
    assert abs(np.mean(red_columns(left)) - 54.5) <= 1
    assert abs(np.mean(red_columns(right)) - 44.5) <= 1
    assert abs(len(red_columns(right)) - 20) <= 2
    assert np.abs(right[:, -1].astype(int) - scene().image.pixels[:, -1]).max() <= 1


def test_the_plane_of_the_screen_stays() -> None:
    left, right = render_pair(scene(), divergence=10, convergence=1)
    for view in (left, right):
        assert abs(np.mean(red_columns(view)) - 49.5) <= 1


def test_what_comes_to_light_is_filled_from_behind() -> None:
    photo = scene().image
    shift = np.where(np.arange(WIDTH) // 20 == 2, 8.0, 0.0) * np.ones((HEIGHT, 1))
    view = shift_view(photo.pixels, shift)
    assert red_columns(view) == list(range(32, 52))
    hole = view[15, 52:60]
    assert (hole[:, 2] == 200).all()  # the wall, not the bar
    assert (hole[:, 0] == 0).all()
    assert (np.abs(hole[:, 1].astype(int) - 60) <= 8).all()  # mirrored at column 60
    assert np.array_equal(view[:, 60:], photo.pixels[:, 60:])


def test_no_shift_changes_nothing_and_half_a_pixel_interpolates() -> None:
    photo = scene().image.pixels
    assert np.array_equal(shift_view(photo, np.zeros((HEIGHT, WIDTH))), photo)
    moved = shift_view(photo, np.full((HEIGHT, WIDTH), 4.0))
    assert np.array_equal(moved[:, :-4], photo[:, 4:])


def test_a_slope_has_no_cracks() -> None:
    pixels = np.full((4, 200, 3), 90, np.uint8)
    pixels[:, :, 1] = np.arange(200)
    shift = np.linspace(40, 0, 200) * np.ones((4, 1))
    view = shift_view(pixels, shift)
    assert (np.diff(view[0, :, 1].astype(int)) >= 0)[:-1].all()


def test_packings() -> None:
    left, right = render_pair(scene())
    assert pack_pair(left, right).shape == (HEIGHT, 2 * WIDTH, 3)
    assert pack_pair(left, right, "half-sbs").shape == (HEIGHT, WIDTH, 3)
    grey = np.full((2, 2, 3), 120, np.uint8)
    anaglyph = pack_pair(grey, grey, "anaglyph")
    assert np.abs(anaglyph.astype(int) - 120).max() <= 6  # grey stays grey
    black = np.zeros_like(grey)
    assert pack_pair(grey, black, "anaglyph")[0, 0, 0] > 120  # red is the left eye's
    assert pack_pair(black, grey, "anaglyph")[0, 0, 0] == 0
    with pytest.raises(UnknownNameError, match="half-sbs"):
        pack_pair(left, right, "top-bottom")


def test_a_wiggle_sways_back() -> None:
    frames = render_wiggle(scene(), divergence=10)
    assert len(frames) == 8
    assert np.array_equal(frames[2], scene().image.pixels)
    assert np.array_equal(frames[1], frames[7])
    places = [np.mean(red_columns(frame)) for frame in frames]
    assert places[0] > places[2] > places[4]


def test_what_cannot_be_said_is_refused() -> None:
    bare = Prediction(values=np.ones((3, 4)), kind=DepthKind.METRIC_DEPTH)
    with pytest.raises(InputError, match="holds no picture"):
        render_pair(bare)
    empty = replace(scene(), values=np.full((HEIGHT, WIDTH), np.nan))
    with pytest.raises(InputError, match="no value at all"):
        render_pair(empty)
    with pytest.raises(InputError, match="divergence=0"):
        render_pair(scene(), divergence=0)
    with pytest.raises(InputError, match="a pixel of it is needed"):
        refocus(scene(), (200, 3))


def test_a_picture_of_one_pixel_is_taken() -> None:
    one = Prediction(
        values=np.ones((1, 1)),
        kind="scaled_depth",
        image=Image(pixels=np.ones((1, 1, 3), np.uint8)),
    )
    assert render_pair(one)[0].shape == (1, 1, 3)
    assert pack_pair(*render_pair(one), "half-sbs").shape == (1, 2, 3)
    assert refocus(one, (0, 0)).shape == (1, 1, 3)
