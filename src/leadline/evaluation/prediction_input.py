"""The input of a protocol: a prediction's numbers, and whether the protocol may compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leadline.errors import KindError
from leadline.evaluation.protocol import Quantity, real_map
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

Align = Literal["none", "median", "disparity"]
"""``none``: as given; ``median``: times median(target) / median(prediction) over the pixels that
count, before the clamp; ``disparity``: scale and shift by least squares against 1 / target."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionInput:
    """A prediction as numbers.

    Attributes:
        values: (h, w).
        quantity: what they are; a disparity in 1/m where nothing is aligned.
        factor: on depths, before any alignment.
        has_valid_mask: the prediction says itself where it has no value: a NaN is no failure.
    """

    values: np.ndarray
    quantity: Quantity
    factor: float = 1.0
    has_valid_mask: bool = False


def read_input(
    pred: Any,
    *,
    protocol: str,
    align: Align,
    quantity: Quantity,
    factor: float,
    baseline_m: float | None = None,
) -> PredictionInput:
    """Read a prediction of any sort as numbers.

    Args:
        pred: array, tensor or Prediction.
        protocol: its name, for messages.
        align: how the protocol aligns.
        quantity: what an array holds; a Prediction says so itself.
        factor: on depths of unknown unit; metres need none.
        baseline_m: metres between the cameras, for a Prediction of pixel disparity.

    Raises:
        KindError: a Prediction of a kind that this alignment cannot compare.
    """
    if not isinstance(pred, Prediction):
        return PredictionInput(
            values=real_map(pred, "prediction"), quantity=quantity, factor=factor
        )
    if pred.kind is DepthKind.SCALED_DISPARITY:
        pred = pred.to_depth()
    values = pred.values if pred.valid is None else np.where(pred.valid, pred.values, np.nan)
    metric = pred.kind.is_metric
    if pred.kind is DepthKind.PIXEL_DISPARITY and pred.camera and baseline_m:
        values, metric = values / np.float32(pred.camera.fx * baseline_m), True
    scaled = pred.kind is DepthKind.SCALED_DEPTH
    if not (metric or pred.kind in _FITTED[align] or (scaled and factor != 1)):
        raise KindError(
            f"{pred.kind} cannot be compared by {protocol}, which aligns "
            f"{'nothing' if align == 'none' else 'by ' + align}; {_REPAIR[pred.kind]}"
        )
    return PredictionInput(
        values=values,
        quantity="disparity" if pred.kind.larger_is_nearer else "depth",
        factor=factor if scaled else 1.0,
        has_valid_mask=pred.valid is not None,
    )


_FITTED: Mapping[Align, tuple[DepthKind, ...]] = {
    "none": (),
    "median": (DepthKind.SCALED_DEPTH,),
    "disparity": (
        DepthKind.SCALED_DEPTH,
        DepthKind.AFFINE_DISPARITY,
        DepthKind.PIXEL_DISPARITY,
    ),
}
"""Kinds besides metres that each alignment brings to metres."""

_REPAIR = {
    DepthKind.SCALED_DEPTH: "take the protocol whose name ends in -median, which finds the scale.",
    DepthKind.AFFINE_DEPTH: "take a model of metric_depth, or, in Python, "
    "prediction.aligned_to(depth_m) first.",
    DepthKind.AFFINE_DISPARITY: "take --protocol midas-zero-shot or "
    "depth-anything-zero-shot, which find scale and shift.",
    DepthKind.PIXEL_DISPARITY: "take --protocol kitti-stereo-2015; or metres, with `leadline "
    "stereo --focal-px F --baseline-m B` (in Python prediction.to_depth(baseline_m=...)).",
}
