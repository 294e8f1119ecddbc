"""A map's values at the pixels of another size: only those that count are interpolated."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

Resize = Literal["corners", "centres", "nearest"]
"""How a prediction comes to the target's size: ``corners``: bilinear, corner pixels on corner
pixels (torch's align_corners=True); ``centres``: bilinear, pixel areas on pixel areas (OpenCV's,
and torch's align_corners=False, without antialiasing); ``nearest``: OpenCV's nearest."""


def sample(
    values: np.ndarray, size: tuple[int, ...], pixels: np.ndarray, resize: Resize
) -> np.ndarray:
    """Values of ``values``, resized to ``size``, at flat pixel numbers; float64.

    Args:
        values: (h, w).
        size: (height, width) that ``pixels`` count in.
        pixels: flat indices, row * width + column, ascending.
        resize: see :data:`Resize`; nothing is interpolated when the sizes agree.
    """
    if values.shape == size:
        return values.reshape(-1).take(pixels).astype(np.float64)
    height, width = size
    # Pixels come row by row: counting them gives their rows without a division.
    counts = np.diff(pixels.searchsorted(np.arange(0, (height + 1) * width, width)))
    rows = np.arange(height).repeat(counts)
    columns = pixels - rows * width
    if resize == "nearest":
        r = np.minimum(rows * values.shape[0] // height, values.shape[0] - 1)
        c = np.minimum(columns * values.shape[1] // width, values.shape[1] - 1)
        return values[r, c].astype(np.float64)
    r0, r1, fr = _between(values.shape[0], height, resize)
    flat, stride = values.reshape(-1), values.shape[1]
    above, below = (r0 * stride).repeat(counts), (r1 * stride).repeat(counts)
    c0, c1, fc = (table.take(columns) for table in _between(values.shape[1], width, resize))
    rest = 1 - fc
    upper = flat.take(above + c0) * rest + flat.take(above + c1) * fc
    lower = flat.take(below + c0) * rest + flat.take(below + c1) * fc
    fr = fr.repeat(counts)
    return upper * (1 - fr) + lower * fr


@lru_cache(maxsize=64)
def _between(have: int, want: int, resize: Resize) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every row (or column) wanted: the two around it, and how far it is to the second."""
    place = np.arange(want, dtype=np.float64)
    if resize == "corners":
        place *= (have - 1) / (want - 1) if want > 1 else 0.0
    else:
        place = np.clip((place + 0.5) * (have / want) - 0.5, 0, have - 1)
    first = np.minimum(place.astype(np.int64), have - 1)
    second = np.minimum(first + 1, have - 1)
    return first, second, place - first
