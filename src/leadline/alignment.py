"""Alignment: the scale and shift that bring a map of unknown scale to known depths.

:func:`scale_and_shift` is the closed form, on numpy or torch arrays with any leading batch axes.
:func:`fit` works in a named space, for one map, plainly or robustly, and gives an
:class:`Alignment` that turns predictions into metres.

Source: Eigen et al. 2014, sec. 3 (scale), Ranftl et al., MiDaS, 2020, sec. 5 and its evaluation
(scale and shift in disparity); Zhou et al., SfMLearner, 2017 (median ratio).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Space = Literal["disparity", "depth", "log"]
"""Where the fit is made: inverse depth, depth, or the logarithm of depth."""

Method = Literal["least_squares", "scale", "median", "lad", "trimmed", "ransac"]
"""How: scale and shift by least squares; a scale alone by least squares or by the ratio of
medians; robustly by least absolute deviations, by least squares on the best 80 %, or by RANSAC.
In ``log`` space ``scale`` and ``median`` fit the shift of the logarithms, which is a factor."""

MIN_DEPTH = 1e-3
"""Metres; aligned depths are never below this."""

_TRIMMED_SHARE = 0.8
_RANSAC_TRIALS = 200


def scale_and_shift(
    pred: Any,
    target: Any,
    valid: Any,
    *,
    singular: Literal["mean", "zero", "identity"] = "mean",
) -> tuple[Any, Any]:
    """Scale s and shift t with the least sum of ``valid * (s * pred + t - target)**2`` per map.

    Args:
        pred: (..., h, w) numpy array or torch tensor.
        target: the same shape.
        valid: (..., h, w) bool mask, or weights >= 0.
        singular: what a map gets whose fit has no unique answer (a constant ``pred``, a single
            pixel): ``mean``: s = 0 and t = the weighted mean of ``target``; ``zero``: both 0, as
            the MiDaS evaluation does; ``identity``: s = 1 and t = 0, as Video Depth Anything does.
            Without any valid pixel the first two give 0 for both.

    Returns:
        s and t, each of shape (...), in double precision, differentiable for tensors.

    Raises:
        UnknownNameError: another word for ``singular``.
    """
    if singular not in ("mean", "zero", "identity"):
        raise UnknownNameError("singular", singular, ("mean", "zero", "identity"))
    weight = _double(valid)
    counts = weight > 0
    pred, target = _keep(_double(pred), counts, 0.0), _keep(_double(target), counts, 0.0)
    total = weight.sum((-2, -1))
    total = _keep(total, total > 0, 1.0)
    mean_p = (weight * pred).sum((-2, -1)) / total
    mean_t = (weight * target).sum((-2, -1)) / total
    centred_p = _keep(pred - mean_p[..., None, None], counts, 0.0)
    centred_t = _keep(target - mean_t[..., None, None], counts, 0.0)
    variance = (weight * centred_p**2).sum((-2, -1)) / total
    covariance = (weight * centred_p * centred_t).sum((-2, -1)) / total
    regular = variance > 1e-14 * (mean_p**2 + 1e-300)
    otherwise = 1.0 if singular == "identity" else 0.0
    scale = _keep(covariance / _keep(variance, regular, 1.0), regular, otherwise)
    shift = mean_t - scale * mean_p
    return scale, shift if singular == "mean" else _keep(shift, regular, 0.0)


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """``scale * x + shift``, where x is the prediction in ``space``.

    In ``disparity`` space predictions are disparities; in ``depth`` and ``log`` space, depths.
    """

    scale: float
    shift: float
    space: Space = "disparity"

    def __post_init__(self) -> None:
        if self.space not in get_args(Space):
            raise UnknownNameError("space", self.space, get_args(Space))

    def apply(
        self,
        pred: Float[np.ndarray, "*shape"],
        *,
        min_depth: float = MIN_DEPTH,
        max_depth: float | None = None,
    ) -> Float[np.ndarray, "*shape"]:
        """Depth in the unit of the target, within [``min_depth``, ``max_depth``].

        A disparity that the fit takes to zero or below is beyond every depth: ``max_depth``, or
        infinite when there is none.
        """
        high = np.inf if max_depth is None else max_depth
        x = np.asarray(pred, dtype=np.float64)
        if self.space == "log":
            x = np.log(np.maximum(x, np.finfo(np.float32).tiny))
        y = self.scale * x + self.shift
        if self.space == "disparity":
            depth = np.divide(1.0, y, out=np.full_like(y, np.inf), where=y > 0)
            depth = np.where(np.isnan(y), np.nan, depth)
        else:
            depth = np.exp(y) if self.space == "log" else y
        return np.clip(depth, min_depth, high).astype(np.float32)


def fit(
    pred: Float[np.ndarray, "h w"],
    target: Float[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"] | None = None,
    *,
    space: Space = "disparity",
    method: Method = "least_squares",
    seed: int = 0,
) -> Alignment:
    """Fit a map to known depths.

    Args:
        pred: disparities when ``space`` is ``disparity``, else depths.
        target: depths; pixels that are not finite or not positive never count.
        valid: which pixels count; default all.
        space: see :data:`Space`.
        method: see :data:`Method`.
        seed: of ``ransac``'s draws.

    Raises:
        InputError: shapes differ, or no pixel counts.
        UnknownNameError: no such space or method.
    """
    for what, name, options in (("space", space, Space), ("method", method, Method)):
        if name not in get_args(options):
            raise UnknownNameError(what, name, get_args(options))
    pred, target = np.asarray(pred, np.float64), np.asarray(target, np.float64)
    if pred.shape != target.shape or (valid is not None and np.shape(valid) != pred.shape):
        raise InputError(
            f"prediction of shape {pred.shape}, target {target.shape}, valid "
            f"{None if valid is None else np.shape(valid)}: one shape is needed; resize first."
        )
    keep = np.isfinite(pred) & np.isfinite(target) & (target > 0)
    if space == "log":
        keep &= pred > 0
    if valid is not None:
        keep &= np.asarray(valid, dtype=bool)
    if not keep.any():
        raise InputError(
            "no pixel has both a prediction and a known depth; scale and shift cannot be fitted. "
            "Check the mask and the target's unit."
        )
    x, y = pred[keep], target[keep]
    if space == "disparity":
        y = 1 / y
    elif space == "log":
        x, y = np.log(x), np.log(y)
    scale, shift = _solve(x, y, method, space == "log", seed)
    return Alignment(scale=scale, shift=shift, space=space)


def _solve(
    x: np.ndarray, y: np.ndarray, method: Method, logarithmic: bool, seed: int
) -> tuple[float, float]:
    if method == "least_squares":
        return _line(x, y, np.ones_like(x))
    if method == "lad":
        return _least_absolute(x, y)
    if method == "trimmed":
        return _trimmed(x, y)
    if method == "ransac":
        return _ransac(x, y, np.random.default_rng(seed))
    if logarithmic:
        difference = y - x
        return 1.0, float(np.median(difference) if method == "median" else difference.mean())
    if method == "median":
        return _ratio(np.median(y), np.median(x)), 0.0
    return _ratio((x * y).sum(), (x * x).sum()), 0.0


def _line(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    scale, shift = scale_and_shift(x[None], y[None], weight[None])
    return float(scale), float(shift)


def _ratio(above: float, below: float) -> float:
    if below == 0:
        raise InputError(
            "the prediction's median or energy is 0, so no scale takes it to the target; use "
            "method='least_squares'."
        )
    return float(above / below)


def _least_absolute(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least absolute deviations by iteratively reweighted least squares."""
    scale, shift = _line(x, y, np.ones_like(x))
    floor = 1e-6 * (np.abs(y).max() + 1e-12)
    for _ in range(100):
        weight = 1 / np.maximum(np.abs(scale * x + shift - y), floor)
        new = _line(x, y, weight)
        change = abs(new[0] - scale) * np.abs(x).max() + abs(new[1] - shift)
        scale, shift = new
        if change < floor:
            break
    return scale, shift


