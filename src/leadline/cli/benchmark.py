"""``leadline benchmark``: how fast a network runs here, beside the ways people run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import (
    FixedSize,
    Json,
    parse_size,
    refuse_looks,
    split_words,
    with_load_options,
)
from leadline.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions


@with_load_options(default="depth-anything-v2-vits")
def benchmark(
    load: LoadOptions,
    against: Annotated[
        str,
        typer.Option(help="Any of transformers, onnxruntime, openvino-default, torch-compile."),
    ] = "transformers,onnxruntime,openvino-default",
    only: Annotated[
        str, typer.Option(help="Contenders by name, in place of all.", show_default=False)
    ] = "",
    reference: Annotated[
        str | None, typer.Option(help="Contender that ratios are to; the first one.")
    ] = None,
    fixed_size: FixedSize = None,
    runs: Annotated[int, typer.Option(help="Rounds that count.")] = 15,
    policies: Annotated[
        bool, typer.Option("--policies", help="Also the cost of --flip, --tiles and --size.")
    ] = False,
    busy: Annotated[
        bool, typer.Option("--busy", help="Measure although other processes are at work.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON here.")] = None,
    as_json: Json = False,
) -> None:
    """Time MODEL in every way named, in turn, with its error and memory.

    Each contender has a process of its own and the same random weights. Times are medians of
    interleaved runs; the error is against PyTorch in float32. Nothing is measured while other
    programs use the processor, unless --busy is given.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("torch", "leadline benchmark", "all") from error
    from leadline.jobs import write_text
    from leadline.speed import Options, as_text, run

    refuse_looks(load, "benchmark")
    _refuse_choices(load)
    options = Options(
        model=str(load.model),
        against=tuple(split_words(against)),
        only=tuple(split_words(only)),
        reference=reference,
        size=parse_size(fixed_size) or (None if load.size is None else (load.size, load.size)),
        runs=runs,
        threads=load.threads,
        device="cpu" if load.device == "auto" else load.device,
        weights=None if load.weights is None else Path(load.weights),
        policies=policies,
        busy=busy,
    )
    result = run(options, say=lambda line: typer.echo(line, err=True))
    text = json.dumps(result, indent=1)
    if out is not None:
        write_text(out, text + "\n")
    typer.echo(text if as_json else as_text(result))


def _refuse_choices(load: LoadOptions) -> None:
    """Refuse what the contenders themselves decide."""
    if (load.runtime, load.precision, load.max_depth) != ("auto", "auto", None):
        raise InputError(
            "benchmark with --runtime, --precision or --max-depth: each contender has its own "
            "runtime and precision, and a depth limit changes no time; choose contenders with "
            "--only, and leave these out."
        )
