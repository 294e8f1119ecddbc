"""What a cell and a pair of segments learn from the rest of the picture.

Where the horizon may be, where the ground below a cell begins, how much sky is above it, and how
unlike two neighbours are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.superpixel.features import FILTER_NAMES
from leadline.superpixel.regression import sigmoid

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from leadline.superpixel.features import Features
    from leadline.superpixel.segmentation import Segments

_STRIPS = 6
_SOFT = 0.08
_NO_GROUND = 1.3  # y of a ground that lies below the picture


def strips(features: Features) -> Float[np.ndarray, " f"]:
    """Mean energies of the 17 filters in six strips of the picture, top to bottom."""
    filters = len(FILTER_NAMES)
    rows = features.grid[0]
    energy = features.texture[:, :filters].reshape(rows, -1, filters).mean(axis=1)
    edges = (np.arange(_STRIPS + 1) * rows) // _STRIPS
    ends = np.maximum(edges[1:], edges[:-1] + 1)
    starts = np.minimum(edges[:-1], rows - 1)
    parts = [energy[a:b].mean(axis=0) for a, b in zip(starts, ends, strict=True)]
    return np.concatenate(parts).astype(np.float32)


def place_features(features: Features, horizon: float) -> Float[np.ndarray, "n f"]:
    """A cell's texture and shape, and where it lies."""
    x, y = features.x, features.y
    height = y - horizon
    below = np.maximum(height, 0)
    place = [x, np.abs(x), y, y * y, height, below, np.log(below + _SOFT), np.full_like(y, horizon)]
    return np.concatenate(
        [features.texture, features.shape, np.stack(place, axis=1)], axis=1, dtype=np.float32
    )


PLACE_COUNT = 8
"""Numbers at the end of :func:`place_features` that say where a cell lies."""


def scene_features(
    features: Features,
    horizon: float,
    sky: Float[np.ndarray, " n"],
    ground: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n f"]:
    """What a cell gets from the sky and ground around it, above all where its ground begins.

    Args:
        features: of the picture.
        horizon: its y.
        sky: log odds of each cell.
        ground: the same.
    """
    rows, columns = features.grid
    is_sky, is_ground = (sigmoid(a).reshape(rows, columns) for a in (sky, ground))
    y = features.y.reshape(rows, columns)
    foot = np.empty((rows, columns))
    current = np.full(columns, _NO_GROUND)
    for row in range(rows - 1, -1, -1):
        current = np.where(is_ground[row] > 0.5, y[row], current)
        foot[row] = current
    foot_depth = np.log(np.maximum(foot - horizon, 0) + _SOFT)
    own_depth = np.log(np.maximum(y - horizon, 0) + _SOFT)
    half = rows // 2
    whole = [is_ground.mean(), is_sky.mean(), is_ground[half:].mean(), is_sky[: half + 1].mean()]
    planes = [
        np.clip(sky, -6, 6).reshape(rows, columns),
        np.clip(ground, -6, 6).reshape(rows, columns),
        is_sky,
        is_ground,
        foot,
        foot_depth,
        np.broadcast_to(is_ground.mean(axis=0), foot.shape),
        np.broadcast_to(is_sky.mean(axis=0), foot.shape),
        np.cumsum(is_ground[::-1], axis=0)[::-1] / rows,
        np.cumsum(is_sky, axis=0) / rows,
        *(np.full(foot.shape, share) for share in whole),
        is_ground * own_depth,
        is_ground * y,
        (1 - is_ground) * foot_depth,
    ]
    return np.stack(planes, axis=2).reshape(rows * columns, -1).astype(np.float32)


def pair_features(
    features: Features, segments: Segments, log_depth: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "m f"]:
    """How unlike two neighbours are: texture, expected depth, border and size."""
    filters = 2 * len(FILTER_NAMES)
    own = segment_means(features, segments, features.texture[:, :filters])
    depth = segment_means(features, segments, log_depth[:, None])[:, 0]
    pairs, shared = segments.touching
    a, b = pairs[:, 0], pairs[:, 1]
    smaller = np.minimum(segments.areas[a], segments.areas[b])
    return np.concatenate(
        [
            np.abs(own[a] - own[b]),
            np.abs(depth[a] - depth[b])[:, None],
            np.log(shared / np.sqrt(smaller))[:, None],
            np.log(smaller / segments.labels.size)[:, None],
        ],
        axis=1,
    ).astype(np.float32)


def segment_means(
    features: Features, segments: Segments, values: Float[np.ndarray, "n f"]
) -> Float[np.ndarray, "s f"]:
    """Means of the cells' values over each segment.

    A segment without cells takes the cell that it lies in.
    """
    count = segments.count
    cells = np.bincount(features.owner, minlength=count)
    out = np.empty((count, values.shape[1]))
    for column in range(values.shape[1]):
        out[:, column] = np.bincount(features.owner, values[:, column], count)
    out /= np.maximum(cells, 1)[:, None]
    alone = np.flatnonzero(cells == 0)
    out[alone] = values[cell_of(features, segments, first_pixels(segments)[alone])]
    return out


def first_pixels(segments: Segments) -> Int[np.ndarray, " n"]:
    """Flat index of a pixel in the middle of each segment's pixels, in reading order."""
    order = np.argsort(segments.labels, axis=None, kind="stable")
    ends = np.cumsum(segments.areas)
    return order[ends - segments.areas + segments.areas // 2]


def cell_of(
    features: Features, segments: Segments, pixels: Int[np.ndarray, " p"]
) -> Int[np.ndarray, " p"]:
    """The cell that each flat pixel lies in."""
    (rows, columns), (height, width) = features.grid, segments.size
    row, column = np.divmod(pixels, width)
    return (row * rows // height) * columns + column * columns // width
