"""``leadline models --licence``: the terms of the models' weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadline.spec import ModelSpec


def print_licences(specs: Sequence[ModelSpec], as_json: bool) -> None:
    """A line a model: licence of its weights, whether commercial use is allowed, and the text."""
    from leadline.licences import find_terms

    entries = []
    for spec in specs:
        for licence in dict.fromkeys(weights.licence for weights in spec.weights) or ("-",):
            terms = find_terms(licence)
            commercial = "-" if licence == "-" else terms.commercial
            entries.append(
                {"name": spec.name, "licence": licence, "commercial": commercial, "url": terms.url}
            )
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    rows = [("NAME", "LICENCE", "COMMERCIAL", "TEXT"), *(tuple(e.values()) for e in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
    typer.echo(
        "\nOf the weights, not of Leadline. COMMERCIAL: yes, no, or see (read the text). A reading "
        "aid,\nno legal advice; -: no weights are published, yours have your own terms."
    )
