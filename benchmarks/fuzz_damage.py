"""Faults that make a whole file a damaged one: in bits, numbers, parts, and inside packing."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from typing import Any, Literal

import numpy as np

_NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"-0.0",
    b"99999999999999999999",
    b"2147483648",
    b"1e-320",
)
_WORDS = (b"null", b"true", b"[]", b"{}", b'""', b'"a"', b"[[1]]", b"..", b"/", b"\xff\xfe", b"\0")
_WHOLE = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000)
_JSON: tuple[Any, ...] = (None, True, -1, 0, 1e308, 10**30, "", "a", [], {}, [[]], [None], "nan")


def damage(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """``data`` with some faults, most often one; ``other`` lends pieces."""
    for _ in range(int(rng.geometric(0.7))):
        kinds = [*_ANY]
        if data[:2] == b"PK":
            kinds += [_damage_zip] * 6
        elif data[:4] == b"\x89PNG":
            kinds += [_damage_png] * 6
        elif data[:1] in (b"{", b"["):
            kinds += [_damage_json] * 6
        data = kinds[int(rng.integers(len(kinds)))](data, other, rng)
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Where a fault goes: anywhere, but as often in the first bytes, where headers are."""
    most = len(data) if rng.random() < 0.5 else min(len(data), 128)
    return int(rng.integers(most + 1))


def _flip(data: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _n in range(int(rng.integers(1, 9))):
        if changed:
            at = min(_place(data, rng), len(changed) - 1)
            changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(data: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    return data[: _place(data, rng)]


def _leave_out(data: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 33)) :]


def _repeat(data: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    at, count = _place(data, rng), int(rng.integers(1, 65))
    return data[:at] + data[at : at + count] * int(rng.integers(2, 9)) + data[at + count :]


def _put_number(data: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    value = _WHOLE[int(rng.integers(len(_WHOLE)))]
    order: Literal["little", "big"] = "little" if rng.random() < 0.5 else "big"
    size = (1, 2, 4, 8)[int(rng.integers(4))]
    number = (value & ((1 << (8 * size)) - 1)).to_bytes(size, order)
    at = _place(data, rng)
    return data[:at] + number + data[at + size :]


def _splice(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    at, begin = _place(data, rng), _place(other, rng)
    return data[:at] + other[begin : begin + int(rng.integers(1, 257))] + data[at:]


def _put_word(data: bytes, _: bytes, rng: np.random.Generator) -> bytes:
    """One number of a text becomes an extreme one, or another word."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data[:20_000]))
    if not found:
        return _flip(data, _, rng)
    one = found[int(rng.integers(len(found)))]
    words = (*_NUMBERS, *_WORDS)
    return data[: one.start()] + words[int(rng.integers(len(words)))] + data[one.end() :]


_ANY = (_flip, _cut, _leave_out, _repeat, _put_number, _splice, _put_word, _put_word)


def _damage_zip(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A fault inside a member, packed anew: the sums of a ZIP file would hide it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
    except Exception:  # a seed that is no ZIP any more: zipfile raises a dozen kinds
        return _flip(data, other, rng)
    if not members:
        return data
    name = sorted(members)[int(rng.integers(len(members)))]
    kind = _ANY[int(rng.integers(len(_ANY)))]
    changed = {**members, name: kind(members[name], other, rng)}
    if rng.random() < 0.1:
        del changed[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for member, content in changed.items():
            packed.writestr(member, content)
    return file.getvalue()


def _damage_png(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A fault inside a chunk, with the right sum behind it."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return _flip(data, other, rng)
    number = int(rng.integers(len(chunks)))
    kind = _ANY[int(rng.integers(len(_ANY)))]
    chunks[number] = (chunks[number][0], kind(chunks[number][1], other, rng))
    packed = [
        len(body).to_bytes(4, "big") + tag + body + zlib.crc32(tag + body).to_bytes(4, "big")
        for tag, body in chunks
    ]
    return data[:8] + b"".join(packed)


def _damage_json(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One value of another type."""
    try:
        root = json.loads(data)
    except (ValueError, RecursionError):
        return _flip(data, other, rng)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        if not isinstance(node, dict | list):
            return
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            walk(node[key])

    walk(root)
    if not places:
        return json.dumps(_JSON[int(rng.integers(len(_JSON)))]).encode()
    node, key = places[int(rng.integers(len(places)))]
    if rng.random() < 0.15 and isinstance(node, dict):
        del node[key]
    else:
        node[key] = _JSON[int(rng.integers(len(_JSON)))]
    return json.dumps(root).encode()
