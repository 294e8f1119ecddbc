"""The zero-parameter model, for teaching: what stands lower in the picture is nearer.

Nothing is learned. The picture is cut into segments; each stands where its lowest pixels are, and
what stands lower is nearer. The segment that stands highest is the farthest region, at disparity 0.
It shows how far the oldest cue goes, and what a learned model has to beat.

Source: height in the picture as a cue: Cutting and Vishton, Perceiving Layout and Knowing
Distances, 1995.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.superpixel.segmentation import SegmentConfig, Segments, segment

if TYPE_CHECKING:
    from jaxtyping import Float


class HeightPrior:
    """Segments, lower is nearer; it has no parameters.

    Args:
        config: how the picture is cut.
    """

    def __init__(self, config: SegmentConfig | None = None) -> None:
        self.config = config or SegmentConfig()

    def predict(
        self, rgb: Float[np.ndarray, "h w 3"]
    ) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Affine disparity in [0, 1], and a confidence of 1/2 everywhere: nothing says more."""
        disparity = nearness_by_height(segment(rgb, self.config))
        return disparity, np.full(disparity.shape, 0.5, dtype=np.float32)


def nearness_by_height(segments: Segments) -> Float[np.ndarray, "h w"]:
    """0 in the segment that stands highest, 1 at the lower edge.

    A segment has one value, that of its foot, unless it lies as the ground does: reaching the lower
    edge and wider than tall. Such a one rises to the lower edge with the rows.
    """
    height = segments.size[0]
    foot, top, wide = _extent(segments)
    standing = (foot + 1) / height
    rows = np.broadcast_to(((np.arange(height) + 1) / height)[:, None], segments.size)
    lying = (foot == height - 1) & (wide > foot - top + 1)
    map_ = np.where(lying[segments.labels], rows, standing[segments.labels])
    farthest = map_.min()
    span = 1 - farthest
    if span < 1 / height:  # one segment, or all stand at the lower edge: rows alone decide
        return (rows - 1 / height).astype(np.float32)
    return ((map_ - farthest) / span).astype(np.float32)


def _extent(segments: Segments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest row, highest row and width in pixels of every segment."""
    row, column = np.divmod(np.arange(segments.labels.size), segments.size[1])
    flat, count = segments.labels.ravel(), segments.count
    foot, right = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    top = np.full(count, segments.size[0])
    left = np.full(count, segments.size[1])
    np.maximum.at(foot, flat, row)
    np.minimum.at(top, flat, row)
    np.maximum.at(right, flat, column)
    np.minimum.at(left, flat, column)
    return foot, top, right - left + 1
