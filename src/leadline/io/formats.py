"""The formats of a depth map, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMATS = MappingProxyType(
    {
        "npy": ".npy",
        "npz": ".npz",
        "png16": ".png",
        "color": ".png",
        "side": ".png",
        "pfm": ".pfm",
        "ply": ".ply",
    }
)
"""Format -> suffix. ``ply`` is a point cloud and needs metric or scaled depth and a camera."""


def output_suffixes(formats: Sequence[str]) -> dict[str, str]:
    """Format -> suffix when all of ``formats`` are written for one picture.

    A suffix that only one of them wants stays short (``.png``); shared ones name the format
    (``.png16.png``, ``.color.png``, ``.side.png``), so that nothing overwrites anything.

    Raises:
        UnknownNameError: no such format; the message lists all.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    names = list(dict.fromkeys(formats))
    wanted = [FORMATS[name] for name in names]
    return {
        name: suffix if wanted.count(suffix) == 1 else f".{name}{suffix}"
        for name, suffix in zip(names, wanted, strict=True)
    }


def format_of(path: Path) -> str:
    """The format that a file name asks for; ``.png`` is ``color`` unless it says otherwise."""
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    if suffixes and suffixes[-1] == ".png":
        inner = suffixes[0][1:] if len(suffixes) == 2 else ""
        return inner if inner in ("png16", "side") else "color"
    for name, suffix in FORMATS.items():
        if suffixes and suffixes[-1] == suffix:
            return name
    raise InputError(
        f"{path}: the suffix names no format; end it with one of "
        f"{', '.join(sorted(set(FORMATS.values())))}."
    )
