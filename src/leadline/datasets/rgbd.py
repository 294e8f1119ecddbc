"""Colour and depth sequences with poses: 7-Scenes and small Kinect collections.

Source: Shotton et al., Scene Coordinate Regression Forests, CVPR 2013 (7-Scenes).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import Frame, picture, read_numbers
from leadline.errors import InputError
from leadline.io import list_images, read_depth_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jaxtyping import Float

MAX_DEPTH_M = 10.0
_KINECT = {"fx": 518.0, "fy": 519.0, "cx": 325.5, "cy": 253.5}


def iter_seven_scenes(root: Path, *, every: int = 1) -> Iterator[Frame]:
    """Frames ``frame-NNNNNN.{color.jpg,depth.png,pose.txt}``; depth in mm, poses to the world.

    Args:
        root: folder with ``camera-intrinsics.txt``.
        every: only frames whose number is a multiple of this.
    """
    matrix = read_numbers(root / "camera-intrinsics.txt")
    if matrix.shape != (3, 3):
        raise InputError(f"{root / 'camera-intrinsics.txt'}: a 3x3 matrix is needed.")
    fx, fy, cx, cy = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
    for path in list_images(root):
        stem, _, rest = path.name.partition(".")
        if not rest.startswith("color.") or int(stem.rpartition("-")[2]) % every:
            continue
        image = picture(path, fx=fx, fy=fy, cx=cx, cy=cy)
        pose = read_numbers(root / f"{stem}.pose.txt")
        depth = read_depth_png(root / f"{stem}.depth.png", per_unit=1000)
        yield Frame(
            image=replace(image, camera=image.camera and image.camera.moved(pose)),
            depth=np.where(depth > 65, 0, depth).astype(np.float32),  # code 65535: no value
            max_depth=MAX_DEPTH_M,
            group=root.name,
            name=stem,
        )


def iter_kinect_poses(root: Path) -> Iterator[Frame]:
    """Frames ``color/N.png``, ``depth/N.pgm`` (mm) and ``pose.txt`` (tx ty tz qx qy qz qw)."""
    poses = read_numbers(root / "pose.txt")
    for path, row in zip(list_images(root / "color"), poses, strict=True):
        image = picture(path, **_KINECT)
        yield Frame(
            image=replace(image, camera=image.camera and image.camera.moved(rigid_from(row))),
            depth=read_depth_png(root / "depth" / f"{path.stem}.pgm", per_unit=1000),
            max_depth=MAX_DEPTH_M,
            group=root.name,
            name=path.stem,
        )


def rigid_from(row: Float[np.ndarray, " 7"]) -> Float[np.ndarray, "4 4"]:
    """4x4 rigid transform of a translation and a quaternion: tx ty tz qx qy qz qw."""
    if np.shape(row) != (7,) or not np.linalg.norm(row[3:]) > 0:
        raise InputError(f"pose {row}: tx ty tz qx qy qz qw with a quaternion that is not 0.")
    x, y, z, w = row[3:] / np.linalg.norm(row[3:])
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = row[:3]
    return pose
