"""The reader of TensorFlow checkpoints, on a file that TensorFlow 2.21's Saver wrote.

The file holds ``model/encoder/Conv{,_1}/{weights,biases}`` with values 0, 1, 2 ... over 7 and minus
1, a step counter, a string, and 60 numbers so that names share prefixes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import WeightsError
from leadline.models.tf_checkpoint import read_checkpoint, read_npz

TINY = Path(__file__).parent / "data" / "tf_checkpoint" / "tiny"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for file in TINY.parent.glob("tiny.*"):
        shutil.copy(file, tmp_path)
    return tmp_path / "tiny"


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_reads_every_tensor_by_any_of_its_files(suffix: str) -> None:
    arrays = read_checkpoint(TINY.with_name(TINY.name + suffix))
    assert arrays is not None
    assert len(arrays) == 65  # 4 of the network, 60 numbers, the step counter; not the string
    kernel = arrays["model/encoder/Conv/weights"]
    np.testing.assert_array_equal(kernel, np.arange(72, dtype=np.float32).reshape(3, 3, 2, 4) / 7)
    np.testing.assert_array_equal(arrays["model/encoder/Conv_1/biases"], [-1, 0])
    assert arrays["global_step"] == 1234
    assert arrays["global_step"].dtype == np.int32
    numbers = [arrays[f"extra/with_a_rather_long_name/{i:03d}"] for i in range(60)]
    np.testing.assert_array_equal(numbers, np.arange(60))


def test_a_folder_with_one_checkpoint_is_read() -> None:
    assert read_checkpoint(TINY.parent) is not None


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None
    assert read_checkpoint(tmp_path / "model.pth") is None


def test_a_missing_data_file_is_told(copy: Path) -> None:
    copy.with_suffix(".data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"all its \.data files"):
        read_checkpoint(copy)


def test_a_data_file_that_was_cut_short_is_told(copy: Path) -> None:
    data = copy.with_suffix(".data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cut short"):
        read_checkpoint(copy)


@pytest.mark.parametrize("keep", [0, 20, 600, 1500])
def test_a_damaged_index_is_told(copy: Path, keep: int) -> None:
    index = copy.with_suffix(".index")
    index.write_bytes(index.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="damaged"):
        read_checkpoint(copy)


def test_garbage_inside_the_index_raises_nothing_else(copy: Path) -> None:
    index = copy.with_suffix(".index")
    good = index.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        bad = bytearray(good)
        for place in rng.integers(0, len(good) - 8, size=3):
            bad[place] = rng.integers(256)
        index.write_bytes(bytes(bad))
        try:
            read_checkpoint(copy)
        except WeightsError:
            continue


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, **{"model/encoder/Conv/weights": np.ones((1, 1, 2, 3), np.float32)})
    assert read_npz(path)["model/encoder/Conv/weights"].shape == (1, 1, 2, 3)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_npz(path)
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_npz(path)
