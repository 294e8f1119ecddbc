"""KITTI: raw drives, the object benchmark and annotated depth maps.

Source: Geiger et al., Vision meets Robotics, IJRR 2013 (calibration, Velodyne); Uhrig et al.,
Sparsity Invariant CNNs, 3DV 2017 (annotated depth). ``pixel_origin=1`` and ``measure="forward"``
give the maps of the evaluation code that Eigen's split is used with (Godard et al. 2017, 2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.datasets.frame import Frame, picture, read_json
from leadline.errors import InputError
from leadline.io import list_images, read_depth_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jaxtyping import Float

    from leadline.image import Image

MAX_DEPTH_M = 80.0


def read_calibration(path: Path) -> dict[str, Float[np.ndarray, " n"]]:
    """Read ``key: numbers`` lines; lines with other values (dates) are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    found = {}
    for line in lines:
        key, _, text = line.partition(":")
        try:
            found[key.strip()] = np.array([float(word) for word in text.split()])
        except ValueError:
            continue
    return found


def read_velodyne(path: Path) -> Float[np.ndarray, "n 4"]:
    """Read a scan: x forward, y left, z up in metres, and reflectance; float32."""
    try:
        data = np.fromfile(path, dtype="<f4")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if data.size == 0 or data.size % 4:
        raise InputError(f"{path} holds {data.size} numbers; four for every point are needed.")
    return data.reshape(-1, 4)


def project_velodyne(
    points: Float[np.ndarray, "n k"],
    pixel_from_velodyne: Float[np.ndarray, "3 4"],
    size: tuple[int, int],
    *,
    measure: Literal["camera_z", "forward"] = "camera_z",
    pixel_origin: Literal[0, 1] = 0,
) -> Float[np.ndarray, "h w"]:
    """Depth map of a scan: the nearest point that falls on each pixel, 0 where none does.

    Args:
        points: x forward, y left, z up in metres; further columns are ignored.
        pixel_from_velodyne: 3x4 projection; its third row gives the camera's z.
        size: (height, width) of the picture.
        measure: ``camera_z``: metres along the optical axis; ``forward``: the Velodyne's own x,
            about .27 m more, as the public evaluation of Eigen's split has it.
        pixel_origin: coordinate that the projection gives the first pixel's centre: 0 by
            KITTI's calibration; the public evaluation takes 1, which moves the map by one pixel.
    """
    points = points[points[:, 0] >= 0, :3].astype(np.float64)
    image = points @ pixel_from_velodyne[:, :3].T + pixel_from_velodyne[:, 3]
    ahead = image[:, 2] > 0
    points, image = points[ahead], image[ahead]
    u = np.round(image[:, 0] / image[:, 2]).astype(np.int64) - pixel_origin
    v = np.round(image[:, 1] / image[:, 2]).astype(np.int64) - pixel_origin
    depth = points[:, 0] if measure == "forward" else image[:, 2]
    inside = (u >= 0) & (u < size[1]) & (v >= 0) & (v < size[0])
    nearest = np.full(size, np.inf)
    np.minimum.at(nearest, (v[inside], u[inside]), depth[inside])
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


def raw_projection(
    camera: Mapping[str, np.ndarray], velodyne: Mapping[str, np.ndarray], *, index: int = 2
) -> Float[np.ndarray, "3 4"]:
    """Projection of a raw drive: P_rect @ R_rect_00 @ velodyne to camera.

    Args:
        camera: ``calib_cam_to_cam.txt``.
        velodyne: ``calib_velo_to_cam.txt``.
        index: camera number; 2 is the left colour camera.
    """
    rectify, rigid = np.eye(4), np.eye(4)
    rectify[:3, :3] = _entry(camera, "R_rect_00", (3, 3))
    rigid[:3, :3], rigid[:3, 3] = _entry(velodyne, "R", (3, 3)), _entry(velodyne, "T", (3,))
    return _entry(camera, f"P_rect_{index:02d}", (3, 4)) @ rectify @ rigid


def object_projection(calibration: Mapping[str, np.ndarray]) -> Float[np.ndarray, "3 4"]:
    """Projection of an object frame to its left colour camera: P2 @ R0_rect @ Tr_velo_to_cam."""
    rectify, rigid = np.eye(4), np.eye(4)
    rectify[:3, :3] = _entry(calibration, "R0_rect", (3, 3))
    rigid[:3] = _entry(calibration, "Tr_velo_to_cam", (3, 4))
    return _entry(calibration, "P2", (3, 4)) @ rectify @ rigid


def iter_kitti_raw(root: Path) -> Iterator[Frame]:
    """Frames of raw drives, ``DATE/DATE_drive_NNNN_sync``, with their scans projected."""
    for date in sorted(p for p in root.iterdir() if p.is_dir()):
        camera = read_calibration(date / "calib_cam_to_cam.txt")
        projection = raw_projection(camera, read_calibration(date / "calib_velo_to_cam.txt"))
        intrinsics = _entry(camera, "P_rect_02", (3, 4))
        for path in list_images(sorted(date.glob("*_sync/image_02/data"))):
            drive = path.parents[2]
            scan = drive / "velodyne_points" / "data" / f"{path.stem}.bin"
            if scan.is_file():
                image = _picture(path, intrinsics)
                depth = project_velodyne(read_velodyne(scan), projection, image.size)
                yield _frame(image, depth, "kitti_raw", f"{drive.name}/{path.stem}")


def iter_kitti_object(root: Path) -> Iterator[Frame]:
    """Frames of the object benchmark's training part, with their scans projected."""
    for path in list_images(root / "training" / "image_2"):
        calibration = read_calibration(root / "training" / "calib" / f"{path.stem}.txt")
        image = _picture(path, _entry(calibration, "P2", (3, 4)))
        points = read_velodyne(root / "training" / "velodyne" / f"{path.stem}.bin")
        depth = project_velodyne(points, object_projection(calibration), image.size)
        yield _frame(image, depth, "kitti_object", path.stem)


def iter_kitti_depth(root: Path) -> Iterator[Frame]:
    """Frames with annotated depth: ``image_02``, ``groundtruth`` (256 per metre), camera.json."""
    camera = read_json(root / "camera.json")
    intrinsics = {key: float(camera[key]) for key in ("fx", "fy", "cx", "cy")}
    for path in list_images(root / "image_02"):
        depth = read_depth_png(root / "groundtruth" / f"{path.stem}.png", per_unit=256)
        yield _frame(picture(path, **intrinsics), depth, "kitti_depth", path.stem)


def _picture(path: Path, projection: np.ndarray) -> Image:
    fx, fy, cx, cy = projection[[0, 1, 0, 1], [0, 1, 2, 2]]
    return picture(path, fx=fx, fy=fy, cx=cx, cy=cy)


def _frame(image: Image, depth: np.ndarray, group: str, name: str) -> Frame:
    return Frame(image=image, depth=depth, max_depth=MAX_DEPTH_M, group=group, name=name)


def _entry(calibration: Mapping[str, np.ndarray], key: str, shape: tuple[int, ...]) -> np.ndarray:
    values = calibration.get(key)
    if values is None or values.size != np.prod(shape):
        raise InputError(
            f"calibration entry {key!r} is missing or not of {np.prod(shape)} numbers; the file "
            f"holds {sorted(calibration)}."
        )
    return values.reshape(shape)
