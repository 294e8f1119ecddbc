"""Tiles: cut a picture into overlapping parts, and join the parts' maps without seams.

A network sees small things better in a part of the picture, but knows only in the whole picture how
near the part is. So the map of each part is fitted to the map of the whole by one scale and one
shift, and the parts are blended with smooth weights where they overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadline.errors import InputError
from leadline.image import Image

LARGEST = 8
"""The most tiles along the short side."""

OVERLAP = 0.25
"""Part of a tile's side that its neighbour covers too."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, array: np.ndarray) -> np.ndarray:
        """The part of an (h, w) or (h, w, c) array, as a view."""
        return array[self.top : self.top + self.height, self.left : self.left + self.width]

    def crop(self, image: Image) -> Image:
        """The part of a picture, with the part of its camera."""
        camera = image.camera
        if camera is not None:
            camera = camera.cropped(self.left, self.top, self.width, self.height)
        return Image(pixels=self.of(image.pixels), camera=camera)


def tile_boxes(height: int, width: int, count: int) -> list[Box]:
    """Overlapping boxes of one size that cover a picture.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        count: tiles along the short side; the long side gets as many as keep them nearly square.

    Raises:
        InputError: fewer than 1 or more than :data:`LARGEST`.
    """
    if not 1 <= count <= LARGEST:
        raise InputError(f"tiles={count}: 1 to {LARGEST} along the short side are needed.")
    short = min(height, width)
    rows, columns = max(1, round(count * height / short)), max(1, round(count * width / short))
    rows, columns = min(rows, height, 4 * LARGEST), min(columns, width, 4 * LARGEST)
    tile_h, tops = _spread(height, rows)
    tile_w, lefts = _spread(width, columns)
    return [Box(top=t, left=s, height=tile_h, width=tile_w) for t in tops for s in lefts]


class TileBlend:
    """Joins the maps of tiles to one map at the level of the whole picture's map.

    Args:
        whole: (h, w) map of the whole picture, of the same kind as the tiles' maps.
    """

    def __init__(self, whole: np.ndarray) -> None:
        self._whole = whole
        self._sum = np.zeros(whole.shape, np.float32)
        self._weight = np.zeros(whole.shape, np.float32)

    def add(self, box: Box, values: np.ndarray) -> bool:
        """Fit a tile's map to the whole and lay it down.

        Args:
            box: where the tile is.
            values: (box.height, box.width) map.

        Returns:
            False when the tile contradicts the whole so much that it is left out.
        """
        fit = fit_affine(values, box.of(self._whole))
        if fit is None:
            return False
        scale, shift = fit
        window = _window(box.height, box.width)
        known = np.isfinite(values)
        box.of(self._sum)[:] += np.where(known, values * scale + shift, 0) * window
        box.of(self._weight)[:] += known * window
        return True

    def result(self) -> np.ndarray:
        """The joined (h, w) map; the whole's own where no tile was laid down."""
        laid = self._weight > 0
        return np.where(laid, self._sum / np.where(laid, self._weight, 1), self._whole)


def fit_affine(values: np.ndarray, target: np.ndarray) -> tuple[float, float] | None:
    """Least-squares ``scale`` and ``shift`` that take ``values`` to ``target``, coarsely.

    Both maps are averaged over blocks first, at most 32 along a side: detail that only ``values``
    has would make the scale too small.

    Returns:
        None where they do not go together: fewer than two known pixels, or a correlation below
        one half, as for a blank wall of which the tile shows only noise.
    """
    x, y = _coarse(values), _coarse(target)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 2:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    xx, xy, yy = float(dx @ dx), float(dx @ dy), float(dy @ dy)
    if xx <= 0 or yy <= 0 or xy < 0.5 * (xx * yy) ** 0.5:
        return None
    scale = xy / xx
    return scale, float(y.mean() - scale * x.mean())


def _coarse(values: np.ndarray, cells: int = 32) -> np.ndarray:
    """Means (float64) over blocks; NaN where a block holds an unknown value."""
    height, width = values.shape
    step_h, step_w = max(1, height // cells), max(1, width // cells)
    rows, columns = height // step_h, width // step_w
    blocks = values[: rows * step_h, : columns * step_w].reshape(rows, step_h, columns, step_w)
    return blocks.mean(axis=(1, 3), dtype=np.float64)


def _spread(side: int, count: int) -> tuple[int, list[int]]:
    """Side of ``count`` tiles that overlap by OVERLAP, and where each begins."""
    if count == 1:
        return side, [0]
    tile = min(side, int(np.ceil(side / (count - (count - 1) * OVERLAP))))
    return tile, [round(index * (side - tile) / (count - 1)) for index in range(count)]


def _window(height: int, width: int) -> np.ndarray:
    """(h, w) weights: 1 in the middle, falling smoothly over the overlap, never 0."""
    rows, columns = _ramp(height), _ramp(width)
    return (rows[:, None] * columns[None, :]).astype(np.float32)


def _ramp(side: int) -> np.ndarray:
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return np.sin(np.pi / 2 * np.minimum(edge / max(1.0, OVERLAP * side), 1)) ** 2 + 1e-4
