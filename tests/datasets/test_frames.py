from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.datasets import Frame, Options, iter_dataset, rgbd
from leadline.errors import InputError, UnknownNameError
from leadline.image import Image

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
GROUPS = {
    "kitti_depth": ("kitti-depth", 3),
    "kitti_raw": ("kitti-raw", 6),
    "kitti_object": ("kitti-object", 3),
    "nyu": ("nyu-folder", 4),
    "rgbd_7scenes_kitchen": ("7scenes", 60),
    "rgbd_kinect_5": ("kinect-poses", 5),
}
"""Folder -> data set, and how many frames it holds."""


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(array).save(path)


@pytest.mark.parametrize("group", GROUPS)
def test_real_frames(group):
    if not (DATA / group).is_dir():
        pytest.skip("the real frames are not on this machine")
    name, count = GROUPS[group]
    frames = iter_dataset(name, DATA / group)
    frame = next(frames)
    assert frame.group == group
    assert frame.valid.mean() > 0.02
    assert 0.3 < np.median(frame.depth[frame.valid]) < frame.max_depth / 2
    camera = frame.image.camera
    assert camera is not None
    assert 40 < camera.fov_deg < 90
    has_pose = group.startswith("rgbd")
    assert (camera.world_from_camera is not None) is has_pose
    if has_pose:
        rotation = camera.world_from_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)  # printed
        assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-3)
    if group != "rgbd_7scenes_kitchen":
        assert 1 + sum(1 for _ in frames) == count


def test_seven_scenes_layout(tmp_path):
    (tmp_path / "camera-intrinsics.txt").write_text("525 0 3\n0 525 2\n0 0 1\n")
    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    for number in (0, 1, 10):
        stem = f"frame-{number:06d}"
        save(tmp_path / f"{stem}.color.jpg", np.zeros((4, 6, 3), np.uint8))
        save(tmp_path / f"{stem}.depth.png", np.full((4, 6), 2500, np.uint16))
        np.savetxt(tmp_path / f"{stem}.pose.txt", pose)
    frames = list(iter_dataset("7scenes", tmp_path, Options(every=10)))
    assert [frame.name for frame in frames] == ["frame-000000", "frame-000010"]
    assert (frames[0].depth == 2.5).all()
    assert frames[0].image.camera is not None
    np.testing.assert_array_equal(frames[0].image.camera.world_from_camera, pose)
    assert len(list(iter_dataset("7scenes", tmp_path))) == 3


def test_seven_scenes_code_for_no_value(tmp_path):
    (tmp_path / "camera-intrinsics.txt").write_text("525 0 3\n0 525 2\n0 0 1\n")
    save(tmp_path / "frame-000000.color.png", np.zeros((1, 2, 3), np.uint8))
    save(tmp_path / "frame-000000.depth.png", np.array([[65535, 1000]], np.uint16))
    np.savetxt(tmp_path / "frame-000000.pose.txt", np.eye(4))
    (frame,) = iter_dataset("7scenes", tmp_path)
    assert frame.depth.tolist() == [[0, 1]]


def test_kinect_layout(tmp_path):
    for number in (1, 2, 10):
        save(tmp_path / "color" / f"{number}.png", np.zeros((4, 6, 3), np.uint8))
        save(tmp_path / "depth" / f"{number}.pgm", np.full((4, 6), 1000 * number, np.uint16))
    (tmp_path / "pose.txt").write_text("".join(f"{i} 0 0 0 0 0 1\n" for i in range(3)))
    frames = list(iter_dataset("kinect-poses", tmp_path))
    assert [frame.depth[0, 0] for frame in frames] == [1, 2, 10]
    shifts = [f.image.camera.world_from_camera[0, 3] for f in frames if f.image.camera]
    assert shifts == [0, 1, 2]


def test_quaternions():
    half = np.sqrt(0.5)
    pose = rgbd.pose_from_quaternion(
        np.array([1, 2, 3, 0, 0, 2 * half, 2 * half])
    )  # 90 degrees about z
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    with pytest.raises(InputError):
        rgbd.pose_from_quaternion(np.zeros(7))


def test_frames_refuse_depth_of_another_size():
    with pytest.raises(InputError, match="same size"):
        Frame(
            image=Image(pixels=np.zeros((2, 3, 3), np.uint8)),
            depth=np.zeros((3, 2), np.float32),
            max_depth=10,
            group="g",
            name="n",
        )


def test_valid_is_inside_the_cap():
    depth = np.array([[0, 1e-4, 5, 9.99, 10, np.nan]], np.float32)
    frame = Frame(
        image=Image(pixels=np.zeros((1, 6, 3), np.uint8)),
        depth=depth,
        max_depth=10,
        group="g",
        name="n",
    )
    assert frame.valid.tolist() == [[False, False, True, True, False, False]]


def test_unknown_sets_and_missing_folders(tmp_path):
    with pytest.raises(UnknownNameError, match="kitti-raw"):
        iter_dataset("kitti-row", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        iter_dataset("nyu-folder", tmp_path / "nyu")
    (tmp_path / "nyu").mkdir()
    with pytest.raises(InputError, match=r"camera\.json"):
        iter_dataset("nyu-folder", tmp_path / "nyu")
