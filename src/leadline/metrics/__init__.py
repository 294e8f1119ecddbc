"""Metrics: how far a predicted depth map is from the truth. Pure functions, one number each.

Every function takes ``(pred, target, valid)``: numpy arrays or torch tensors of one shape, depths
in one unit, and a bool mask (None = all). Pixels whose target is not finite and positive never
count. What a protocol does around them (crop, cap, alignment, averaging) is in
:mod:`leadline.evaluation.protocols`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from leadline.metrics.edges import (
    boundary_f1,
    boundary_recall,
    edge_accuracy,
    edge_completeness,
)
from leadline.metrics.normals import NORMAL_METRICS, angular_errors, compare_normals
from leadline.metrics.pixelwise import (
    Metric,
    abs_rel,
    d1_all,
    delta1,
    delta2,
    delta3,
    imae,
    irmse,
    log10,
    mae,
    ordinal,
    rmse,
    rmse_log,
    sc_inv,
    silog,
    sq_rel,
)
from leadline.metrics.temporal import mean_change, temporal_alignment_error, warping_error

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "abs_rel": abs_rel,
        "sq_rel": sq_rel,
        "mae": mae,
        "rmse": rmse,
        "rmse_log": rmse_log,
        "log10": log10,
        "silog": silog,
        "sc_inv": sc_inv,
        "delta1": delta1,
        "delta2": delta2,
        "delta3": delta3,
        "irmse": irmse,
        "imae": imae,
        "ordinal": ordinal,
        "edge_accuracy": edge_accuracy,
        "edge_completeness": edge_completeness,
        "boundary_f1": boundary_f1,
    }
)
"""Every metric of depth by name. ``d1_all`` measures stereo disparities and ``boundary_recall``
compares with a foreground mask, so both stand apart."""

LARGER_IS_BETTER = frozenset(
    {"delta1", "delta2", "delta3", "ordinal", "boundary_f1", "within_11", "within_22", "within_30"}
)
"""Metrics of which more is better; of all others less is."""

__all__ = [
    "LARGER_IS_BETTER",
    "METRICS",
    "NORMAL_METRICS",
    "Metric",
    "abs_rel",
    "angular_errors",
    "boundary_f1",
    "boundary_recall",
    "compare_normals",
    "d1_all",
    "delta1",
    "delta2",
    "delta3",
    "edge_accuracy",
    "edge_completeness",
    "imae",
    "irmse",
    "log10",
    "mae",
    "mean_change",
    "ordinal",
    "rmse",
    "rmse_log",
    "sc_inv",
    "silog",
    "sq_rel",
    "temporal_alignment_error",
    "warping_error",
]
