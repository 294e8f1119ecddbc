"""The protocol for surface normals.

Source: Fouhey et al., Data-Driven 3D Primitives for Single Image Understanding, ICCV 2013, sec. 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.evaluation.protocol import MapScore, Protocol
from leadline.metrics.normals import NORMAL_METRICS, THRESHOLDS_DEG, angular_errors
from leadline.metrics.pixel_sums import FIELDS
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from jaxtyping import Float

_WITHIN = ("within1", "within2", "within3")


@dataclass(frozen=True, kw_only=True)
class NormalProtocol(Protocol):
    """Angles between normals: those that the model predicts, else those of its depth."""

    def measure(self, pred: Any, target: Any, valid: Any = None) -> MapScore:
        """Score one map.

        Args:
            pred: a Prediction (of metric or scaled depth with a camera, unless it holds normals),
                or normals (h, w, 3) in the camera's frame.
            target: the true normals, (h, w, 3).
            valid: (h, w), where pixels count.

        Raises:
            KindError: a map whose kind gives no normals.
            InputError: no camera, other shapes, or no pixel to compare.
        """
        if isinstance(pred, Prediction):
            pred = pred.surface_normals()
        errors = angular_errors(pred, target, valid)
        sums = np.zeros(len(FIELDS))
        sums[FIELDS.index("count")] = len(errors)
        sums[FIELDS.index("absolute")] = errors.sum()
        for name, limit in zip(_WITHIN, THRESHOLDS_DEG, strict=True):
            sums[FIELDS.index(name)] = np.count_nonzero(errors < limit)
        found = self.compute_metrics(sums) | {"median_deg": float(np.median(errors))}
        there = np.linalg.norm(np.asarray(target, dtype=np.float64), axis=2)
        counting = np.isfinite(there) & (there > 0)
        if valid is not None:
            counting &= np.asarray(valid, dtype=bool)
        metrics = {name: found[name] for name in NORMAL_METRICS}
        return MapScore(
            metrics=metrics | {"pixels": float(len(errors))},
            sums=sums,
            coverage=len(errors) / max(int(counting.sum()), 1),
        )

    def compute_metrics(self, sums: Float[np.ndarray, " 13"]) -> dict[str, float]:
        """Mean angle in degrees and shares within the limits; no sum gives the median."""
        count = sums[FIELDS.index("count")]
        means = {name: float(sums[FIELDS.index(name)] / count) for name in ("absolute", *_WITHIN)}
        mean, *shares = means.values()
        names = [name for name in NORMAL_METRICS if name != "median_deg"]
        return dict(zip(names, (mean, *shares), strict=True))
