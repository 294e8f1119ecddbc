"""The base of every protocol: a way to a number that is named after it.

A protocol is everything that decides a number besides the prediction, as data. The order is the
same for all: the target's frame, the pixels that count (range, crop, the caller's mask), the
prediction at those pixels (resized), alignment, clamp, sums. Where an original does it otherwise
and the number differs, the protocol's ``quirks`` say so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.metrics.arrays import to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float

    from leadline.image import Image

Quantity = Literal["depth", "disparity"]
"""What an array holds: depth, or its inverse, which is resized before it is inverted."""

Average = Literal["image", "pixel"]
"""``image``: metrics per image, then their mean; ``pixel``: over all pixels at once."""

MapSource = Literal["picture", "network"]
"""Which map a model is scored by: ``picture``, the one at the picture's size that users get, or
``network``, what its network gives, which the protocol itself brings to the target's size."""

STANDARD = (
    *("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "sc_inv", "delta1", "delta2"),
    *("delta3", "irmse", "imae"),
)
"""The metrics of most protocols."""

BINS = ("near", "mid", "far")
"""Ranges of the target: up to a quarter of the protocol's cap, up to half of it, beyond."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MapScore:
    """The numbers of one map.

    Attributes:
        metrics: name -> number, and ``pixels``, how many were counted.
        sums: over the pixels, see :mod:`leadline.metrics.pixel_sums`.
        bins: near, mid, far -> sums.
        scale, shift: of the alignment; 1 and 0 where nothing was aligned.
        coverage: share of the counting pixels at which the prediction has a value; the others are
            left out.
    """

    metrics: dict[str, float]
    sums: Float[np.ndarray, " 13"]
    bins: Mapping[str, Float[np.ndarray, " 13"]] = field(default_factory=dict)
    scale: float = 1.0
    shift: float = 0.0
    coverage: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """One way to compare a prediction with the truth; its numbers are named after it.

    Attributes:
        name: as in :data:`leadline.evaluation.protocols.PROTOCOLS`.
        summary: one line.
        source: paper and code that it comes from.
        average: see :data:`Average`.
        map_source: see :data:`MapSource`.
        quirks: what the original does that one would not expect.
    """

    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "average": get_args(Average),
        "map_source": get_args(MapSource),
    }
    """Attribute -> the words that it may be."""

    name: str
    summary: str
    source: str
    average: Average = "image"
    map_source: MapSource = "picture"
    quirks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, options in self.WORDS.items():
            if getattr(self, name) not in options:
                raise UnknownNameError(name, getattr(self, name), options)

    def view(self, image: Image) -> Image:
        """The part of a picture that the networks of the original see; all of it by default."""
        return image

    @abstractmethod
    def measure(self, pred: Any, target: Any, valid: Any = None) -> MapScore:
        """Score one map, with what is needed to score many; see :meth:`score`."""

    @abstractmethod
    def compute_metrics(self, sums: Float[np.ndarray, " 13"]) -> dict[str, float]:
        """The pixelwise metrics of sums, in this protocol's definitions."""

    def score(self, pred: Any, target: Any, valid: Any = None, **options: Any) -> dict[str, float]:
        """Metrics of one map.

        Args:
            pred: what the protocol compares, numpy, torch or a Prediction; (h, w), or with leading
                axes of size 1.
            target: the truth, in metres; 0 or not finite = unknown.
            valid: which target pixels may count; default: all.
            options: see the protocol's ``measure``.

        Returns:
            Metric -> number, and ``pixels``, the number of pixels counted.

        Raises:
            InputError: shapes that do not fit, no pixel to count, or values that are not numbers.
            KindError: a Prediction of a kind that this protocol cannot compare.
        """
        return self.measure(pred, target, valid, **options).metrics


def real_map(array: Any, what: str) -> np.ndarray:
    """A numpy array of real numbers without leading axes of size 1."""
    values = to_numpy(array)
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim > 2 or values.size == 0 or values.dtype.kind not in "fiub":
        raise InputError(
            f"{what} of shape {values.shape} and type {values.dtype}: one (h, w) map of real "
            "numbers at a time; score the maps of a batch one by one."
        )
    return values
