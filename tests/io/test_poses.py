"""Poses of frames: every layout gives the same matrices, and none of the wrong ones passes."""

import json
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.io import read_poses, write_poses

FRAMES = ["a/one.jpg", "a/two.jpg", "a/three.jpg"]


def poses() -> list[np.ndarray]:
    made = []
    for i in range(3):
        angle = 0.1 + i
        pose = np.eye(4)
        pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        pose[:3, 3] = (i, 2 * i, -1)
        made.append(pose)
    return made


def row(numbers: np.ndarray) -> str:
    return " ".join(f"{n:.9f}" for n in np.ravel(numbers))


def quaternion(i: int) -> str:
    half = (0.1 + i) / 2
    return f"{i} {2 * i} -1 0 0 {np.sin(half):.9f} {np.cos(half):.9f}"


def time(i: int) -> float:
    """Seconds of the clock, as TUM and EuRoC have them."""
    return 1305031102.1753 + i / 30


LAYOUTS = {
    "kitti": "\n".join(row(p[:3]) for p in poses()),
    "matrices": "\n".join(row(p) for p in poses()),
    "stacked": "\n".join(row(line) for p in poses() for line in p),
    "quaternions": "\n".join(["# comment", *(quaternion(i) for i in range(3))]),
    "names, another order": "\n".join(f"{Path(FRAMES[i]).name} {quaternion(i)}" for i in (2, 0, 1)),
}

TUM = "\n".join(
    ["# time tx ty tz qx qy qz qw", *(f"{time(i):.4f} {quaternion(i)}" for i in (2, 0, 1))]
)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_poses(name: str, tmp_path: Path) -> None:
    file = tmp_path / "poses.txt"
    file.write_text(LAYOUTS[name])
    for found, true in zip(read_poses(file, FRAMES), poses(), strict=True):
        np.testing.assert_allclose(found, true, atol=1e-8)


TIMED = {
    "seconds": [f"rgb/{time(i) + 0.01:.6f}.png" for i in range(3)],
    "without a suffix": [f"{time(i):.6f}" for i in range(3)],
    "the very times": [f"{time(i):.4f}.png" for i in range(3)],
    "nanoseconds": [f"{round(time(i) * 1e9)}.png" for i in range(3)],
    "milliseconds": [f"{round(time(i) * 1e3)}.jpg" for i in range(3)],
}


@pytest.mark.parametrize("name", TIMED)
def test_poses_with_times_go_to_the_pictures_of_these_times(name: str, tmp_path: Path) -> None:
    file = tmp_path / "groundtruth.txt"
    file.write_text(TUM)
    np.testing.assert_allclose(read_poses(file, TIMED[name]), poses(), atol=1e-8)
    np.testing.assert_allclose(read_poses(file, TIMED[name][1:2]), poses()[1:2], atol=1e-8)


def test_a_picture_too_far_from_every_pose_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "groundtruth.txt"
    file.write_text(TUM)
    late = [f"{time(2) + 0.05:.4f}.png"]
    with pytest.raises(InputError, match=r"0\.05 s away, and at most 0\.02 s"):
        read_poses(file, late)
    np.testing.assert_allclose(read_poses(file, late, max_gap_s=0.06), poses()[2:], atol=1e-8)
    with pytest.raises(InputError, match="does not name a time"):
        read_poses(file, ["000000.png"])


def test_names_that_share_their_beginning_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "poses.txt"
    file.write_text("\n".join(f"frame.{i} {quaternion(i)}" for i in range(3)))
    frames = [f"frame.{i}.png" for i in (2, 0, 1)]
    np.testing.assert_allclose(read_poses(file, frames), [poses()[i] for i in (2, 0, 1)], atol=1e-8)


def test_json_and_folders(tmp_path: Path) -> None:
    table = tmp_path / "poses.json"
    pairs = zip(FRAMES, poses(), strict=True)
    table.write_text(json.dumps({Path(f).stem: p.tolist() for f, p in pairs}))
    folder = tmp_path / "folder"
    folder.mkdir()
    for frame, pose in zip(FRAMES, poses(), strict=True):
        np.savetxt(folder / f"{Path(frame).stem}.pose.txt", pose)
    for source in (table, folder):
        np.testing.assert_allclose(read_poses(source, FRAMES), poses(), atol=1e-8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAYOUTS["kitti"].splitlines()[0], "1 poses for 3 pictures"),
        ("1 2 3\n", "columns"),
        ("", "no poses"),
        (LAYOUTS["kitti"].replace("0.", "x.", 1), "numbers are needed"),
        (TUM, r"one\.jpg does not name a time"),
        (LAYOUTS["names, another order"].replace("two", "other"), "no pose of two.jpg"),
        (row(2 * poses()[0][:3]) + "\n" + LAYOUTS["kitti"], "no rigid motion"),
        ("\n".join(["0 0 0 0 0 0 0"] * 3), "finite"),
    ],
)
def test_wrong_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "poses.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_poses(file, FRAMES)


def test_a_folder_without_one_frame_is_refused(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "one.txt", poses()[0])
    with pytest.raises(InputError, match=r"no pose of two\.jpg"):
        read_poses(tmp_path, FRAMES)


def test_what_is_written_says_whether_it_is_in_metres(tmp_path: Path) -> None:
    file = tmp_path / "poses.txt"
    made = dict(zip(FRAMES, poses(), strict=True))
    write_poses(file, made, metric=True)
    np.testing.assert_allclose(read_poses(file, FRAMES, metres=True), poses(), atol=1e-8)
    write_poses(file, made, metric=False)
    np.testing.assert_allclose(read_poses(file, FRAMES), poses(), atol=1e-8)
    with pytest.raises(InputError, match="up to one scale"):
        read_poses(file, FRAMES, metres=True)


@pytest.mark.parametrize("suffix", [".txt", ".json"])
def test_written_poses_say_whether_they_are_metres(suffix: str, tmp_path: Path) -> None:
    for metric in (True, False):
        file = tmp_path / f"{metric}{suffix}"
        write_poses(file, dict(zip(FRAMES, poses(), strict=True)), metric=metric)
        for found, true in zip(read_poses(file, FRAMES), poses(), strict=True):
            np.testing.assert_allclose(found, true, atol=1e-7)
    read_poses(tmp_path / f"True{suffix}", FRAMES, metres=True)
    with pytest.raises(InputError, match="up to one scale"):
        read_poses(tmp_path / f"False{suffix}", FRAMES, metres=True)
