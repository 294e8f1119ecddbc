"""Angles between predicted and true surface normals.

Source: Fouhey et al., Data-Driven 3D Primitives for Single Image Understanding, ICCV 2013, sec. 5
(mean, median, and the shares within 11.25, 22.5 and 30 degrees).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError
from leadline.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from jaxtyping import Float

THRESHOLDS_DEG = (11.25, 22.5, 30.0)

NORMAL_METRICS = ("mean_deg", "median_deg", "within_11", "within_22", "within_30")
"""What :func:`compare_normals` gives."""


def angular_errors(pred: Any, target: Any, valid: Any = None) -> Float[np.ndarray, " n"]:
    """Degrees between normals, pixel by pixel, where both are known.

    Args:
        pred: (h, w, 3) vectors of any length, numpy or torch; not finite or 0: unknown.
        target: the same of the truth, in the same frame.
        valid: (h, w), where pixels count; None: everywhere.

    Raises:
        InputError: other shapes, or no pixel has both.
    """
    p, t = (to_numpy(array).astype(np.float64) for array in (pred, target))
    if p.ndim != 3 or p.shape[2] != 3 or p.shape != t.shape:
        raise InputError(f"normals of shape {p.shape}, target {t.shape}: (h, w, 3) each is needed.")
    lengths = np.linalg.norm(p, axis=2) * np.linalg.norm(t, axis=2)
    known = np.isfinite(lengths) & (lengths > 0)
    if valid is not None:
        known &= to_numpy(valid).astype(bool)
    if not known.any():
        raise InputError("no pixel has both normals; check the maps and the mask.")
    p, t = p[known], t[known]
    across = np.linalg.norm(np.cross(p, t), axis=1)  # exact for small angles, unlike arccos
    return np.degrees(np.arctan2(across, (p * t).sum(axis=1)))


def compare_normals(pred: Any, target: Any, valid: Any = None) -> dict[str, float]:
    """Mean and median angle in degrees, and the shares of pixels within 11.25, 22.5 and 30.

    Arguments and errors as of :func:`angular_errors`.
    """
    errors = angular_errors(pred, target, valid)
    shares = [float((errors < limit).mean()) for limit in THRESHOLDS_DEG]
    return dict(
        zip(NORMAL_METRICS, (float(errors.mean()), float(np.median(errors)), *shares), strict=True)
    )
