"""COLMAP's models: cameras and posed images, as text or binary; written as text.

COLMAP counts pixels from the corner of the picture, so half a pixel is taken off its principal
points (and added to ours); its images hold ``camera_from_world``.

Source: the output format page of COLMAP's documentation; src/colmap/sensor/models.h for the order
of parameters.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import open_file, size_of
from leadline.io.pinhole import make_camera
from leadline.io.poses import pose_of_quaternion, quaternion_of_pose
from leadline.io.text import read_text
from leadline.jobs import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from leadline.camera import Camera
    from leadline.io.clouds import PointCloud

NEEDED = "a model of COLMAP is needed (cameras.txt and images.txt, or both as .bin)."

_PINHOLES = {  # model -> how many focal lengths, parameters at all, and where k1, k2, p1, p2 stand
    "SIMPLE_PINHOLE": (1, 3, ()),
    "PINHOLE": (2, 4, ()),
    "SIMPLE_RADIAL": (1, 4, (3,)),
    "RADIAL": (1, 5, (3, 4)),
    "OPENCV": (2, 8, (4, 5, 6, 7)),
    "FULL_OPENCV": (2, 12, (4, 5, 6, 7, 8)),
}
_OTHERS = {
    "OPENCV_FISHEYE": 8,
    "FOV": 5,
    "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5,
    "THIN_PRISM_FISHEYE": 12,
}
_IDS = (
    *("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"),
    *("FULL_OPENCV", "FOV", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE"),
)
MODELS = frozenset(_IDS)
_INSIDE = ("", "sparse/0", "sparse", "0")  # where a folder keeps its model
_POINT_BYTES = 24  # x, y and the point's number


@dataclass(frozen=True, kw_only=True)
class _Intrinsics:
    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _View:
    name: str
    camera: int
    pose: tuple[float, ...]  # qw qx qy qz tx ty tz of camera_from_world


def read_colmap(path: Path) -> dict[str, Camera]:
    """Cameras of a COLMAP model.

    Args:
        path: ``cameras.txt``, ``cameras.bin``, or the folder that holds one.

    Returns:
        Image name -> its camera with its pose where the folder holds images too; else the
        camera's number -> camera.

    Raises:
        InputError: missing, damaged, a fisheye model, or strong distortion.
    """
    file = _cameras_file(path)
    cameras = dict(_cameras_bin(file) if file.suffix == ".bin" else _cameras_txt(file))
    if not cameras:
        raise InputError(f"{file} holds no camera; {NEEDED}")
    images = file.with_name(f"images{file.suffix}")
    if not images.is_file():
        return {str(number): _camera(found, str(file)) for number, found in cameras.items()}
    views = list(_images_bin(images) if images.suffix == ".bin" else _images_txt(images))
    missing = {view.camera for view in views} - set(cameras)
    if missing or not views:
        raise InputError(f"{images} names cameras {sorted(missing)} that are not there; {NEEDED}")
    return {view.name: _camera(cameras[view.camera], str(images), view) for view in views}


def write_colmap(
    folder: str | os.PathLike[str],
    cameras: Mapping[str, Camera],
    cloud: PointCloud | None = None,
) -> list[Path]:
    """Write ``cameras.txt``, ``images.txt`` and ``points3D.txt``.

    Args:
        folder: where to; COLMAP and its followers look in ``sparse/0``.
        cameras: image name -> its camera with its pose; each becomes a PINHOLE camera of its own.
        cloud: points in the world's frame, which no image is noted to have observed.

    Returns:
        The three files.

    Raises:
        InputError: a camera without a pose, or a name that a line cannot hold.
    """
    lenses, images = [], []
    for number, (name, camera) in enumerate(cameras.items(), start=1):
        if camera.world_from_camera is None:
            raise InputError(f"{name}: its camera has no pose; give it world_from_camera.")
        check_image_name(name)
        x, y, z, *q, w = quaternion_of_pose(np.linalg.inv(camera.world_from_camera))
        lens = (camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5)
        lenses.append(f"{number} PINHOLE {camera.width} {camera.height} {_numbers(lens)}")
        images += [f"{number} {_numbers((w, *q, x, y, z))} {number} {name}", ""]
    text = {
        "cameras": ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, fx, fy, cx, cy", *lenses],
        "images": ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; POINTS2D[]", *images],
        "points3D": ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]", *_point_lines(cloud)],
    }
    files = [Path(folder) / f"{name}.txt" for name in text]
    for file, lines in zip(files, text.values(), strict=True):
        write_text(file, "\n".join(lines) + "\n")
    return files


def check_image_name(name: str) -> None:
    """Raise InputError for a name that a line of COLMAP's text files cannot hold."""
    if not name.strip() or name != name.strip() or not name.isprintable():
        raise InputError(
            f"{name!r}: an image name of printable letters is needed for COLMAP; rename the file."
        )


