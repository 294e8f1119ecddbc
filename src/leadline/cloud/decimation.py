"""Fewer points and triangles than pixels, and the edges as they were."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool

    from leadline.cloud.edges import Links
    from leadline.cloud.surface import Surface


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
