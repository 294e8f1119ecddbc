"""Metrics that compare pixel by pixel, or pixel pairs.

Source: Eigen et al. 2014, sec. 4; Uhrig et al. 2017 (KITTI's SILog and inverse errors); Menze and
Geiger 2015 (D1-all); Chen et al., Depth in the Wild, 2016 (ordinal pairs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from leadline.errors import InputError
from leadline.metrics.arrays import check_finite, find_known, to_numpy
from leadline.metrics.pixel_sums import compute_metrics, sum_pixels

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    Map = Float[np.ndarray, "h w"]
    Mask = Bool[np.ndarray, "h w"] | None


class Metric(Protocol):
    """A function of (pred, target, valid) that gives one number."""

    def __call__(self, pred: Map, target: Map, valid: Mask = None) -> float: ...  # noqa: D102


def abs_rel(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean of abs(pred - target) / target."""
    return _compute("abs_rel", pred, target, valid)


def sq_rel(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean of (pred - target)^2 / target; in the maps' unit."""
    return _compute("sq_rel", pred, target, valid)


def rmse(pred: Map, target: Map, valid: Mask = None) -> float:
    """Root of the mean squared error; in the maps' unit."""
    return _compute("rmse", pred, target, valid)


def rmse_log(pred: Map, target: Map, valid: Mask = None) -> float:
    """Root of the mean squared error of the natural logarithms."""
    return _compute("rmse_log", pred, target, valid)


def log10(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean absolute error of the decimal logarithms."""
    return _compute("log10", pred, target, valid)


def silog(pred: Map, target: Map, valid: Mask = None) -> float:
    """100 x the standard deviation of the natural logarithms' error: blind to one factor."""
    return _compute("silog", pred, target, valid)


def sc_inv(pred: Map, target: Map, valid: Mask = None) -> float:
    """Standard deviation of the natural logarithms' error (Eigen's scale-invariant RMSE)."""
    return _compute("sc_inv", pred, target, valid)


def irmse(pred: Map, target: Map, valid: Mask = None) -> float:
    """Root of the mean squared error of inverse depths; in 1/km for maps in metres."""
    return _compute("irmse", pred, target, valid)


def imae(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean absolute error of inverse depths; in 1/km for maps in metres."""
    return _compute("imae", pred, target, valid)


def mae(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean absolute error; in the maps' unit."""
    return _compute("mae", pred, target, valid)


def d1_all(pred: Map, target: Map, valid: Mask = None) -> float:
    """Percentage of stereo disparities that are off by 3 pixels and by 5 % or more.

    Both maps are disparities in pixels; a target of 0 is unknown.
    """
    p, t = _pixels(pred, target, valid, positive=False)
    error = np.abs(p - t)
    return float(100 * np.mean((error >= 3) & (error / t >= 0.05)))


def delta1(pred: Map, target: Map, valid: Mask = None) -> float:
    """Share of pixels with max(pred/target, target/pred) < 1.25."""
    return _compute("delta1", pred, target, valid)


def delta2(pred: Map, target: Map, valid: Mask = None) -> float:
    """Share of pixels with max(pred/target, target/pred) < 1.25^2."""
    return _compute("delta2", pred, target, valid)


def delta3(pred: Map, target: Map, valid: Mask = None) -> float:
    """Share of pixels with max(pred/target, target/pred) < 1.25^3."""
    return _compute("delta3", pred, target, valid)


def ordinal(
    pred: Map,
    target: Map,
    valid: Mask = None,
    *,
    pairs: int = 5000,
    ratio: float = 1.03,
    seed: int = 0,
) -> float:
    """Share of random pixel pairs whose nearer pixel is named correctly; .5 is guessing.

    ``pairs`` pairs of valid pixels are drawn independently and uniformly, with replacement, by
    ``numpy.random.default_rng(seed)``; those whose true depths differ by a factor of ``ratio`` or
    less are left out. A pair is right when ``pred`` orders it as ``target`` does, and half right
    when ``pred`` is equal at both. ``pred`` is a depth: hand in a disparity negated.

    Returns:
        The share, or NaN when no drawn pair differs enough (a flat wall seen straight on).
    """
    p, t = _pixels(pred, target, valid, positive=False)
    first, second = np.random.default_rng(seed).integers(len(t), size=(2, pairs))
    farther, nearer = np.maximum(t[first], t[second]), np.minimum(t[first], t[second])
    counts = farther > ratio * nearer
    if not counts.any():
        return float("nan")
    truth = np.sign(t[first] - t[second])[counts]
    guess = np.sign(p[first] - p[second])[counts]
    return float(np.mean(np.where(guess == 0, 0.5, guess == truth)))


def _compute(name: str, pred: Map, target: Map, valid: Mask) -> float:
    """One of the metrics that follow from sums over pixels."""
    return compute_metrics(sum_pixels(*_pixels(pred, target, valid)))[name]


def _pixels(
    pred: Map, target: Map, valid: Mask, *, positive: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The counting pixels of both maps as float64 vectors."""
    pred, target = to_numpy(pred), to_numpy(target)
    if pred.shape != target.shape or (valid is not None and np.shape(valid) != pred.shape):
        raise InputError(
            f"prediction of shape {pred.shape}, target {target.shape}, valid "
            f"{None if valid is None else np.shape(valid)}: one shape is needed; resize the "
            "prediction to the target."
        )
    keep = find_known(target, valid)
    p, t = pred[keep].astype(np.float64), target[keep].astype(np.float64)
    check_finite(p, positive=positive)
    return p, t
