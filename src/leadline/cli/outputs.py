"""Which files a command writes for every picture and format, and what these leave out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.cli.options import parse_formats
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadline.io import Ledger
    from leadline.prediction import Prediction

Files = dict[str, Path]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How pictures among the results look; see :meth:`leadline.Prediction.save`.

    Attributes:
        cmap: colour map.
        legend: whether they have a colour bar.
        control_side: short side of ``controlnet``.
    """

    cmap: str = "inferno"
    legend: bool = False
    control_side: int | None = None

    def __post_init__(self) -> None:
        from leadline.viz import CMAPS, check_control_side

        if self.cmap not in CMAPS:
            raise UnknownNameError("colour map", self.cmap, CMAPS)
        check_control_side(self.control_side)

    @property
    def way(self) -> dict[str, Any]:
        """What of it decides files, for the notes of what results were made of; JSON-able."""
        plain = Look()
        changed = {key: value for key, value in vars(self).items() if value != getattr(plain, key)}
        return {"cmap": self.cmap, **changed}

    def save(self, prediction: Prediction, files: Files) -> None:
        """Write every file of a prediction."""
        for name, file in files.items():
            prediction.save(file, format=name, **vars(self))


class LeftOut:
    """What the predictions of a run hold and the files of each format do not."""

    def __init__(self, formats: Iterable[str]) -> None:
        self._left: dict[str, dict[str, None]] = {name: {} for name in formats}

    def add(self, prediction: Prediction) -> None:
        """Count what is left out of this one."""
        for name, left in self._left.items():
            left.update(dict.fromkeys(prediction.list_left_out(name)))

    def to_dict(self) -> dict[str, list[str]]:
        """Format -> names, of formats that leave something out; JSON-able."""
        return {name: list(left) for name, left in self._left.items() if left}

    def lines(self) -> list[str]:
        """For people: nothing where a file beside them holds all."""
        if "npz" in self._left:
            return []
        return [
            f"{name} leaves out: {', '.join(left)}; --format npz keeps all."
            for name, left in self.to_dict().items()
        ]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What to write for every picture.

    Attributes:
        files: picture -> format -> file.
        folder: of all of them.
        look: of the pictures among them.
        file: the only one, where it was named itself.
    """

    files: dict[Path, Files]
    folder: Path
    look: Look
    file: Path | None = None

    def ledger(self, way: dict[str, Any], *, resume: bool) -> Ledger:
        """The notes of a run that fills them in this way."""
        from leadline.io import Ledger

        files = {picture: list(made.values()) for picture, made in self.files.items()}
        return Ledger(self.folder, files, {**way, **self.look.way}, resume=resume)


def plan_outputs(
    inputs: list[str], out: Path, formats: str | None, look: Look, *, recursive: bool
) -> Outputs:
    """Which pictures there are and which files they become.

    Args:
        inputs: of the command line.
        out: folder, or the file of the only picture.
        formats: as they were given; None: :data:`leadline.cli.options.DEFAULT_FORMATS`.
        look: of the pictures among them.
        recursive: search the folders' folders too.

    Raises:
        InputError: what cannot be written, or would overwrite an input.
        UnknownNameError: no such format.
    """
    from leadline.cli.naming import (
        check_folder,
        keep_inputs,
        names_file,
        output_files,
        without_results,
    )
    from leadline.io import list_images, output_suffixes

    names = parse_formats(formats)
    given = with_standard_input(inputs)
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
        return Outputs(files={pictures[0]: {name: out}}, folder=folder, look=look, file=out)
    alone = alone and len(pictures) == 1
    files = output_files(pictures, out, output_suffixes(names, alone=alone))
    return Outputs(files=files, folder=out, look=look)


def _format_of_file(out: Path, names: list[str] | None) -> str:
    """The format of the only file: what --format says, or the suffix."""
    from leadline.io import format_of, get_format

    if not names:
        return format_of(out)
    if len(names) > 1 or get_format(names[0]).suffix != out.suffix.lower():
        raise InputError(
            f"--out {out} with --format {','.join(names)}: one format that ends in {out.suffix} is "
            "needed for one file; leave --format out, or give a folder."
        )
    return names[0]


def with_standard_input(inputs: list[str]) -> list[str]:
    """``inputs`` with ``-`` replaced by the lines of standard input."""
    given: list[str] = []
    for entry in inputs:
        if entry == "-":
            from leadline.io import parse_list

            given += parse_list(sys.stdin.buffer.read())
        else:
            given.append(entry)
    return given
