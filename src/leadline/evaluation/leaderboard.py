"""A leaderboard: several predictors on several sets, one page; a rerun does only what is missing.

Each cell is a file, written whole; it is taken as done when it was made from the same settings.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.datasets import Options, open_dataset
from leadline.datasets import get as get_dataset
from leadline.errors import InputError, LeadlineError
from leadline.evaluation import protocols
from leadline.evaluation.page import render_document
from leadline.evaluation.predictors import open_predictor
from leadline.evaluation.report import format_number
from leadline.evaluation.run import evaluate
from leadline.hub import sha256_of_model
from leadline.jobs import write_text
from leadline.metrics import LARGER_IS_BETTER
from leadline.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from leadline.evaluation.predictors import Predictor
    from leadline.load_options import LoadOptions

SHOWN = ("abs_rel", "delta1", "ordinal", "rmse", "silog")
"""Metrics of the page, where the protocol has them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A set of frames to measure on.

    Attributes:
        name: for the page.
        dataset: one of :data:`leadline.datasets.DATASETS`.
        protocol: default: the data set's usual one.
        root: folder, relative to the file that lists the sets.
        split, every, per_metre, count, seed: see :class:`leadline.datasets.Options`.
        in_mean: False keeps the set out of the mean over sets, one that was trained on, say.
    """

    name: str
    dataset: str
    protocol: str = ""
    root: str = ""
    split: str | None = None
    every: int = 1
    per_metre: float | None = None
    count: int = 20
    seed: int = 0
    in_mean: bool = True

    @property
    def options(self) -> Options:
        """What to read."""
        return Options(
            split=self.split,
            every=self.every,
            per_metre=self.per_metre,
            count=self.count,
            seed=self.seed,
        )


def read_entries(path: Path) -> list[Entry]:
    """Read the sets from a TOML file of ``[[set]]`` tables, with the keys of :class:`Entry`.

    Raises:
        InputError: not TOML, an unknown key, or no set.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("set", [])
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as TOML ({error}).") from error
    known = [field.name for field in fields(Entry)]
    entries = []
    for table in tables:
        unknown = sorted(set(table) - set(known))
        if unknown or not {"name", "dataset"} <= set(table):
            raise InputError(
                f"{path}: a [[set]] with keys {sorted(table)}; name and dataset are needed, known "
                f"are {', '.join(known)}."
            )
        entry = Entry(**table)
        get_dataset(entry.dataset)
        if entry.protocol:
            protocols.get(entry.protocol)
        entries.append(entry)
    if not entries:
        raise InputError(f"{path} holds no [[set]] table; one for every set of frames is needed.")
    return entries


