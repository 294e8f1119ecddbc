"""``leadline benchmark``: how fast a network runs here, beside the ways people run it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from leadline.errors import InputError, MissingDependencyError


def benchmark(
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name (see `leadline models`).")
    ] = "depth-anything-v2-vits",
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
    size: Annotated[
        str | None,
        typer.Option(help="Network's input, HEIGHTxWIDTH or one SIDE; the model's own."),
    ] = None,
    runs: Annotated[int, typer.Option(help="Rounds that count.")] = 15,
    threads: Annotated[
        int | None, typer.Option(help="Threads of every contender; each library's default.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    weights: Annotated[
        Path | None, typer.Option(help="Checkpoint in place of random weights.")
    ] = None,
    policies: Annotated[
        bool, typer.Option("--policies", help="Also the cost of --flip, --tiles and --size.")
    ] = False,
    busy: Annotated[
        bool, typer.Option("--busy", help="Measure although other processes are at work.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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

    options = Options(
        model=model,
        against=_words(against),
        only=_words(only),
        reference=reference,
        size=_size(size),
        runs=runs,
        threads=threads,
        device=device,
        weights=weights,
        policies=policies,
        busy=busy,
    )
    result = run(options, say=lambda line: typer.echo(line, err=True))
    text = json.dumps(result, indent=1)
    if out is not None:
        write_text(out, text + "\n")
    typer.echo(text if as_json else as_text(result))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if not found:
        raise InputError(f"--size {text}: HEIGHTxWIDTH or one SIDE in pixels is needed.")
    return int(found[1]), int(found[2] or found[1])
