"""``leadline mcp``: depth for language models, over the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import with_load_options
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions


@with_load_options(default="lite-metric")
def mcp(
    load: LoadOptions,
    root: Annotated[Path, typer.Option(help="Folder whose pictures may be read.")] = Path(),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "leadline-out"
    ),
) -> None:
    """Serve the tools of a language model's program on standard input and output.

    The program starts this command itself and asks for depth, clouds and measures of the pictures
    in --root. It ends when the program closes its end.
    """
    from leadline.cli.naming import check_folder
    from leadline.mcp_server import Tools, make_server

    if not root.is_dir():
        raise InputError(f"--root {root}: no such folder; give the folder of the pictures.")
    check_folder(out)
    make_server(Tools(load, root=root, out=out)).run()
