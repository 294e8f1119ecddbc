"""The formats of a depth map, by name: one table of what each can carry and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Format:
    """What a file of a format holds.

    Attributes:
        suffix: of its files.
        values: how the map's numbers are kept, in words.
        keeps: which parts of a prediction are kept beside the values.
        holes: what stands where nothing is known.
        readable: ``read_prediction`` reads it: ``yes``, ``with kind`` or ``no``.
        opens_in: who opens it.
        word: stands before the suffix (``.depth.png``) where it alone would not say enough.
        default: whether the suffix without a word names this format.
        stores: what a map becomes first: ``depth``, ``disparity``, ``normals``, ``points``, or
            stays (``values``).
    """

    suffix: str
    values: str
    keeps: tuple[str, ...]
    holes: str
    readable: str
    opens_in: str
    word: str = ""
    default: bool = True
    stores: Literal["values", "depth", "disparity", "normals", "points"] = "values"


_PICTURE = ("valid", "camera")


def _normal_map(word: str, bits: int, green: str, opens_in: str) -> Format:
    return Format(
        suffix=".png",
        word=word,
        values=f"{bits} bits a channel of surface normals, green {green}, in place of the map",
        keeps=("valid", "normals", "camera"),
        holes="black",
        readable="no",
        opens_in=opens_in,
        default=False,
        stores="normals",
    )


FORMATS = MappingProxyType(
    {
        "npz": Format(
            suffix=".npz",
            values="float32",
            keeps=("valid", "confidence", "normals", "points", "sky", "camera"),
            holes="the array `valid`",
            readable="yes",
            opens_in="Leadline, NumPy",
        ),
        "npy": Format(
            suffix=".npy",
            values="float32",
            keeps=("valid",),
            holes="NaN",
            readable="with kind",
            opens_in="NumPy",
        ),
        "png16": Format(
            suffix=".png",
            word="depth",
            values="65535 steps over their range",
            keeps=_PICTURE,
            holes="code 0",
            readable="yes",
            opens_in="Leadline, image programs; scale and offset stand in the record",
            default=False,
        ),
        "color": Format(
            suffix=".png",
            word="color",
            values="as colours, nearer is brighter",
            keeps=_PICTURE,
            holes="slate",
            readable="no",
            opens_in="every viewer",
        ),
        "side": Format(
            suffix=".png",
            word="side",
            values="as colours, beside the photo",
            keeps=_PICTURE,
            holes="slate",
            readable="no",
            opens_in="every viewer",
            default=False,
        ),
        "pfm": Format(
            suffix=".pfm",
            values="float32",
            keeps=("valid",),
            holes="infinity",
            readable="with kind",
            opens_in="stereo benchmarks, MiDaS's tools",
        ),
        "ply": Format(
            suffix=".ply",
            values="metric or scaled depth as points",
            keeps=("valid",),
            holes="no point",
            readable="no",
            opens_in="MeshLab, CloudCompare, Open3D",
            stores="points",
        ),
        "exr": Format(
            suffix=".exr",
            values="float32; depth in channel `Z`, disparity in `Y`",
            keeps=_PICTURE,
            holes="infinity, or 0 of a disparity",
            readable="yes",
            opens_in="Nuke, Natron, Fusion, Houdini",
        ),
        "exr-half": Format(
            suffix=".exr",
            word="half",
            values="16-bit floats in the same channels: 11 bits, 65504 at most",
            keeps=_PICTURE,
            holes="as `exr`",
            readable="yes",
            opens_in="as `exr`",
            default=False,
        ),
        "exr-blender": Format(
            suffix=".exr",
            word="blender",
            values="float32 depth in `ViewLayer.Depth.Z`",
            keeps=_PICTURE,
            holes="1e10, as Blender's background",
            readable="yes",
            opens_in="Blender's compositor",
            default=False,
            stores="depth",
        ),
        "controlnet": Format(
            suffix=".png",
            word="control",
            values="8 bits, near is white, from least to greatest; inverse depth",
            keeps=_PICTURE,
            holes="black",
            readable="no",
            opens_in="ControlNet and T2I adapters for depth",
            default=False,
        ),
        "near16": Format(
            suffix=".png",
            word="near",
            values="65535 steps of disparity over its range, near is white",
            keeps=_PICTURE,
            holes="code 0",
            readable="yes",
            opens_in="image programs, displacement and parallax tools",
            default=False,
            stores="disparity",
        ),
        "gdepth": Format(
            suffix=".jpg",
            word="gdepth",
            values="65536 steps of inverse depth, between GDepth's Near and Far",
            keeps=("camera",),
            holes="the farthest value",
            readable="yes",
            opens_in="every viewer as the photo; readers of Google's GDepth XMP as depth",
            default=False,
            stores="depth",
        ),
        "normal": _normal_map("normal", 8, "up (OpenGL)", "Blender, Unity, Maya"),
        "normal16": _normal_map("normal16", 16, "up (OpenGL)", "Blender, Unity, Maya"),
        "normal-directx": _normal_map("normal-directx", 8, "down", "Unreal, DirectX engines"),
        "normal16-directx": _normal_map("normal16-directx", 16, "down", "Unreal, DirectX engines"),
    }
)
"""Format -> what it holds."""


def output_suffixes(formats: Sequence[str], *, alone: bool = False) -> dict[str, str]:
    """Format -> suffix when all of ``formats`` are written for one picture.

    Names of formats that share a suffix say what they are (``.depth.png``, ``.color.png``,
    ``.half.exr``), so that nobody takes colours for depth and nothing overwrites anything.

    Args:
        formats: of every picture.
        alone: only one picture is asked for; its only format needs no word then.

    Raises:
        UnknownNameError: no such format; the message lists all.
    """
    chosen = {name: get_format(name) for name in dict.fromkeys(formats)}
    short = alone and len(chosen) == 1
    return {
        name: f".{one.word}{one.suffix}" if one.word and not short else one.suffix
        for name, one in chosen.items()
    }


def get_format(name: str) -> Format:
    """The format of a name.

    Raises:
        UnknownNameError: no such format; the message lists all.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)
    return FORMATS[name]


def format_of(path: Path) -> str:
    """The format that a file name asks for; ``.png`` is ``color`` unless it says otherwise."""
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    word = suffixes[0][1:] if len(suffixes) == 2 else ""
    alike = {name: one for name, one in FORMATS.items() if one.suffix == last}
    for name, one in alike.items():
        if word and word in (one.word, name):
            return name
    for name, one in alike.items():
        if one.default:
            return name
    known = dict.fromkeys(one.suffix for one in FORMATS.values() if one.default)
    words = ", ".join(f".{one.word}{one.suffix}" for one in alike.values())
    raise InputError(
        f"{path}: the suffix names no format; end it with one of {', '.join(known)}"
        f"{f', or {words}' if words else ''}."
    )
