from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.datasets import kitti
from leadline.errors import InputError

GOLDENS = Path(__file__).resolve().parents[3] / "shared" / "goldens"

# a camera of 8x6 pixels that looks along the Velodyne's x axis, both at one place
AXES = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
PROJECTION = np.array([[4.0, 0, 3, 0], [0, 4, 2, 0], [0, 0, 1, 0.0]]) @ np.vstack(
    [AXES, [0, 0, 0, 1]]
)


def project(points: list, **options) -> np.ndarray:
    return kitti.project_velodyne(np.array(points), PROJECTION, (6, 8), **options)


def test_a_point_ahead_falls_on_the_principal_point():
    depth = project([[5.0, 0, 0]])
    assert depth[2, 3] == 5
    assert (depth > 0).sum() == 1


def test_left_is_left_and_up_is_up():
    assert project([[4.0, 1, 0]])[2, 2] == 4
    assert project([[4.0, 0, 1]])[1, 3] == 4


def test_the_nearest_point_wins():
    assert project([[9.0, 0, 0], [5, 0, 0], [7, 0, 0]])[2, 3] == 5


def test_points_behind_or_outside_are_left_out():
    assert (project([[-5.0, 0, 0], [0, 0, 0], [1, 50, 0], [1, 0, -50]]) == 0).all()


def test_the_public_evaluation_s_pixel_origin():
    assert project([[5.0, 0, 0]], pixel_origin=1)[1, 2] == 5


def test_forward_measures_along_the_velodyne():
    moved = PROJECTION.copy()
    moved[2, 3] = -0.25  # the camera stands ahead of the Velodyne
    points = np.array([[5.0, 0, 0]])
    assert kitti.project_velodyne(points, moved, (6, 8)).max() == 4.75
    assert kitti.project_velodyne(points, moved, (6, 8), measure="forward").max() == 5


@pytest.mark.parametrize(("camera", "measure"), [(2, "camera_z"), (2, "forward"), (3, "camera_z")])
def test_equals_monodepth2_on_a_real_scan(camera, measure):
    if not (GOLDENS / "kitti_depth_000000_points.npz").is_file():
        pytest.skip("the golden files are not on this machine")
    with np.load(GOLDENS / "kitti_depth_000000.npz") as file:
        meta = json.loads(str(file["meta"]))
        key = f"cam{camera}_veldepth{int(measure == 'forward')}"
        index, value = file[f"{key}/index"], file[f"{key}/value"]
    with np.load(GOLDENS / "kitti_depth_000000_points.npz") as file:
        points = file["velodyne_xyzr"]
    calibration = {name: np.array(values) for name, values in meta["calib"].items()}
    calibration["P2"] = calibration[f"P{camera}"]
    size = tuple(meta["image_hw"])
    ours = kitti.project_velodyne(
        points, kitti.object_projection(calibration), size, measure=measure, pixel_origin=1
    )
    theirs = np.zeros(size)
    theirs.flat[index] = value
    # the original takes a pixel of the first column and one of the last, a row above, for one
    inner = np.s_[:, 1:-1]
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1e-4)
    assert (ours > 0).sum() >= len(index)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A raw drive, an object folder and an annotated folder of one 8x6 frame each."""
    date = tmp_path / "kitti_raw" / "2011_09_26"
    data = date / "2011_09_26_drive_0001_sync"
    projection = "4 0 3 0 0 4 2 0 0 0 1 0"
    identity = "1 0 0 0 1 0 0 0 1"
    axes = "0 -1 0 0 0 -1 1 0 0"
    for folder in ("image_02", "velodyne_points"):
        (data / folder / "data").mkdir(parents=True)
    (date / "calib_cam_to_cam.txt").write_text(
        f"calib_time: 09-Jan-2012 13:57:47\nR_rect_00: {identity}\nP_rect_02: {projection}\n"
    )
    (date / "calib_velo_to_cam.txt").write_text(f"R: {axes}\nT: 0 0 0\n")
    training = tmp_path / "kitti_object" / "training"
    for folder in ("image_2", "velodyne", "calib"):
        (training / folder).mkdir(parents=True)
    (training / "calib" / "000007.txt").write_text(
        f"P2: {projection}\nR0_rect: {identity}\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\n"
    )
    annotated = tmp_path / "kitti_depth"
    for folder in ("image_02", "groundtruth"):
        (annotated / folder).mkdir(parents=True)
    (annotated / "camera.json").write_text('{"fx": 4, "fy": 4, "cx": 3, "cy": 2}')
    depth = np.zeros((6, 8), np.uint16)
    depth[2, 3] = 5 * 256
    PilImage.fromarray(depth).save(annotated / "groundtruth" / "0000000009.png")
    scan = np.array([[5.0, 0, 0, 0.5]], "<f4")
    scan.tofile(data / "velodyne_points" / "data" / "0000000003.bin")
    scan.tofile(training / "velodyne" / "000007.bin")
    picture = PilImage.fromarray(np.zeros((6, 8, 3), np.uint8))
    picture.save(data / "image_02" / "data" / "0000000003.png")
    picture.save(data / "image_02" / "data" / "0000000004.png")  # without a scan
    picture.save(training / "image_2" / "000007.png")
    picture.save(annotated / "image_02" / "0000000009.png")
    return tmp_path


@pytest.mark.parametrize(
    ("read", "group", "name"),
    [
        (kitti.iter_kitti_raw, "kitti_raw", "2011_09_26_drive_0001_sync/0000000003"),
        (kitti.iter_kitti_object, "kitti_object", "000007"),
        (kitti.iter_kitti_depth, "kitti_depth", "0000000009"),
    ],
)
def test_layouts(drive, read, group, name):
    (frame,) = read(drive / group)
    assert (frame.group, frame.name, frame.max_depth) == (group, name, 80)
    assert frame.depth[2, 3] == 5
    assert frame.valid.sum() == 1
    assert frame.image.camera.fx == 4
    assert (frame.image.camera.cx, frame.image.camera.cy) == (3, 2)


def test_damaged_files(tmp_path):
    (tmp_path / "scan.bin").write_bytes(b"12345678")
    with pytest.raises(InputError, match=r"scan\.bin"):
        kitti.read_velodyne(tmp_path / "scan.bin")
    with pytest.raises(InputError, match=r"none\.txt"):
        kitti.read_calibration(tmp_path / "none.txt")
    with pytest.raises(InputError, match="R0_rect"):
        kitti.object_projection({"P2": np.zeros(12)})
