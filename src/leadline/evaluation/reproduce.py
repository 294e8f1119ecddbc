"""Measure the rows of published tables whose data and weights are here, and compare.

```python
plans = make_plans(find_rows(["depth-anything-v2"]), LoadOptions(), Places(data=Path("data")))
results = measure(plans, Path("out"))
print(to_markdown(results))
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline import catalog, hub
from leadline.datasets import get as get_dataset
from leadline.errors import InputError
from leadline.evaluation.leaderboard import Entry, fill_cells
from leadline.evaluation.predictors import BASELINES
from leadline.evaluation.published import Row, read_tables
from leadline.evaluation.report import format_number
from leadline.jobs import write_text
from leadline.load_options import LoadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".h5", ".index")
"""Files that are taken for a row's own weights."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where data and weights lie.

    Attributes:
        data: folder with a folder for every data set, by its name, and ``weights`` with a file or
            folder for every row's own, by :attr:`Row.place`.
        roots: data set -> its folder, where it lies elsewhere.
        download: whether weights that the hub has may be downloaded.
    """

    data: Path | None = None
    roots: Mapping[str, Path] = field(default_factory=dict)
    download: bool = False

    def root(self, dataset: str) -> Path | None:
        """Folder of a data set; it need not be there."""
        default = None if self.data is None else self.data / dataset
        return self.roots.get(dataset, default)

    def weights(self, row: Row) -> Path | None:
        """The row's own weights, where they are here."""
        if self.data is None:
            return None
        folder = self.data / "weights"
        names = (row.place, *(f"{row.place}{suffix}" for suffix in WEIGHTS_SUFFIXES))
        return next((folder / name for name in names if (folder / name).exists()), None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A row, how it would be measured here, and what it lacks.

    Attributes:
        row: as published.
        options: how its model is opened.
        entry: the frames.
        missing: what to put where, a sentence for each; empty: it can be measured.
    """

    row: Row
    options: LoadOptions
    entry: Entry
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row and what was measured of it.

    Attributes:
        plan: how.
        cell: of the leaderboard, or ``{"error": ...}``; None: not measured.
    """

    plan: Plan
    cell: Mapping[str, Any] | None = None

    @property
    def measured(self) -> Mapping[str, float | None]:
        """Metric -> number; empty where nothing was measured."""
        return {} if self.cell is None else self.cell.get("mean", {})

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        row, here = self.plan.row, self.measured
        return {
            "table": row.table,
            "model": row.model,
            "label": row.label,
            "dataset": row.dataset,
            "split": row.split,
            "protocol": row.protocol,
            "paper": dict(row.numbers),
            "here": {name: here[name] for name in row.numbers if name in here},
            "difference": {n: d for n in row.numbers if (d := self.difference(n)) is not None},
            "frames": self.cell and self.cell.get("frames"),
            "missing": list(self.plan.missing),
            "error": self.cell and self.cell.get("error"),
        }

    def difference(self, metric: str) -> float | None:
        """What was measured less what is published."""
        here = self.measured.get(metric)
        return None if here is None else here - self.plan.row.numbers[metric]


def make_plans(
    rows: Iterable[Row], load: LoadOptions, places: Places, *, every: int = 1
) -> list[Plan]:
    """Say of each row how it would be measured, and what it lacks.

    Args:
        rows: from :func:`leadline.evaluation.published.find_rows`.
        load: how models are opened; ``model`` is the row's own, and so is its policy unless another
            is given. ``weights`` are those of the only model among the rows.
        places: where data and weights lie.
        every: only every n-th frame of those that the row is measured on.

    Raises:
        InputError: weights for several models, or ``every`` below 1.
    """
    rows = list(rows)
    titles = list(dict.fromkeys(row.title for row in rows))
    if load.weights is not None and len(titles) > 1:
        raise InputError(
            f"weights={load.weights} for {len(titles)} models ({', '.join(titles[:3])}, ...): one "
            "is needed. Name it with --model, or put each model's own below DATA/weights."
        )
    if every < 1:
        raise InputError(f"every={every}: 1 or more is needed.")
    return [_make_plan(row, load, places, every) for row in rows]


def measure(
    plans: Sequence[Plan],
    out: Path,
    *,
    skip_bad: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Result]:
    """Measure what can be measured, one model after the other, and write ``reproduced.{json,md}``.

    Rows that an earlier call with the same ``out`` measured from the same files are kept.

    Args:
        plans: from :func:`make_plans`.
        out: folder of the results.
        skip_bad: see :func:`leadline.evaluation.evaluate`.
        say: called with a line for every row that is measured.

    Returns:
        One for every plan, in their order.
    """
    ready = [plan for plan in plans if not plan.missing]
    found: dict[int, Mapping[str, Any]] = {}
    for title in dict.fromkeys(plan.row.title for plan in ready):
        mine = [plan for plan in ready if plan.row.title == title]
        jobs = [(title, plan.options, plan.entry) for plan in mine]
        cells = fill_cells(jobs, out, base=Path.cwd(), skip_bad=skip_bad, say=say)
        found |= {id(plan): cell for plan, cell in zip(mine, cells, strict=True)}
    results = [Result(plan=plan, cell=found.get(id(plan))) for plan in plans]
    record = [result.to_dict() for result in results]
    write_text(out / "reproduced.json", json.dumps(record, indent=2) + "\n")
    write_text(out / "reproduced.md", to_markdown(results))
    return results


def to_markdown(results: Sequence[Result], names: Sequence[str] = ()) -> str:
    """Paper, measured and difference as tables, and below each what is missing.

    Args:
        results: from :func:`measure`.
        names: of the tables, those without rows too; none: the results' own.
    """
    lines: list[str] = []
    for name in names or dict.fromkeys(result.plan.row.table for result in results):
        mine = [result for result in results if result.plan.row.table == name]
        table = read_tables()[name]
        lines += [f"## {name}", "", f"{table.paper}.", "", table.note, ""]
        lines += [*_to_table(mine), ""] if mine else []
        lacks = dict.fromkeys(text for result in mine for text in result.plan.missing)
        lines += [*(f"- {text}" for text in lacks), *([""] if lacks else [])]
    return "\n".join(lines)


def _to_table(results: Sequence[Result]) -> list[str]:
    rows = [("model", "measured on", "metric", "paper", "here", "difference")]
    for result in results:
        row, error = result.plan.row, result.cell and result.cell.get("error")
        frames = f", {result.cell['frames']} frames" if result.measured and result.cell else ""
        for metric, number in row.numbers.items():
            change = result.difference(metric)
            here = format_number(result.measured.get(metric)) if not error else "failed"
            shown = "-" if change is None else f"{change:+.4f}"
            where = f"{row.measured_on}{frames}"
            rows.append((row.title, where, metric, f"{number:g}", here, shown))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    failed = [(r.plan.row, r.cell["error"]) for r in results if r.cell and "error" in r.cell]
    return [*lines, *(f"\n{row.title} on {row.measured_on}: {error}" for row, error in failed)]


def _make_plan(row: Row, load: LoadOptions, places: Places, every: int) -> Plan:
    root = places.root(row.dataset)
    options = replace(
        load,
        model=row.model,
        weights=load.weights or places.weights(row),
        policy=row.policy if load.policy == "single" else load.policy,
    )
    entry = Entry(
        name=row.measured_on,
        dataset=row.dataset,
        protocol=row.protocol,
        root=str(root.resolve()) if root else "",
        split=row.split,
        every=row.every * every,
    )
    lacks = (_lack_of_data(row, root), _lack_of_weights(row, options, places))
    return Plan(
        row=row, options=options, entry=entry, missing=tuple(text for text in lacks if text)
    )


def _lack_of_data(row: Row, root: Path | None) -> str:
    """What to put where when the data set is not here."""
    spec = get_dataset(row.dataset)
    if not spec.needs_root or (root is not None and root.is_dir()):
        return ""
    layout = "; ".join(spec.layout.splitlines())
    return (
        f"data: {spec.name} ({spec.download or 'size unknown'}, {spec.terms}) from {spec.source}, "
        f"as {root or Path('DATA', spec.name)}, below it: {layout}"
    )


def _lack_of_weights(row: Row, options: LoadOptions, places: Places) -> str:
    """What to put where when the weights are not here."""
    if row.model in BASELINES or options.weights is not None:
        return ""
    spec = catalog.get(row.model)
    place = (places.data or Path("DATA")) / "weights" / row.place
    if not spec.weights or row.label:
        why = spec.advice.removesuffix("; load it").rstrip(".") or "no weights are published"
        return f"weights: {row.title}: {why}. Put the file as {place}.*, or its folder as {place}"
    if places.download or any(hub.locate(file) for file in spec.weights):
        return ""
    first = spec.weights[0]
    size = "size unknown" if first.size_mb is None else f"{first.size_mb:.0f} MB"
    return (
        f"weights: {spec.name} ({size}, {first.licence}) from {hub.address(first)}; get them with "
        f"--download or `leadline models pull {spec.name}`"
    )
