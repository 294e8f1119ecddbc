"""PFM: one float per pixel, rows from the bottom up (Middlebury, MiDaS)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import open_file, size_of
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os

    from jaxtyping import Float

_MOST_OF_A_LINE = 1024


def write_pfm(path: str | os.PathLike[str], values: np.ndarray) -> None:
    """Write an (h, w) or (h, w, 3) array as little-endian float32 PFM."""
    values = np.asarray(values)
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)) or not values.size:
        raise InputError(
            f"{path}: an array of shape {values.shape}; PFM holds (h, w) or (h, w, 3)."
        )
    letters = "PF" if values.ndim == 3 else "Pf"
    header = f"{letters}\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode("ascii")
    with atomic_write(path) as file:
        file.write(header + np.ascontiguousarray(values[::-1], dtype="<f4").tobytes())


def read_pfm(path: str | os.PathLike[str]) -> Float[np.ndarray, "h w"] | Float[np.ndarray, "h w 3"]:
    """Read a PFM file of either byte order; the header's scale gives the order only.

    The size may stand on one line or two, and lines that begin with ``#`` are comments.

    Raises:
        InputError: missing, not PFM, or cut short.
    """
    with open_file(path, "a whole PFM file is needed: write it again.") as file:
        letters, width, height, scale = _header(file)
        channels = {b"PF": 3, b"Pf": 1}.get(letters)
        if channels is None:
            raise ValueError("no PFM header")
        shape = (int(height), int(width), channels)
        order = "<" if float(scale) < 0 else ">"
        count, there = math.prod(shape), size_of(file) - file.tell()
        if min(shape) < 1 or there < 4 * count:
            raise ValueError(f"{there} bytes of pixels, {4 * count} are needed")
        values = np.fromfile(file, dtype=f"{order}f4", count=count)
    values = values.astype(np.float32, copy=False).reshape(shape if channels == 3 else shape[:2])
    return np.ascontiguousarray(values[::-1])


def _header(file: BinaryIO) -> list[bytes]:
    """The four words before the pixels: letters, width, height and scale."""
    words: list[bytes] = []
    while len(words) < 4:
        line = file.readline(_MOST_OF_A_LINE)
        if not line.endswith(b"\n"):
            raise ValueError("no PFM header")
        if not line.startswith(b"#"):
            words += line.split()
    if len(words) > 4:
        raise ValueError("no PFM header")
    return words