def _point_lines(cloud: PointCloud | None) -> Iterator[str]:
    if cloud is None:
        return
    grey = np.full(cloud.points.shape, 128, np.uint8)
    colors = grey if cloud.colors is None else cloud.colors
    rows = zip(cloud.points.tolist(), colors.tolist(), strict=True)
    for number, ((x, y, z), (red, green, blue)) in enumerate(rows, start=1):
        yield f"{number} {x:.7g} {y:.7g} {z:.7g} {red} {green} {blue} 0"


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _cameras_file(path: Path) -> Path:
    if not path.is_dir():
        return path.with_name(f"cameras{path.suffix}") if path.stem == "images" else path
    names = [path / inner / f"cameras{suffix}" for inner in _INSIDE for suffix in (".bin", ".txt")]
    found = next((name for name in names if name.is_file()), None)
    if found is None:
        raise InputError(f"{path} is a folder without cameras.txt or cameras.bin; {NEEDED}")
    return found


def _camera(found: _Intrinsics, name: str, view: _View | None = None) -> Camera:
    if found.model not in _PINHOLES:
        raise InputError(
            f"{name}: a camera of the model {found.model}, and a pinhole is needed; undistort the "
            "pictures (colmap image_undistorter) and give the model that comes with them."
        )
    focals, count, distortion = _PINHOLES[found.model]
    values = found.parameters
    if len(values) != count:
        raise InputError(f"{name}: {len(values)} numbers for {found.model}, which has {count}.")
    cx, cy = values[focals] - 0.5, values[focals + 1] - 0.5
    pose = None
    if view is not None:
        qw, qx, qy, qz, *place = view.pose
        pose = np.linalg.inv(pose_of_quaternion(np.array([*place, qx, qy, qz, qw])))
        if not np.isfinite(pose).all():
            raise InputError(f"{name}: no pose of {view.name}; {NEEDED}")
    return make_camera(
        (found.height, found.width),
        (values[0], values[focals - 1], cx, cy),
        name,
        distortion=[values[index] for index in distortion],
        world_from_camera=pose,
    )


def _rows(path: Path) -> list[str]:
    lines = read_text(path, NEEDED).splitlines()
    return [line for line in lines if not line.lstrip().startswith("#")]


def _cameras_txt(path: Path) -> Iterator[tuple[int, _Intrinsics]]:
    for line in filter(str.strip, _rows(path)):
        number, model, width, height, *parameters = (*line.split(), *[""] * 4)
        try:
            values = tuple(float(value) for value in parameters if value)
            found = _Intrinsics(
                model=model, width=int(width), height=int(height), parameters=values
            )
            yield int(number), found
        except ValueError:
            raise InputError(f"{path}: no camera in the line {line[:80]!r}; {NEEDED}") from None


def _images_txt(path: Path) -> Iterator[_View]:
    rows = _rows(path)
    for line in filter(str.strip, rows[::2]):  # every second line lists points, or is empty
        words = line.split(maxsplit=9)
        try:
            pose, camera = tuple(float(word) for word in words[1:8]), int(words[8])
            yield _View(name=words[9].strip(), camera=camera, pose=pose)
        except (ValueError, IndexError):
            raise InputError(f"{path}: no image in the line {line[:80]!r}; {NEEDED}") from None


def _take(file: BinaryIO, layout: str) -> tuple[float, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _cameras_bin(path: Path) -> Iterator[tuple[int, _Intrinsics]]:
    with open_file(path, NEEDED) as file:
        (count,) = _take(file, "<Q")
        for _ in range(int(count)):
            number, model, width, height = (int(value) for value in _take(file, "<iiQQ"))
            name = _IDS[model] if 0 <= model < len(_IDS) else f"number {model}"
            length = _PINHOLES[name][1] if name in _PINHOLES else _OTHERS[name]
            found = _take(file, f"<{length}d")
            yield number, _Intrinsics(model=name, width=width, height=height, parameters=found)


def _images_bin(path: Path) -> Iterator[_View]:
    with open_file(path, NEEDED) as file:
        end = size_of(file)
        (count,) = _take(file, "<Q")
        for _ in range(int(count)):
            _, *pose, camera = _take(file, "<i7di")
            name = bytearray()
            while (letter := file.read(1)) not in (b"\0", b""):
                name += letter
            (points,) = _take(file, "<Q")
            if points * _POINT_BYTES > end - file.tell():
                raise ValueError("cut short")
            file.seek(int(points) * _POINT_BYTES, 1)
            yield _View(name=os.fsdecode(bytes(name)), camera=int(camera), pose=tuple(pose))
