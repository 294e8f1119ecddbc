"""What an evaluation found: as a table, JSON, CSV, and a page that needs no other file."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadline.jobs import write_text
from leadline.metrics import LARGER_IS_BETTER

if TYPE_CHECKING:
    from pathlib import Path

    from leadline.evaluation.accumulate import Accumulator
    from leadline.evaluation.protocol import Protocol


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A frame that was left out, and why."""

    name: str
    error: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Scores of one predictor on one set by one protocol.

    Attributes:
        model, dataset: names.
        protocol: by which.
        scores: per frame and in sum.
        skipped: frames that were left out.
        seconds: that it took.
        version: of Leadline.
    """

    model: str
    dataset: str
    protocol: Protocol
    scores: Accumulator
    skipped: tuple[Skipped, ...] = ()
    seconds: float = 0.0
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; NaN and infinity become None."""
        intervals = self.scores.intervals()
        return {
            "model": self.model,
            "dataset": self.dataset,
            "protocol": self.protocol.name,
            "average": self.protocol.average,
            "quirks": list(self.protocol.quirks),
            "frames": len(self.scores.rows),
            "pixels": int(sum(row.metrics["pixels"] for row in self.scores.rows)),
            "coverage": self.scores.coverage,
            "skipped": [{"name": s.name, "error": s.error} for s in self.skipped],
            "mean": _plain(self.scores.mean()),
            "interval_95": {
                name: [_number(i.low), _number(i.high)] for name, i in intervals.items()
            },
            "per_image": _plain(self.scores.per_image()),
            "pooled": _plain(self.scores.pool()),
            "by_distance": {k: _plain(v) for k, v in self.scores.by_distance().items()},
            "undefined": self.scores.count_undefined(),
            "per_frame": [
                {
                    "name": row.name,
                    "scale": _number(row.scale),
                    "coverage": row.coverage,
                    **_plain(row.metrics),
                }
                for row in self.scores.rows
            ],
            "seconds": round(self.seconds, 3),
            "leadline": self.version,
        }

    def table(self) -> str:
        """The means with their 95 % intervals, as text."""
        mean, intervals = self.scores.mean(), self.scores.intervals()
        head = (
            f"{self.model or 'predictions'} on {self.dataset or 'frames'} by {self.protocol.name}: "
            f"{len(self.scores.rows)} frames, mean over "
            f"{'images' if self.protocol.average == 'image' else 'pixels'}"
        )
        lines = [head]
        if self.skipped:
            lines.append(f"{len(self.skipped)} frames left out; the first: {self.skipped[0].error}")
        lines += self.describe_left_out()
        lines.append(f"{'':18}{'value':>10}  95 % interval")
        for name, value in mean.items():
            better = "+" if name in LARGER_IS_BETTER else "-"
            low, high = intervals[name].low, intervals[name].high
            span = "" if math.isnan(low) else f"{format_number(low)} to {format_number(high)}"
            lines.append(f"{name:17}{better}{format_number(value):>10}  {span}".rstrip())
        undefined = self.scores.count_undefined()
        lines += [f"{n} is undefined on {count} frames" for n, count in undefined.items()]
        return "\n".join([*lines, "+ more is better, - less is better"])

    def describe_left_out(self) -> list[str]:
        """A sentence on pixels at which the predictions have no value, where there are any."""
        missing = 1 - self.scores.coverage
        if not missing > 0:
            return []
        return [
            f"{100 * missing:.2g} % of the pixels to count are left out: the predictions have "
            "no value there"
        ]

    def csv(self) -> str:
        """A line per frame."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        names = ["pixels", *self.scores.metrics]
        writer.writerow(["frame", "scale", "coverage", *names])
        for row in self.scores.rows:
            numbers = (row.scale, row.coverage, *(row.metrics[name] for name in names))
            writer.writerow([row.name, *map(repr, numbers)])
        return file.getvalue()

    def rank_frames(self, metric: str | None = None) -> list[str]:
        """Names of the frames from best to worst by a metric; default: the protocol's first."""
        name = metric or self.scores.metrics[0]
        sign = -1 if name in LARGER_IS_BETTER else 1
        rows = [row for row in self.scores.rows if not math.isnan(row.metrics[name])]
        return [row.name for row in sorted(rows, key=lambda row: sign * row.metrics[name])]

    def save(self, folder: Path, *, page: str | None = None) -> None:
        """Write ``report.json``, ``frames.csv``, ``report.txt`` and, when given, ``index.html``."""
        write_text(folder / "report.json", json.dumps(self.to_dict(), indent=2) + "\n")
        write_text(folder / "frames.csv", self.csv())
        write_text(folder / "report.txt", self.table() + "\n")
        if page is not None:
            write_text(folder / "index.html", page)


def format_number(value: float | None) -> str:
    """A number for people: four significant digits."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    if value == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def _plain(values: Any) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
