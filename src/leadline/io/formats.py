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
        "normal": ".png",
        "normal16": ".png",
        "normal-directx": ".png",
        "normal16-directx": ".png",
    }
)
"""Format -> suffix. ``ply`` is a point cloud and needs metric or scaled depth and a camera, as the
normal maps do (8 or 16 bits, green up or, for DirectX, down) where the model gives no normals."""


_INNER = MappingProxyType(
    {
        "png16": "depth",
        "color": "color",
        "side": "side",
        "normal": "normal",
        "normal16": "normal16",
        "normal-directx": "normal-directx",
        "normal16-directx": "normal16-directx",
    }
)
"""Formats of ``.png`` -> what stands before the suffix: a name says whether it is a map."""


def output_suffixes(formats: Sequence[str], *, alone: bool = False) -> dict[str, str]:
    """Format -> suffix when all of ``formats`` are written for one picture.

    Pictures say what they are (``.depth.png``, ``.color.png``, ``.side.png``), so that nobody takes
    colours for depth and nothing overwrites anything.

    Args:
        formats: of every picture.
        alone: only one picture is asked for; its only format is ``.png`` then.

    Raises:
        UnknownNameError: no such format; the message lists all.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
    short = alone and len(set(formats)) == 1
    return {
        name: f".{_INNER[name]}{FORMATS[name]}" if name in _INNER and not short else FORMATS[name]
        for name in dict.fromkeys(formats)
    }


def format_of(path: Path) -> str:
    """The format that a file name asks for; ``.png`` is ``color`` unless it says otherwise."""
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    if suffixes and suffixes[-1] == ".png":
        inner = suffixes[0][1:] if len(suffixes) == 2 else ""
        by_inner = {word: name for name, word in _INNER.items()} | {"png16": "png16"}
        return by_inner.get(inner, "color")
    for name, suffix in FORMATS.items():
        if suffixes and suffixes[-1] == suffix:
            return name
    raise InputError(
        f"{path}: the suffix names no format; end it with one of "
        f"{', '.join(sorted(set(FORMATS.values())))}."
    )
