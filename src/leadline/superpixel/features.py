"""What a picture says about depth: 17 filters, their energy and kurtosis, in context.

The picture is covered by square cells. A cell is described at three scales: at the finest by the
segment that it lies in, at the coarser two by patches three and nine cells wide, each time together
with its four neighbours; and by the shape and place of its segment.

Source: Saxena, Sun and Ng, Make3D: Learning 3D Scene Structure from a Single Still Image, TPAMI
2009, section 6; Laws, 1980; Nevatia and Babu, 1980.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.resample import resize

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from leadline.superpixel.segmentation import Segments

CELL = 8
"""Side of a cell in pixels; the patches of the coarser scales are 3 and 9 cells wide."""

SCALES = (1, 3, 9)
FILTER_NAMES = (
    *(f"Laws {a}3{b}3" for a in "LES" for b in "LES"),
    "Cb L3L3",
    "Cr L3L3",
    *(f"edge {angle}" for angle in range(0, 180, 30)),
)
"""The 17 filters."""

SHAPE_NAMES = (
    "log area",
    "x50",
    "y50",
    "x50^2",
    "y50^2",
    "x10",
    "y10",
    "x90",
    "y90",
    "neighbours",
    "log length",
    "log width",
    "orientation",
)
"""The 13 numbers of a segment's shape and place; x and y in [-1, 1] of half the picture's height
or width."""

_STATISTICS = 2 * len(FILTER_NAMES)
TEXTURE_COUNT = 5 * len(SCALES) * _STATISTICS
_FLOOR = 1e-4
_FROM_RGB = np.array(  # BT.601, all in [0, 1]
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_LAWS = {"L": (1, 2, 1), "E": (-1, 0, 1), "S": (-1, 2, -1)}
_NEVATIA = {
    0: ((100,) * 5, (100,) * 5, (0,) * 5, (-100,) * 5, (-100,) * 5),
    30: (
        (100,) * 5,
        (100, 100, 100, 78, -32),
        (100, 92, 0, -92, -100),
        (32, -78, -100, -100, -100),
        (-100,) * 5,
    ),
    60: (
        (100, 100, 100, 32, -100),
        (100, 100, 92, -78, -100),
        (100, 100, 0, -100, -100),
        (100, 78, -92, -100, -100),
        (100, -32, -100, -100, -100),
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """A picture's cells.

    Attributes:
        grid: rows and columns of cells.
        texture: (cells, 510) float32, row by row of the grid: for scale, for self, left, right,
            above and below, the logarithms of energy and fourth moment of the 17 filters.
        shape: (cells, 13) float32, :data:`SHAPE_NAMES` of the segment of each cell.
        owner: segment of each cell.
        x, y: cells' centres, -1 .. 1 from the left and from the top.
    """

    grid: tuple[int, int]
    texture: Float[np.ndarray, "n 510"]
    shape: Float[np.ndarray, "n 13"]
    owner: Int[np.ndarray, " n"]
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]


def describe(rgb: Float[np.ndarray, "h w 3"], segments: Segments) -> Features:
    """Features of every cell of a picture.

    Args:
        rgb: in [0, 1].
        segments: of the same size.

    Raises:
        InputError: another size.
    """
    if rgb.shape[:2] != segments.size:
        raise InputError(
            f"picture of {rgb.shape[:2]} and segments of {segments.size}: one size is needed."
        )
    height, width = segments.size
    grid = max(1, round(height / CELL)), max(1, round(width / CELL))
    rows = _centres(grid[0], height)
    columns = _centres(grid[1], width)
    owner = segments.labels[np.ix_(rows, columns)]
    finest = segment_statistics(filter_responses(rgb), segments)
    planes = [finest[owner]]
    for scale in SCALES[1:]:
        planes.append(_patch_statistics(rgb, scale, grid))
    texture = np.concatenate(
        [_with_neighbours(plane, scale) for plane, scale in zip(planes, SCALES, strict=True)],
        axis=2,
    )
    y, x = np.meshgrid(
        2 * (rows + 0.5) / height - 1, 2 * (columns + 0.5) / width - 1, indexing="ij"
    )
    return Features(
        grid=grid,
        texture=texture.reshape(-1, TEXTURE_COUNT),
        shape=segment_shapes(segments)[owner.ravel()],
        owner=owner.ravel(),
        x=x.ravel().astype(np.float32),
        y=y.ravel().astype(np.float32),
    )


def filter_responses(rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 17"]:
    """Absolute responses of the 17 filters; the border is repeated.

    Laws' masks and Nevatia and Babu's edges on luma, the averaging mask on both chromas, each
    divided by its mask's absolute sum, so that all lie in [0, 1].
    """
    height, width = rgb.shape[:2]
    planes = (rgb.reshape(-1, 3).astype(np.float32) @ _FROM_RGB.T.astype(np.float32)).T
    planes = planes.reshape(3, height, width)
    out = np.empty((height, width, len(FILTER_NAMES)), dtype=np.float32)
    luma = _windows(planes[0], 5) @ _LUMA_MASKS
    out[..., :9] = np.abs(luma[..., :9])
    out[..., 11:] = np.abs(luma[..., 9:])
    for place, plane in ((9, planes[1]), (10, planes[2])):
        out[..., place] = np.abs(_windows(plane, 3) @ _AVERAGE)
    return out


def segment_statistics(
    responses: Float[np.ndarray, "h w 17"], segments: Segments
) -> Float[np.ndarray, "n 34"]:
    """Logarithms of the mean second and fourth power of each response in each segment.

    All segments at once: one sorting of the pixels, then sums over runs.
    """
    order = np.argsort(segments.labels, axis=None, kind="stable")
    starts = np.concatenate([[0], np.cumsum(segments.areas)[:-1]])
    power = responses.reshape(-1, responses.shape[2])[order]
    power *= power
    sums = [np.add.reduceat(power, starts, axis=0)]
    power *= power
    sums.append(np.add.reduceat(power, starts, axis=0))
    return _logarithms(*(total / segments.areas[:, None] for total in sums))


def segment_shapes(segments: Segments) -> Float[np.ndarray, "n 13"]:
    """Shape and place of each segment, :data:`SHAPE_NAMES`."""
    height, width = segments.size
    count, areas = segments.count, segments.areas
    flat = segments.labels.ravel()
    y, x = np.divmod(np.arange(flat.size), width)
    x = 2 * (x + 0.5) / width - 1
    y = 2 * (y + 0.5) / height - 1
    quantiles = {
        (name, q): value
        for name, values in (("x", x), ("y", y))
        for q, value in _quantiles(flat, values, areas, (10, 50, 90)).items()
    }
    # Central second moments, in units of half the picture's height.
    aspect = width / height
    mean_x, mean_y = (np.bincount(flat, v, count) / areas for v in (x, y))
    dx, dy = (x - mean_x[flat]) * aspect, y - mean_y[flat]
    xx, yy, xy = (np.bincount(flat, v, count) / areas for v in (dx * dx, dy * dy, dx * dy))
    spread = np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    longer = (xx + yy) / 2 + spread
    shorter = np.maximum((xx + yy) / 2 - spread, 0)
    pairs, _ = segments.touching
    columns = [
        np.log(areas / flat.size),
        quantiles["x", 50],
        quantiles["y", 50],
        quantiles["x", 50] ** 2,
        quantiles["y", 50] ** 2,
        *(quantiles[name, q] for q in (10, 90) for name in ("x", "y")),
        np.log1p(np.bincount(pairs.ravel(), minlength=count)),
        np.log(longer + _FLOOR) / 2,
        np.log(shorter + _FLOOR) / 2,
        np.where(spread > _FLOOR, (xx - yy) / (2 * spread + _FLOOR), 0),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _patch_statistics(
    rgb: np.ndarray, scale: int, grid: tuple[int, int]
) -> Float[np.ndarray, "rows columns 34"]:
    """Statistics of patches one cell wide in the picture shrunk by ``scale``, at every cell."""
    height, width = rgb.shape[:2]
    small = max(1, round(height / scale)), max(1, round(width / scale))
    responses = filter_responses(resize(rgb, small, "area_linear"))
    power = responses * responses
    means = [_box_mean(power, CELL), _box_mean(power * power, CELL)]
    rows = np.clip((_centres(grid[0], height) + 0.5) * small[0] / height, 0, small[0] - 1)
    columns = np.clip((_centres(grid[1], width) + 0.5) * small[1] / width, 0, small[1] - 1)
    at = np.ix_(rows.astype(np.int64), columns.astype(np.int64))
    return _logarithms(*(mean[at] for mean in means))


def _with_neighbours(plane: np.ndarray, step: int) -> np.ndarray:
    """(rows, columns, c) -> (rows, columns, 5c): self, left, right, above, below."""
    rows, columns = np.arange(plane.shape[0]), np.arange(plane.shape[1])
    left, right = np.maximum(columns - step, 0), np.minimum(columns + step, len(columns) - 1)
    above, below = np.maximum(rows - step, 0), np.minimum(rows + step, len(rows) - 1)
    parts = [plane, plane[:, left], plane[:, right], plane[above], plane[below]]
    return np.concatenate(parts, axis=2)


def _logarithms(second: np.ndarray, fourth: np.ndarray) -> np.ndarray:
    """Of energy, and of the fourth moment's root over energy: how peaked the responses are."""
    energy = np.log(np.sqrt(np.maximum(second, 0)) + _FLOOR)
    peak = np.log(np.maximum(fourth, 0) ** 0.25 + _FLOOR) - energy
    return np.concatenate([energy, peak], axis=-1).astype(np.float32)


