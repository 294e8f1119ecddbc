from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.datasets import Options, kitti, open_dataset, velodyne
from leadline.errors import InputError, UnknownNameError

GOLDENS = Path(__file__).resolve().parents[3] / "shared" / "goldens"

# a camera of 8x6 pixels that looks along the Velodyne's x axis, both at one place
AXES = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
PROJECTION = np.array([[4.0, 0, 3, 0], [0, 4, 2, 0], [0, 0, 1, 0.0]]) @ np.vstack(
    [AXES, [0, 0, 0, 1]]
)


def project(points: list, **options) -> np.ndarray:
    options = {"pixel_origin": 0, **options}
    return velodyne.project_velodyne(np.array(points), PROJECTION, (6, 8), **options)


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
    assert velodyne.project_velodyne(points, moved, (6, 8)).max() == 4.75
    assert velodyne.project_velodyne(points, moved, (6, 8), depth="lidar_x").max() == 5


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("depth", ["camera_z", "lidar_x"])
def test_equals_monodepth2_on_a_real_scan(side, depth):
    if not (GOLDENS / "kitti_depth_000000_points.npz").is_file():
        pytest.skip("the golden files are not on this machine")
    with np.load(GOLDENS / "kitti_depth_000000.npz") as file:
        meta = json.loads(str(file["meta"]))
        key = f"cam{2 if side == 'left' else 3}_veldepth{int(depth == 'lidar_x')}"
        index, value = file[f"{key}/index"], file[f"{key}/value"]
    with np.load(GOLDENS / "kitti_depth_000000_points.npz") as file:
        points = file["velodyne_xyzr"]
    calibration = {name: np.array(values) for name, values in meta["calib"].items()}
    shape = tuple(meta["image_hw"])
    ours = velodyne.project_velodyne(points, calibration, shape, depth=depth, side=side)
    theirs = np.zeros(shape)
    theirs.flat[index] = value
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def point_by_point(points: np.ndarray, projection: np.ndarray, shape: tuple[int, int]):
    """The public evaluations' rules, a point at a time."""
    depth = np.zeros(shape)
    keys: dict[int, tuple[int, int]] = {}
    for x, y, z in points:
        if x < 0:
            continue
        u, v, w = projection @ [x, y, z, 1]
        column, row = round(u / w) - 1, round(v / w) - 1
        if not (0 <= column < shape[1] and 0 <= row < shape[0]):
            continue
        first = keys.setdefault(row * (shape[1] - 1) + column, (row, column))
        if first == (row, column) and depth[first] == 0:
            depth[first] = w
        elif first != (row, column):
            depth[row, column] = w
            depth[first] = min(depth[first], w)
        else:
            depth[first] = min(depth[first], w)
    return np.maximum(depth, 0)


def test_equals_a_loop_over_points():
    rng = np.random.default_rng(0)
    points = rng.uniform((-1, -3, -2), (12, 3, 2), (400, 3))
    loop = point_by_point(points, PROJECTION, (6, 8))
    ours = velodyne.project_velodyne(points, PROJECTION, (6, 8))
    np.testing.assert_allclose(ours, loop, rtol=1e-12)
    assert (ours > 0).sum() > 20


def test_calibrations_of_every_kind(drive):
    day = drive / "kitti_raw" / "2011_09_26"
    frame = drive / "kitti_object" / "training" / "calib" / "000007.txt"
    points = np.array([[5.0, 0, 0]])
    expected = velodyne.project_velodyne(points, PROJECTION, (6, 8))
    for calibration in (day, str(frame), velodyne.read_calibration(day)):
        np.testing.assert_array_equal(
            velodyne.project_velodyne(points, calibration, (6, 8)), expected
        )
    odometry = dict(velodyne.read_calibration(frame))
    odometry["Tr"] = odometry.pop("Tr_velo_to_cam")
    del odometry["R0_rect"]
    np.testing.assert_array_equal(velodyne.project_velodyne(points, odometry, (6, 8)), expected)
    with pytest.raises(UnknownNameError, match="left"):
        velodyne.project_velodyne(points, day, (6, 8), side="top")
    with pytest.raises(UnknownNameError, match="lidar_x"):
        velodyne.project_velodyne(points, day, (6, 8), depth="range")
    assert velodyne.project_velodyne(np.zeros((0, 4)), day, (6, 8)).sum() == 0


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
        (kitti.kitti_raw_refs, "kitti_raw", "2011_09_26_drive_0001_sync/0000000003"),
        (kitti.kitti_object_refs, "kitti_object", "000007"),
        (kitti.kitti_depth_refs, "kitti_depth", "0000000009"),
    ],
)
def test_layouts(drive, read, group, name):
    (ref,) = read(drive / group)
    frame = ref.read()
    assert (frame.group, frame.name, frame.max_depth) == (group, name, 80)
    assert frame.depth[2, 3] == 5
    assert frame.valid.sum() == 1
    assert frame.image.camera.fx == 4
    assert (frame.image.camera.cx, frame.image.camera.cy) == (3, 2)


