"""COLMAP's text models as they are written; what reads them is tested with the other cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.io import PointCloud, read_cameras, write_colmap
from leadline.io.poses import pose_of_quaternion, quaternion_of_pose
from testing.two_views import rotation

TURNS = [(0, 0, 0), (0.3, -0.2, 1), (np.pi, 0, 0), (0, np.pi, 0), (0, 0, -np.pi), (2, 2, -1.5)]


def pose_of(turn: tuple[float, float, float], place: tuple[float, float, float]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation(np.array(turn)), place
    return pose


@pytest.mark.parametrize("turn", TURNS)
def test_a_quaternion_goes_back_to_its_pose(turn):
    pose = pose_of(turn, (1, -2, 3))
    row = quaternion_of_pose(pose)
    assert row[6] >= 0
    assert np.linalg.norm(row[3:]) == pytest.approx(1)
    np.testing.assert_allclose(pose_of_quaternion(row), pose, atol=1e-12)


def test_cameras_come_back_with_their_poses(tmp_path: Path):
    cameras = {
        f"frame {number}.jpg": Camera(
            width=64 + number,
            height=48,
            fx=50.5 + number,
            fy=51,
            cx=30.25,
            cy=23.5,
            world_from_camera=pose_of(turn, (number, 0.5, -number)),
        )
        for number, turn in enumerate(TURNS)
    }
    files = write_colmap(tmp_path / "sparse" / "0", cameras)
    assert [file.name for file in files] == ["cameras.txt", "images.txt", "points3D.txt"]
    found = read_cameras(tmp_path)
    assert list(found) == list(cameras)
    for name, camera in cameras.items():
        other = found[name]
        assert (other.width, other.height) == (camera.width, camera.height)
        np.testing.assert_allclose(other.matrix, camera.matrix, rtol=1e-8)
        np.testing.assert_allclose(other.world_from_camera, camera.world_from_camera, atol=1e-7)


def test_pixels_are_counted_from_the_corner_and_poses_are_the_cameras(tmp_path: Path):
    camera = Camera.from_focal(64, 48, focal_px=50).moved(pose_of((0, 0, np.pi / 2), (1, 2, 3)))
    cloud = PointCloud(
        points=np.array([[0.5, 1, 2], [3, 4, 5]], np.float32),
        colors=np.array([[1, 2, 3], [4, 5, 6]], np.uint8),
    )
    cameras, images, points = (
        [line for line in file.read_text().splitlines() if not line.startswith("#")]
        for file in write_colmap(tmp_path, {"a.jpg": camera}, cloud)
    )
    assert cameras == ["1 PINHOLE 64 48 50 50 32 24"]
    number, *rest, name = images[0].split()
    assert (number, name, len(images)) == ("1", "a.jpg", 2)
    half = np.sqrt(0.5)  # camera_from_world turns back: x goes to -y
    wanted = [half, 0, 0, -half, -2, 1, -3, 1]
    np.testing.assert_allclose([float(word) for word in rest], wanted, atol=1e-8)
    assert images[1] == ""  # it has observed no points
    assert points == ["1 0.5 1 2 1 2 3 0", "2 3 4 5 4 5 6 0"]


@pytest.mark.parametrize(
    ("name", "camera", "says"),
    [
        ("a.jpg", Camera.from_focal(64, 48, focal_px=50), "world_from_camera"),
        ("a\nb.jpg", Camera.from_focal(64, 48, focal_px=50).moved(np.eye(4)), "printable"),
        (" ", Camera.from_focal(64, 48, focal_px=50).moved(np.eye(4)), "printable"),
    ],
)
def test_what_a_model_cannot_hold_is_refused(name, camera, says, tmp_path: Path):
    with pytest.raises(InputError, match=says):
        write_colmap(tmp_path, {name: camera})
    assert not list(tmp_path.iterdir())
