"""Smoother normals of maps that networks draw, whose finest slopes are their own resampling.

Source: Dammertz et al., Edge-Avoiding A-Trous Wavelet Transform for fast Global Illumination
Filtering, HPG 2010, sec. 2 (steps that double, and weights that fall at edges).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

_SHARE = 0.01
_DEPTH_STEP = 0.03
"""Relative change of depth at which a neighbour counts a third."""


def smooth_normals(
    normals: Float[np.ndarray, "h w 3"], depth: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """Normals averaged over about 1 % of the long side, and hardly across edges of depth.

    Args:
        normals: unit vectors, NaN where unknown; those stay unknown.
        depth: of the same pixels.
    """
    known = np.isfinite(normals).all(axis=2) & (depth > 0)
    smooth = np.where(known[..., None], normals, 0).astype(np.float32)
    log = np.log(np.where(known, depth, 1)).astype(np.float32)
    step, reach = 1, _SHARE * max(depth.shape)
    while step <= reach:
        smooth = _average(smooth, log, step)
        step *= 2
    return np.where(known[..., None], smooth, np.nan)


def _average(vectors: np.ndarray, log: np.ndarray, step: int) -> np.ndarray:
    """Mean direction of nine pixels, ``step`` apart; zero vectors do not count."""
    height, width = log.shape
    wide = np.pad(vectors, ((step, step), (step, step), (0, 0)))
    logs = np.pad(log, step, mode="edge")
    total = np.zeros_like(vectors)
    for down, right in product((0, step, 2 * step), repeat=2):
        there = slice(down, down + height), slice(right, right + width)
        weight = np.exp(-np.abs(logs[there] - log) / np.float32(_DEPTH_STEP * step**0.5))
        total += wide[there] * weight[..., None]
    length = np.linalg.norm(total, axis=2, keepdims=True)
    return total / np.maximum(length, 1e-12)