def _trimmed(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least squares on the 80 % of the pixels with the smallest residuals, until they settle."""
    scale, shift = _least_absolute(x, y)
    count = max(2, int(np.ceil(_TRIMMED_SHARE * len(x))))
    for _ in range(20):
        best = np.argsort(np.abs(scale * x + shift - y), kind="stable")[:count]
        new = _line(x[best], y[best], np.ones(len(best)))
        if new == (scale, shift):
            break
        scale, shift = new
    return scale, shift


def _ransac(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The line through two pixels with the most inliers, refitted to them.

    A residual below half the median absolute deviation of ``y`` makes an inlier.
    """
    tolerance = 0.5 * np.median(np.abs(y - np.median(y)))
    best, most = np.ones(len(x), dtype=bool), -1
    for _ in range(_RANSAC_TRIALS):
        i, j = rng.integers(len(x), size=2)
        if x[i] == x[j]:
            continue
        scale = (y[i] - y[j]) / (x[i] - x[j])
        inliers = np.abs(scale * (x - x[i]) + y[i] - y) <= tolerance
        if (count := int(inliers.sum())) > most:
            best, most = inliers, count
    return _line(x[best], y[best], np.ones(int(best.sum())))


# --- numpy or torch -----------------------------------------------------------------------------


def _double(array: Any) -> Any:
    return array.double() if _is_torch(array) else np.asarray(array, dtype=np.float64)


def _keep(array: Any, where: Any, otherwise: float) -> Any:
    """``array`` where the mask holds, a number elsewhere; no gradient flows there."""
    if _is_torch(array):
        return array.masked_fill(~where, otherwise)
    return np.where(where, array, otherwise)


def _is_torch(array: Any) -> bool:
    return type(array).__module__.partition(".")[0] == "torch"
