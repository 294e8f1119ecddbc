"""Depth edges: where two neighbouring pixels do not lie on one surface.

Over a plane 1 / depth is affine in the pixel's place, whatever the angle: the slopes of 1 / depth
on both sides of a jump say what planes explain of it. A floor explains all of its own jumps up to
the horizon, a crease or a curved surface has a slope between those of its sides, and at an edge the
slope exceeds both. Networks draw edges as ramps of several pixels: the same is asked over longer
steps, whose sides then lie outside of the ramp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import UnknownNameError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.cloud.surface import Surface

EDGES = ("cut", "keep", "relative-3x3")
"""What to do at depth edges; see :func:`link_pixels`."""

_STEEP = 2.0
"""Footprints (depth / focal length) of a jump that planes do not explain, at which it is cut."""
_STEEP_RAMP = 4.0
"""The same per pixel over the middle of a longer step: treads of stairs are flatter."""
_ROUGH = 10.0
"""The same, as multiples of the map's own roughness: networks draw walls with waves."""
_ROUGHER = 4.0
"""How much more may be asked of a jump where the map is rougher than elsewhere."""
_BLOCK, _SPARSE = 32, 4
_LOOKED_AT = 256
"""Rows by which the roughness is measured."""
_SOFTEST = 1 / 80
"""Widest ramp, over the picture's long side."""
_RELATIVE = 0.04


@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """Which neighbouring pixels lie on one surface.

    Attributes:
        right: (h, w - 1) bool: a pixel and the next in its row.
        down: (h - 1, w) bool: a pixel and the one below.
    """

    right: Bool[np.ndarray, "h w-1"]
    down: Bool[np.ndarray, "h-1 w"]

    def count(self) -> np.ndarray:
        """(h, w) uint8: links of every pixel, 0 to 4."""
        total = np.zeros((self.right.shape[0], self.down.shape[1]), np.uint8)
        total[:, 1:] += self.right
        total[:, :-1] += self.right
        total[1:] += self.down
        total[:-1] += self.down
        return total


def link_pixels(surface: Surface, edges: str = "cut") -> Links:
    """Find which neighbouring pixels lie on one surface.

    Args:
        surface: the map.
        edges: ``cut``: not where the jump exceeds what the planes beside it explain by two pixels'
            footprints; ``relative-3x3``: not where a 3 x 3 window spans more than 4 % of the depth
            (simple, and cuts floors near the horizon); ``keep``: wherever both are known.

    Raises:
        UnknownNameError: another name.

    Source: for ``relative-3x3`` Wang et al., MoGe, CVPR 2025, as its program removes edges.
    """
    if edges not in EDGES:
        raise UnknownNameError("way with edges", edges, EDGES)
    known = surface.known
    if edges == "relative-3x3":
        known = known & ~_span_edges(surface)
    right, down = known[:, 1:] & known[:, :-1], known[1:] & known[:-1]
    if edges == "cut":
        inverse, camera = surface.inverse, surface.camera
        softest = max(surface.size) * _SOFTEST
        right &= ~_find_cuts(inverse, camera.fx, softest)
        down &= ~_find_cuts(inverse.T, camera.fy, softest).T
    return Links(right=right, down=down)


def _span_edges(surface: Surface) -> Bool[np.ndarray, "h w"]:
    """Pixels whose 3 x 3 window spans more than a share of their depth."""
    low, high = (
        np.pad(np.where(surface.known, surface.depth, missing), 1, constant_values=missing)
        for missing in (np.inf, -np.inf)
    )
    for axis in (0, 1):
        low = np.minimum.reduce([_shift(low, k, axis) for k in range(3)])
        high = np.maximum.reduce([_shift(high, k, axis) for k in range(3)])
    with np.errstate(invalid="ignore"):
        return (high - low) > _RELATIVE * surface.depth


def _shift(array: np.ndarray, first: int, axis: int) -> np.ndarray:
    end = array.shape[axis] - 2 + first
    return array[first:end] if axis == 0 else array[:, first:end]


