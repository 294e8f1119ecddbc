"""``leadline models``: what there is, and which weights are on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from leadline.spec import ModelSpec


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the models: kind, size, licence, whether weights are here and where they come from."""
    from leadline import catalog

    entries = [_entry(spec) for spec in catalog.MODELS.values()]
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    rows = [("NAME", "KIND", "MB", "LICENCE", "HERE", "WHAT")]
    for entry in entries:
        size = "-" if entry["size_mb"] is None else f"{entry['size_mb']:.0f}"
        here = "yes" if entry["here"] else "no"
        rows.append((entry["name"], entry["kind"], size, entry["licence"], here, entry["summary"]))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row, entry in zip(rows, [None, *entries], strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
        for file in entry["files"] if entry else ():
            mark = "*" if file["path"] else " "
            typer.echo(f"  {mark} {file['path'] or file['address']}")
    typer.echo("\n* on this machine; other files are downloaded from their address when needed.")


def _entry(spec: ModelSpec) -> dict[str, Any]:
    from leadline import hub

    files: list[dict[str, Any]] = []
    for weights in spec.weights:
        path = hub.locate(weights)
        files.append(
            {
                "file": weights.file,
                "address": hub.address(weights),
                "path": None if path is None else str(path),
                "size_mb": weights.size_mb
                or (None if path is None else round(path.stat().st_size / 1e6, 1)),
                "licence": weights.licence,
            }
        )
    first = files[0] if files else {"size_mb": None, "licence": "-"}
    # The package's own files belong together; the hub's are alternatives, best first.
    embedded = bool(spec.weights) and all(weights.embedded for weights in spec.weights)
    total = sum(file["size_mb"] or 0 for file in files)
    return {
        "name": spec.name,
        "kind": str(spec.kind),
        "summary": spec.summary,
        "paper": spec.paper,
        "max_depth": spec.max_depth,
        "size_mb": total if embedded else first["size_mb"],
        "licence": first["licence"],
        "here": any(file["path"] for file in files),
        "files": files,
    }
