"""Poses of frames from the files that trackers and data sets write.

All are ``world_from_camera``: they take points of the camera (x right, y down, z forward) to the
world. One pose per line of a text file, by its number of columns:

- 12 or 16: a 3x4 or 4x4 matrix, row by row (KITTI odometry);
- 7: tx ty tz qx qy qz qw;
- 8: a time or a frame's name, then the same (TUM, EuRoC as TUM);
- 13 or 17: a frame's name or time, then a matrix.

Poses with times belong to the pictures whose names are times (1305031102.175304.png, in seconds,
or 1403636579763555584.png, in nanoseconds): each picture takes the nearest pose within
:data:`MAX_GAP_S`. Pictures without times in their names are refused: their order proves nothing.

A ``.json`` file holds a list of 4x4 matrices or a table of frame name -> matrix, either alone or
under ``poses``; a folder holds ``NAME.pose.txt`` or ``NAME.txt`` with a 4x4 matrix each (7-Scenes).

Lines that begin with ``#`` are comments; ``# kind: scaled_depth``, in JSON ``"kind"`` beside
``poses``, says that the positions are right up to one scale only, as those of a single camera are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import reading
from leadline.io.text import read_json, read_text
from leadline.jobs import write_text
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float

    Pose = Float[np.ndarray, "4 4"]

MAX_GAP_S = 0.02
"""Seconds between a picture and the pose that it takes; half the time between two TUM pictures."""

_KIND = "# kind: "
_NEEDED = "a file of poses is needed, one per line, or a JSON list of matrices."
_ROTATION_ERROR = 0.02  # of its product with its transpose; text files round


def write_poses(path: str | os.PathLike[str], poses: Mapping[str, Pose], *, metric: bool) -> None:
    """Write a 3x4 matrix per line, the frame's name in front; or a table of 4x4 matrices as JSON.

    Args:
        path: the file; JSON where its suffix is ``.json``, else text.
        poses: frame's name, with or without its folder -> ``world_from_camera``.
        metric: whether the positions are in metres; otherwise right up to one scale.
    """
    kind = DepthKind.METRIC_DEPTH if metric else DepthKind.SCALED_DEPTH
    if Path(path).suffix.lower() == ".json":
        table = {Path(name).name: pose.tolist() for name, pose in poses.items()}
        write_text(path, json.dumps({"kind": kind, "poses": table}, indent=2) + "\n")
        return
    lines = [f"{_KIND}{kind}"]
    for name, pose in poses.items():
        row = " ".join(f"{value:.9g}" for value in pose[:3].ravel())
        lines.append(f"{Path(name).name.replace(' ', '_')} {row}")
    write_text(path, "\n".join(lines) + "\n")


def read_poses(
    path: str | os.PathLike[str],
    frames: Sequence[str],
    *,
    metres: bool = False,
    max_gap_s: float = MAX_GAP_S,
) -> list[Pose]:
    """The pose of every frame.

    Args:
        path: a text or JSON file, or a folder; see above.
        frames: names or paths of the pictures, in order. Poses with names are found by the
            picture's name, with or without its suffix, poses with times by the time that is the
            picture's name; poses without either belong to the pictures in their order, so that
            there must be as many.
        metres: refuse a file that says that it is right up to one scale only.
        max_gap_s: seconds between a picture and the nearest pose.

    Returns:
        ``world_from_camera``, 4x4 float64, one per frame.

    Raises:
        InputError: missing or damaged file, a frame without a pose, another number of poses, a
            matrix that is no rotation, or no metres where these are needed.
    """
    path = Path(path)
    if path.is_dir():
        return [
            _rigid(_of_frame(path, Path(frame)), f"{path}/{Path(frame).name}") for frame in frames
        ]
    names, poses = (
        _from_json(path, metres) if path.suffix.lower() == ".json" else _from_text(path, metres)
    )
    checked = [_rigid(pose, f"{path}, pose {i + 1}") for i, pose in enumerate(poses)]
    if names:
        times = _times(names)
        if times is not None and not {Path(frame).stem for frame in frames} <= set(names):
            return [checked[i] for i in _nearest(times, frames, path, max_gap_s)]
        return _by_name(dict(zip(names, checked, strict=True)), frames, path)
    if len(checked) != len(frames):
        raise InputError(
            f"{path} holds {len(checked)} poses for {len(frames)} pictures, and one each is "
            "needed, in the pictures' order. Give the pictures that the poses belong to, or put "
            "the picture's name in front of every pose."
        )
    return checked


def _from_text(path: Path, metres: bool) -> tuple[list[str], list[np.ndarray]]:
    lines = read_text(path, _NEEDED).splitlines()
    if metres and f"{_KIND}{DepthKind.SCALED_DEPTH}" in lines:
        raise _no_metres(path)
    rows = [line.replace(",", " ").split() for line in lines]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    if not rows:
        raise InputError(f"{path} holds no poses; one per line is needed.")
    widths = {len(row) for row in rows}
    if widths == {4} and len(rows) % 4 == 0:  # matrices one below the other
        rows = [
            [*a, *b, *c, *d] for a, b, c, d in zip(*(rows[i::4] for i in range(4)), strict=True)
        ]
        widths = {16}
    if len(widths) != 1 or not widths <= {7, 8, 12, 13, 16, 17}:
        raise InputError(
            f"{path}: lines of {sorted(widths)} columns; every line needs 12 or 16 (a matrix), 7 "
            "(tx ty tz qx qy qz qw), or one more in front for the frame's name or time."
        )
    width = widths.pop()
    named = width in (8, 13, 17)
    try:
        numbers = np.array([row[named:] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: numbers are needed ({error}).") from error
    names = [row[0] for row in rows] if named else []
    return names, [_matrix(row) for row in numbers]


def pose_of_quaternion(row: np.ndarray) -> Pose:
    """4x4 matrix of tx ty tz qx qy qz qw; NaN where the quaternion is zero."""
    pose = np.eye(4)
    length = np.linalg.norm(row[3:])
    x, y, z, w = row[3:] / (length if length > 0 else np.nan)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = row[:3]
    return pose


def quaternion_of_pose(pose: Pose) -> Float[np.ndarray, " 7"]:
    """``tx ty tz qx qy qz qw`` of a 4x4 matrix, with qw >= 0.

    Source: Bar-Itzhack, New Method for Extracting the Quaternion from a Rotation Matrix, 2000: the
    eigenvector of the largest eigenvalue, exact for every angle.
    """
    (a, b, c), (d, e, f), (g, h, i) = pose[:3, :3]
    matrix = np.array(
        [
            [a - e - i, d + b, g + c, h - f],
            [d + b, e - a - i, h + f, c - g],
            [g + c, h + f, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    quaternion = np.linalg.eigh(matrix)[1][:, -1]
    return np.array([*pose[:3, 3], *(-quaternion if quaternion[3] < 0 else quaternion)])


def _matrix(row: np.ndarray) -> np.ndarray:
    if len(row) < 12:
        return pose_of_quaternion(row)
    pose = np.eye(4)
    pose.reshape(-1)[: len(row)] = row
    return pose


def _no_metres(path: Path) -> InputError:
    return InputError(
        f"{path} says that its poses are right up to one scale ({DepthKind.SCALED_DEPTH}), and "
        "metres are needed; make them with `leadline triangulate --baseline-m METRES` or "
        "--camera-height-m METRES."
    )


def _from_json(path: Path, metres: bool) -> tuple[list[str], list[np.ndarray]]:
    data = read_json(path, _NEEDED)
    if isinstance(data, dict) and "poses" in data:
        if metres and data.get("kind") == DepthKind.SCALED_DEPTH:
            raise _no_metres(path)
        data = data["poses"]
    with reading(str(path), _NEEDED):
        names = [str(name) for name in data] if isinstance(data, dict) else []
        values = list(data.values()) if isinstance(data, dict) else data
        poses = [np.asarray(value, dtype=np.float64) for value in values]
    return names, [np.vstack([p, (0, 0, 0, 1)]) if p.shape == (3, 4) else p for p in poses]


def _of_frame(folder: Path, frame: Path) -> np.ndarray:
    stems = {frame.stem, frame.name.partition(".")[0]}
    found = [
        file
        for stem in stems
        for file in (folder / f"{stem}.pose.txt", folder / f"{stem}.txt")
        if file.is_file()
    ]
    if not found:
        raise InputError(
            f"{folder} has no pose of {frame.name}: {frame.stem}.pose.txt with a 4x4 matrix is "
            "needed. Leave the picture out, or add its pose."
        )
    text = read_text(found[0], "a 4x4 matrix is needed.")
    with reading(str(found[0]), "a 4x4 matrix is needed."):
        return np.loadtxt(text.splitlines(), dtype=np.float64, ndmin=2)


def _times(names: Sequence[str]) -> np.ndarray | None:
    """Names as numbers, if all are."""
    try:
        return np.array([float(name) for name in names])
    except ValueError:
        return None


def _nearest(times: np.ndarray, frames: Sequence[str], path: Path, max_gap_s: float) -> list[int]:
    """For each frame the pose whose time is nearest to the time in the frame's name."""
    found = []
    for frame in frames:
        time = _time_of(frame)
        if time is None:
            raise InputError(
                f"{path} holds poses by time, and {Path(frame).name} does not name a time, so "
                "which belongs to it is not known. Put the pictures' names in place of the times; "
                "or, if there is one pose per picture in their order, take the times out "
                "(cut -d' ' -f2-)."
            )
        nearest = int(np.argmin(np.abs(times - time)))
        gap = abs(float(times[nearest]) - time)
        if not gap <= max_gap_s:
            raise InputError(
                f"{path}: the pose nearest to {Path(frame).name} is {gap:.3g} s away, and at most "
                f"{max_gap_s:g} s are accepted. Leave the picture out, or give poses in the "
                "pictures' clock."
            )
        found.append(nearest)
    return found


