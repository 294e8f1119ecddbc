"""Read TensorFlow checkpoints (version 2, "tensor bundles") without TensorFlow.

A checkpoint ``NAME`` is ``NAME.index``, a sorted table of tensor names with their types, shapes and
places, beside ``NAME.data-00000-of-00001``, the raw numbers. Nothing in them is run.

Source: the formats of LevelDB's tables (table_format.md) and of TensorFlow's tensor_bundle.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from leadline.errors import InputError, WeightsError
from leadline.io import read_npz as read_arrays

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}
"""TensorFlow's DataType -> numpy's; strings and the rest are left out."""

Fields = dict[int, list[int | bytes]]


def read_checkpoint(path: Path) -> dict[str, np.ndarray] | None:
    """The numeric tensors of a checkpoint, under TensorFlow's names.

    Args:
        path: ``NAME``, ``NAME.index``, or one of ``NAME.data-...``; or a folder that holds one
            checkpoint.

    Returns:
        Name -> array in TensorFlow's layout (kernels are (h, w, in, out)); None when there is no
        checkpoint at ``path``.

    Raises:
        WeightsError: the checkpoint is damaged, compressed, or lacks a data file.
    """
    index = _index_file(path)
    if index is None:
        return None
    try:
        return _read(index)
    except (IndexError, ValueError, struct.error) as error:
        raise WeightsError(
            f"{index.name} is damaged or no TensorFlow checkpoint ({error}). Download it again."
        ) from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` whose names are TensorFlow's variables.

    Raises:
        WeightsError: not such a file, or one with Python objects in it.
    """
    try:
        return read_arrays(path, ())
    except InputError as error:
        raise WeightsError(
            f"{path.name} cannot be read ({error}). An .npz of plain arrays, one per variable, is "
            "needed; np.savez(path, **{name: array}) makes one."
        ) from error


def _index_file(path: Path) -> Path | None:
    if path.is_dir():
        found = sorted(path.glob("*.index"))
        return found[0] if len(found) == 1 else None
    if path.suffix == ".index":
        return path if path.is_file() else None
    stem = path.with_suffix("") if path.suffix.startswith(".data-") else path
    index = stem.with_name(f"{stem.name}.index")
    return index if index.is_file() else None


def _read(index: Path) -> dict[str, np.ndarray]:
    entries = {key: _fields(value) for key, value in _table(index.read_bytes())}
    header = entries.pop(b"", {})
    if _number(header, 2):
        raise WeightsError(f"{index.name} was written on a big-endian machine; rewrite it.")
    shards = _number(header, 1) or 1
    arrays: dict[str, np.ndarray] = {}
    for key, entry in entries.items():
        dtype = _TYPES.get(_number(entry, 1))
        if dtype is None or 7 in entry:  # text, or a tensor kept in slices
            continue
        data = index.with_suffix(f".data-{_number(entry, 3):05d}-of-{shards:05d}")
        arrays[key.decode()] = _array(data, entry, np.dtype(dtype))
    return arrays


def _array(data: Path, entry: Fields, dtype: np.dtype) -> np.ndarray:
    dims = [_fields(dim) for shape in entry.get(2, []) for dim in _fields(shape).get(2, [])]
    shape = tuple(_number(dim, 1) for dim in dims)
    offset, count, size = _number(entry, 4), math.prod(shape), _number(entry, 5)
    if not data.is_file():
        raise WeightsError(
            f"{data.name} is missing; a checkpoint is the .index file and all its .data files, in "
            "one folder."
        )
    if count * dtype.itemsize != size or offset + size > data.stat().st_size:
        raise WeightsError(f"{data.name} is cut short. Download it again.")
    return np.fromfile(data, dtype=dtype, count=count, offset=offset).reshape(shape)


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of a LevelDB table."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("its end is not a table's")
    footer = data[-_FOOTER:]
    _, position = _varint(footer, 0)  # the first handle, offset and size, is the metaindex's
    _, position = _varint(footer, position)
    for _, handle in _block(data, footer, position):
        yield from _block(data, handle, 0)


def _block(data: bytes, handle: bytes, position: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the block that ``handle`` (offset, size) points at."""
    offset, position = _varint(handle, position)
    size, _ = _varint(handle, position)
    if offset + size + 1 > len(data):
        raise ValueError("a block lies beyond its end")
    if data[offset + size] != 0:
        raise ValueError("its blocks are compressed; save it again with a current TensorFlow")
    block = data[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        added, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + added]
        at += added
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes | int) -> Fields:
    """The fields of a protocol-buffer message by number."""
    if isinstance(message, int):
        raise ValueError("a message was expected and a number found")
    fields: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"wire type {kind} is unknown")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(fields: Fields, number: int) -> int:
    """The last integer of a field, 0 when it is absent (protocol buffers' default)."""
    values = fields.get(number, [0])
    value = values[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {number} is not a number")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 number and the position behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
