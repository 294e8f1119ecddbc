"""MATLAB 5 files: numbers and structures of numbers, within bounds.

Readers in C trust the type codes of a file and crash on a damaged one; here every code and length
is checked before it is used.

Source: MATLAB, MAT-File Format (R2024b), chapter 1, Level 5 MAT-Files.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leadline.io.boundary import check_unpacked, open_file, size_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_NEEDED = "a whole MATLAB 5 file is needed; download it again."

_STORED = dict(enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "f4"), start=1))
_STORED |= {9: "f8", 12: "i8", 13: "u8"}
"""Type code of an element -> numpy's."""
_CLASSES = dict(enumerate(("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), start=6))
"""Class of a variable -> numpy's type."""
_MATRIX, _COMPRESSED, _STRUCT = 14, 15, 2
_COMPLEX, _LOGICAL = 0x800, 0x200
_HEADER, _DEEPEST = 128, 16

Value = np.ndarray | dict[str, "Value"] | None
"""Numbers, the fields of a structure of one element, or None: of another class."""


class _Element(NamedTuple):
    code: int
    data: memoryview


def read_mat5(path: str | os.PathLike[str]) -> dict[str, Value]:
    """Read the variables of a file.

    Returns:
        Name -> array with MATLAB's axes, or the fields of a structure; None for other classes
        (cells, text, objects) and for structures of several elements.

    Raises:
        InputError: missing, damaged, of another format (7.3 is HDF5), or too large when unpacked.
    """
    with open_file(path, _NEEDED) as file:
        stored, data = size_of(file), file.read()
        order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
        if order is None or data[124:126] not in (b"\x00\x01", b"\x01\x00"):
            raise ValueError("no header of MATLAB 5 (7.3 is HDF5)")
        found: dict[str, Value] = {}
        for element in _elements(memoryview(data)[_HEADER:], order):
            if element.code == _COMPRESSED:
                whole = _unpack(element.data, str(path), stored)
                element = next(_elements(whole, order), element)
            if element.code == _MATRIX:
                name, value = _matrix(element.data, order, 0)
                found[name] = value
        return found


def _unpack(data: memoryview, name: str, stored: int) -> memoryview:
    most = max(256 << 20, 64 * stored)
    whole = zlib.decompressobj().decompress(data, most + 1)
    check_unpacked(len(whole), name, stored=stored, max_bytes=most)
    return memoryview(whole)


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """The elements that lie one after another in ``data``."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError("it breaks off inside an element")
        code, size = (int(n) for n in np.frombuffer(data[at : at + 8], f"{order}u4"))
        if code >> 16:  # at most 4 bytes, which stand in the tag itself
            code, size, begin, end = code & 0xFFFF, code >> 16, at + 4, at + 8
        else:
            begin, end = at + 8, at + 8 + size
            end += 0 if code == _COMPRESSED else -size % 8
        if begin + size > len(data) or (begin == at + 4 and size > 4):
            raise ValueError("an element is longer than the file")
        yield _Element(code, data[begin : begin + size])
        at = end


def _numbers(element: _Element, order: str) -> np.ndarray:
    if element.code not in _STORED:
        raise ValueError(f"numbers of the unknown type {element.code}")
    return np.frombuffer(element.data, f"{order}{_STORED[element.code]}")


def _matrix(data: memoryview, order: str, depth: int) -> tuple[str, Value]:
    """Name and value of a variable."""
    if depth > _DEEPEST:
        raise ValueError("structures are nested too deeply")
    if not data:  # an empty field
        return "", np.zeros((0, 0))
    parts = list(_elements(data, order))
    if len(parts) < 3:
        raise ValueError("a variable without its name")
    flags = int(_numbers(parts[0], order)[0])
    shape = tuple(int(side) for side in _numbers(parts[1], order))
    name, rest = _numbers(parts[2], order).tobytes().decode("ascii"), parts[3:]
    if flags & 0xFF == _STRUCT:
        return name, _fields(rest, shape, order, depth)
    dtype = _CLASSES.get(flags & 0xFF)
    if dtype is None or flags & _COMPLEX or not rest:
        return name, None
    values = _numbers(rest[0], order)
    if len(values) != math.prod(shape) or min(shape, default=0) < 0:
        raise ValueError(f"{len(values)} numbers for an array of {shape}")
    dtype = "?" if flags & _LOGICAL else dtype
    return name, values.astype(dtype).reshape(shape, order="F")


def _fields(parts: list[_Element], shape: tuple[int, ...], order: str, depth: int) -> Value:
    if math.prod(shape) != 1 or len(parts) < 2:
        return None
    length = int(_numbers(parts[0], order)[0])
    text = _numbers(parts[1], order).tobytes()
    if length <= 0:
        raise ValueError("fields without names")
    names = [text[n : n + length].split(b"\0")[0].decode() for n in range(0, len(text), length)]
    values = (_matrix(part.data, order, depth + 1)[1] for part in parts[2:])
    return dict(zip(names, values, strict=True))
