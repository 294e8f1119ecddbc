"""``leadline leaderboard``: several models on several sets, one page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import SkipBad, split_words, with_load_options
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions


@with_load_options(
    default="lite,constant,vertical-ramp", help="Names or files, with commas between."
)
def leaderboard(
    sets: Annotated[
        Path,
        typer.Argument(help="TOML file of [[set]] tables: name, dataset, root, protocol ..."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page and cells.")],
    load: LoadOptions,
    skip_bad: SkipBad = False,
) -> None:
    """Score models on sets and write one page; cells that are done are kept.

    Roots in the file are relative to the file. Exit code: 0 all cells are filled, 1 some failed, 2
    could not start.
    """
    from leadline.cli.naming import check_folder
    from leadline.evaluation.leaderboard import read_entries, run_leaderboard

    check_folder(out)
    names = split_words(str(load.model))
    if not names:
        raise InputError("--model names nothing; give one or more, with commas between.")
    cells = run_leaderboard(
        {name: replace(load, model=name) for name in names},
        read_entries(sets),
        out,
        base=sets.resolve().parent,
        skip_bad=skip_bad,
        say=lambda line: typer.echo(line, err=True),
    )
    failed = [cell for cell in cells if "error" in cell]
    for cell in failed:
        typer.echo(f"leadline: {cell['model']} on {cell['set']}: {cell['error']}", err=True)
    typer.echo(f"{len(cells) - len(failed)} of {len(cells)} cells filled; see {out}.", err=True)
    if failed:
        raise typer.Exit(1)
