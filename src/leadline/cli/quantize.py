"""``leadline quantize``: an exported network with int8 where it does not hurt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import Json, MaxMegapixels, Tone, refuse_looks, with_load_options
from leadline.cli.pictures import Reading

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions


@with_load_options(required=True, argument=True, help="Exported network (.xml, .onnx).")
def quantize(
    load: LoadOptions,
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE...",
            help="Pictures or folders like those it will see, or - for a list on standard input.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, .xml.", show_default=False)
    ],
    max_error: Annotated[
        float, typer.Option(help="Largest relative error of the output that is allowed.")
    ] = 0.02,
    most: Annotated[int, typer.Option(help="Pictures that are used at most.")] = 8,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write MODEL with int8 layers; needs a few pictures to find the ranges of values."""
    from leadline.cli.naming import check_folder
    from leadline.cli.outputs import with_standard_input
    from leadline.io import list_images
    from leadline.quantize import quantize as run

    refuse_looks(load, "quantize")
    check_folder(out.parent)
    found = list_images(with_standard_input(pictures), recursive=True)
    step = max(1, len(found) // max(1, most))
    reading = Reading.of(tone, max_megapixels)
    read = [reading.read_aloud(path) for path in found[::step][:most]]
    done = run(load, out, pictures=read, max_error=max_error)
    kept = [layer.name for layer in done.layers if layer.kept]
    if as_json:
        summary = {"path": str(done.path), "error": done.error, "share": done.share, "kept": kept}
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(
        f"{done.path}: {done.share:.0%} of the work in int8, {len(kept)} of {len(done.layers)} "
        f"layers kept as they were, relative error {done.error:.2%}"
    )
