from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.datasets import Options, nyu_raw, open_dataset
from leadline.datasets.frame import read_mat
from leadline.errors import InputError, UnknownNameError

SPLITS = Path(__file__).resolve().parents[3] / "shared" / "data" / "splits" / "nyu_splits.mat"


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    """Two frames in the layout of the 2.8 GB file: MATLAB's axes are the other way round."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = rng.integers(0, 255, (2, 3, 640, 480), dtype=np.uint8)
        file["depths"] = rng.uniform(1, 9, (2, 640, 480)).astype(np.float32)
        raw = file["depths"][:]
        raw[:, :100] = 0
        file["rawDepths"] = raw
    return tmp_path


def test_labelled(mat):
    h5py = pytest.importorskip("h5py")
    refs = open_dataset("nyu-labelled", mat, Options(split="all"))
    assert [ref.name for ref in refs] == ["00000", "00001"]
    frame = refs[1].read()
    with h5py.File(mat / "nyu_depth_v2_labeled.mat") as file:
        assert frame.image.pixels[20, 30, 1] == file["images"][1, 1, 30, 20]
        assert frame.depth[20, 30] == file["depths"][1, 30, 20]
    assert frame.image.size == (480, 640)
    raw = open_dataset("nyu-labelled-raw", mat, Options(split="all"))[1].read()
    assert (raw.depth[:, :100] == 0).all()
    assert raw.valid.any()
    tests = open_dataset("nyu-labelled", mat)
    assert len(tests) == 654
    assert tests[0].read().name == "00000"
    with pytest.raises(InputError, match="holds 2 frames"):
        tests[5].read()


def test_other_files_are_told_apart(tmp_path):
    pytest.importorskip("h5py")
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(InputError, match="not HDF5"):
        open_dataset("nyu-labelled", tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="Download"):
        open_dataset("nyu-labelled", tmp_path)


def test_the_official_split_is_the_shipped_one():
    pytest.importorskip("scipy")
    from leadline.datasets.lists import read_list

    if not SPLITS.is_file():
        pytest.skip("the official file is not on this machine")
    official = {
        part: (read_mat(SPLITS, f"{part}Ndxs").ravel().astype(int) - 1).tolist()
        for part in ("test", "train")
    }
    for part in ("test", "train"):
        assert [int(line) for line in read_list(f"nyu-labelled-{part}")] == official[part]
    assert min(official["train"] + official["test"]) == 0
    assert len(set(official["train"]) | set(official["test"])) == 1449


def test_sync(tmp_path):
    folder = tmp_path / "bathroom"
    folder.mkdir()
    PilImage.fromarray(np.zeros((480, 640, 3), np.uint8)).save(folder / "rgb_00045.jpg")
    depth = PilImage.fromarray(np.full((480, 640), 2500, np.uint16))
    depth.save(folder / "sync_depth_00045.png")
    refs = open_dataset("nyu-sync", tmp_path)
    assert len(refs) == 654
    frame = refs[0].read()
    assert frame.name == "bathroom/00045"
    assert (frame.depth == 2.5).all()
    assert frame.image.camera.fx == 518.8579
    with pytest.raises(InputError, match=r"rgb_00046\.jpg"):
        refs[1].read()
    assert len(open_dataset("nyu-sync", tmp_path, Options(split="train"))) == 24231
    with pytest.raises(UnknownNameError):
        open_dataset("nyu-sync", tmp_path, Options(split="val"))
    assert frame.image.size == (480, 640)
    eight = PilImage.fromarray(np.full((480, 640), 25, np.uint8))
    eight.save(folder / "sync_depth_00045.png")
    with pytest.raises(InputError, match="8-bit"):
        refs[0].read()


def test_sync_is_learned_without_its_white_border(tmp_path):
    refs = open_dataset("nyu-sync", tmp_path, Options(split="train"))
    folder, number = (tmp_path / refs[0].name).parent, refs[0].name.rpartition("/")[2]
    folder.mkdir()
    pixels = np.full((480, 640, 3), 255, np.uint8)
    pixels[45:472, 43:608] = 0
    PilImage.fromarray(pixels).save(folder / f"rgb_{number}.jpg", quality=100)
    codes = np.arange(480 * 640, dtype=np.uint16).reshape(480, 640)
    PilImage.fromarray(codes).save(folder / f"sync_depth_{number}.png")
    frame = refs[0].read()
    assert frame.image.size == frame.depth.shape == (427, 565)
    assert frame.image.pixels[8:-8, 8:-8].max() < 8  # a JPEG's blocks smear at the rim
    assert frame.depth[0, 0] == codes[45, 43] / np.float32(1000)
    assert frame.image.camera.cx == pytest.approx(325.5824 - 43)
    assert frame.image.camera.cy == pytest.approx(253.7362 - 45)


# --- raw dumps -----------------------------------------------------------------------------------


def dump(path: Path, codes: np.ndarray) -> None:
    """A depth dump as the Kinect driver wrote it: little-endian in a format that is big-endian."""
    height, width = codes.shape
    path.write_bytes(f"P5 {width} {height} 65535\n".encode() + codes.astype("<u2").tobytes())


def test_raw_codes_and_metres(tmp_path):
    codes = np.array([[600, 1000, 2047]], np.uint16)
    dump(tmp_path / "d-1.5-9.pgm", codes)
    np.testing.assert_array_equal(nyu_raw.read_raw_depth(tmp_path / "d-1.5-9.pgm"), codes)
    metres = nyu_raw.raw_to_metres(np.array([600, 1000, 1092, 2047]))
    np.testing.assert_allclose(metres, [351.3 / 492.5, 351.3 / 92.5, 10, 0])
    (tmp_path / "bad.pgm").write_bytes(b"P5 2 2 255\n1234")
    with pytest.raises(InputError, match="depth dump"):
        nyu_raw.read_raw_depth(tmp_path / "bad.pgm")


def test_each_depth_gets_the_nearest_picture(tmp_path):
    for time in ("10.0", "10.1", "10.2"):
        (tmp_path / f"d-{time}-1.pgm").touch()
    for time in ("9.9", "10.04", "10.12", "10.5"):
        (tmp_path / f"r-{time}-1.ppm").touch()
    pairs = nyu_raw.synchronise(tmp_path)
    assert [p.name for _, p in pairs] == ["r-10.04-1.ppm", "r-10.12-1.ppm", "r-10.12-1.ppm"]


def test_a_wall_stays_a_wall(tmp_path):
    codes = np.full((480, 640), 950, np.uint16)
    codes[:, 600:] = 2047
    picture = np.full((480, 640, 3), 77, np.uint8)
    depth, colour = nyu_raw.project_depth(codes, picture)
    known = depth > 0
    assert 0.6 < known.mean() < 0.98
    np.testing.assert_allclose(depth[known], 351.3 / 142.5, rtol=1e-6)
    assert not known[-1].any()  # the toolbox drops the last row and column
    assert not known[:, -1].any()
    assert (colour[100:380, 100:540] == 77).all()
    # the colour camera's shorter focal length makes the same wall smaller
    assert known[240, 100:500].mean() > 0.95


def test_the_nearer_thing_hides_the_farther():
    codes = np.full((480, 640), 1000, np.uint16)
    codes[200:280, 280:360] = 800
    depth, _ = nyu_raw.project_depth(codes, np.zeros((480, 640, 3), np.uint8))
    near = np.isclose(depth, 351.3 / 292.5)
    rows, columns = np.nonzero(near)
    assert near.sum() > 2500
    assert abs(rows.mean() - 253) < 10
    assert abs(columns.mean() - 335) < 30


def test_undistortion_keeps_the_centre_and_inverts_the_lens():
    camera, lens = nyu_raw.CAMERA, nyu_raw.RGB_DISTORTION
    ramp = np.tile(np.arange(640.0), (480, 1))
    straight = nyu_raw.undistort(ramp, camera, lens)
    assert straight[253, 325] == pytest.approx(325, abs=0.3)
    k1, k2, p1, p2, k3 = lens
    x, y = (501 - camera["cx"]) / camera["fx"], (101 - camera["cy"]) / camera["fy"]
    r2 = x * x + y * y
    distorted = x * (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    assert straight[100, 500] == pytest.approx(distorted * camera["fx"] + camera["cx"] - 1)


def test_raw_frames(tmp_path):
    scene = tmp_path / "kitchen_0001"
    scene.mkdir()
    codes = np.full((480, 640), 900, np.uint16)
    codes[:9] = 2047
    for time in ("1.0", "1.1"):
        dump(scene / f"d-{time}-7.pgm", codes)
    PilImage.fromarray(np.zeros((480, 640, 3), np.uint8)).save(scene / "r-1.02-7.ppm")
    refs = open_dataset("nyu-raw", tmp_path)
    assert [ref.name for ref in refs] == ["kitchen_0001/d-1.0-7", "kitchen_0001/d-1.1-7"]
    assert refs[0].read().valid.mean() > 0.5
    assert len(open_dataset("nyu-raw", tmp_path, Options(every=2))) == 1
