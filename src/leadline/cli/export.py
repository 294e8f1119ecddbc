"""``leadline export``: a network as a file that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import FixedSize, parse_size, refuse_looks, with_load_options
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from leadline.export import Exported
    from leadline.load_options import LoadOptions

SUFFIX_OF = {"onnx": ".onnx", "openvino": ".xml"}


@with_load_options(required=True)
def export(
    load: LoadOptions,
    to: Annotated[
        str | None, typer.Option(help="onnx or openvino; left out, the suffix of --out tells.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; <model name> if left out.")
    ] = None,
    fixed_size: FixedSize = None,
) -> None:
    """Write a network and its description; compare it with PyTorch first.

    The file takes any batch and, unless --fixed-size fixes them, any sides that the network takes.
    """
    from leadline.cli.naming import check_folder
    from leadline.export import export as write

    refuse_looks(load, "export")
    target = _target(str(load.model), to, out)
    check_folder(target.parent)
    exported = write(load, target, sides=parse_size(fixed_size))
    for line in _lines(exported):
        typer.echo(line)


def _target(model: str, to: str | None, out: Path | None) -> Path:
    if to is not None and to not in SUFFIX_OF:
        raise UnknownNameError("format", to, SUFFIX_OF)
    if out is None:
        if to is None:
            raise InputError("neither --to nor --out was given; say --to onnx or --to openvino.")
        stem = Path(model).stem if Path(model).exists() else model.rsplit("/", 1)[-1]
        return Path(stem + SUFFIX_OF[to])
    if to is not None and out.suffix.lower() != SUFFIX_OF[to]:
        raise InputError(
            f"--out {out} with --to {to}: a name that ends in {SUFFIX_OF[to]} is needed; leave one "
            "of the two out."
        )
    return out


def _lines(exported: Exported) -> list[str]:
    megabytes = exported.path.stat().st_size / 1e6
    beside = exported.path.with_suffix(".bin")
    if exported.path.suffix.lower() == ".xml" and beside.is_file():
        megabytes += beside.stat().st_size / 1e6
    lines = [f"wrote {exported.path} ({megabytes:.1f} MB) and {exported.sidecar.name}"]
    if exported.checks:
        lines.append("largest difference from PyTorch, relative to the largest value, in float32:")
    for check in exported.checks:
        shape = "x".join(str(side) for side in check.shape)
        lines.append(f"  {check.runtime:<12} {shape:<16} {check.relative_error:.1e}")
    return lines
