"""Which files a run of ``leadline predict`` writes: one for every picture and format."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.cli.options import parse_formats
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.io import Ledger

Files = dict[str, Path]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What to write for every picture.

    Attributes:
        files: picture -> format -> file.
        folder: of all of them.
        cmap: colour map of the pictures among them.
        file: the only one, where it was named itself.
    """

    files: dict[Path, Files]
    folder: Path
    cmap: str
    file: Path | None = None

    def ledger(self, way: dict[str, Any], *, resume: bool) -> Ledger:
        """The notes of a run that fills them in this way."""
        from leadline.io import Ledger

        files = {picture: list(made.values()) for picture, made in self.files.items()}
        return Ledger(self.folder, files, {**way, "cmap": self.cmap}, resume=resume)


def plan_outputs(
    inputs: list[str], out: Path, formats: str | None, cmap: str, *, recursive: bool
) -> Outputs:
    """Which pictures there are and which files they become.

    Args:
        inputs: of the command line.
        out: folder, or the file of the only picture.
        formats: as they were given; None: :data:`leadline.cli.options.DEFAULT_FORMATS`.
        cmap: colour map of the pictures among them.
        recursive: search the folders' folders too.

    Raises:
        InputError: what cannot be written, or would overwrite an input.
        UnknownNameError: no such format or colour map.
    """
    from leadline.cli.naming import (
        check_folder,
        keep_inputs,
        names_file,
        output_files,
        without_results,
    )
    from leadline.errors import UnknownNameError
    from leadline.io import list_images, output_suffixes
    from leadline.viz import CMAPS

    names = parse_formats(formats)
    if cmap not in CMAPS:
        raise UnknownNameError("colour map", cmap, CMAPS)
    given = _with_standard_input(inputs)
    alone = len(given) == 1 and not Path(given[0]).is_dir()
    file = names_file(out)
    folder = out.parent if file else out
    check_folder(folder)
    found = list_images(given, recursive=recursive)
    pictures = without_results(found, map(Path, given), None if file else out)
    if file:
        name = _format_of_file(out, None if formats is None else names)
        if len(pictures) != 1:
            raise InputError(
                f"--out {out} is the name of one file for {len(pictures)} pictures; give a folder."
            )
        keep_inputs([out], pictures)
        return Outputs(files={pictures[0]: {name: out}}, folder=folder, cmap=cmap, file=out)
    alone = alone and len(pictures) == 1
    files = output_files(pictures, out, output_suffixes(names, alone=alone))
    return Outputs(files=files, folder=out, cmap=cmap)


def _format_of_file(out: Path, names: list[str] | None) -> str:
    """The format of the only file: what --format says, or the suffix."""
    from leadline.io import FORMATS, format_of

    if not names:
        return format_of(out)
    if len(names) > 1 or names[0] not in FORMATS or FORMATS[names[0]] != out.suffix.lower():
        raise InputError(
            f"--out {out} with --format {','.join(names)}: one format that ends in {out.suffix} is "
            "needed for one file; leave --format out, or give a folder."
        )
    return names[0]


def _with_standard_input(inputs: list[str]) -> list[str]:
    """``inputs`` with ``-`` replaced by the lines of standard input."""
    given: list[str] = []
    for entry in inputs:
        if entry == "-":
            from leadline.io import parse_list

            given += parse_list(sys.stdin.buffer.read())
        else:
            given.append(entry)
    return given
