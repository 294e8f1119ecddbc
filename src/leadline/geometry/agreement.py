"""Whether maps of several pictures confirm each other, and how far a map is to be trusted.

Source: Schoenberger et al., Pixelwise View Selection, ECCV 2016, sec. 4.3 (geometric consistency).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.geometry.epipolar import second_from_first
from leadline.geometry.opencv import opencv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from leadline.camera import Camera

_AROUND, _EDGES = (9, 9), (7, 7)  # windows of the confidence
_RELATIVE_LOSS = 0.05  # of depth, by half a pixel, that halves the confidence


@dataclass(frozen=True, kw_only=True, eq=False)
class SweptMap:
    """One picture's map: inverse depths, where they are known, and the margin of the best."""

    camera: Camera
    inverse: np.ndarray
    seen: np.ndarray
    sure: np.ndarray


def agreement(
    sweep: SweptMap, others: Sequence[SweptMap], agree: float
) -> Float[np.ndarray, "h w"]:
    """From 0 to 1: how well the other maps confirm a point at the pixel where it falls in them."""
    camera = sweep.camera
    h, w = sweep.inverse.shape
    x, y = np.meshgrid(
        (np.arange(w) - camera.cx) / camera.fx, (np.arange(h) - camera.cy) / camera.fy
    )
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    votes = np.zeros((len(others), h, w))
    for k, other in enumerate(others):
        votes[k] = _vote(sweep, rays, other, agree)
    votes.sort(axis=0)
    return votes[-((len(others) + 1) // 2) :].mean(axis=0)


def _vote(sweep: SweptMap, rays: np.ndarray, other: SweptMap, agree: float) -> np.ndarray:
    cv2 = opencv()
    move = second_from_first(sweep.camera, other.camera)
    point = rays @ move[:3, :3].T + sweep.inverse[..., None] * move[:3, 3]
    ahead = point[..., 2] > 1e-6
    z = np.where(ahead, point[..., 2], 1)
    u = (other.camera.fx * point[..., 0] / z + other.camera.cx).astype(np.float32)
    v = (other.camera.fy * point[..., 1] / z + other.camera.cy).astype(np.float32)
    theirs = cv2.remap(
        other.inverse.astype(np.float32), u, v, cv2.INTER_NEAREST, borderValue=float("nan")
    )
    expected = sweep.inverse / z  # inverse depth in the other camera
    apart = np.abs(theirs - expected) / np.maximum(expected, 1e-12)
    return np.where(ahead & np.isfinite(apart), 1 / (1 + (apart / agree) ** 2), 0)


def confidence(
    sweep: SweptMap, confirmed: Float[np.ndarray, "h w"], step: float
) -> Float[np.ndarray, "h w"]:
    """From 0 to 1: a clear minimum that other maps confirm, away from edges, not too far.

    Args:
        sweep: the reference's map.
        confirmed: of :func:`agreement`.
        step: inverse depth that moves a point by one pixel; half of it is what is lost.
    """
    cv2 = opencv()
    clear = cv2.boxFilter((sweep.sure * confirmed).astype(np.float32), -1, _AROUND)
    inverse = sweep.inverse.astype(np.float32)
    kernel = np.ones(_EDGES, np.uint8)
    even = cv2.erode(inverse, kernel) / cv2.dilate(inverse, kernel)
    loss = 0.5 * step / inverse
    return (clear * even / (1 + (loss / _RELATIVE_LOSS) ** 2)) ** 0.7
