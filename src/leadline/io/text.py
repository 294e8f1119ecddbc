"""Text and JSON from anywhere: whatever encoding, one InputError when it cannot be read."""

from __future__ import annotations

import codecs
import json
import os
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError
from leadline.io.boundary import open_file, reading, size_of

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT_BYTES = 256 << 20
"""Of text files; poses and COLMAP's images of long films stay far below."""


def read_text(path: str | os.PathLike[str], needed: str) -> str:
    """The text of a file: UTF-8, or UTF-16 that says so.

    Args:
        path: the file.
        needed: end of the message when it cannot be read: what is needed, and what to do.

    Raises:
        InputError: missing, no file, larger than :data:`MAX_TEXT_BYTES`, or no text.
    """
    with open_file(path, needed) as file:
        if size_of(file) > MAX_TEXT_BYTES:
            raise InputError(f"{path} is larger than {MAX_TEXT_BYTES >> 20} MiB; {needed}")
        return _decode(file.read(), lambda data: data.decode("utf-8"))


def read_json(path: str | os.PathLike[str], needed: str) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: as :func:`read_text`, or no JSON, or nested too deeply.
    """
    return parse_json(read_text(path, needed), str(path), needed)


def parse_json(text: str, name: str, needed: str) -> Any:
    """What a JSON text holds; ``name`` and ``needed`` are for the message.

    Raises:
        InputError: no JSON, or nested too deeply.
    """
    with reading(name, needed):
        return json.loads(text)


def parse_list(data: bytes) -> list[str]:
    """The file names of a list, one a line, as a shell or an editor wrote them.

    A byte order mark is taken off, UTF-16 (PowerShell's ``>``) is decoded, both kinds of line ends
    and ``find -print0`` are understood. Names whose bytes are no UTF-8 keep their bytes, as
    ``os.fsdecode`` does. Empty lines are left out.

    Raises:
        InputError: UTF-16 that breaks off.
    """
    with reading("the list of files", "one name a line in UTF-8 or UTF-16 is needed."):
        text = _decode(data, os.fsdecode)
    lines = text.replace("\0", "\n").replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]


def _decode(data: bytes, plain: Callable[[bytes], str]) -> str:
    """Text by its byte order mark, or UTF-16 without one by its zeros; else as ``plain`` does."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if data.startswith(codecs.BOM_UTF8):
        return plain(data[len(codecs.BOM_UTF8) :])
    head = data[:64]
    if len(data) % 2 == 0 and len(head) >= 4:
        zeros = [index % 2 for index, byte in enumerate(head) if byte == 0]
        if len(zeros) * 20 >= len(head) * 9 and len(set(zeros)) == 1:  # ASCII: each second is 0
            return data.decode("utf-16-le" if zeros[0] else "utf-16-be")
    return plain(data)
