"""Names of output files: short where they can be, and never two the same."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from leadline.errors import InputError


def output_stems(inputs: Sequence[Path]) -> dict[Path, str]:
    """A file stem for every input, all different whatever the case of their letters.

    The stem is the input's own. Only inputs whose stems collide get the folder's name in front,
    ``<parent>__<stem>``, then the folder above it, until they differ. Two files of one folder that
    differ in the suffix only get it behind: ``<parent>__<stem>_png``.
    """
    unique = list(dict.fromkeys(inputs))
    twins = Counter((_absolute(path).parent, path.stem.casefold()) for path in unique)
    options = {path: _options(_absolute(path), twins) for path in unique}
    level = dict.fromkeys(unique, 0)
    while True:
        stems = {path: options[path][level[path]] for path in unique}
        counts = Counter(stem.casefold() for stem in stems.values())
        clashing = [path for path in unique if counts[stems[path].casefold()] > 1]
        if not clashing:
            return stems
        movable = [path for path in clashing if level[path] + 1 < len(options[path])]
        for path in movable:
            level[path] += 1
        if not movable:
            for number, path in enumerate(clashing[1:], start=2):
                options[path].append(f"{stems[path]}_{number}")
                level[path] += 1


def output_files(
    inputs: Sequence[Path], folder: Path, suffixes: Mapping[str, str]
) -> dict[Path, dict[str, Path]]:
    """Input -> format -> the file to write.

    Args:
        inputs: of all results.
        folder: of all results.
        suffixes: format -> suffix.

    Raises:
        InputError: a file to write is one of the inputs.
    """
    stems = output_stems(inputs)
    planned = {
        path: {name: folder / f"{stem}{suffix}" for name, suffix in suffixes.items()}
        for path, stem in stems.items()
    }
    keep_inputs((file for files in planned.values() for file in files.values()), stems)
    return planned


def names_file(out: Path) -> bool:
    """Whether ``--out`` names a file (map.png) and no folder: by its suffix."""
    from leadline.io import FORMATS
    from leadline.io.images import IMAGE_SUFFIXES

    known = {*IMAGE_SUFFIXES, *(one.suffix for one in FORMATS.values())}
    return out.suffix.lower() in known and not out.is_dir()


def check_folder(out: Path) -> None:
    """Raise InputError when results cannot go into the folder ``out``, before any is made."""
    for place in (out, *out.parents):
        if place.is_dir():
            if not os.access(place, os.W_OK):
                raise InputError(f"--out {out}: {place} cannot be written to; give another folder.")
            return
        if place.exists() or place.is_symlink():
            what = "is a file" if place.is_file() else "is no folder"
            raise InputError(f"--out {out}: {place} {what}; a folder is needed.")


def check_inside(out: Path, *below: str) -> None:
    """Raise InputError when a folder below ``out`` is a link that leads out of it."""
    for name in below:
        folder = out / name
        if folder.is_symlink() and not folder.resolve().is_relative_to(out.resolve()):
            raise InputError(
                f"{folder} is a link to {folder.resolve()}, outside of --out {out}; results are "
                "not written there. Take the link away, or give its target as --out."
            )


def keep_inputs(files: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise InputError when a file to write is one of the inputs."""
    originals = {_absolute(path) for path in inputs}
    for file in files:
        if _absolute(file) in originals:
            raise InputError(
                f"{file}, a result, would overwrite an input. Give another folder with --out."
            )


def without_results(
    found: Iterable[Path], given: Iterable[Path], out: Path | None = None
) -> list[Path]:
    """``found`` less Leadline's own maps, which a folder to search may hold, unless ``given``.

    Maps say that they are; those of before they did are told by their names, in ``out`` only:
    ``NAME.color.png``, ``NAME.side.png`` and ``NAME.depth.png``. JPEGs of ``gdepth`` are told by
    their names.

    Raises:
        InputError: nothing is left, or nothing of it is there.
    """
    from leadline.io import is_map

    files, named = list(found), {_absolute(path) for path in given}
    pictures = [
        path
        for path in files
        if _absolute(path) in named or not (is_map(path) or _is_named_result(path, out))
    ]
    if not pictures:
        what = "holds nothing but maps that Leadline made" if files else "was not given"
        raise InputError(f"INPUT {what}; give pictures, folders, patterns or a list.")
    if not any(path.exists() for path in pictures):
        first, others = pictures[0], len(pictures) - 1
        many = f", and none of {others} others is there" if others else ""
        raise InputError(f"{first}: no such file or folder{many}; check the path.")
    return pictures


def _is_named_result(path: Path, out: Path | None) -> bool:
    inside = out is not None and _absolute(path).parent == _absolute(out)
    return inside and path.name.endswith((".color.png", ".side.png", ".depth.png", ".gdepth.jpg"))


def _options(path: Path, twins: Mapping[tuple[Path, str], int]) -> list[str]:
    twin = twins[path.parent, path.stem.casefold()] > 1
    suffix = path.suffix.removeprefix(".")
    last = f"{path.stem}_{suffix}" if twin and suffix else path.stem
    parents = [parent.name for parent in path.parents if parent.name]
    joined = ["__".join([*reversed(parents[:depth]), last]) for depth in range(1, len(parents) + 1)]
    return [path.stem, *joined]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - keeps symbolic links, unlike resolve
