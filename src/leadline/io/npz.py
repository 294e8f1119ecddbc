"""NPY and NPZ without pickles: one array, or named arrays and a small record of strings.

Headers are checked before numpy makes room for what they claim.
"""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING
from zipfile import ZipFile

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import check_unpacked, open_file, size_of
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

_NEEDED = "a whole array file without Python objects is needed: write it again."
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_NPY_SUFFIX = ".npy"
_LAST_LETTER = 0x10FFFF


def read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one array.

    Raises:
        InputError: missing, damaged, with pickles, or of another format.
    """
    with open_file(path, _NEEDED) as file:
        return _read_array(file, size_of(file))


def write_npz(path: str | os.PathLike[str], data: Mapping[str, np.ndarray | str]) -> None:
    """Write arrays and strings; a string becomes a 0-d unicode array."""
    arrays = {key: np.asarray(value) for key, value in data.items()}
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(
    path: str | os.PathLike[str], needed: Sequence[str], *, max_bytes: int | None = None
) -> dict[str, np.ndarray]:
    """Read every array of the file.

    Args:
        path: the file.
        needed: names that must be in it.
        max_bytes: of all arrays together; None: 256 MiB, or 64 times the file where that is more.

    Raises:
        InputError: not an NPZ file, damaged, with pickles, too large, or without one of ``needed``.
    """
    with open_file(path, _NEEDED) as file:
        stored = size_of(file)
        with ZipFile(file) as members:
            infos = members.infolist()
            total = sum(info.file_size for info in infos)
            check_unpacked(total, str(path), stored=stored, max_bytes=max_bytes)
            data = {}
            for info in infos:
                if not info.filename.endswith(_NPY_SUFFIX):
                    raise InputError(
                        f"{path} holds {info.filename!r}, which is no array; {_NEEDED}"
                    )
                with members.open(info) as member:
                    name = info.filename.removesuffix(_NPY_SUFFIX)
                    data[name] = _read_array(member, info.file_size)
    missing = [name for name in needed if name not in data]
    if missing:
        raise InputError(
            f"{path} holds {sorted(data)} but not {missing}; it was not written by prediction.save."
        )
    return data


def _read_array(file: IO[bytes], size: int) -> np.ndarray:
    """One array from a file of ``size`` bytes, which may not claim to hold more than these."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"an array header of version {version}")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("Python objects in an array")
    if min(shape, default=1) < 0 or file.tell() + math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{size} bytes, too few for {dtype} of shape {shape}")
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False)
    if dtype.kind == "U" and array.size:  # numpy itself trusts the letters' codes
        codes = np.frombuffer(array.astype(dtype.newbyteorder("=")).tobytes(), np.uint32)
        if codes.max(initial=0) > _LAST_LETTER:
            raise ValueError("a text of codes that are no letters")
    return array
