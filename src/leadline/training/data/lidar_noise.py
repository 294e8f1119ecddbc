"""What a laser scanner's errors do to ground truth, for experiments with noisy supervision.

A scanner measures a few rows of points and nothing above a certain height; it stands beside the
camera, so past the edge of a near thing it measures what the camera cannot see (points that *see
through*); and it is never mounted or timed perfectly, so all points land some pixels off. These are
the errors that ``leadline datasets --audit`` counts in real sets.

Source: Uhrig et al., Sparsity Invariant CNNs, 3DV 2017, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from leadline.training.options import LidarNoise

_FARTHER = 1.3  # how much farther what is seen through the edge lies, as in the audit


def simulate_scan(depth: np.ndarray, noise: LidarNoise, rng: np.random.Generator) -> np.ndarray:
    """The depth map as a scanner with these errors would give it.

    Args:
        depth: (h, w) metres, 0 where unknown or at the sky.
        noise: how much of which error.
        rng: decides which points; the same for the same picture, as a file's errors are.

    Returns:
        (h, w) float32, metres, 0 where nothing was measured.
    """
    depth = np.asarray(depth, np.float32)
    height, width = depth.shape
    made = depth.copy()
    if noise.see_through > 0:
        window = np.ones((3, 2 * noise.reach_px + 1), np.uint8)
        behind = cv2.dilate(depth, window)
        hidden = (depth > 0) & (behind > _FARTHER * depth)
        taken = hidden & (rng.random(depth.shape) < noise.see_through)
        made[taken] = behind[taken]
    if noise.noise > 0:
        spread = rng.standard_normal(depth.shape, dtype=np.float32)
        made *= np.maximum(1 + np.float32(noise.noise) * spread, 0.1)
    right, down = noise.shift_px
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    if right or down:
        made = cv2.warpAffine(made, matrix, (width, height), flags=cv2.INTER_NEAREST)
    kept = rng.random(depth.shape) < noise.share
    kept &= (np.arange(height) % noise.every_row == noise.every_row // 2)[:, None]
    kept[: round(noise.blind_top * height)] = False
    return np.where(kept, made, np.float32(0))
