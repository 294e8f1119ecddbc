"""Write a TensorFlow checkpoint (version 2) without TensorFlow: one table block, one data file."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_MAGIC = 0xDB4775248B80FB57
_FLOAT = 1


def write_checkpoint(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """``path``.index and ``path``.data-00000-of-00001 with float32 arrays."""
    entries = {b"": _field(1, 1)}  # the header: one shard
    parts: list[bytes] = []
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], "<f4")
        dims = b"".join(_message(2, _field(1, side)) for side in array.shape)
        place = _field(4, sum(map(len, parts))) + _field(5, array.nbytes)
        entries[name.encode()] = _field(1, _FLOAT) + _message(2, dims) + place
        parts.append(array.tobytes())

    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(b"".join(parts))
    table, handle = _block(b"", entries)
    table, meta = _block(table, {})
    table, index = _block(table, {b"\xff": handle})
    footer = (meta + index).ljust(40, b"\0") + struct.pack("<Q", _MAGIC)
    path.with_name(f"{path.name}.index").write_bytes(table + footer)


def _block(table: bytes, entries: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """The table with a block more, and the block's handle."""
    block = b"".join(
        _varint(0) + _varint(len(key)) + _varint(len(value)) + key + value
        for key, value in sorted(entries.items())
    )
    block += struct.pack("<II", 0, 1)  # one restart, at 0
    handle = _varint(len(table)) + _varint(len(block))
    return table + block + b"\0" + b"\0" * 4, handle  # uncompressed; the checksum is not read


def _field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])
