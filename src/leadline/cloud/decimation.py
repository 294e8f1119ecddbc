"""Fewer points and triangles than pixels, and the edges as they were."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leadline.cloud.mesh import triangulate

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt32

    from leadline.cloud.edges import Links
    from leadline.cloud.surface import Surface

_LARGEST_CELL = 16
_FLAT = 0.002
"""How far the middle of a cell may lie off its corners' surface, over the depth."""
_FLAT_SPAN = 1.1
"""Farthest over nearest corner of a cell: textures bend where it is more."""


def choose_points(
    surface: Surface, links: Links, max_points: int | None
) -> Bool[np.ndarray, "h w"]:
    """Which pixels become points.

    Args:
        surface: the map.
        links: of its pixels.
        max_points: at most so many; None: all that are known.
    """
    keep = surface.known
    total = int(keep.sum())
    if max_points is None or total <= max_points:
        return keep
    step = math.isqrt(total // max_points)
    while True:
        step += 1
        chosen = _choose_in_blocks(surface, links, step)
        if int(chosen.sum()) <= max_points:
            return chosen


def _choose_in_blocks(surface: Surface, links: Links, step: int) -> Bool[np.ndarray, "h w"]:
    """The pixel in the middle of every block; nearest and farthest where it holds an edge."""
    height, width = surface.size
    rows, columns = -(-height // step), -(-width // step)
    depth = np.full((rows * step, columns * step), np.nan, np.float32)
    depth[:height, :width] = np.where(surface.known, surface.depth, np.nan)
    broken = np.zeros(depth.shape, bool)
    full = np.full(surface.size, 4, np.uint8)
    full[[0, -1]] -= 1
    full[:, [0, -1]] -= 1
    broken[:height, :width] = links.count() < full
    blocks = depth.reshape(rows, step, columns, step).swapaxes(1, 2).reshape(rows, columns, -1)
    uneven = broken.reshape(rows, step, columns, step).any(axis=(1, 3))
    middle = np.full(uneven.shape, (step // 2) * step + step // 2)
    near = np.where(np.isnan(blocks), np.inf, blocks).argmin(axis=2)
    far = np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=2)
    chosen = np.zeros(depth.shape, bool)
    block_row, block_column = np.indices(uneven.shape)
    for inside in (np.where(uneven, near, middle), np.where(uneven, far, middle)):
        chosen[block_row * step + inside // step, block_column * step + inside % step] = True
    return chosen[:height, :width] & surface.known


def choose_step(pixels: int, max_points: int | None) -> int:
    """Every how many-th pixel is looked at for a mesh of ``max_points``: four for each of them."""
    return 1 if max_points is None else max(1, math.ceil(math.sqrt(pixels / (4 * max_points))))


def decimate(
    inverse: Float[np.ndarray, "h w"], links: Links, max_points: int | None
) -> UInt32[np.ndarray, "n 3"]:
    """Faces over at most ``max_points`` pixels, as :func:`triangulate` numbers them.

    Cells of up to 16 x 16 pixels that are known throughout, cross no edge and are as good as
    bilinear become two triangles; the others keep every pixel, and a fan of triangles leads from
    one to the other without a crack.

    Args:
        inverse: 1 / depth.
        links: which neighbours belong together.
        max_points: vertices at most; None: all pixels.

    Returns:
        The faces; with more vertices than that where even the largest cells leave too many.
    """
    side, smallest = 1, min(inverse.shape) - 1
    if max_points is None or np.count_nonzero(links.count()) <= max_points or smallest < 2:
        return triangulate(inverse, links)
    while True:
        side *= 2
        flat = _find_flat(inverse, links, side)
        fine = np.ones((inverse.shape[0] - 1, inverse.shape[1] - 1), bool)
        rows, columns = flat.shape[0] * side, flat.shape[1] * side
        fine[:rows, :columns] = ~np.kron(flat, np.ones((side, side), bool))
        faces = np.concatenate(
            [triangulate(inverse, links, fine), _cover_cells(flat, side, inverse.shape[1])]
        )
        if _count_used(faces) <= max_points or 2 * side > min(_LARGEST_CELL, smallest):
            return faces


def _count_used(faces: UInt32[np.ndarray, "n 3"]) -> int:
    used = np.zeros(int(faces.max(initial=0)) + 1, bool)
    used[faces.ravel()] = True
    return int(used.sum())


def _find_flat(
    inverse: Float[np.ndarray, "h w"], links: Links, side: int
) -> Bool[np.ndarray, "rows columns"]:
    """Cells of ``side`` pixels, corners shared, whose corners say what lies between."""
    rows, columns = (inverse.shape[0] - 1) // side, (inverse.shape[1] - 1) // side

    def pick(array: np.ndarray, down: int, right: int) -> np.ndarray:
        return array[down::side, right::side][:rows, :columns]

    tl, tr = pick(inverse, 0, 0), pick(inverse, 0, side)
    bl, br = pick(inverse, side, 0), pick(inverse, side, side)
    near = np.maximum(np.maximum(tl, tr), np.maximum(bl, br))
    far = np.minimum(np.minimum(tl, tr), np.minimum(bl, br))
    with np.errstate(invalid="ignore"):
        flat = near <= far * np.float32(_FLAT_SPAN)
        for i in range(side + 1):
            left, right = tl + (bl - tl) * (i / side), tr + (br - tr) * (i / side)
            for j in range(side + 1):
                off = np.abs(left + (right - left) * (j / side) - pick(inverse, i, j))
                flat &= off <= far * np.float32(_FLAT)
                if j < side:
                    flat &= pick(links.right, i, j)
                if i < side:
                    flat &= pick(links.down, i, j)
    return flat


def _cover_cells(
    flat: Bool[np.ndarray, "rows columns"], side: int, width: int
) -> UInt32[np.ndarray, "n 3"]:
    """Two triangles for cells among their like; a fan about the middle beside finer ones.

    Args:
        flat: which cells to cover.
        side: of the cells, in pixels.
        width: of the map, in pixels.
    """
    around = np.pad(flat, 1, constant_values=True)  # nothing finer lies beyond the border
    around[-1, 1:-1] = around[1:-1, -1] = False  # but below and right a part of a cell may
    fine = {
        "left": flat & ~around[1:-1, :-2],
        "bottom": flat & ~around[2:, 1:-1],
        "right": flat & ~around[1:-1, 2:],
        "top": flat & ~around[:-2, 1:-1],
    }
    fan = np.logical_or.reduce(list(fine.values()))
    corner = np.arange(flat.shape[0])[:, None] * (side * width) + np.arange(flat.shape[1]) * side
    tl = corner[flat & ~fan]
    bl, tr, br = tl + side * width, tl + side, tl + side * (width + 1)
    parts = [np.stack([tl, bl, tr], 1), np.stack([tr, bl, br], 1)]
    for name, (start, along) in {
        "left": (0, width),
        "bottom": (side * width, 1),
        "right": (side * (width + 1), -width),
        "top": (side, -1),
    }.items():
        for chosen, length in ((fan & fine[name], 1), (fan & ~fine[name], side)):
            first = corner[chosen]
            middle = first + (side // 2) * (width + 1)
            for k in range(0, side, length):
                here = first + start + along * k
                parts.append(np.stack([here, here + along * length, middle], 1))
    return np.concatenate(parts).astype(np.uint32)
