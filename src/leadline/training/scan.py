"""What a laser scanner's errors do to ground truth, for experiments with noisy supervision.

A scanner measures a few rows of points and nothing above a certain height; it stands beside the
camera, so past the edge of a near thing it measures what the camera cannot see (points that *see
through*); and it is never mounted or timed perfectly, so all points land some pixels off. These are
the errors that ``leadline datasets --audit`` counts in real sets.

Source: Uhrig et al., Sparsity Invariant CNNs, 3DV 2017, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from leadline.errors import InputError

_FARTHER = 1.3  # how much farther what is seen through the edge lies, as in the audit


@dataclass(frozen=True, kw_only=True)
class ScanErrors:
    """How a perfect depth map becomes a scan; the defaults change nothing.

    Attributes:
        every_row: only every n-th row is measured.
        share: share of the points of a measured row that come back.
        blind_top: share of the picture's height, from the top, without any point.
        see_through: share of the points on a near thing's edge that show what lies behind it.
        reach_px: how far from the edge, in pixels.
        shift_px: right and down, by which all points are off.
        noise: deviation of a depth, as a share of it.
    """

    every_row: int = 1
    share: float = 1.0
    blind_top: float = 0.0
    see_through: float = 0.0
    reach_px: int = 2
    shift_px: tuple[int, int] = (0, 0)
    noise: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.share, self.blind_top, self.see_through)
        if self.every_row < 1 or self.reach_px < 1 or not all(0 <= each <= 1 for each in shares):
            raise InputError(
                f"every_row={self.every_row}, reach_px={self.reach_px}, share, blind_top and "
                f"see_through={shares}: the first two are at least 1, the others shares of 0 to 1."
            )
        if self.noise < 0:
            raise InputError(f"noise={self.noise}: a deviation is not negative.")


def scanned(depth: np.ndarray, errors: ScanErrors, rng: np.random.Generator) -> np.ndarray:
    """The depth map as a scanner with these errors would give it.

    Args:
        depth: (h, w) metres, 0 where unknown or at the sky.
        errors: how much of which.
        rng: decides which points; the same for the same picture, as a file's errors are.

    Returns:
        (h, w) float32, metres, 0 where nothing was measured.
    """
    depth = np.asarray(depth, np.float32)
    height, width = depth.shape
    made = depth.copy()
    if errors.see_through > 0:
        window = np.ones((3, 2 * errors.reach_px + 1), np.uint8)
        behind = cv2.dilate(depth, window)
        hidden = (depth > 0) & (behind > _FARTHER * depth)
        taken = hidden & (rng.random(depth.shape) < errors.see_through)
        made[taken] = behind[taken]
    if errors.noise > 0:
        spread = rng.standard_normal(depth.shape, dtype=np.float32)
        made *= np.maximum(1 + np.float32(errors.noise) * spread, 0.1)
    right, down = errors.shift_px
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    if right or down:
        made = cv2.warpAffine(made, matrix, (width, height), flags=cv2.INTER_NEAREST)
    kept = rng.random(depth.shape) < errors.share
    kept &= (np.arange(height) % errors.every_row == errors.every_row // 2)[:, None]
    kept[: round(errors.blind_top * height)] = False
    return np.where(kept, made, np.float32(0))
