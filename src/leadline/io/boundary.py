"""Where files meet foreign libraries: every fault is one InputError, and sizes are bounded first.

Readers of one container open their file with :func:`open_file`, or wrap their work in
:func:`reading`; no other place names the exceptions of zipfile, Pillow, PyAV and their like.
"""

from __future__ import annotations

import math
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from leadline.errors import InputError, LeadlineError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_MEGAPIXELS = 178.9
"""Pixels (in millions) of the largest picture or map that is decoded unasked."""

_FREE_PIXELS, _PIXELS_PER_BYTE = 24_000_000, 56
"""Smaller files may not hold more pixels than the first, or than the second for each byte."""
_NO_PICTURE = 4_000_000_000
"""Pixels that no trust makes decodable."""
_FREE_BYTES, _BYTES_PER_BYTE = 256 << 20, 64
"""The same of packed arrays, in bytes."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def reading(name: str, needed: str) -> Generator[None]:
    """Turn whatever goes wrong inside into one line about the file.

    Args:
        name: of the file, for the message.
        needed: end of the message: what is needed, and what to do.

    Raises:
        LeadlineError: what the block raises itself, and an InputError for all else.
    """
    try:
        yield
    except LeadlineError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{error.filename or name}: no such file; check the path.") from None
    except MemoryError as error:
        raise InputError(
            f"{name} takes more memory than this machine gives; make what it holds smaller."
        ) from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply to be read; {needed}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # of the system, not of what the file holds
            why = f"cannot be opened: {reason_of(error)}; a readable file is needed."
            raise InputError(f"{name} {why}") from error
        raise InputError(f"{name} cannot be read ({reason_of(error)}); {needed}") from error


@contextmanager
def open_file(path: str | os.PathLike[str], needed: str) -> Generator[BinaryIO]:
    """Open a regular file for reading, inside :func:`reading`.

    Pipes and devices are refused without being opened: reading them may wait for ever.
    """
    with reading(str(path), needed):
        mode = Path(path).stat().st_mode
        kind = next((word for is_kind, word in _KINDS if is_kind(mode)), None)
        if kind is not None:
            raise InputError(f"{path} is {kind}, and a file is needed; {needed}")
        with Path(path).open("rb") as file:
            yield file


def reason_of(error: Exception) -> str:
    """What an exception says, in one short line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split())[:200].rstrip(".")
    if isinstance(error, LookupError) or not text:  # whose text is a bare key
        return f"{type(error).__name__} {text}".rstrip()
    return text


def size_of(file: BinaryIO) -> int:
    """Bytes of an open file, from its beginning; its position is kept."""
    here = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(here)
    return size


def check_pixels(
    size: tuple[int, int], name: str, *, stored: int, max_megapixels: float | None
) -> None:
    """Refuse a picture or map that would take far more memory than its file.

    Args:
        size: (height, width) as its header says.
        name: of the file, for the message.
        stored: bytes of the file.
        max_megapixels: what the caller allows; None: :data:`MAX_MEGAPIXELS`, and less in files
            that are small for what they claim to hold.

    Raises:
        TooLargeError: more pixels than that.
    """
    pixels = size[0] * size[1]
    if max_megapixels is None:
        most = min(MAX_MEGAPIXELS * 1e6, max(_FREE_PIXELS, stored * _PIXELS_PER_BYTE))
    else:
        most = max_megapixels * 1e6
    if pixels > most:
        raise TooLargeError(too_many_pixels(name, pixels, most, stored))


def too_many_pixels(name: str, pixels: int, most: float, stored: int) -> str:
    """The message about a picture of more than ``most`` pixels."""
    millions = math.ceil(pixels / 1e6)
    given = f"{name}: {millions} million pixels in a file of {max(1, stored // 1000)} kB"
    if pixels > _NO_PICTURE:
        return f"{given}, more than any picture has; it is damaged, take the original file."
    return (
        f"{given}, and at most {most / 1e6:.0f} million are decoded unasked. Make it smaller, or "
        f"allow that many if you trust the file: --max-megapixels {millions}."
    )


def check_unpacked(size: int, name: str, *, stored: int, max_bytes: int | None) -> None:
    """Refuse a packed file whose arrays would take far more memory than the file.

    Args:
        size: bytes when unpacked, as the file says.
        name: of the file, for the message.
        stored: bytes of the file.
        max_bytes: what the caller allows; None: 256 MiB, or 64 times the file.

    Raises:
        TooLargeError: more bytes than that.
    """
    most = max(_FREE_BYTES, stored * _BYTES_PER_BYTE) if max_bytes is None else max_bytes
    if size > most:
        raise TooLargeError(
            f"{name}: {size / 1e6:.0f} MB of arrays in a file of {max(1, stored // 1000)} kB, and "
            f"at most {most / 1e6:.0f} MB are unpacked from it. If you trust the file, store it "
            "without compression (unzip it, then zip -0)."
        )
