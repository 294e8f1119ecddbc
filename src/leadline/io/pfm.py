"""PFM: one float per pixel, rows from the bottom up (Middlebury, MiDaS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os

    from jaxtyping import Float


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

    Raises:
        InputError: missing, not PFM, or cut short.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (any path-like, also str)
            letters, size, scale = (file.readline().split() for _ in range(3))
            data = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    channels = {b"PF": 3, b"Pf": 1}.get(letters[0] if len(letters) == 1 else b"")
    try:
        if channels is None or len(size) != 2 or len(scale) != 1:
            raise ValueError("no PFM header")
        width, height = int(size[0]), int(size[1])
        order = "<" if float(scale[0]) < 0 else ">"
        count = width * height * channels
        if width < 1 or height < 1 or len(data) < 4 * count:
            raise ValueError(f"{len(data)} bytes of pixels, {4 * count} are needed")
    except ValueError as error:
        raise InputError(f"{path} is not a whole PFM file ({error}); write it again.") from error
    values = np.frombuffer(data, dtype=f"{order}f4", count=count).astype(np.float32)
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.ascontiguousarray(values.reshape(shape)[::-1])