def test_damaged_files(tmp_path):
    (tmp_path / "scan.bin").write_bytes(b"12345678")
    with pytest.raises(InputError, match=r"scan\.bin"):
        velodyne.read_velodyne(tmp_path / "scan.bin")
    with pytest.raises(InputError, match=r"none\.txt"):
        velodyne.read_calibration(tmp_path / "none.txt")
    with pytest.raises(InputError, match="Tr"):
        velodyne.project_velodyne(np.ones((1, 3)), {"P2": np.zeros(12)}, (6, 8))


def eigen_tree(root: Path, drive: str = "0002", number: int = 69) -> None:
    """A frame, by default the first of Eigen's list: picture pair, scan, annotated depth."""
    date = root / "2011_09_26"
    data = date / f"2011_09_26_drive_{drive}_sync"
    for folder in ("image_02", "image_03", "velodyne_points"):
        (data / folder / "data").mkdir(parents=True)
    (date / "calib_cam_to_cam.txt").write_text(
        "R_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 4 0 3 0 0 4 2 0 0 0 1 0\n"
        "P_rect_03: 4 0 3 -2 0 4 2 0 0 0 1 0\n"
    )
    (date / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 -0.25\n")
    np.array([[5.0, 0, 0, 0]], "<f4").tofile(data / f"velodyne_points/data/{number:010}.bin")
    for camera in ("image_02", "image_03"):
        pixels = np.full((6, 8, 3), 50 if camera == "image_02" else 90, np.uint8)
        PilImage.fromarray(pixels).save(data / camera / "data" / f"{number:010}.png")
    truth = root / "val" / data.name / "proj_depth" / "groundtruth" / "image_02"
    truth.mkdir(parents=True)
    codes = np.zeros((6, 8), np.uint16)
    codes[4, 4] = 7 * 256
    PilImage.fromarray(codes).save(truth / f"{number:010}.png")


def test_eigen_s_split(tmp_path):
    eigen_tree(tmp_path)
    refs = open_dataset("kitti-eigen", tmp_path, Options(right=True))
    assert len(refs) == 697
    frame = refs[0].read()
    assert frame.name == "2011_09_26_drive_0002_sync/image_02/0000000069"
    assert frame.depth[1, 2] == 5  # the scanner's x, one pixel up and left, as all have it
    assert frame.baseline_m == 0.5
    assert frame.right is not None
    assert frame.right.pixels[0, 0, 0] == 90
    with pytest.raises(InputError, match=r"0000000054\.png.*Download the drive"):
        refs[1].read()
    alone = open_dataset("kitti-eigen", tmp_path)[0].read()
    assert (alone.right, alone.baseline_m) == (None, 0.5)
    annotated = open_dataset("kitti-eigen-annotated", tmp_path)
    assert len(annotated) == 652
    assert annotated[0].read().depth[4, 4] == 7
    with pytest.raises(InputError, match="data_depth_annotated"):
        annotated[1].read()
    assert len(open_dataset("kitti-eigen", tmp_path, Options(split="zhou-train"))) == 39810
    with pytest.raises(UnknownNameError, match="lidar, annotated"):
        kitti.kitti_eigen_refs(tmp_path, "kitti-eigen-test", target="scan")
    with pytest.raises(UnknownNameError, match="zhou-train"):
        open_dataset("kitti-eigen", tmp_path, Options(split="zhou"))


def test_training_frames_have_depth_along_the_axis(tmp_path):
    eigen_tree(tmp_path, "0001", 1)
    refs = open_dataset("kitti-eigen", tmp_path, Options(split="full-train"))
    name = "2011_09_26_drive_0001_sync/image_02/0000000001"
    (depth,) = (ref.read().depth for ref in refs if ref.name == name)
    assert depth.max() == 4.75  # the scanner sees it at 5, and stands 0.25 m behind the camera


def test_film_of_eigen_s_split_reads_pictures_alone(tmp_path):
    eigen_tree(tmp_path)
    data = tmp_path / "2011_09_26" / "2011_09_26_drive_0002_sync"
    (data / "velodyne_points" / "data" / "0000000069.bin").unlink()
    pairs = kitti.kitti_film_refs(tmp_path, "kitti-eigen-test", right=True)
    frame = pairs[0][0].read()
    assert frame.right is not None
    assert frame.right.pixels[0, 0, 0] == 90
    assert frame.baseline_m == 0.5
    assert not frame.depth.any()
    assert kitti.kitti_film_refs(tmp_path, "kitti-eigen-test", neighbours=True) == []
    picture = data / "image_02" / "data" / "0000000069.png"
    for number in (68, 70):
        (data / "image_02" / "data" / f"{number:010d}.png").write_bytes(picture.read_bytes())
    ((before, frame, after),) = kitti.kitti_film_refs(tmp_path, "kitti-eigen-test", neighbours=True)
    assert [ref.name[-2:] for ref in (before, frame, after)] == ["68", "69", "70"]
    assert after.read().image.camera is not None


def test_pairs_that_a_list_names_by_both_cameras_come_once(tmp_path):
    both = kitti.kitti_film_refs(tmp_path, "kitti-eigen-zhou-train")
    pairs = kitti.kitti_film_refs(tmp_path, "kitti-eigen-zhou-train", right=True)
    assert len(both) == 39810
    assert len(pairs) < len(both)
    assert len({ref.name for (ref,) in pairs}) == len(pairs)
    assert all("/image_02/" in ref.name for (ref,) in pairs)


def test_odometry_and_stereo_2015(tmp_path):
    sequence = tmp_path / "sequences" / "03"
    for folder in (sequence / "image_2", sequence / "velodyne", tmp_path / "poses"):
        folder.mkdir(parents=True)
    picture = PilImage.fromarray(np.zeros((6, 8, 3), np.uint8))
    picture.save(sequence / "image_2" / "000000.png")
    np.array([[5.0, 0, 0, 0]], "<f4").tofile(sequence / "velodyne" / "000000.bin")
    (sequence / "calib.txt").write_text(
        "P2: 4 0 3 0 0 4 2 0 0 0 1 0\nTr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n"
    )
    (tmp_path / "poses" / "03.txt").write_text("1 0 0 9 0 1 0 8 0 0 1 7\n")
    (frame,) = [r.read() for r in open_dataset("kitti-odometry", tmp_path, Options(split="03"))]
    assert frame.depth[2, 3] == 5
    assert frame.image.camera.world_from_camera[:3, 3].tolist() == [9, 8, 7]
    training = tmp_path / "training"
    for folder in ("image_2", "image_3", "disp_noc_0", "calib_cam_to_cam"):
        (training / folder).mkdir(parents=True)
    for folder in ("image_2", "image_3"):
        picture.save(training / folder / "000004_10.png")
    picture.save(training / "image_2" / "000004_11.png")  # the next frame: no truth
    PilImage.fromarray(np.full((6, 8), 512, np.uint16)).save(
        training / "disp_noc_0" / "000004_10.png"
    )
    (training / "calib_cam_to_cam" / "000004.txt").write_text(
        "P_rect_02: 4 0 3 1 0 4 2 0 0 0 1 0\nP_rect_03: 4 0 3 -1 0 4 2 0 0 0 1 0\n"
    )
    (frame,) = [r.read() for r in open_dataset("kitti-stereo-2015", tmp_path)]
    assert (frame.disparity == 2).all()
    assert frame.baseline_m == 0.5
    assert (frame.depth == 4 * 0.5 / 2).all()
