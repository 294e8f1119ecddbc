"""``leadline reproduce``: published tables, and what this program measures for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import Every, Json, SkipBad, split_pair, split_words, with_load_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadline.evaluation.reproduce import Result
    from leadline.load_options import LoadOptions


@with_load_options(default=None, help="Only these models of the tables, with commas between.")
def reproduce(
    load: LoadOptions,
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="TABLE...", help="Names of tables.", show_default="all"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a folder for every data set, by its name, and with weights/, where "
            "models' own files lie.",
            show_default=False,
        ),
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET=FOLDER", help="A data set that lies elsewhere.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Measure what is here; folder of the results.", show_default=False
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download the weights that are not here.")
    ] = False,
    every: Every = 1,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Show published TABLES, and with --out measure their rows: paper, here, difference.

    Without TABLE and --out it lists the tables. A row is measured when its data and weights are
    here; of the others it says what to put where, and how large it is. What an earlier run left in
    --out is kept. Exit code: 0 done, 1 some rows failed or lack something, 2 could not start.
    """
    from leadline.cli.naming import check_folder
    from leadline.evaluation.published import find_rows
    from leadline.evaluation.reproduce import Places, Result, make_plans, measure, to_markdown

    if out is not None:
        check_folder(out)
    roots = {name: Path(folder) for name, folder in map(_split_root, root or ())}
    rows = find_rows(tables or (), split_words(str(load.model or "")))
    plans = make_plans(rows, load, Places(data=data, roots=roots, download=download), every=every)
    if out is None:
        results: Sequence[Result] = [Result(plan=plan) for plan in plans]
    else:
        results = measure(
            plans, out, skip_bad=skip_bad, say=lambda line: typer.echo(line, err=True)
        )
    if as_json:
        typer.echo(json.dumps([result.to_dict() for result in results], indent=2))
    elif out is None and not tables:
        _print_list(results)
    else:
        typer.echo(to_markdown(results, tables or ()))
    if out is not None and any(not result.measured for result in results):
        raise typer.Exit(1)


def _split_root(text: str) -> tuple[str, str]:
    from leadline.datasets import get

    name, folder = split_pair(text, "--root DATASET=FOLDER")
    return get(name).name, folder


def _print_list(results: Sequence[Result]) -> None:
    """A line a table: rows, how many of them could be measured now, and the paper."""
    from leadline.evaluation.published import read_tables

    typer.echo(f"{'TABLE':22}  {'ROWS':>4}  {'READY':>5}  PAPER")
    for table in read_tables().values():
        mine = [result.plan for result in results if result.plan.row.table == table.name]
        ready = sum(not plan.missing for plan in mine)
        typer.echo(f"{table.name:22}  {len(mine):4}  {ready:5}  {table.paper}")
    typer.echo("\n`leadline reproduce TABLE` shows a table and what its rows lack here.")
