"""OpenEXR: one map of floats in a channel of a chosen name, and its record in the header.

Writing needs no package: one part, scan lines, ZIP compression. Reading needs OpenEXR.

Source: the OpenEXR file layout (openexr.com, "OpenEXR File Layout").
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import MissingDependencyError
from leadline.io.boundary import check_pixels, open_file, size_of
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from jaxtyping import Float, Num

MAGIC = b"\x76\x2f\x31\x01"
"""How an EXR file begins."""

RECORD = "leadline"
"""Header attribute that holds what Leadline knows of a map, as JSON."""

_VERSION = struct.pack("<i", 2)
_HALF, _FLOAT = 1, 2
_ZIP, _ZIP_ROWS = 3, 16
_NEEDED = "a whole EXR file is needed: write it again."


def write_exr(
    path: str | os.PathLike[str],
    values: Float[np.ndarray, "h w"],
    *,
    channel: str = "Z",
    half: bool = False,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write a map as one channel of an EXR file.

    Args:
        path: the file.
        values: the map, as it is to stand there; the caller chooses what stands for holes.
        channel: its name, ``layer.pass.channel`` for programs with layers.
        half: 16-bit floats; what they cannot hold becomes infinite.
        info: JSON-able record, kept in the header attribute :data:`RECORD`.
    """
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(values, "<f2" if half else "<f4")
    height, width = rows.shape
    head = MAGIC + _VERSION + _header(channel, width, height, half=half, info=info or {})
    chunks = []
    for top in range(0, height, _ZIP_ROWS):
        data = _pack(rows[top : top + _ZIP_ROWS].tobytes())
        chunks.append(struct.pack("<ii", top, len(data)) + data)
    first = len(head) + 8 * len(chunks)
    offsets = first + np.cumsum([0, *map(len, chunks[:-1])])
    with atomic_write(path) as file:
        file.write(head + offsets.astype("<u8").tobytes())
        file.writelines(chunks)


def read_exr_record(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The record that :func:`write_exr` put into the header; None in files of others.

    Raises:
        InputError: missing or damaged.
        MissingDependencyError: OpenEXR is not installed.
    """
    exr = _open_exr(path)
    with open_file(path, _NEEDED), exr(str(path), header_only=True) as opened:
        text = opened.parts[0].header.get(RECORD)
        return None if text is None else dict(json.loads(text))


def read_exr(
    path: str | os.PathLike[str],
    choose: Callable[[list[str]], str],
    *,
    max_megapixels: float | None,
) -> Num[np.ndarray, "h w n"]:
    """Read a channel, or R, G and B where there are no others.

    Args:
        path: the file.
        choose: returns which of the channels is meant.
        max_megapixels: see :func:`leadline.io.read_image`.

    Raises:
        InputError: missing, damaged or too large, and what ``choose`` raises.
        MissingDependencyError: OpenEXR is not installed.
    """
    exr = _open_exr(path)
    with open_file(path, _NEEDED) as file:
        with exr(str(path), header_only=True) as opened:
            found = _channels(opened)
            count = len(opened.parts)
            numbers = sum(map(_count_numbers, opened.parts))
        pixels = 1, math.ceil(numbers / 4)  # four channels count as a pixel
        check_pixels(pixels, str(path), stored=size_of(file), max_megapixels=max_megapixels)
        grey = {name for name in found if name.rpartition(".")[2] in ("R", "G", "B")}
        wanted = sorted(grey) if grey == set(found) else [choose(list(found))]
        with exr(str(path), separate_channels=True) as opened:
            parts = [opened.channels(part) for part in range(len(opened.parts))]
            if len(parts) != count:  # OpenEXR leaves out a part that is damaged
                raise ValueError(f"{count - len(parts)} of {count} parts are damaged")
            return np.dstack(
                [parts[part][name].pixels for part, name in map(found.__getitem__, wanted)]
            )


def _open_exr(path: str | os.PathLike[str]) -> Any:
    try:
        import OpenEXR  # ty: ignore[import-not-found]
    except ImportError as error:
        raise MissingDependencyError("OpenEXR", f"reading {path}", "exr") from error
    return OpenEXR.File


def _header(channel: str, width: int, height: int, *, half: bool, info: Mapping[str, Any]) -> bytes:
    kind = struct.pack("<iB3xii", _HALF if half else _FLOAT, 0, 1, 1)
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    attributes = (
        ("channels", "chlist", channel.encode() + b"\0" + kind + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        (RECORD, "string", json.dumps(info, sort_keys=True).encode()),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    written = (
        f"{name}\0{type_}\0".encode() + struct.pack("<i", len(data)) + data
        for name, type_, data in attributes
    )
    return b"".join(written) + b"\0"


def _pack(raw: bytes) -> bytes:
    """A chunk as ZIP stores it: even bytes, odd bytes, their differences, deflated if smaller."""
    data = np.frombuffer(raw, np.uint8)
    parted = np.concatenate([data[::2], data[1::2]])
    steps = parted.copy()
    steps[1:] = parted[1:] - parted[:-1] + np.uint8(128)  # modulo 256
    packed = zlib.compress(steps.tobytes(), 4)
    return packed if len(packed) < len(raw) else raw


def _count_numbers(part: Any) -> int:
    """Numbers of all channels of a part."""
    (left, top), (right, bottom) = part.header["dataWindow"]
    size = int(right) - int(left) + 1, int(bottom) - int(top) + 1
    return max(0, size[0]) * max(0, size[1]) * len(part.header["channels"])


def _channels(opened: Any) -> dict[str, tuple[int, str]]:
    """Name of every channel -> its part, and its name there; equal ones get their part's name."""
    found: dict[str, tuple[int, str]] = {}
    for index, part in enumerate(opened.parts):
        for channel in part.header["channels"]:
            name = channel.name if channel.name not in found else f"{part.name()}.{channel.name}"
            found[name] = (index, channel.name)
    return found
