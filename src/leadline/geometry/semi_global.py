"""Semi-global aggregation: a volume of matching costs made smooth along eight directions.

One volume serves every search: ``d`` is a disparity in a rectified pair and an inverse depth in a
plane sweep. A step to the neighbouring ``d`` costs ``small``, any larger one ``large``, less where
the picture has an edge.

Source: Hirschmueller, Stereo Processing by Semiglobal Matching and Mutual Information, PAMI 2008,
sec. 2.2 and 2.3; the census cost: Zabih and Woodfill, ECCV 1994.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int16, UInt8, UInt64

COST_RANGE = 255
"""Costs are integers from 0 (alike) to this; eight sums of them fit int16."""

CENSUS_BITS = 48
"""Neighbours that :func:`census` looks at."""


def aggregate(
    cost: Int16[np.ndarray, "h w d"],
    guide: UInt8[np.ndarray, "h w"],
    *,
    small: int,
    large: int,
    edge: float = 10.0,
) -> Int16[np.ndarray, "h w d"]:
    """Sum of the cheapest paths that reach every pixel and ``d`` from eight directions.

    Args:
        cost: from 0 to :data:`COST_RANGE`.
        guide: grey picture; a step as large as ``edge`` grey levels halves ``large``.
        small: what a step of one ``d`` costs along a path.
        large: what any larger step costs.
        edge: grey levels.

    Returns:
        Eight times the cost of a pixel on its cheapest path; compare along ``d`` only.
    """
    sums = []
    with ThreadPoolExecutor(2) as pool:  # numpy lets go of the interpreter in every large step
        for turned in (False, True):
            volume = cost.swapaxes(0, 1) if turned else cost
            grey = np.ascontiguousarray(guide.T if turned else guide).astype(np.float32)
            slants = (0,) if turned else (-1, 0, 1)
            jobs = [
                pool.submit(_scan, volume, grey, slants, backwards, (small, large, edge))
                for backwards in (False, True)
            ]
            total = jobs[0].result()
            total += jobs[1].result()
            sums.append(total)
    sums[0] += sums[1].swapaxes(0, 1)
    return sums[0]


def _scan(
    cost: np.ndarray,
    grey: np.ndarray,
    slants: tuple[int, ...],
    backwards: bool,
    penalties: tuple[int, int, float],
) -> np.ndarray:
    """Paths that come from the row before, straight and slanted, added up."""
    h, w, d = cost.shape
    small, large, edge = penalties
    rows = range(h - 1, -1, -1) if backwards else range(h)
    total = np.empty((h, w, d), np.int16)
    path = np.zeros((len(slants), w, d), np.int16)
    before = np.zeros((len(slants), w + 2, d), np.int16)  # zeros beside the picture: paths start
    best = np.empty_like(path)
    last = None
    for y in rows:
        if last is None:
            path[:] = cost[y]
        else:
            for k, slant in enumerate(slants):
                before[k, 1:-1] = path[k]
                path[k] = before[k, 1 - slant : 1 - slant + w]
            least = path.min(axis=-1, keepdims=True)
            penalty = _penalty(grey[y], grey[last], slants, small, large, edge)
            np.minimum(path, least + penalty[..., None], out=best)
            np.add(path, small, out=path)
            np.minimum(best[..., 1:], path[..., :-1], out=best[..., 1:])
            np.minimum(best[..., :-1], path[..., 1:], out=best[..., :-1])
            best -= least
            np.add(best, cost[y], out=path)
        path.sum(axis=0, dtype=np.int16, out=total[y])
        last = y
    return total


def _penalty(
    row: np.ndarray, last: np.ndarray, slants: tuple[int, ...], small: int, large: int, edge: float
) -> np.ndarray:
    """Cost of a jump at every pixel of the row, less where grey levels jump too."""
    width = len(row)
    padded = np.pad(last, 1, mode="edge")
    steps = np.stack([np.abs(row - padded[1 - s : 1 - s + width]) for s in slants])
    return np.maximum(large / (1 + steps / edge), 1.5 * small).astype(np.int16)


def subpixel(total: Int16[np.ndarray, "h w d"], index: np.ndarray) -> Float[np.ndarray, "h w"]:
    """The minimum of the parabola through the cheapest ``d`` and its two neighbours."""
    depth = total.shape[2]
    middle = np.clip(index, 1, depth - 2)
    at = [
        np.take_along_axis(total, (middle + k)[..., None], axis=2)[..., 0].astype(np.float32)
        for k in (-1, 0, 1)
    ]
    bend = at[0] - 2 * at[1] + at[2]
    shift = np.where(bend > 0, (at[0] - at[2]) / np.where(bend > 0, 2 * bend, 1), 0)
    inside = (index >= 1) & (index <= depth - 2)
    return (index + np.where(inside, np.clip(shift, -0.5, 0.5), 0)).astype(np.float32)


def margin(
    total: Int16[np.ndarray, "h w d"], index: np.ndarray, *, apart: int = 1
) -> Float[np.ndarray, "h w"]:
    """How much more the best ``d`` beyond ``apart`` from the cheapest costs, from 0 to 1."""
    best = np.take_along_axis(total, index[..., None], axis=2)[..., 0].astype(np.float32)
    rest = np.array(total)
    for k in range(-apart, apart + 1):
        near = np.clip(index + k, 0, total.shape[2] - 1)
        np.put_along_axis(rest, near[..., None], np.iinfo(np.int16).max, axis=2)
    second = rest.min(axis=2).astype(np.float32)
    return np.clip(1 - best / np.maximum(second, 1), 0, 1)


def census(grey: UInt8[np.ndarray, "h w"]) -> UInt64[np.ndarray, "h w"]:
    """Which of the 48 neighbours in 7 x 7 pixels are darker than the middle, one bit each."""
    h, w = grey.shape
    padded = np.pad(grey, 3, mode="edge")
    code = np.zeros((h, w), np.uint64)
    for dy in range(7):
        for dx in range(7):
            if (dy, dx) == (3, 3):
                continue
            code <<= np.uint64(1)
            code |= padded[dy : dy + h, dx : dx + w] < grey
    return code


def differing_bits(
    a: UInt64[np.ndarray, "h w"], b: UInt64[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w"]:
    """In how many bits two census codes differ."""
    table = _bit_counts()
    words = np.bitwise_xor(a, b)[..., None].view(np.uint16)
    return table[words].sum(axis=-1, dtype=np.uint8)


@lru_cache(maxsize=1)
def _bit_counts() -> np.ndarray:
    numbers = np.arange(1 << 16, dtype=np.uint16)
    return np.unpackbits(numbers.view(np.uint8)).reshape(-1, 16).sum(axis=1, dtype=np.uint8)
