"""NPY and NPZ without pickles: one array, or named arrays and a small record of strings."""

from __future__ import annotations

import zlib
from tokenize import TokenError
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from leadline.errors import InputError
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

_DAMAGE = (
    *(OSError, ValueError, EOFError, AttributeError, TypeError, NotImplementedError, SyntaxError),
    *(BadZipFile, TokenError, zlib.error),
)
"""What numpy and zipfile raise on damaged files."""


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one array.

    Raises:
        InputError: missing, damaged, with pickles, or of another format.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (any path-like, also str)
            return np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a plain array file ({reason}); write it again.") from error


def write_npz(path: str | os.PathLike[str], data: Mapping[str, np.ndarray | str]) -> None:
    """Write arrays and strings; a string becomes a 0-d unicode array."""
    arrays = {key: np.asarray(value) for key, value in data.items()}
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: str | os.PathLike[str], needed: Sequence[str]) -> dict[str, np.ndarray]:
    """Read every array of the file.

    Raises:
        InputError: not an NPZ file, damaged, with pickles, or without one of ``needed``.
    """
    try:
        with open(path, "rb") as binary, np.load(binary, allow_pickle=False) as file:  # noqa: PTH123
            data = {name: file[name] for name in file.files}
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a whole npz file ({reason}); write it again.") from error
    missing = [name for name in needed if name not in data]
    if missing:
        raise InputError(
            f"{path} holds {sorted(data)} but not {missing}; it was not written by prediction.save."
        )
    return data
