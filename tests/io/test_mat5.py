"""MATLAB 5 files against scipy, which writes them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.io.mat5 import read_mat5

if TYPE_CHECKING:
    from pathlib import Path

io = pytest.importorskip("scipy.io")

TYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_of_every_type_are_as_scipy_reads_them(tmp_path: Path, packed: bool) -> None:
    rng = np.random.default_rng(0)
    made = {f"a_{name}": rng.integers(0, 99, (3, 4, 2)).astype(name) for name in TYPES}
    made |= {"known": rng.random((5, 2)) > 0.5, "one": np.array([[7]], np.uint8)}
    path = tmp_path / "a.mat"
    io.savemat(path, made, do_compression=packed)
    found = read_mat5(path)
    assert list(found) == list(made)
    for name, array in made.items():
        value = found[name]
        assert isinstance(value, np.ndarray)
        assert value.dtype == array.dtype
        np.testing.assert_array_equal(value, array)


def test_structures_are_tables_and_the_rest_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    inner = {"depth": np.arange(6.0).reshape(2, 3), "empty": np.zeros((0, 0))}
    several = np.array([(1,), (2,)], dtype=[("x", object)])
    io.savemat(path, {"data": {"inner": inner, "k": 2}, "text": "abc", "several": several})
    found = read_mat5(path)
    assert found["text"] is None
    assert found["several"] is None
    data = found["data"]
    assert isinstance(data, dict)
    assert isinstance(data["inner"], dict)
    np.testing.assert_array_equal(data["inner"]["depth"], inner["depth"])
    assert np.shape(data["inner"]["empty"]) == (0, 0)


def test_damaged_bytes_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    io.savemat(path, {"depth": np.ones((4, 5)), "data": {"k": np.eye(2)}})
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    said = []
    for _ in range(300):
        changed = bytearray(whole)
        changed[int(rng.integers(128, len(whole)))] = int(rng.integers(256))
        path.write_bytes(changed[: int(rng.integers(128, len(whole) + 1))])
        try:
            read_mat5(path)
        except InputError as error:
            said.append(str(error))
    assert len(said) > 100
    assert all("a.mat" in line for line in said)


@pytest.mark.parametrize("data", [b"", b"MATLAB 7.3 MAT-file" + bytes(200), bytes(128)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(InputError, match="a whole MATLAB 5 file is needed"):
        read_mat5(tmp_path / "a.mat")
