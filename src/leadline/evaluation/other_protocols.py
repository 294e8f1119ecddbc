"""Protocols for stereo disparities and for pairs of points.

Source: Menze and Geiger, Object Scene Flow, CVPR 2015 (D1-all); Yang et al., Depth Anything V2,
2024, sec. 6 (DA-2K).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from leadline.errors import InputError, KindError, UnknownNameError
from leadline.evaluation.protocol import STANDARD, MapScore, Protocol, Quantity, real_map
from leadline.evaluation.sampling import sample
from leadline.kinds import DepthKind
from leadline.metrics import d1_all
from leadline.metrics.pixel_sums import FIELDS, compute_metrics, sum_pixels
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class StereoProtocol(Protocol):
    """Disparities of KITTI's rectified pairs, compared as disparities and as depths.

    Attributes:
        baseline_m: metres between the cameras.
        focal_px: picture width -> focal length in pixels.
        min_depth, max_depth: clamp of the predicted depths, metres.
    """

    baseline_m: float
    focal_px: Mapping[int, float]
    min_depth: float = 1e-3
    max_depth: float = 80.0

    def measure(self, pred: Any, target: Any, valid: Any = None) -> MapScore:
        """Score one disparity map.

        Args:
            pred: disparity in pixels of its own width; another size is resized, and the values
                with it.
            target: disparity in pixels, 0 = unknown.
            valid: which pixels may count.
        """
        if isinstance(pred, Prediction):
            if pred.kind is not DepthKind.PIXEL_DISPARITY:
                raise KindError(
                    f"{pred.kind} cannot be compared by {self.name}, which takes pixel_disparity; "
                    "for depth take one of the kitti-eigen protocols."
                )
            pred = pred.values
        values, truth = real_map(pred, "prediction"), real_map(target, "target")
        if values.ndim != 2 or truth.ndim != 2:
            raise InputError(
                f"prediction of shape {values.shape}, target {truth.shape}: (h, w) is needed."
            )
        keep = np.isfinite(truth) & (truth > 0)
        if valid is not None:
            keep &= real_map(valid, "valid") != 0
        pixels = np.flatnonzero(keep)
        if not len(pixels):
            raise InputError("no pixel of the target has a disparity; check the file.")
        width = truth.shape[1]
        if width not in self.focal_px:
            raise InputError(
                f"a target {width} pixels wide: {self.name} knows the focal lengths of widths "
                f"{sorted(self.focal_px)}; give the maps at KITTI's own size."
            )
        size = (truth.shape[0], width)
        disparity = sample(values, size, pixels, "centres") * (width / values.shape[1])
        if not np.isfinite(disparity).all():
            raise InputError("the prediction holds disparities that are not finite; fill them.")
        t = truth.reshape(-1)[pixels].astype(np.float64)
        factor = self.focal_px[width] * self.baseline_m
        with np.errstate(divide="ignore"):
            depth = np.clip(factor / disparity, self.min_depth, self.max_depth)
        sums = sum_pixels(depth, factor / t, "float32")  # as the original computes the ratios
        found = compute_metrics(sums) | {"d1_all": d1_all(disparity, t), "pixels": float(len(t))}
        return MapScore(metrics={n: found[n] for n in (*STANDARD, "d1_all", "pixels")}, sums=sums)

    def compute_metrics(self, sums: Float[np.ndarray, " 13"]) -> dict[str, float]:
        """The pixelwise metrics of sums."""
        return compute_metrics(sums)


@dataclass(frozen=True, kw_only=True)
class PairProtocol(Protocol):
    """Pairs of points, of which one is nearer (DA-2K)."""

    def measure(
        self, pred: Any, target: Any, valid: Any = None, *, quantity: Quantity | None = None
    ) -> MapScore:
        """Score one map.

        Args:
            pred: disparity (larger = nearer), unless ``quantity`` or the Prediction says depth.
            target: the file's records, ``{"point1": [row, column], "point2": ...,
                "closer_point": "point1"}``, or rows of (nearer row, column, farther row, column).
            valid: must be None.
            quantity: ``depth`` or ``disparity``.
        """
        if valid is not None:
            raise InputError(f"{self.name} compares pairs of points; valid must be left out.")
        held = quantity or "disparity"
        if held not in get_args(Quantity):
            raise UnknownNameError("quantity", held, get_args(Quantity))
        if isinstance(pred, Prediction):
            held, pred = ("disparity" if pred.kind.larger_is_nearer else "depth"), pred.values
        values = real_map(pred, "prediction")
        pairs = np.array([_pair(record) for record in target], dtype=np.int64).reshape(-1, 4)
        if not len(pairs):
            raise InputError("no pairs of points; give at least one.")
        limits = np.array([*values.shape, *values.shape])
        if (pairs < 0).any() or (pairs >= limits).any():
            raise InputError(
                f"a point lies outside the map of {values.shape}: points are [row, column] in the "
                "picture's own size; resize the prediction to it."
            )
        nearer, farther = values[pairs[:, 0], pairs[:, 1]], values[pairs[:, 2], pairs[:, 3]]
        right = nearer > farther if held == "disparity" else nearer < farther
        sums = np.zeros(len(FIELDS))
        sums[0], sums[FIELDS.index("within1")] = len(right), np.count_nonzero(right)
        return MapScore(
            metrics=self.compute_metrics(sums) | {"pixels": float(len(right))}, sums=sums
        )

    def compute_metrics(self, sums: Float[np.ndarray, " 13"]) -> dict[str, float]:
        """Share of pairs in the right order."""
        return {"ordinal": float(sums[FIELDS.index("within1")] / sums[0])}


def _pair(record: Any) -> list[int]:
    if isinstance(record, dict):
        try:
            first, second = record["point1"], record["point2"]
            nearer = record["closer_point"]
        except KeyError as error:
            raise InputError(
                f"a pair without {error}: point1, point2 and closer_point are needed."
            ) from error
        return [*first, *second] if nearer == "point1" else [*second, *first]
    if len(record) != 4:
        raise InputError(f"pair {record}: nearer row, column, farther row, column are needed.")
    return list(record)