def _box_mean(planes: np.ndarray, side: int) -> np.ndarray:
    """Mean over boxes of ``side`` pixels that are cut off at the border."""
    for axis in (0, 1):
        length = planes.shape[axis]
        total = np.cumsum(planes, axis=axis, dtype=np.float64)
        total = np.concatenate([np.zeros_like(total.take([0], axis)), total], axis=axis)
        low = np.maximum(np.arange(length) - side // 2, 0)
        high = np.minimum(np.arange(length) + side - side // 2, length)
        share = (high - low).reshape([-1 if a == axis else 1 for a in range(planes.ndim)])
        planes = (total.take(high, axis) - total.take(low, axis)) / share
    return planes


def _quantiles(
    flat: np.ndarray, values: np.ndarray, areas: np.ndarray, percents: tuple[int, ...]
) -> dict[int, np.ndarray]:
    """Quantiles of ``values`` in every label."""
    ordered = values[np.lexsort((values, flat))]
    starts = np.concatenate([[0], np.cumsum(areas)[:-1]])
    return {q: ordered[starts + (areas - 1) * q // 100] for q in percents}


def _centres(cells: int, length: int) -> np.ndarray:
    """Pixel at the centre of each cell."""
    return np.minimum(((np.arange(cells) + 0.5) * length / cells).astype(np.int64), length - 1)


def _windows(plane: np.ndarray, side: int) -> np.ndarray:
    """(h, w) -> (h, w, side * side): each pixel's neighbourhood, the border repeated."""
    padded = np.pad(plane, side // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return windows.reshape(*plane.shape, side * side)


def _luma_masks() -> np.ndarray:
    """(25, 15): nine Laws masks and six oriented edges as columns."""
    masks = []
    for a in "LES":
        for b in "LES":
            mask = np.zeros((5, 5))
            mask[1:4, 1:4] = np.outer(_LAWS[a], _LAWS[b])
            masks.append(mask)
    rows = {angle: np.array(mask, dtype=float) for angle, mask in _NEVATIA.items()}
    rows[90] = -rows[0].T
    rows[120] = rows[60][:, ::-1]
    rows[150] = rows[30][:, ::-1]
    masks += [rows[angle] for angle in range(0, 180, 30)]
    columns = [mask.ravel() / np.abs(mask).sum() for mask in masks]
    return np.stack(columns, axis=1).astype(np.float32)


_LUMA_MASKS = _luma_masks()
_AVERAGE = (np.outer((1, 2, 1), (1, 2, 1)).ravel() / 16).astype(np.float32)
