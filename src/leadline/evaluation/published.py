"""Published tables as data: which model scores what on which data set by which protocol.

``published.toml`` holds them; a row that nobody could check here is not in it, and its table's note
says why. The numbers are the sources', in the units of the protocol's metrics.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from leadline.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from leadline.estimator import Policy


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model on one data set, as a source prints it.

    Attributes:
        table: the table's name.
        model: a name of the catalogue, or a guess of ``evaluation.predictors.BASELINES``.
        label: tells several weights of one network apart; empty where there is one.
        dataset, split, protocol, every: what is measured; see :class:`leaderboard.Entry`.
        policy: how the source looks at a picture; see :data:`leadline.estimator.Policy`.
        numbers: metric -> number.
    """

    table: str
    model: str
    label: str
    dataset: str
    protocol: str
    numbers: Mapping[str, float]
    split: str | None = None
    every: int = 1
    policy: Policy = "single"

    @property
    def title(self) -> str:
        """The model with its label."""
        return f"{self.model} {self.label}".strip()

    @property
    def place(self) -> str:
        """Name of the row's own weights, without suffix."""
        return self.title.replace(" ", "-")

    @property
    def measured_on(self) -> str:
        """The frames and the protocol, for people."""
        part = f" ({self.split})" if self.split else ""
        return f"{self.dataset}{part} by {self.protocol}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one source.

    Attributes:
        name: for the command line.
        paper: the source.
        note: what to know before comparing, and what is left out.
        rows: those that can be checked; none where no number is on record.
    """

    name: str
    paper: str
    note: str
    rows: tuple[Row, ...]


@cache
def read_tables() -> Mapping[str, Table]:
    """Every table by name, in the file's order."""
    text = files("leadline.evaluation").joinpath("published.toml").read_text(encoding="utf-8")
    return MappingProxyType({n: _make_table(n, t) for n, t in tomllib.loads(text).items()})


def find_rows(tables: Sequence[str] = (), models: Sequence[str] = ()) -> list[Row]:
    """Rows in the tables' order.

    Args:
        tables: names; none: all.
        models: names of the rows' models, with or without label; none: all.

    Raises:
        UnknownNameError: no such table, or no row of these tables has such a model.
    """
    known = read_tables()
    for name in tables:
        if name not in known:
            raise UnknownNameError("table", name, known)
    rows = [row for name in (tables or known) for row in known[name].rows]
    names = {name: None for row in rows for name in (row.model, row.title)}
    for name in models:
        if name not in names:
            raise UnknownNameError("model of these tables", name, names)
    return [row for row in rows if not models or {row.model, row.title} & set(models)]


def _make_table(name: str, table: Mapping[str, Any]) -> Table:
    rows = tuple(row for one in table.get("set", ()) for row in _make_rows(name, table, one))
    return Table(name=name, paper=table["paper"], note=table["note"], rows=rows)


def _make_rows(name: str, table: Mapping[str, Any], one: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a set, which takes what it does not say from its table."""
    said = {**table, **one}
    own = {field.name: said[field.name] for field in fields(Row) if field.name in said}
    for title, numbers in one["rows"].items():
        model, _, label = title.partition(" ")
        named = MappingProxyType(dict(zip(said["metrics"], numbers, strict=True)))
        yield Row(table=name, model=model, label=label, numbers=named, **own)
