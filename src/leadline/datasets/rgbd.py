"""Colour and depth sequences with poses: 7-Scenes, TUM, ICL-NUIM and small Kinect collections.

Source: Shotton et al., Scene Coordinate Regression Forests, CVPR 2013 (7-Scenes); Sturm et al., A
Benchmark for RGB-D SLAM, IROS 2012 (TUM); Handa et al., ICL-NUIM, ICRA 2014.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_depth16,
    read_intrinsics,
    read_lines,
    read_numbers,
    read_picture,
    set_pose,
    zero_unknown,
)
from leadline.errors import InputError
from leadline.io import list_images, read_depth_png
from leadline.io.poses import pose_of_quaternion

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

    from leadline.image import Image

MAX_DEPTH_M = 10.0
_KINECT = {"fx": 518.0, "fy": 519.0, "cx": 325.5, "cy": 253.5}
_PRIMESENSE = {"fx": 525.0, "fy": 525.0, "cx": 319.5, "cy": 239.5}
_TUM_PER_METRE = 5000
_TUM_GAP_S = 0.02


def seven_scenes_refs(root: Path, *, every: int = 1, following: bool = False) -> list[FrameRef]:
    """Frames ``frame-NNNNNN.{color.*,depth.png,pose.txt}``; depth in mm, poses to the world.

    Args:
        root: folder with ``camera-intrinsics.txt``; without it the data set's own f 585, c 320/240.
        every: only frames whose number is a multiple of this.
        following: read the next picture of the sequence too, where there is one.
    """
    file = root / "camera-intrinsics.txt"
    matrix = np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]])
    if file.is_file():
        matrix = read_numbers(file)
    if matrix.shape != (3, 3):
        raise InputError(f"{file}: a 3x3 matrix is needed.")
    pictures = [p for p in list_images(root) if p.name.partition(".")[2].startswith("color.")]
    found = []
    for i, path in enumerate(pictures):
        stem = path.name.partition(".")[0]
        if int(stem.rpartition("-")[2]) % every:
            continue
        after = pictures[i + 1] if following and i + 1 < len(pictures) else None
        found.append(FrameRef(name=stem, read=partial(_seven_scenes_frame, path, matrix, after)))
    return found


def kinect_refs(root: Path) -> list[FrameRef]:
    """Frames ``color/N.png``, ``depth/N.pgm`` (mm) and ``pose.txt`` (tx ty tz qx qy qz qw)."""
    poses = read_numbers(root / "pose.txt")
    pictures = list_images(root / "color")
    if len(poses) != len(pictures):
        raise InputError(
            f"{root / 'pose.txt'} holds {len(poses)} poses for {len(pictures)} pictures; one each."
        )

    def read(path: Path, row: np.ndarray) -> Frame:
        depth = read_depth_png(root / "depth" / f"{path.stem}.pgm", per_unit=1000)
        image = set_pose(read_picture(path, **_KINECT), pose_from_quaternion(row))
        return _frame(image, depth, root, path.stem)

    return [
        FrameRef(name=path.stem, read=partial(read, path, row))
        for path, row in zip(pictures, poses, strict=True)
    ]


def icl_refs(root: Path) -> list[FrameRef]:
    """Frames ``color/N.jpg`` and ``depth/N.png`` (mm) of a rendered ICL-NUIM room."""

    def read(path: Path) -> Frame:
        depth = read_depth16(root / "depth" / f"{path.stem}.png", per_unit=1000)
        return _frame(read_picture(path, **_PRIMESENSE), depth, root, path.stem)

    return [
        FrameRef(name=path.stem, read=partial(read, path)) for path in list_images(root / "color")
    ]


def tum_refs(root: Path) -> list[FrameRef]:
    """Frames of a TUM sequence: ``rgb.txt``, ``depth.txt``, ``groundtruth.txt`` by nearest time.

    Depth is 5000 per metre. Pictures without a depth map within .02 s are left out, as in the
    benchmark's own association. ``camera.json`` beside them gives other intrinsics than f 525.
    """
    camera = root / "camera.json"
    intrinsics = read_intrinsics(camera) if camera.is_file() else _PRIMESENSE
    depths = _stamped(root / "depth.txt")
    poses_file = root / "groundtruth.txt"
    poses = _stamped(poses_file) if poses_file.is_file() else []
    found = []
    for time, words in _stamped(root / "rgb.txt"):
        depth, pose = _nearest(depths, time), _nearest(poses, time)
        if depth is not None:
            read = partial(_tum_frame, root, words[0], depth[0], pose, intrinsics)
            found.append(FrameRef(name=f"{time:.6f}", read=read))
    return found


def pose_from_quaternion(row: Float[np.ndarray, " 7"]) -> Float[np.ndarray, "4 4"]:
    """4x4 rigid transform of a translation and a quaternion: tx ty tz qx qy qz qw."""
    if np.shape(row) != (7,) or not np.linalg.norm(row[3:]) > 0:
        raise InputError(f"pose {row}: tx ty tz qx qy qz qw with a quaternion that is not 0.")
    return pose_of_quaternion(row)


def _seven_scenes_frame(path: Path, matrix: np.ndarray, after: Path | None) -> Frame:
    stem = path.name.partition(".")[0]
    depth = read_depth16(path.parent / f"{stem}.depth.png", per_unit=1000)
    depth = zero_unknown(depth, depth <= 65)  # code 65535: no value
    frame = _frame(_seven_scenes_picture(path, matrix), depth, path.parent, stem)
    if after is None:
        return frame
    return replace(frame, following=_seven_scenes_picture(after, matrix))


def _seven_scenes_picture(path: Path, matrix: np.ndarray) -> Image:
    fx, fy, cx, cy = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
    pose = read_numbers(path.parent / f"{path.name.partition('.')[0]}.pose.txt")
    return set_pose(read_picture(path, fx=fx, fy=fy, cx=cx, cy=cy), pose)


def _tum_frame(
    root: Path, colour: str, depth: str, pose: list[str] | None, intrinsics: dict[str, float]
) -> Frame:
    image = read_picture(root / colour, **intrinsics)
    if pose is not None:
        image = set_pose(image, pose_from_quaternion(np.array([float(word) for word in pose])))
    values = read_depth16(root / depth, per_unit=_TUM_PER_METRE)
    return _frame(image, values, root, colour)


def _stamped(path: Path) -> list[tuple[float, list[str]]]:
    try:
        rows = [line.split() for line in read_lines(path)]
        return [(float(row[0]), row[1:]) for row in rows]
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: lines of a time and values are needed ({error}).") from error


def _nearest(rows: list[tuple[float, list[str]]], time: float) -> list[str] | None:
    near = min(rows, key=lambda row: abs(row[0] - time), default=None)
    return near[1] if near is not None and abs(near[0] - time) <= _TUM_GAP_S else None


def _frame(image: Image, depth: np.ndarray, root: Path, name: str) -> Frame:
    return Frame(image=image, depth=depth, max_depth=MAX_DEPTH_M, group=root.name, name=name)
