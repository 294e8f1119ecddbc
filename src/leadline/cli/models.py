"""``leadline models``: what there is, which weights are on this machine, what a picture costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadline.spec import ModelSpec


def models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these models.", show_default="all")
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Parameters and GFLOP at the paper's size too; needs PyTorch."
        ),
    ] = False,
    latency: Annotated[
        bool,
        typer.Option(
            "--latency", help="Also time PyTorch here, float32, random weights; says --verbose."
        ),
    ] = False,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of --latency.")] = 5,
    licence: Annotated[
        bool,
        typer.Option("--licence", help="Licences of the weights, and whether they are commercial."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models: kind, size, licence, whether weights are here and where they come from."""
    from leadline import catalog

    specs = [catalog.get(name) for name in names] if names else list(catalog.MODELS.values())
    if verbose or latency:
        _print_costs(specs, runs if latency else 0, as_json)
        return
    if licence:
        from leadline.cli.licences import print_licences

        print_licences(specs, as_json)
        return
    entries = [_entry(spec) for spec in specs]
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    rows = [("NAME", "KIND", "MB", "LICENCE", "HERE", "WHAT")]
    for entry in entries:
        size = "-" if entry["size_mb"] is None else f"{entry['size_mb']:.0f}"
        here = "yes" if entry["here"] else "no"
        if entry["needs"]:
            here = f"needs [{entry['needs']}]"
        rows.append((entry["name"], entry["kind"], size, entry["licence"], here, entry["summary"]))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row, entry in zip(rows, [None, *entries], strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
        for file in entry["files"] if entry else ():
            mark = "*" if file["path"] else " "
            typer.echo(f"  {mark} {file['path'] or file['address']}")
    typer.echo("\n* on this machine; other files are downloaded from their address when needed.")


def _print_costs(specs: Sequence[ModelSpec], runs: int, as_json: bool) -> None:
    """A line a model, as it is counted; with ``as_json`` the entries at the end."""
    from dataclasses import asdict

    from leadline.speed.costs import cost_of

    entries = []
    if not as_json:
        typer.echo(f"{'NAME':38} {'PARAMETERS':>13} {'INPUT':>9} {'GFLOP':>8} {'MS':>8}  KIND")
    for spec in specs:
        if spec.architecture is None:  # no network, nothing to count
            entries.append(_entry(spec))
            if not as_json:
                blank = f"{'-':>13} {'-':>9} {'-':>8} {'-':>8}"
                typer.echo(f"{spec.name:38} {blank}  {spec.kind}")
            continue
        cost = cost_of(spec, runs=runs)
        entries.append(_entry(spec) | asdict(cost))
        size = f"{cost.input_size[0]}x{cost.input_size[1]}"
        time = "-" if cost.latency_ms is None else f"{cost.latency_ms:.1f}"
        if not as_json:
            typer.echo(
                f"{spec.name:38} {cost.parameters:13,} {size:>9} {cost.gflop:8.2f} {time:>8}  "
                f"{spec.kind}"
            )
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    typer.echo(
        "\nPARAMETERS: of the whole network, parts used only in training included. INPUT: height x "
        "width\nin pixels. GFLOP: a multiply-add counts as two. MS: PyTorch, float32, this machine "
        "(--latency)."
    )


def _missing_package(spec: ModelSpec) -> str | None:
    """The extra that brings what the model runs on, where that is not installed."""
    from importlib.util import find_spec

    if spec.runtime == "superpixel" and not (find_spec("skimage") and find_spec("scipy")):
        return "classic"
    return None


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
    missing = _missing_package(spec)
    return {
        "name": spec.name,
        "kind": str(spec.kind),
        "summary": spec.summary,
        "paper": spec.paper,
        "max_depth": spec.max_depth,
        "size_mb": total if embedded else first["size_mb"],
        "licence": first["licence"],
        "here": any(file["path"] for file in files) and missing is None,
        "needs": missing,
        "files": files,
    }
