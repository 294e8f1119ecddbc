"""Cameras and poses from the files of other programs: one lens, written in every way."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.io import read_camera, read_cameras

SIZE = (213, 320)
TRUE = Camera(width=320, height=213, fx=300, fy=310, cx=160, cy=106)
MATRIX = [[300, 0, 160], [0, 310, 106], [0, 0, 1]]
FLAT = [float(number) for row in MATRIX for number in row]
COLUMNS = [300, 0, 0, 0, 310, 0, 160, 106, 1]

OPENCV = """%YAML:1.0
---
image_width: 320
image_height: 213
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 300., 0., 160., 0., 310., 106., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ 0., 0., 0., 0., 0. ]
"""
ROS = f"""image_width: 320
image_height: 213
camera_name: cam
camera_matrix:
  rows: 3
  cols: 3
  data: {FLAT}
distortion_model: plumb_bob
"""
ROS_ECHO = """header:
  stamp: 1.5
height: 213
width: 320
distortion_model: equidistant
d: [0.0, 0.0, 0.0, 0.0]
k:
- 300.0
- 0.0
- 160.0
- 0.0
- 310.0
- 106.0
- 0.0
- 0.0
- 1.0
---
height: 1
"""
KALIBR = """cam0:
  camera_model: pinhole
  intrinsics: [300, 310, 160, 106]
  resolution: [320, 213]
