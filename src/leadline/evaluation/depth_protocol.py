"""Protocols for depth maps.

Source: each protocol's own, see :mod:`leadline.evaluation.protocols`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from leadline.alignment import scale_and_shift
from leadline.errors import InputError, UnknownNameError
from leadline.evaluation.crops import CROPS, Framing, crop_picture, crop_to_frame
from leadline.evaluation.prediction_input import Align, PredictionInput, read_input
from leadline.evaluation.protocol import BINS, STANDARD, MapScore, Protocol, Quantity, real_map
from leadline.evaluation.sampling import Resize, sample
from leadline.evaluation.target_range import Mask, TargetRange
from leadline.metrics import METRICS, ordinal
from leadline.metrics.pixel_sums import METRICS as SUMMED
from leadline.metrics.pixel_sums import (
    RatioType,
    compute_metrics,
    larger_ratio,
    sum_bins,
    sum_pixels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float

    from leadline.image import Image

Clamp = Literal["both", "upper", "none"]
"""What is done to depths out of range: ``both`` ends, the ``upper``, or ``none``."""

ResizedAs = Literal["given", "disparity"]
"""What is interpolated: the map as it is ``given``, or its ``disparity``."""

WHOLE_MAP = ("edge_accuracy", "edge_completeness", "boundary_f1")
"""Metrics that need neighbours."""


@dataclass(frozen=True, kw_only=True)
class DepthProtocol(Protocol):
    """A protocol for depth maps.

    Attributes:
        quantity: what arrays hold unless the caller says otherwise.
        min_depth, max_depth: metres; range of the targets that count and of the clamp.
        cap_from_data: :func:`evaluate` takes the data set's cap in place of ``max_depth``.
        mask: see :data:`leadline.evaluation.target_range.Mask`.
        crop: a name of :data:`leadline.evaluation.crops.CROPS`.
        frame: see :data:`leadline.evaluation.crops.Framing`.
        resize: how a prediction of another size is brought to the target's.
        resized_as: see :data:`ResizedAs`.
        align: see :data:`leadline.evaluation.prediction_input.Align`.
        factor: on depths of unknown unit, before everything else.
        singular: what a map gets that fits no line (a constant one): the ``mean`` disparity, or
            ``zero``, which is the cap.
        clamp: see :data:`Clamp`.
        nan_is_min: a NaN becomes ``min_depth`` as in the original; otherwise it is refused.
        metrics: what is reported.
        swapped: the original hands prediction and target over in the wrong order.
        units_per_metre: of the numbers in the original.
        silog_focus, silog_factor: silog = factor * sqrt(mean(e^2) - focus * mean(e)^2).
        decimal_rmse_log: rmse_log is of decimal logarithms.
        ratio_type: see :data:`leadline.metrics.pixel_sums.RatioType`; the original's, or float64
            where no original program is published.
        min_pixels: fewer counting pixels are refused.
    """

    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Protocol.WORDS,
        "quantity": get_args(Quantity),
        "mask": get_args(Mask),
        "crop": tuple(CROPS),
        "frame": get_args(Framing),
        "resize": get_args(Resize),
        "resized_as": get_args(ResizedAs),
        "align": get_args(Align),
        "singular": ("mean", "zero"),
        "clamp": get_args(Clamp),
        "ratio_type": get_args(RatioType),
    }

    quantity: Quantity = "depth"
    min_depth: float = 1e-3
    max_depth: float = 80.0
    cap_from_data: bool = False
    mask: Mask = "between"
    crop: str = "everything"
    frame: Framing = "full"
    resize: Resize = "corners"
    resized_as: ResizedAs = "given"
    align: Align = "none"
    factor: float = 1.0
    singular: Literal["mean", "zero"] = "mean"
    clamp: Clamp = "both"
    nan_is_min: bool = False
    metrics: tuple[str, ...] = STANDARD
    swapped: bool = False
    units_per_metre: float = 1.0
    silog_focus: float = 1.0
    silog_factor: float = 100.0
    decimal_rmse_log: bool = False
    ratio_type: RatioType = "float64"
    min_pixels: int = 1

    def with_cap(self, max_depth: float) -> DepthProtocol:
        """The same protocol with another cap, in metres."""
        return replace(self, max_depth=max_depth)

    def view(self, image: Image) -> Image:
        """The benchmark crop, where the original's networks see that; else the whole picture."""
        return crop_picture(image, self.frame)

    def measure(
        self,
        pred: Any,
        target: Any,
        valid: Any = None,
        *,
        quantity: Quantity | None = None,
        align: Align | None = None,
        baseline_m: float | None = None,
        metrics: Sequence[str] | None = None,
    ) -> MapScore:
        """Score one map.

        Args:
            pred: depth, or what ``quantity`` says. What a Prediction calls not valid is left out,
                and ``coverage`` says how much; a NaN elsewhere is a failure.
            target: metres; 0 or not finite = unknown.
            valid: which target pixels may count.
            quantity: ``depth`` or ``disparity``; default: the Prediction's kind, or the protocol's.
            align: in place of the protocol's.
            baseline_m: metres between the cameras, for a Prediction of pixel disparity.
            metrics: in place of the protocol's; any of :data:`leadline.metrics.METRICS`.
        """
        align = align or self.align
        one, truth, mask = self._prepare(pred, target, valid, quantity, align, baseline_m)
        counting = self._select_pixels(one.values, truth, mask)
        raw, pixels = self._sample(one, truth.shape, counting)
        t = truth.reshape(-1).take(pixels).astype(np.float64)
        p, scale, shift = self._to_metres(raw, t, one, align)
        sums, bins = self._sum(p, t)
        names = self.metrics if metrics is None else tuple(metrics)
        found = self.compute_metrics(sums)
        found |= self._compute_others(names, p, t, pixels, truth.shape)
        return MapScore(
            metrics={name: found[name] for name in names} | {"pixels": float(len(pixels))},
            sums=sums,
            bins=bins,
            scale=scale,
            shift=shift,
            coverage=len(pixels) / len(counting),
        )

    def compute_metrics(self, sums: Float[np.ndarray, " 13"]) -> dict[str, float]:
        """The pixelwise metrics of sums, in this protocol's definitions."""
        found = compute_metrics(sums, silog_focus=self.silog_focus, silog_factor=self.silog_factor)
        if self.decimal_rmse_log:
            found["rmse_log"] /= float(np.log(10))
        if self.units_per_metre != 1:  # inverse errors are per unit then, not per kilometre
            found["irmse"] /= 1000
            found["imae"] /= 1000
        return found

    def align_maps(
        self,
        pred: Any,
        target: Any,
        valid: Any = None,
        *,
        quantity: Quantity | None = None,
        baseline_m: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The whole maps as they are compared: prediction, target and which pixels count.

        For pictures and for metrics of edges; sizes are the target's after the frame's crop.
        """
        one, truth, mask = self._prepare(pred, target, valid, quantity, self.align, baseline_m)
        raw, pixels = self._sample(one, truth.shape, self._select_pixels(one.values, truth, mask))
        t = truth.reshape(-1).take(pixels).astype(np.float64)
        _, scale, shift = self._to_metres(raw, t, one, self.align)
        everywhere = sample(one.values, truth.shape, np.arange(truth.size), self.resize)
        with np.errstate(all="ignore"):
            depth = self._clamp(self._apply_fit(everywhere, one, self.align, scale, shift))
        counts = np.zeros(truth.size, dtype=bool)
        counts[pixels] = True
        return depth.reshape(truth.shape), truth, counts.reshape(truth.shape)

    # --- the steps ------------------------------------------------------------------------------

    def _prepare(
        self,
        pred: Any,
        target: Any,
        valid: Any,
        quantity: Quantity | None,
        align: Align,
        baseline_m: float | None,
    ) -> tuple[PredictionInput, np.ndarray, np.ndarray | None]:
        """Prediction, target and mask over the same part of the picture."""
        for what, word in (("quantity", quantity or self.quantity), ("align", align)):
            if word not in self.WORDS[what]:
                raise UnknownNameError(what, word, self.WORDS[what])
        one = read_input(
            pred,
            protocol=self.name,
            align=align,
            quantity=quantity or self.quantity,
            factor=self.factor,
            baseline_m=baseline_m,
        )
        truth = real_map(target, "target")
        mask = None if valid is None else real_map(valid, "valid")
        if mask is not None and mask.shape != truth.shape:
            raise InputError(
                f"valid of shape {mask.shape} for a target of {truth.shape}: one shape is needed."
            )
        values, truth, mask = crop_to_frame(one.values, truth, mask, self.frame, self.name)
        held = one.quantity
        if self.resized_as == "disparity" and held == "depth" and values.shape != truth.shape:
            values = 1 / np.maximum(values, np.finfo(np.float32).tiny)
            held = "disparity"
        return replace(one, values=values, quantity=held), truth, mask

    def _select_pixels(
        self, pred: np.ndarray, truth: np.ndarray, mask: np.ndarray | None
    ) -> np.ndarray:
        """Flat numbers of the pixels that count."""
        counting = TargetRange(
            protocol=self.name,
            mask=self.mask,
            min_depth=self.min_depth,
            max_depth=self.max_depth,
            crop=self.crop,
        )
        pixels = counting.select(truth, pred)
        if mask is not None:
            pixels = pixels[mask.reshape(-1)[pixels] != 0]
        if len(pixels) < self.min_pixels:
            raise InputError(
                f"{len(pixels)} pixels have a depth that {self.name} counts (it needs "
                f"{self.min_pixels}); check the target's unit, the mask and the crop."
            )
        return pixels

    def _sample(
        self, one: PredictionInput, size: tuple[int, ...], counting: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The prediction at the counting pixels, and those of them where it has a value."""
        raw = sample(one.values, size, counting, self.resize)
        if not np.isnan(raw.min()) or (self.nan_is_min and not one.has_valid_mask):
            return raw, counting
        known = ~np.isnan(raw)
        if not one.has_valid_mask:
            raise InputError(
                f"the prediction is NaN at {len(raw) - known.sum()} of {len(raw)} pixels that "
                f"{self.name} counts; a number is needed at each, so fill them first."
            )
        if known.sum() < self.min_pixels:
            raise InputError(
                f"the prediction has no value at {len(raw) - known.sum()} of {len(raw)} pixels "
                f"that {self.name} counts (it needs {self.min_pixels}); take a protocol that "
                "counts what the network sees."
            )
        return raw[known], counting[known]

    def _to_metres(
        self, raw: np.ndarray, t: np.ndarray, one: PredictionInput, align: Align
    ) -> tuple[np.ndarray, float, float]:
        """Depths at the counting pixels as they are compared, with their scale and shift."""
        scale, shift = self._fit(raw, t, one, align)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = self._apply_fit(raw, one, align, scale, shift)
        depth = self._clamp(depth)
        if self.mask != "either" and not (depth.min() > 0 and depth.max() < np.inf):
            raise InputError(
                "the prediction holds depths that are not finite or not positive at "
                f"{np.count_nonzero(~(np.isfinite(depth) & (depth > 0)))} of {len(depth)} pixels "
                f"that {self.name} counts, and it clamps nothing there; clamp them first."
            )
        return depth, scale, shift

    def _fit(
        self, raw: np.ndarray, t: np.ndarray, one: PredictionInput, align: Align
    ) -> tuple[float, float]:
        if align == "none":
            return 1.0, 0.0
        with np.errstate(divide="ignore"):
            if align == "disparity":
                x = raw if one.quantity == "disparity" else 1 / raw
                if not np.isfinite(x).all():
                    raise InputError(
                        f"the prediction is 0 or infinite at some pixels that {self.name} counts, "
                        "so no scale and shift can be fitted; give finite values."
                    )
                all_ = np.ones((1, len(x)))
                scale, shift = scale_and_shift(x[None], 1 / t[None], all_, singular=self.singular)
                return float(scale), float(shift)
            depth = 1 / raw if one.quantity == "disparity" else raw
        middle = float(np.median(depth)) * one.factor
        if not (np.isfinite(middle) and middle > 0):
            raise InputError(
                f"the prediction's median is {middle}, so it cannot be scaled to the target's; "
                "positive depths are needed."
            )
        return float(np.median(t)) / middle, 0.0

    def _apply_fit(
        self, raw: np.ndarray, one: PredictionInput, align: Align, scale: float, shift: float
    ) -> np.ndarray:
        if align == "disparity":
            disparity = scale * (raw if one.quantity == "disparity" else 1 / raw) + shift
            return 1 / np.maximum(disparity, 1 / self.max_depth)
        depth = 1 / raw if one.quantity == "disparity" else raw
        return depth if one.factor * scale == 1 else depth * (one.factor * scale)

    def _clamp(self, depth: np.ndarray) -> np.ndarray:
        if self.clamp == "none":
            return depth
        low = self.min_depth if self.clamp == "both" else -np.inf
        depth = np.clip(depth, low, self.max_depth)
        return np.where(np.isnan(depth), self.min_depth, depth) if self.nan_is_min else depth

    def _sum(self, p: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Sums over all pixels, and near, mid and far."""
        scale = self.units_per_metre
        first, second = (t, p) if self.swapped else (p, t)
        if scale != 1:
            first, second = first * scale, second * scale
        if self.mask == "either":  # infinities: there is no bin for a truth of 0
            return sum_pixels(first, second, self.ratio_type), {}
        rows = sum_bins(first, second, t, (self.max_depth / 4, self.max_depth / 2), self.ratio_type)
        return rows.sum(0), dict(zip(BINS, rows, strict=True))

    def _compute_others(
        self,
        names: Sequence[str],
        p: np.ndarray,
        t: np.ndarray,
        pixels: np.ndarray,
        size: tuple[int, ...],
    ) -> dict[str, float]:
        """The metrics that no sum gives."""
        found = {}
        for name in names:
            if name == "ordinal":
                found[name] = ordinal(p, t)
            elif name == "bad_pixel_percent":
                found[name] = float(100 * np.mean(larger_ratio(p, t, self.ratio_type) > 1.25))
            elif name in WHOLE_MAP:
                maps = np.zeros((2, *size))
                for row, values in zip(maps, (p, t), strict=True):
                    row.reshape(-1)[pixels] = values
                found[name] = METRICS[name](maps[0], maps[1])
            elif name not in SUMMED:
                raise UnknownNameError("metric", name, METRICS)
        return found