def _time_of(frame: str) -> float | None:
    """Seconds, from a picture's name that is a time: with a decimal point, or since 1970."""
    name = Path(frame).name
    stem = name if re.fullmatch(r"\d+\.\d+", name) else Path(frame).stem
    if re.fullmatch(r"\d+\.\d+", stem):
        return float(stem)
    if re.fullmatch(r"\d{10,19}", stem):  # seconds, or milli-, micro- or nanoseconds
        return float(stem) / 1000 ** ((len(stem) - 10) // 3)
    return None


def _by_name(poses: dict[str, np.ndarray], frames: Sequence[str], path: Path) -> list[np.ndarray]:
    stems = [Path(name).name.partition(".")[0] for name in poses]
    by_stem = {
        stem: pose
        for stem, pose in zip(stems, poses.values(), strict=True)
        if stems.count(stem) == 1  # frame.001 and frame.002 share theirs
    }
    found = []
    for frame in frames:
        name = Path(frame).name
        known = (poses.get(name), poses.get(Path(frame).stem), by_stem.get(name.partition(".")[0]))
        pose = next((pose for pose in known if pose is not None), None)
        if pose is None:
            raise InputError(
                f"{path} has no pose of {name}; it has {len(poses)}, of {next(iter(poses))} and so "
                "on. Leave the picture out, or add its pose."
            )
        found.append(pose)
    return found


def _rigid(pose: np.ndarray, where: str) -> Pose:
    """A rotation and a translation, with the rounding of text taken out."""
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise InputError(f"{where}: a finite 4x4 matrix is needed, not one of shape {pose.shape}.")
    rotation = pose[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if (
        error > _ROTATION_ERROR
        or np.linalg.det(rotation) < 0
        or not np.allclose(pose[3], (0, 0, 0, 1), atol=1e-6)
    ):
        raise InputError(
            f"{where} is no rigid motion (its rotation is off by {error:.2g}): world_from_camera "
            "without scale or mirroring is needed."
        )
    u, _, vt = np.linalg.svd(rotation)
    clean = np.eye(4)
    clean[:3, :3], clean[:3, 3] = u @ vt, pose[:3, 3]
    return clean
