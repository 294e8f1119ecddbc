"""What a protocol is given: the numbers of a prediction, and whether it may compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leadline.errors import KindError
from leadline.evaluation.protocol import Given, real_map
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

Align = Literal["none", "median", "disparity"]
"""``none``: as given; ``median``: times median(target) / median(prediction) over the pixels that
count, before the clamp; ``disparity``: scale and shift by least squares against 1 / target."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenMap:
    """A prediction as numbers.

    Attributes:
        values: (h, w).
        holds: what they are; a disparity in 1/m where nothing is aligned.
        factor: on depths, before any alignment.
        knows_holes: NaN says that the prediction tells nothing there, and is no failure of it.
    """

    values: np.ndarray
    holds: Given
    factor: float = 1.0
    knows_holes: bool = False


def given_map(
    pred: Any,
    *,
    protocol: str,
    align: Align,
    holds: Given,
    factor: float,
    baseline_m: float | None = None,
) -> GivenMap:
    """A prediction of any sort as numbers.

    Args:
        pred: array, tensor or Prediction.
        protocol: its name, for messages.
        align: how the protocol aligns.
        holds: what an array holds; a Prediction tells itself.
        factor: on depths of unknown unit; metres need none.
        baseline_m: metres between the eyes, for a Prediction of pixel disparity.

    Raises:
        KindError: a Prediction of a kind that cannot be compared so.
    """
    if not isinstance(pred, Prediction):
        return GivenMap(values=real_map(pred, "prediction"), holds=holds, factor=factor)
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
    return GivenMap(
        values=values,
        holds="disparity" if pred.kind.larger_is_nearer else "depth",
        factor=factor if scaled else 1.0,
        knows_holes=pred.valid is not None,
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
    DepthKind.AFFINE_DEPTH: "align it first: prediction.aligned_to(depth_m).",
    DepthKind.AFFINE_DISPARITY: "take midas-zero-shot or depth-anything-zero-shot, which find "
    "scale and shift, or prediction.aligned_to(depth_m).",
    DepthKind.PIXEL_DISPARITY: "it needs its camera and measure(..., baseline_m=...); or turn it "
    "into metres, prediction.to_depth(baseline_m=...), or take kitti-stereo-2015.",
}
