"""HEIC files with a depth picture in them, which no package writes: boxes put together by hand.

Source: ISO/IEC 14496-12 and 23008-12 for the boxes; 23008-2 for what the depth picture means.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

_AUX_DEPTH = b"urn:mpeg:hevc:2015:auxid:2\0"
_DEPTH_SEI, _PREFIX_SEI = 177, 39


def write_heic_with_depth(
    path: Path, photo: np.ndarray, codes: np.ndarray, *, disparity: tuple[float, float] | None
) -> None:
    """Write a photo (h, w, 3) and its depth picture (h', w'), both uint8.

    Args:
        path: the file.
        photo: the picture.
        codes: of its depth.
        disparity: of the least and the largest code; None: the file does not say.
    """
    import pillow_heif

    heif = pillow_heif.from_pillow(PilImage.fromarray(photo))
    heif.add_from_pillow(PilImage.fromarray(codes).convert("L"))
    file = io.BytesIO()
    heif.save(file, quality=-1, chroma=444)
    data = file.getvalue()
    boxes = dict(_boxes(data))
    meta = dict(_boxes(boxes[b"meta"][4:]))
    first, second = _item_ids(meta[b"iinf"])
    iref = _box(b"auxl", struct.pack(">HHH", second, 1, first))
    meta[b"iref"] = bytes(4) + iref
    meta[b"iprp"] = _with_property(meta[b"iprp"], second, _aux_property(disparity))
    grown = len(_meta(meta)) - len(boxes[b"meta"]) - 8
    meta[b"iloc"] = _moved(meta[b"iloc"], grown)
    out = b"".join(
        _meta(meta) if kind == b"meta" else _box(kind, body) for kind, body in _boxes(data)
    )
    path.write_bytes(out)


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return found


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _meta(children: dict[bytes, bytes]) -> bytes:
    return _box(b"meta", bytes(4) + b"".join(_box(*child) for child in children.items()))


def _item_ids(iinf: bytes) -> tuple[int, int]:
    entries = [body for kind, body in _boxes(iinf[6:]) if kind == b"infe"]
    pictures = [e for e in entries if e[8:12] == b"hvc1"]
    first, second = (struct.unpack_from(">H", entry, 4)[0] for entry in pictures)
    return first, second


def _with_property(iprp: bytes, item: int, prop: bytes) -> bytes:
    """Append a property, and associate it with an item."""
    children = dict(_boxes(iprp))
    children[b"ipco"] += _box(b"auxC", prop)
    index = len(_boxes(children[b"ipco"]))
    ipma = children[b"ipma"]
    (count,) = struct.unpack_from(">I", ipma, 4)
    out, at = ipma[:8], 8
    for _ in range(count):
        number, several = struct.unpack_from(">HB", ipma, at)
        body = ipma[at + 3 : at + 3 + several]
        extra = bytes([index | 0x80]) if number == item else b""
        out += struct.pack(">HB", number, several + len(extra)) + body + extra
        at += 3 + several
    children[b"ipma"] = out
    return b"".join(_box(*child) for child in children.items())


def _moved(iloc: bytes, by: int) -> bytes:
    """Shift where the items of an iloc box of 4-byte offsets begin."""
    version, sizes, bases = iloc[0], iloc[4], iloc[5]
    assert version < 2, version
    assert sizes == 0x44, sizes
    base = bases >> 4
    out = bytearray(iloc)
    (count,) = struct.unpack_from(">H", iloc, 6)
    at = 8
    for _ in range(count):
        at += 4 + (2 if version == 1 else 0) + base
        (extents,) = struct.unpack_from(">H", iloc, at)
        at += 2
        for _ in range(extents):
            (offset,) = struct.unpack_from(">I", iloc, at)
            struct.pack_into(">I", out, at, offset + by)
            at += 8
    return bytes(out)


def _aux_property(disparity: tuple[float, float] | None) -> bytes:
    if disparity is None:
        return bytes(4) + _AUX_DEPTH
    bits = "0011" + "010" + "1"  # d_min and d_max; type 1: uniform disparity; reference view 0
    bits += "".join(_element(value) for value in disparity)
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    message = struct.pack(">BBBB", _PREFIX_SEI << 1, 1, _DEPTH_SEI, len(payload)) + payload
    unit = struct.pack(">I", len(message)) + message
    return bytes(4) + _AUX_DEPTH + struct.pack(">I", len(unit)) + unit


def _element(value: float) -> str:
    """Sign, 7 bits of exponent, length and 16 bits of mantissa, for powers of two and near."""
    exponent = int(np.floor(np.log2(value)))
    mantissa = round((value / 2.0**exponent - 1) * 65536)
    return f"0{exponent + 31:07b}{15:05b}{mantissa:016b}"
