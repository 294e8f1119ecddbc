"""Stereo pictures from one picture and its map.

Every pixel moves sideways by its nearness; what comes to light behind a near thing is filled with
what lies beside it farther away. Divergence and convergence are those of iw3 (nunif): at
divergence 2 the nearest and the farthest pixel come 2 % of half the width apart in each view, and
at convergence 0.5 what lies halfway appears in the plane of the screen.

Source: Dubois, A projection method to generate anaglyph stereo images, ICASSP 2001 (the matrices
of red and cyan); McMillan, An Image-Based Approach to Three-Dimensional Computer Graphics, 1997,
sec. 3.4 (an order of writing in which the nearest pixel comes last).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.effects.surroundings import find_photo, nearness_share
from leadline.errors import InputError, UnknownNameError
from leadline.resample import resize

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from leadline.prediction import Prediction

    Picture = UInt8[np.ndarray, "h w 3"]

PACKINGS = ("sbs", "half-sbs", "anaglyph")
"""How two views become one picture: side by side, the same at half width, red and cyan."""

_STEP = 0.5
"""Neighbours that come farther apart than so many pixels are no one surface."""

_LEFT_EYE = np.array(
    [[0.4561, 0.5005, 0.1764], [-0.0401, -0.0378, -0.0158], [-0.0152, -0.0206, -0.0055]], np.float32
)
_RIGHT_EYE = np.array(
    [[-0.0435, -0.0879, -0.0016], [0.3785, 0.7336, -0.0185], [-0.0722, -0.1130, 1.2264]], np.float32
)

_WIGGLE = (-1.0, -0.5, 0.0, 0.5, 1.0, 0.5, 0.0, -0.5)
"""Places of the frames of a wiggle between the two views."""


def render_pair(
    prediction: Prediction,
    *,
    divergence: float = 2.0,
    convergence: float = 0.5,
    limits: tuple[float, float] | None = None,
) -> tuple[Picture, Picture]:
    """What the left and the right eye see.

    Args:
        prediction: a map of any kind with its picture.
        divergence: depth of the result in percent of half the width; 2 is comfortable.
        convergence: share of nearness in the plane of the screen: 0 puts all before it, 1 behind.
        limits: see :func:`leadline.effects.nearness_share`.

    Raises:
        InputError: no picture, or numbers out of range.
    """
    left, right = _render(prediction, (-1.0, 1.0), divergence, convergence, limits=limits)
    return left, right


def render_wiggle(
    prediction: Prediction, *, divergence: float = 2.0, convergence: float = 0.5
) -> list[Picture]:
    """Frames of a loop that sways between both eyes; arguments as of :func:`render_pair`."""
    places = sorted(set(_WIGGLE))
    views = _render(prediction, places, divergence, convergence)
    frames = dict(zip(places, views, strict=True))
    return [frames[place] for place in _WIGGLE]


def pack_pair(left: Picture, right: Picture, packing: str = "sbs") -> Picture:
    """Two views as one picture.

    Args:
        left: what the left eye sees.
        right: of the same size.
        packing: one of :data:`PACKINGS`.

    Raises:
        UnknownNameError: no such packing.
    """
    if packing not in PACKINGS:
        raise UnknownNameError("packing", packing, PACKINGS)
    if packing == "anaglyph":
        mixed = left @ _LEFT_EYE.T + right @ _RIGHT_EYE.T
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    pair = np.concatenate([left, right], axis=1)
    if packing == "sbs":
        return pair
    h, w = left.shape[:2]
    halves = [resize(view, (h, max(1, w // 2)), "area_linear") for view in (left, right)]
    return np.clip(np.rint(np.concatenate(halves, axis=1)), 0, 255).astype(np.uint8)


def shift_view(pixels: Picture, shift: Float[np.ndarray, "h w"]) -> Picture:
    """The picture of a camera beside this one.

    Args:
        pixels: the picture.
        shift: pixels by which each moves to the left; more for what is nearer.

    Returns:
        The other picture; what this one does not show is filled from behind, row by row.
    """
    source, near = _warp(shift)
    source = _fill_from_behind(source, near)
    low = np.clip(np.floor(source).astype(np.int64), 0, shift.shape[1] - 1)
    high = np.minimum(low + 1, shift.shape[1] - 1)
    part = (source - low)[..., None].astype(np.float32)
    rows = np.arange(len(shift))[:, None]
    mixed = pixels[rows, low] * (1 - part) + pixels[rows, high] * part
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _render(
    prediction: Prediction,
    places: tuple[float, ...] | list[float],
    divergence: float,
    plane: float,
    *,
    limits: tuple[float, float] | None = None,
) -> list[Picture]:
    """Views at places from -1 (left eye) to 1 (right eye)."""
    photo = find_photo(prediction)
    if not 0 < divergence <= 10 or not 0 <= plane <= 1:
        raise InputError(
            f"divergence={divergence:g}, convergence={plane:g}: a divergence above 0 and up to 10 "
            "and a convergence of 0 to 1 are needed; 2 and 0.5 are usual."
        )
    near = _sharpen(
        nearness_share(prediction, limits=limits), max(1, round(prediction.size[1] / 300))
    )
    most = divergence * 0.01 * prediction.size[1] * 0.5
    views = []
    for place in places:
        shift = (near - plane) * np.float32(most * abs(place))
        if place < 0:  # the mirror image of a camera to the right
            views.append(shift_view(photo[:, ::-1], shift[:, ::-1])[:, ::-1])
        else:
            views.append(shift_view(photo, shift))
    return views


def _sharpen(near: np.ndarray, reach: int) -> np.ndarray:
    """Steps in place of the slopes that networks put between near things and what is behind.

    A pixel on a slope takes the nearest value around where it is as near as the middle of the slope
    or a little farther, so that the mixed colours of an outline go with the near thing.
    """
    low, high = near, near
    for axis in (0, 1):
        low, high = (
            _slide(each, reach, axis, pick) for each, pick in ((low, "min"), (high, "max"))
        )
    steep = high - low > 0.06
    return np.where(steep, np.where(near - low > 0.35 * (high - low), high, low), near)


def _slide(values: np.ndarray, reach: int, axis: int, pick: str) -> np.ndarray:
    """Least or largest value within ``reach`` along an axis."""
    choose = np.minimum if pick == "min" else np.maximum
    lines = np.moveaxis(values, axis, 0)
    padded = np.pad(lines, ((reach, reach), (0, 0)), mode="edge")
    found = lines
    for start in range(2 * reach + 1):
        found = choose(found, padded[start : start + len(lines)])
    return np.moveaxis(found, 0, axis)


def _warp(shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of the other view its column in this one, and its shift; -1: not seen.

    Written from left to right, so that of two pixels that meet, the right and so the nearer stays.
    """
    h, w = shift.shape
    at = np.arange(w, dtype=np.float32) - shift  # h w
    step = np.diff(at, axis=1, append=at[:, -1:])
    first = np.ceil(at)
    columns = np.stack(
        [np.rint(at), first, first + 1], axis=-1
    )  # h w 3: itself, and up to the next
    part = (columns - at[..., None]) / np.maximum(step, 1e-6)[..., None]
    part[..., 0] = 0
    inside = (columns >= 0) & (columns < w)
    one_surface = (np.abs(step - 1) <= _STEP)[..., None] & (part >= 0) & (part < 1)
    inside[..., 1:] &= one_surface[..., 1:]
    source = np.full((h, w), -1, dtype=np.float32)
    near = np.zeros((h, w), dtype=np.float32)
    rows, from_, which = np.nonzero(inside)
    to = columns[inside].astype(np.int64)
    source[rows, to] = from_ + part[rows, from_, which]
    near[rows, to] = shift[rows, from_]
    return source, near


def _fill_from_behind(source: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Columns for what was not seen: those beside it on the farther side, mirrored."""
    h, w = source.shape
    rows, columns = np.arange(h)[:, None], np.arange(w)
    seen = source >= 0
    left = np.maximum.accumulate(np.where(seen, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(seen, columns, w)[:, ::-1], axis=1)[:, ::-1]
    depth_left = np.where(left >= 0, near[rows, np.maximum(left, 0)], np.inf)
    depth_right = np.where(right < w, near[rows, np.minimum(right, w - 1)], np.inf)
    edge = np.where(depth_left <= depth_right, left, right)  # of what lies farther
    edge = np.clip(edge, 0, w - 1)
    mirrored = np.clip(2 * edge - columns, 0, w - 1)
    behind = near[rows, edge]
    same = seen[rows, mirrored] & (near[rows, mirrored] <= behind + 1)
    taken = np.where(same, source[rows, mirrored], source[rows, edge])
    return np.where(seen, source, np.maximum(taken, 0))