"""
OMNI = KALIBR.replace("pinhole", "omni") + "  distortion_coeffs: [1]\n"
STRONG = ROS + "D: [-0.5, 0, 0, 0]\n"
ORB = """%YAML:1.0
Camera.fx: 300
Camera.fy: 310
Camera.cx: 160
Camera.cy: 106
Camera.width: 320
Camera.height: 213
"""
NERF = {"fl_x": 300, "fl_y": 310, "cx": 160.5, "cy": 106.5, "w": 320, "h": 213, "frames": []}
KITTI = "P0: 1 0 0 0 0 1 0 0 0 0 1 0\nP2: 300 0 160 45 0 310 106 0.2 0 0 1 0\n"
RAW_KITTI = (
    "calib_time: 09-Jan-2012 13:57:47\nS_rect_02: 3.2e+02 2.13e+02\n"
    "P_rect_02: 300 0 160 45 0 310 106 0.2 0 0 1 0\n"
)

FILES = {
    "k.txt": "\n".join(" ".join(map(str, row)) for row in MATRIX),
    "flat.txt": " ".join(map(str, FLAT)),
    "four.txt": "# fx fy cx cy\n300 310 160 106\n",
    "scannet.txt": "300 0 160 0\n0 310 106 0\n0 0 1 0\n0 0 0 1\n",
    "k.csv": "\n".join(",".join(map(str, row)) for row in MATRIX),
    "opencv.yaml": OPENCV,
    "opencv.yml": OPENCV,
    "ros.yaml": ROS,
    "echo.yaml": ROS_ECHO,
    "kalibr.yaml": KALIBR,
    "orb.yaml": ORB,
    "transforms.json": json.dumps(NERF),
    "open3d.json": json.dumps({"width": 320, "height": 213, "intrinsic_matrix": COLUMNS}),
    "k.json": json.dumps({"K": MATRIX}),
    "bare.json": json.dumps(MATRIX),
    "own.json": json.dumps(TRUE.to_dict()),
    "cameras.txt": "# Camera list\n1 PINHOLE 320 213 300 310 160.5 106.5\n",
    "calib_cam_to_cam.txt": RAW_KITTI,
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_gives_the_same_camera(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    assert read_camera(tmp_path / name, size=SIZE) == TRUE


def test_utf16_and_byte_order_marks_are_understood(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / "k.txt").write_text(FILES["k.txt"], encoding=encoding)
        assert read_camera(tmp_path / "k.txt", size=SIZE) == TRUE


def test_kitti_cameras_are_told_apart_by_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "calib.txt"
    file.write_text(KITTI)
    assert read_camera(file, size=SIZE, picture="drive/image_02/data/0.png") == TRUE
    with pytest.raises(InputError, match="2 different cameras"):
        read_camera(file, size=SIZE, picture="0.png")


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    pose = np.eye(4)
    pose[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
    pose[:3, 3] = 1, 2, 3
    return pose


def colmap_pose(world_from_camera: np.ndarray, degrees: float) -> list[float]:
    """qw qx qy qz tx ty tz of the inverse of a turn about y."""
    half = np.radians(-degrees) / 2
    place = np.linalg.inv(world_from_camera)[:3, 3]
    return [np.cos(half), 0.0, np.sin(half), 0.0, *place]


def write_colmap(folder: Path, *, binary: bool) -> None:
    pose = colmap_pose(turned(30), 30)
    parameters = 300.0, 310.0, 160.5, 106.5
    if binary:
        camera = struct.pack("<QiiQQ4d", 1, 7, 1, 320, 213, *parameters)
        (folder / "cameras.bin").write_bytes(camera)
        image = struct.pack("<Qi7di", 1, 4, *pose, 7) + b"a/one.jpg\0"
        (folder / "images.bin").write_bytes(image + struct.pack("<Q2dq", 1, 5.0, 6.0, -1))
        return
    numbers = " ".join(map(str, parameters))
    (folder / "cameras.txt").write_text(f"# list\n7 PINHOLE 320 213 {numbers}\n")
    row = " ".join(map(str, pose))
    (folder / "images.txt").write_text(f"# list\n4 {row} 7 a/one.jpg\n5.0 6.0 -1\n")


@pytest.mark.parametrize("binary", [False, True])
def test_colmap_images_bring_their_pose(tmp_path: Path, binary: bool) -> None:
    model = tmp_path / "sparse" / "0"
    model.mkdir(parents=True)
    write_colmap(model, binary=binary)
    file = model / ("images.bin" if binary else "images.txt")
    for path in (tmp_path, model, file):
        camera = read_camera(path, picture="pictures/one.jpg")
        assert camera.moved(None) == TRUE
        assert camera.world_from_camera is not None
        np.testing.assert_allclose(camera.world_from_camera, turned(30), atol=1e-12)


@pytest.mark.parametrize("cut", [10, 60])
def test_colmap_cut_short(tmp_path: Path, cut: int) -> None:
    write_colmap(tmp_path, binary=True)
    for name in ("cameras.bin", "images.bin"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: min(cut, len(whole) - 9)])
        with pytest.raises(InputError, match=name):
            read_cameras(tmp_path)
        (tmp_path / name).write_bytes(whole)


def test_nerf_frames_have_poses_that_look_along_z(tmp_path: Path) -> None:
    opengl = turned(30) @ np.diag([1, -1, -1, 1])
    frames = [
        {"file_path": "./images/one", "transform_matrix": opengl.tolist()},
        {"file_path": "./images/two", "transform_matrix": np.eye(4).tolist(), "fl_x": 290},
    ]
    file = tmp_path / "transforms.json"
    file.write_text(json.dumps({**NERF, "frames": frames}))
    camera = read_camera(file, picture="/else/one.png")
    assert camera.moved(None) == TRUE
    assert camera.world_from_camera is not None
    np.testing.assert_allclose(camera.world_from_camera, turned(30), atol=1e-12)
    assert read_camera(file, picture="two.png").fx == 290
    with pytest.raises(InputError, match=r"2 different cameras.*three\.png"):
        read_camera(file, picture="three.png")


def test_nerf_by_its_field_of_view(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"camera_angle_x": 0.9, "frames": [{}]}))
    camera = read_camera(tmp_path / "t.json", size=SIZE)
    assert camera.fov_deg == pytest.approx(np.degrees(0.9))
    assert (camera.cx, camera.cy) == (159.5, 106)


def test_open3d_trajectories_are_stored_by_columns(tmp_path: Path) -> None:
    view = {
        "intrinsic": {"width": 320, "height": 213, "intrinsic_matrix": COLUMNS},
        "extrinsic": np.linalg.inv(turned(30)).T.ravel().tolist(),
    }
    (tmp_path / "t.json").write_text(json.dumps({"parameters": [view]}))
    camera = read_camera(tmp_path / "t.json")
    assert camera.moved(None) == TRUE
    assert camera.world_from_camera is not None
    np.testing.assert_allclose(camera.world_from_camera, turned(30), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1 2 3\n", "holds 3 numbers"),
        ("a.txt", "one two\n", "cannot be read"),
        ("a.txt", "1 0 0\n0 1 0\n0 0 5\n", "no camera's"),
        ("a.txt", "300 40 160\n0 310 106\n0 0 1\n", "skew"),
        ("a.txt", "Tr: 1 2 3\n", "no P0 to P3"),
        ("a.json", "{", "cannot be read"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"a": 1}', "holds a; a camera is needed"),
        ("a.json", '{"K": [[1, 2], [3]]}', "cannot be read"),
        ("a.json", "5", "holds a bare int"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.yaml", "k: !!python/object/apply:os.system ['ls']", "cannot be read"),
        ("a.yaml", OMNI, "omni"),
        ("a.yaml", STRONG, "moves the pictures' corners"),
        ("a.json", json.dumps({**NERF, "camera_model": "OPENCV_FISHEYE", "k1": 0.1}), "fisheye"),
        ("cameras.txt", "1 FOV 320 213 300 310 160 106 0.9\n", "model FOV"),
        ("cameras.txt", "1 PINHOLE 320 213 300 310 160\n", "3 numbers for PINHOLE"),
        ("cameras.txt", "1 PINHOLE wide 213 300 310 160 106\n", "no camera in the line"),
    ],
)  # fmt: skip
def test_what_is_no_camera_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_camera(tmp_path / name, size=SIZE)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=200)
@given(data=st.data())
def test_damaged_files_raise_our_errors_only(tmp_path_factory, data) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    content = bytearray(FILES[name].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        read_camera(path, size=SIZE, picture="image_02/0.png")
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_little_distortion_is_said_in_the_source(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(ROS.replace("plumb_bob", "plumb_bob\nD: [-0.05, 0, 0, 0, 0]"))
    assert read_camera(file, size=SIZE).source == "given, its lens distortion left out"


def test_a_matrix_alone_needs_the_size(tmp_path: Path) -> None:
    (tmp_path / "k.txt").write_text(FILES["k.txt"])
    with pytest.raises(InputError, match="size of the pictures"):
        read_camera(tmp_path / "k.txt")
