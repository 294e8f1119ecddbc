"""Many maps to one number: per-image means, pooled pixels, and how sure they are.

An accumulator keeps a row per image, so parts made by several processes merge to exactly what one
process would have got, whatever their order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.evaluation.protocol import BINS, MapScore, Protocol
from leadline.metrics.pixel_sums import FIELDS, add_sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One image's part."""

    name: str
    metrics: Mapping[str, float]
    sums: Float[np.ndarray, " 13"]
    bins: Mapping[str, Float[np.ndarray, " 13"]]
    scale: float = 1.0
    coverage: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % confidence interval over images; NaN for fewer than two."""

    low: float
    high: float


@dataclass(kw_only=True)
class Accumulator:
    """Scores of a set, one image after another.

    Attributes:
        protocol: by which they were made.
        rows: one per image.
    """

    protocol: Protocol
    rows: list[Row] = field(default_factory=list)

    def add(self, name: str, scored: MapScore) -> None:
        """Add one image; ``name`` is its name in reports."""
        self.rows.append(
            Row(
                name=name,
                metrics=scored.metrics,
                sums=scored.sums,
                bins=scored.bins,
                scale=scored.scale,
                coverage=scored.coverage,
            )
        )

    def merge(self, other: Accumulator) -> None:
        """Add what another process gathered by the same protocol."""
        if other.protocol.name != self.protocol.name:
            raise InputError(
                f"scores by {other.protocol.name} cannot join scores by {self.protocol.name}; "
                "evaluate all parts by one protocol."
            )
        self.rows.extend(other.rows)

    @property
    def coverage(self) -> float:
        """Mean share of the counting pixels at which the predictions have a value."""
        return _mean([row.coverage for row in self._all()])

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, without ``pixels``."""
        return [name for name in self._all()[0].metrics if name != "pixels"]

    def per_image(self) -> dict[str, float]:
        """Mean over images; NaN, which says undefined, is left out."""
        return {name: _mean([row.metrics[name] for row in self.rows]) for name in self.metrics}

    def count_undefined(self) -> dict[str, int]:
        """Metric -> number of images where it is undefined, for metrics where there are any."""
        counts = {
            name: sum(math.isnan(row.metrics[name]) for row in self.rows) for name in self.metrics
        }
        return {name: count for name, count in counts.items() if count}

    def pool(self) -> dict[str, float]:
        """Metrics over all pixels of all images at once; those that no sum gives are left out."""
        found = self.protocol.compute_metrics(add_sums(row.sums for row in self.rows))
        return {name: found[name] for name in self.metrics if name in found}

    def mean(self) -> dict[str, float]:
        """The numbers by the protocol's own averaging."""
        if self.protocol.average == "pixel":
            return {**self.per_image(), **self.pool()}
        return self.per_image()

    def by_distance(self) -> dict[str, dict[str, float]]:
        """Near, mid, far -> metrics over the pixels of that range, and its share of pixels."""
        total = add_sums(row.sums for row in self.rows)[FIELDS.index("count")]
        found = {}
        for name in BINS:
            parts = [row.bins[name] for row in self.rows if name in row.bins]
            sums = add_sums(parts)
            if parts and sums[0]:
                metrics = self.protocol.compute_metrics(sums)
                shown = {key: metrics[key] for key in self.metrics if key in metrics}
                found[name] = {**shown, "share": float(sums[0] / total)}
        return found

    def intervals(self, *, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
        """95 % intervals of :meth:`mean` by resampling whole images with replacement.

        Images of one drive or room are alike, so on sequences the truth is wider.

        Source: Efron, Bootstrap Methods, Annals of Statistics 1979 (percentile intervals).
        """
        rows = len(self._all())
        nothing = Interval(low=math.nan, high=math.nan)
        if rows < 2:
            return dict.fromkeys(self.metrics, nothing)
        counts = np.random.default_rng(seed).multinomial(
            rows, np.full(rows, 1 / rows), size=resamples
        )
        pooled = self._resample_pools(counts) if self.protocol.average == "pixel" else {}
        found = {}
        for name in self.metrics:
            values = pooled.get(name)
            if values is None:
                values = _resample_means(np.array([row.metrics[name] for row in self.rows]), counts)
            values = values[np.isfinite(values)]
            if len(values):
                low, high = np.percentile(values, (2.5, 97.5))
                found[name] = Interval(low=float(low), high=float(high))
            else:
                found[name] = nothing
        return found

    def _resample_pools(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        sums = counts @ np.stack([row.sums for row in self.rows])
        made = [self.protocol.compute_metrics(row) for row in sums]
        return {name: np.array([m[name] for m in made]) for name in made[0]}

    def _all(self) -> list[Row]:
        if not self.rows:
            raise InputError("no image was scored; check the folder and the list of frames.")
        return self.rows


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan
    return math.fsum(known) / len(known) if all(map(math.isfinite, known)) else math.inf


def _resample_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    if not known.any():
        return np.array([])
    weight = counts[:, known]
    total = weight.sum(1)
    with np.errstate(invalid="ignore"):
        return (weight @ values[known]) / np.where(total > 0, total, np.nan)
