"""Sums over pixels, from which every pixelwise metric follows; sums of parts add up to the whole.

Source: Eigen et al. 2014, sec. 4; Uhrig et al. 2017 (KITTI's SILog and inverse errors).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jaxtyping import Float

FIELDS = (
    *("count", "abs_rel", "sq_rel", "square", "absolute", "log_square", "log", "log_absolute"),
    *("within1", "within2", "within3", "inverse_square", "inverse_absolute"),
)
"""What is summed, in this order."""

RatioType = Literal["float64", "float32"]
"""Precision of max(pred/target, target/pred): in float32 a ratio may round up to a threshold that
it stays below in float64, and then it no longer counts as below."""

_BLOCK = 2048

METRICS = (
    *("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "sc_inv", "delta1", "delta2"),
    *("delta3", "irmse", "imae", "mae"),
)
"""What :func:`compute_metrics` gives."""


def sum_pixels(
    pred: Float[np.ndarray, " n"],
    target: Float[np.ndarray, " n"],
    ratio_type: RatioType = "float64",
) -> Float[np.ndarray, " 13"]:
    """Sum over pixels with positive depths, in float64, in the order of :data:`FIELDS`.

    Args:
        pred: depths; a 0 gives the infinities that the formulas give.
        target: depths in the same unit.
        ratio_type: see :data:`RatioType`.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _terms(pred, target, ratio_type).sum(1)


def sum_bins(
    pred: Float[np.ndarray, " n"],
    target: Float[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    edges: Sequence[float],
    ratio_type: RatioType = "float64",
) -> Float[np.ndarray, "bins 13"]:
    """Do :func:`sum_pixels` for every bin, in one pass.

    Args:
        pred: positive, finite depths.
        target: positive, finite depths in the same unit.
        values: the quantity that decides on the bin.
        edges: ascending; a value at an edge belongs to the bin above it.
        ratio_type: see :data:`RatioType`.
    """
    terms, count = _terms(pred, target, ratio_type), len(values)
    members = np.ones((len(edges) + 1, count))
    for row, edge in enumerate(edges, 1):
        members[row] = values >= edge
        members[row - 1] -= members[row]
    # Larger products would start the threads of numpy's BLAS, which compete with ours.
    sums = np.zeros((len(members), len(FIELDS)))
    for start in range(0, count, _BLOCK):
        part = np.s_[:, start : start + _BLOCK]
        sums += members[part] @ terms[part].T
    return sums


def larger_ratio(
    pred: Float[np.ndarray, " n"], target: Float[np.ndarray, " n"], ratio_type: RatioType
) -> Float[np.ndarray, " n"]:
    """max(pred/target, target/pred), computed in ``ratio_type``."""
    p, t = pred.astype(ratio_type, copy=False), target.astype(ratio_type, copy=False)
    return np.maximum(p / t, t / p)


def _terms(
    pred: np.ndarray, target: np.ndarray, ratio_type: RatioType
) -> Float[np.ndarray, "13 n"]:
    """What is summed, for every pixel."""
    terms = np.empty((len(FIELDS), len(target)))
    terms[0] = 1
    difference = np.subtract(pred, target)
    absolute = np.abs(difference, out=terms[4])
    np.divide(absolute, target, out=terms[1])
    np.multiply(difference, difference, out=terms[3])
    np.divide(terms[3], target, out=terms[2])
    logarithm = np.log(pred / target, out=terms[6])
    np.multiply(logarithm, logarithm, out=terms[5])
    np.abs(logarithm, out=terms[7])
    ratio = larger_ratio(pred, target, ratio_type)
    for row, power in ((8, 1), (9, 2), (10, 3)):
        terms[row] = ratio < 1.25**power
    inverse = np.subtract(1 / pred, 1 / target)
    np.multiply(inverse, inverse, out=terms[11])
    np.abs(inverse, out=terms[12])
    return terms


def compute_metrics(
    sums: Float[np.ndarray, " 13"], *, silog_focus: float = 1.0, silog_factor: float = 100.0
) -> dict[str, float]:
    """Compute every pixelwise metric from sums; NaN when no pixel was counted.

    Args:
        sums: from :func:`sum_pixels`, or the sum of several.
        silog_focus: lambda of silog = factor * sqrt(mean(e^2) - lambda * mean(e)^2).
        silog_factor: the factor.
    """
    n = sums[0]
    if not n:
        return dict.fromkeys(METRICS, float("nan"))
    with np.errstate(invalid="ignore"):
        mean = dict(zip(FIELDS, (sums / n).tolist(), strict=True))
    variance = mean["log_square"] - mean["log"] ** 2
    focused = mean["log_square"] - silog_focus * mean["log"] ** 2
    return {
        "abs_rel": mean["abs_rel"],
        "sq_rel": mean["sq_rel"],
        "rmse": math.sqrt(mean["square"]),
        "rmse_log": math.sqrt(mean["log_square"]),
        "log10": mean["log_absolute"] / math.log(10),
        "silog": silog_factor * _root(focused),
        "sc_inv": _root(variance),
        "delta1": mean["within1"],
        "delta2": mean["within2"],
        "delta3": mean["within3"],
        "irmse": 1000 * math.sqrt(mean["inverse_square"]),
        "imae": 1000 * mean["inverse_absolute"],
        "mae": mean["absolute"],
    }


def add_sums(parts: Iterable[Float[np.ndarray, " 13"]]) -> Float[np.ndarray, " 13"]:
    """Add sums exactly; the result is the same in any order."""
    rows = list(parts)
    if not rows:
        return np.zeros(len(FIELDS))
    return np.array([math.fsum(column) for column in zip(*rows, strict=True)])


def _root(value: float) -> float:
    return math.sqrt(value) if not value < 0 else 0.0
