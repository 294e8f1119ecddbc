"""Disparity of a rectified stereo pair at full density, with a confidence.

Costs of census and colour, semi-global aggregation, a left-right check, small islands dropped, and
what only one view shows filled from behind: a pixel without a match in the other view is hidden
there by something nearer, so only disparities that this explains are allowed, and they spread from
the trusted pixels along the picture's own edges.

Source: Hirschmueller, PAMI 2008 (aggregation, left-right check); Mei et al., On Building an
Accurate Stereo Matching System on Graphics Hardware, 2011, sec. 2 (census with colour).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.geometry.filling import fill_from_behind
from leadline.geometry.inputs import check_size
from leadline.geometry.matching import match
from leadline.geometry.opencv import grey_of, opencv
from leadline.geometry.semi_global import (
    CENSUS_BITS,
    COST_RANGE,
    aggregate,
    census,
    differing_bits,
    margin,
    subpixel,
)
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int16

CONFIDENT = 0.5
"""Confidence from which on a value was found in the pictures and not filled in or doubted."""


@dataclass(frozen=True, kw_only=True)
class StereoConfig:
    """How to match.

    Attributes:
        colour_weight: of the colour difference beside the census.
        colour_limit: grey levels at which a colour difference counts in full.
        small_step, large_step: what a disparity that differs by 1, or by more, costs a path.
        tolerance_px: by how much the disparities of both views may differ.
        island_px: smaller islands of one disparity are dropped.
        most_cells: pixels times disparities; larger pairs are matched at a smaller size, which
            bounds the memory (ten bytes a cell).
    """

    colour_weight: float = 0.3
    colour_limit: float = 20.0
    small_step: int = 20
    large_step: int = 120
    tolerance_px: float = 1.0
    island_px: int = 100
    most_cells: int = 100_000_000


def stereo_disparity(
    left: Image,
    right: Image,
    *,
    max_disparity: int | None = None,
    fill: bool = True,
    check: bool = True,
    config: StereoConfig | None = None,
) -> Prediction:
    """Disparity of the left picture of a rectified pair.

    Args:
        left: the left view.
        right: the right view, of the same size, whose rows match the left one's; see
            :func:`rectify`.
        max_disparity: largest disparity looked for, in pixels; default: a sixth of the width.
        fill: give what only one view shows a value too (with low confidence).
        check: refuse pairs whose rows do not belong together, found by matching a few points.
        config: see :class:`StereoConfig`.

    Returns:
        ``pixel_disparity`` with a confidence: at least :data:`CONFIDENT` where both views agree.

    Raises:
        InputError: sizes differ, the pair is not rectified or the wrong way round.
        MissingDependencyError: OpenCV is not installed.
    """
    config = config or StereoConfig()
    _check_sizes(left, right)
    if check:
        check_rectified(left, right)
    count = _count(left.size[1], max_disparity)
    share = config.most_cells / (left.size[0] * left.size[1] * count)
    if share < 1:
        small = _shrink(left, share ** (1 / 3)), _shrink(right, share ** (1 / 3))
        most = max(2, round((count - 1) * small[0].size[1] / left.size[1]))
        found = stereo_disparity(*small, max_disparity=most, fill=fill, check=False, config=config)
        return _enlarge(found, left)
    cost = _costs(left, right, count, config)
    grey = grey_of(left)
    total = aggregate(cost, grey, small=config.small_step, large=config.large_step)
    index = total.argmin(axis=2)
    disparity = subpixel(total, index)
    other = _right_disparity(total)
    seen = _check_left_right(disparity, other, config.tolerance_px)
    seen = _drop_islands(disparity, seen, config.island_px)
    sure = margin(total, index)
    del total, cost
    confidence = np.where(seen, CONFIDENT + (1 - CONFIDENT) * sure, 0.2 * sure)
    valid: np.ndarray | None = seen
    if fill and seen.any():
        filled = fill_from_behind(disparity, seen, other, grey, count)
        disparity = opencv().medianBlur(np.where(seen, disparity, filled).astype(np.float32), 5)
        valid = None
    return Prediction(
        values=disparity if valid is None else np.where(valid, disparity, np.nan),
        kind=DepthKind.PIXEL_DISPARITY,
        camera=left.camera,
        valid=valid,
        confidence=confidence,
        model="stereo",
        image=left,
    )


def check_rectified(left: Image, right: Image, *, tolerance_px: float = 2.0) -> None:
    """Refuse a pair whose rows do not belong together or whose views are swapped.

    Pictures with too little structure to decide (fewer than 20 matches) pass.

    Raises:
        InputError: rows differ by more than ``tolerance_px``, or points move to the right.
    """
    try:
        found = match(left, right, limit=1500)
    except InputError:
        return
    if len(found) < 20:
        return
    move = found.first - found.second
    rows = float(np.median(np.abs(move[:, 1])))
    if rows > tolerance_px:
        raise InputError(
            f"{left.name or 'left'} and {right.name or 'right'}: matched points lie {rows:.1f} "
            f"pixels above or below each other, and {tolerance_px:g} or less are needed: the pair "
            "is not rectified. Rectify it first (leadline.geometry.rectify), or give both frames "
            "with their poses to plane_sweep."
        )
    level = np.abs(move[:, 1]) <= tolerance_px
    if level.sum() >= 20 and np.median(move[level, 0]) < -1:
        raise InputError(
            f"{left.name or 'left'} and {right.name or 'right'}: points of the first picture lie "
            "farther right in the second, so the first is the right view; swap the two."
        )


def _check_sizes(left: Image, right: Image) -> None:
    check_size(right, left.size, "right picture")
    if min(left.size) < 16:
        raise InputError(
            f"pictures of {left.size[1]}x{left.size[0]} pixels: 16 or more on every side are "
            "needed to match them."
        )


def _count(width: int, max_disparity: int | None) -> int:
    """Number of disparities from 0, a multiple of 16."""
    if max_disparity is None:
        return min(-(-width // 6) + 15 & -16, width)
    if not 2 <= max_disparity < width:
        raise InputError(
            f"max_disparity={max_disparity} for a picture {width} pixels wide: from 2 to "
            f"{width - 1} is needed."
        )
    return max_disparity + 1


def _shrink(image: Image, scale: float) -> Image:
    cv2 = opencv()
    h, w = image.size
    size = (max(16, int(w * scale)), max(16, int(h * scale)))
    pixels = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA)
    return Image(pixels=pixels, name=image.name)


def _enlarge(found: Prediction, left: Image) -> Prediction:
    """A map that was found at a smaller size."""
    cv2 = opencv()
    h, w = left.size
    whole = found.valid is None
    how = cv2.INTER_LINEAR if whole else cv2.INTER_NEAREST  # nothing spreads from the holes
    values = cv2.resize(found.values, (w, h), interpolation=how) * (w / found.size[1])
    sure = np.zeros(found.size, np.float32) if found.confidence is None else found.confidence
    return replace(
        found,
        values=values,
        valid=None if whole else np.isfinite(values),
        confidence=cv2.resize(sure, (w, h), interpolation=cv2.INTER_NEAREST),
        camera=left.camera,
        image=left,
    )


def _costs(
    left: Image, right: Image, count: int, config: StereoConfig
) -> Int16[np.ndarray, "h w d"]:
    """Cost of every pixel and disparity; half the range beyond the edge of the right view."""
    cv2 = opencv("stereo matching")
    code_l, code_r = census(grey_of(left)), census(grey_of(right))
    h, w = left.size
    cost = np.full((h, w, count), COST_RANGE // 2, np.int16)
    scale = COST_RANGE / (1 + config.colour_weight)
    weight, limit = config.colour_weight * scale, 3 * config.colour_limit
    for d in range(count):
        bits = differing_bits(code_l[:, d:], code_r[:, : w - d])
        apart = cv2.absdiff(left.pixels[:, d:], right.pixels[:, : w - d])
        colour = np.minimum(apart.sum(axis=2, dtype=np.uint16), limit)
        cost[:, d:, d] = bits * (scale / CENSUS_BITS) + colour * (weight / limit)
    return cost


def _right_disparity(total: Int16[np.ndarray, "h w d"]) -> Float[np.ndarray, "h w"]:
    """Disparity of the right picture from the same sums: pixel x of the left is x - d there."""
    w = total.shape[1]
    turned = np.full_like(total, np.iinfo(np.int16).max // 2)
    for d in range(total.shape[2]):
        turned[:, : w - d, d] = total[:, d:, d]
    return subpixel(turned, turned.argmin(axis=2))


def _check_left_right(
    disparity: np.ndarray, other: np.ndarray, tolerance: float
) -> Bool[np.ndarray, "h w"]:
    """Where the right view's disparity at the matched pixel is the left one's."""
    there = np.arange(disparity.shape[1]) - np.rint(disparity).astype(np.int64)
    answer = np.take_along_axis(other, np.maximum(there, 0), axis=1)
    return (there >= 0) & (np.abs(answer - disparity) <= tolerance)


def _drop_islands(
    disparity: np.ndarray, seen: np.ndarray, island_px: int
) -> Bool[np.ndarray, "h w"]:
    none = -16
    steps = np.where(seen, disparity * 16, none).astype(np.int16)
    kept, _ = opencv().filterSpeckles(steps, none, island_px, 16)
    return kept != none
