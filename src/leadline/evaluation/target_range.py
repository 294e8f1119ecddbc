"""Which pixels of a target count: a range of depths inside a crop.

Source: each protocol's own, see :mod:`leadline.evaluation.protocols`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import InputError
from leadline.evaluation.crops import CROPS

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int64

    from leadline.evaluation.crops import Box

    Map = Float[np.ndarray, "h w"]

Mask = Literal["between", "from_to", "below", "positive", "either", "all"]
"""Which targets count: ``between`` the bounds without them, ``from_to`` with them, ``below`` (0 <
target < max), ``positive``, ``either`` (target or prediction positive), ``all``."""


@dataclass(frozen=True, kw_only=True)
class TargetRange:
    """The targets that a protocol counts.

    Attributes:
        protocol: its name, for messages.
        mask: see :data:`Mask`.
        min_depth, max_depth: metres.
        crop: a name of :data:`leadline.evaluation.crops.CROPS`.
    """

    protocol: str
    mask: Mask
    min_depth: float
    max_depth: float
    crop: str

    def select(self, target: Map, pred: Map) -> Int64[np.ndarray, " n"]:
        """Flat numbers of the pixels that count, ascending.

        Args:
            target: metres.
            pred: the prediction, which decides too by ``either``.

        Raises:
            InputError: a target that is no (h, w) map where one is needed, or has holes where
                every pixel counts.
        """
        if target.ndim != 2 and (self.crop != "everything" or pred.shape != target.shape):
            raise InputError(
                f"target of shape {target.shape}, prediction {pred.shape}: {self.protocol} needs "
                "(h, w) maps."
            )
        if self.crop == "everything":
            return np.flatnonzero(self._contains(target, pred))
        return self._select_in_box(target, pred, CROPS[self.crop](*target.shape))

    def _select_in_box(self, target: Map, pred: Map, box: Box) -> Int64[np.ndarray, " n"]:
        """Search whole rows, since they are contiguous."""
        top, bottom, left, right = box
        rows = target[top:bottom]
        if self.mask in ("between", "below"):
            low = self.min_depth if self.mask == "between" else 0.0
            with np.errstate(invalid="ignore"):
                keep = rows > low
            keep[:, :left] = keep[:, right:] = False
            pixels = np.flatnonzero(keep)  # few: the other bound is looked at only there
            pixels = pixels[rows.reshape(-1).take(pixels) < self.max_depth]
        else:
            part = np.s_[top:bottom, left:right]
            keep = np.zeros(rows.shape, dtype=bool)
            keep[:, left:right] = self._contains(
                target[part], pred[part] if pred.shape == target.shape else pred
            )
            pixels = np.flatnonzero(keep)
        return pixels + top * target.shape[1]

    def _contains(self, target: Map, pred: Map) -> Bool[np.ndarray, "h w"]:
        with np.errstate(invalid="ignore"):
            if self.mask == "between":
                return (target > self.min_depth) & (target < self.max_depth)
            if self.mask == "from_to":
                return (target >= self.min_depth) & (target <= self.max_depth)
            if self.mask == "below":
                return (target > 0) & (target < self.max_depth)
            if self.mask == "positive":
                return (target > 0) & np.isfinite(target)
            if self.mask == "either":
                if pred.shape == target.shape:
                    return (target > 0) | (pred > 0)
                raise InputError(
                    f"prediction of shape {pred.shape} for a target of {target.shape}: "
                    f"{self.protocol} compares maps of one size; resize the prediction first."
                )
        unknown = ~(np.isfinite(target) & (target > 0))
        if unknown.any():
            raise InputError(
                f"{np.count_nonzero(unknown)} pixels of the target have no depth, and "
                f"{self.protocol} counts every pixel; give the filled depth maps that it is "
                "defined on."
            )
        return np.ones(target.shape, dtype=bool)