def _find_cuts(
    inverse: Float[np.ndarray, "h w"], focal_px: float, softest: float
) -> Bool[np.ndarray, "h w-1"]:
    """Links along the rows that cross an edge. ``inverse`` is 1 / depth, NaN where unknown."""
    slope = inverse[:, 1:] - inverse[:, :-1]
    rough = _measure_roughness(inverse, slope)
    limit = max(_STEEP / focal_px, _ROUGH * rough)
    steep = _find_steep(inverse, slope, limit)
    row, column = np.nonzero(steep)  # few: all else is looked at only there
    jump = slope[row, column]
    limits: np.ndarray | float = limit
    if limit > _STEEP / focal_px:
        blocks = np.clip(_ROUGH * _map_roughness(inverse, slope), limit, _ROUGHER * limit)
        limits = blocks[
            np.minimum(row // _BLOCK, blocks.shape[0] - 1),
            np.minimum(column // _BLOCK, blocks.shape[1] - 1),
        ]
    far = np.minimum(inverse[row, column], inverse[row, column + 1])
    unit = far * np.float32(limits)
    least, most = _explain(slope, row, column, 1, unit)
    cut = (jump < least - unit) | (jump > most + unit)
    closed = inverse.copy()
    if cut.any():
        closed[:, 1:] -= _sum_jumps(slope.shape, row[cut], column[cut], jump[cut])
    unit = far * np.minimum(np.float32(limits), np.float32(_ROUGHER / 2 * limit))
    step = 1
    while step <= softest and inverse.shape[1] > 5 * step:
        bounds = _bound_slopes(inverse, closed, focal_px, step)
        cells = np.clip((column - step // 2) // step, 0, bounds.shape[2] - 1)
        least, most = bounds[:, np.minimum(row // step, bounds.shape[1] - 1), cells]
        cut |= (jump < least - unit) | (jump > most + unit)
        step *= 2
    found = np.zeros(steep.shape, bool)
    found[row[cut], column[cut]] = True
    return found


def _sum_jumps(
    shape: tuple[int, ...], row: np.ndarray, column: np.ndarray, jump: np.ndarray
) -> Float[np.ndarray, "h w"]:
    """What the jumps at some links add up to from the start of every row on."""
    total = np.zeros(shape, np.float32)
    total[row, column] = jump
    return np.cumsum(total, axis=1, out=total)


def _bound_slopes(
    inverse: np.ndarray, closed: np.ndarray, focal_px: float, step: int
) -> Float[np.ndarray, "2 h' w'-1"]:
    """Least and most slope per pixel that planes explain, where ramps of ``step`` pixels are.

    The middle of four steps is two long, so that any ramp up to ``step`` wide lies in one whole.

    Args:
        inverse: 1 / depth.
        closed: the same without the jumps that are cut already.
        focal_px: focal length along the rows.
        step: pixels.

    Returns:
        Infinite where there is no ramp.
    """
    first = min(step // 2, inverse.shape[0] - 1)
    grid = slice(first, None, step), slice(step // 2, None, step)
    coarse, scale = closed[grid], inverse[grid]
    slope = coarse[:, 1:] - coarse[:, :-1]
    limit = max(_STEEP_RAMP * step / focal_px, _ROUGH / 2 * _measure_roughness(scale, slope))
    steep = _find_steep(scale, slope, limit)
    row, column = np.nonzero(steep[:, 1:] | steep[:, :-1])
    unit = np.minimum(scale[row, column], scale[row, column + 2]) * np.float32(limit)
    mean = (coarse[row, column + 2] - coarse[row, column]) / 2
    least, most = _explain(slope, row, column, 2, unit)
    ramp = (mean < least - unit) | (mean > most + unit)
    ramp &= np.isfinite(_take(slope, row, column - 1) + _take(slope, row, column + 2))
    bounds = np.empty((2, *slope.shape), np.float32)
    bounds[0], bounds[1] = -np.inf, np.inf
    for k in (0, 1):
        place = row[ramp], column[ramp] + k
        bounds[0][place], bounds[1][place] = least[ramp] / step, most[ramp] / step
    return bounds


def _measure_roughness(inverse: np.ndarray, slope: np.ndarray) -> float:
    """Median change of the slope from step to step, over 1 / depth: 0 for planes."""
    rows = slice(None, None, max(1, len(slope) // _LOOKED_AT))
    bend = np.abs(slope[rows, 1:] - slope[rows, :-1]) / inverse[rows, 1:-1]
    bend = bend[np.isfinite(bend)]
    return float(np.median(bend)) if bend.size else 0.0


def _map_roughness(inverse: np.ndarray, slope: np.ndarray) -> Float[np.ndarray, "rows columns"]:
    """The same for every block of pixels; 0 where nothing is known."""
    bend = np.abs(slope[::_SPARSE, 1:] - slope[::_SPARSE, :-1]) / inverse[::_SPARSE, 1:-1]
    height = _BLOCK // _SPARSE
    rows, columns = -(-bend.shape[0] // height), -(-bend.shape[1] // _BLOCK)
    padded = np.full((rows * height, columns * _BLOCK), np.nan, np.float32)
    padded[: bend.shape[0], : bend.shape[1]] = bend
    blocks = padded.reshape(rows, height, columns, _BLOCK).swapaxes(1, 2).reshape(rows, columns, -1)
    blocks.sort(axis=2)  # what is not known goes to the end
    known = np.isfinite(blocks).sum(axis=2, keepdims=True)
    return np.nan_to_num(np.take_along_axis(blocks, known // 2, axis=2)[..., 0])


def _find_steep(inverse: np.ndarray, slope: np.ndarray, limit: float) -> Bool[np.ndarray, "h w-1"]:
    """Where a jump, over the nearer depth, is more than ``limit``."""
    return np.abs(slope) > np.minimum(inverse[:, 1:], inverse[:, :-1]) * np.float32(limit)


def _explain(
    slope: np.ndarray, row: np.ndarray, column: np.ndarray, middle: int, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least and most slope that the planes beside ``middle`` links from ``column`` on explain."""
    before = _side(slope, row, column - 1, -1, unit)
    behind = _side(slope, row, column + middle, 1, unit)
    before, behind = (
        np.nan_to_num(np.where(np.isnan(one), other, one))
        for one, other in ((before, behind), (behind, before))
    )
    return np.minimum(np.minimum(before, behind), 0), np.maximum(np.maximum(before, behind), 0)


def _side(
    slope: np.ndarray, row: np.ndarray, column: np.ndarray, away: int, unit: np.ndarray
) -> np.ndarray:
    """Slope beside a jump; NaN where unknown, or so steep that the next must agree and does not."""
    near, next_ = (_take(slope, row, column + k * away) for k in (0, 1))
    with np.errstate(invalid="ignore"):
        alone = (np.abs(near) > unit) & ~(
            np.abs(near - next_) <= np.maximum(unit, 0.25 * abs(near))
        )
    return np.where(alone, np.nan, near)


def _take(slope: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    inside = (column >= 0) & (column < slope.shape[1])
    taken = slope[row, np.clip(column, 0, slope.shape[1] - 1)]
    return np.where(inside, taken, np.nan)