def run_leaderboard(
    models: Mapping[str, LoadOptions],
    entries: Sequence[Entry],
    out: Path,
    *,
    base: Path,
    skip_bad: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Fill every cell that is missing, then write ``leaderboard.{json,md}`` and ``index.html``.

    Args:
        models: title -> model, which is opened only when a cell needs it.
        entries: the sets.
        out: folder of the results.
        base: folder that the entries' roots are relative to.
        skip_bad: see :func:`leadline.evaluation.evaluate`.
        say: called with a line for every cell that is filled.

    Returns:
        The cells, models within sets. A cell that failed holds ``error`` and is tried again by the
        next run.
    """
    jobs = [(model, options, entry) for entry in entries for model, options in models.items()]
    cells = fill_cells(jobs, out, base=base, skip_bad=skip_bad, say=say)
    write_text(out / "leaderboard.json", json.dumps([_shorten(c) for c in cells], indent=2) + "\n")
    write_text(out / "leaderboard.md", to_markdown(cells))
    write_text(out / "index.html", render_document("Leaderboard", _to_html(cells)))
    return cells


def fill_cells(
    jobs: Iterable[tuple[str, LoadOptions, Entry]],
    out: Path,
    *,
    base: Path,
    skip_bad: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Score models on sets; what an earlier run left in ``out`` is kept.

    Args:
        jobs: title, model and set of every cell.
        out: see :func:`run_leaderboard`, as for all that follow.
        base: folder that the entries' roots are relative to.
        skip_bad: see :func:`leadline.evaluation.evaluate`.
        say: called with a line for every cell that is filled.

    Returns:
        The cells in the jobs' order.
    """
    cells = []
    opened: dict[str, Predictor] = {}
    for model, options, entry in jobs:
        path = out / "cells" / f"{_safe(model)}__{_safe(entry.name)}.json"
        key = _key(options, entry, base)
        cell = _read_cell(path, key)
        if cell is None:
            if say is not None:
                say(f"{model} on {entry.name}")
            cell = _fill_cell(model, options, entry, base, opened, skip_bad)
            cell["key"] = key
            write_text(path, json.dumps(cell, indent=2) + "\n")
        cells.append(cell)
    return cells


def to_markdown(cells: Sequence[Mapping[str, Any]]) -> str:
    """The cells as Markdown tables, one per set, with 95 % intervals and the macro mean."""
    lines: list[str] = []
    for name, rows in _by_set(cells).items():
        first = next((c for c in rows if "mean" in c), None)
        if first is None:
            lines += [f"### {name}", "", *(f"- {c['model']}: {c['error']}" for c in rows), ""]
            continue
        shown = [name for name in SHOWN if name in first["mean"]]
        lines += [
            f"### {name}",
            "",
            f"{first['frames']} frames of `{first['dataset']}` by `{first['protocol']}`.",
            "",
            "| model | " + " | ".join(f"{m} {_arrow(m)}" for m in shown) + " |",
            "| --- |" + " --- |" * len(shown),
        ]
        for cell in rows:
            if "mean" not in cell:
                lines.append(f"| {cell['model']} | {cell['error']} |" + " |" * (len(shown) - 1))
                continue
            values = " | ".join(_value(cell, m) for m in shown)
            lines.append(f"| {_who(cell)} | {values} |")
        lines.append("")
    lines += _macro(cells)
    return "\n".join(lines) + "\n"


def _macro(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mean over the sets that all models were scored on, each counting once."""
    sets = [
        rows
        for rows in _by_set(cells).values()
        if all("mean" in c and c.get("in_mean", True) for c in rows)
    ]
    if len(sets) < 2:
        return []
    names = [c["model"] for c in sets[0]]
    shared = [
        m for m in ("abs_rel", "delta1", "ordinal") if all(m in c["mean"] for r in sets for c in r)
    ]
    left_out = [name for name, rows in _by_set(cells).items() if rows not in sets]
    note = f" Left out: {', '.join(left_out)}." if left_out else ""
    lines = ["### Mean over sets", "", f"Each set counts once.{note}", ""]
    lines += ["| model | " + " | ".join(f"{m} {_arrow(m)}" for m in shared) + " |"]
    lines += ["| --- |" + " --- |" * len(shared)]
    for i, name in enumerate(names):
        means = [_mean([rows[i]["mean"][m] for rows in sets]) for m in shared]
        lines.append(f"| {name} | " + " | ".join(format_number(v) for v in means) + " |")
    return [*lines, ""]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan


def _fill_cell(
    model: str,
    options: LoadOptions,
    entry: Entry,
    base: Path,
    opened: dict[str, Predictor],
    skip_bad: bool,
) -> dict[str, Any]:
    try:
        if model not in opened:
            opened[model] = open_predictor(options)
        root = base / entry.root if entry.root else None
        protocol = protocols.get(entry.protocol or get_dataset(entry.dataset).protocol)
        report = evaluate(
            opened[model],
            open_dataset(entry.dataset, root, entry.options),
            protocol,
            model=model,
            dataset=entry.dataset,
            skip_bad=skip_bad,
        )
    except LeadlineError as error:
        return {"model": model, "set": entry.name, "error": " ".join(str(error).split())}
    return {**report.to_dict(), "set": entry.name, "in_mean": entry.in_mean}


def _read_cell(path: Path, key: str) -> dict[str, Any] | None:
    """The cell of the file, when it is whole, without error, and of the same settings."""
    try:
        cell = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cell if cell.get("key") == key and "mean" in cell else None


def _key(options: LoadOptions, entry: Entry, base: Path) -> str:
    """Fingerprint of what a cell depends on; models and weights that are files: their content.

    The weights beside a graph are content too. The embedded model counts by the
    version of Leadline, a protocol by all that defines it.
    """
    files = [Path(source) for source in (options.model, options.weights) if source is not None]
    content = [sha256_of_model(file) for file in files if file.is_file()]
    protocol = repr(protocols.get(entry.protocol or get_dataset(entry.dataset).protocol))
    place = str((base / entry.root).resolve())
    record = [asdict(options), content, asdict(entry), place, protocol, __version__]
    return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()


def _by_set(cells: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        found.setdefault(cell["set"], []).append(cell)
    return found


def _who(cell: Mapping[str, Any]) -> str:
    """The model, and on which share of the pixels it was scored, where not on all."""
    coverage = cell["coverage"]
    return cell["model"] + (f" ({100 * coverage:.3g} % of the pixels)" if coverage < 1 else "")


def _value(cell: Mapping[str, Any], metric: str) -> str:
    low, high = cell["interval_95"][metric]
    value = format_number(cell["mean"][metric])
    return value if low is None else f"{value} ({format_number(low)} to {format_number(high)})"


def _arrow(metric: str) -> str:
    return "↑" if metric in LARGER_IS_BETTER else "↓"


def _shorten(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if name not in ("per_frame", "key")}


def _to_html(cells: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown's tables as HTML."""
    parts, open_table = ["<h1>Leaderboard</h1>"], False
    for line in to_markdown(cells).splitlines():
        if line.startswith("|"):
            row = [html.escape(cell.strip()) for cell in line.strip("|").split("|")]
            if all(set(cell) <= {"-"} for cell in row):
                continue
            tag = "td" if open_table else "th"
            parts.append("" if open_table else "<table>")
            parts.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>")
            open_table = True
            continue
        if open_table:
            parts.append("</table>")
            open_table = False
        if line.startswith("###"):
            parts.append(f"<h2>{html.escape(line.strip('# '))}</h2>")
        elif line:
            parts.append(f"<p>{html.escape(line)}</p>")
    return "\n".join([*parts, "</table>" if open_table else ""])


def _safe(name: str) -> str:
    """A file name; names that differ stay different."""
    plain = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return plain if plain == name else f"{plain[-60:]}-{mark}"
