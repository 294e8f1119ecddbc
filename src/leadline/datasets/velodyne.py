"""KITTI's calibration files and laser scans, and the depth maps that they make.

Source: Geiger et al., Vision meets Robotics, IJRR 2013; the rules of the map are those of the
evaluation code that Eigen's split is used with (Godard et al. 2017, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.io.text import read_text

if TYPE_CHECKING:
    from jaxtyping import Float

    Calibration = Mapping[str, np.ndarray]

Measure = Literal["camera_z", "lidar_x"]
"""``camera_z``: metres along the optical axis; ``lidar_x``: the scanner's own forward distance,
about .27 m more, which the public evaluations of Eigen's split take for depth."""

_CALIBRATION = (
    "KITTI's calibration files belong beside the drives; download the calibration of that day."
)
_SIDES = {"left": 2, "right": 3}


def read_calibration(path: str | Path) -> dict[str, Float[np.ndarray, " n"]]:
    """Read ``key: numbers`` lines; lines with other values (dates) are left out.

    Args:
        path: a file, or the folder of a day of raw drives, whose ``calib_cam_to_cam.txt`` and
            ``calib_velo_to_cam.txt`` are read together.
    """
    path = Path(path)
    if path.is_dir():
        parts = [read_calibration(path / f"calib_{n}_to_cam.txt") for n in ("velo", "cam")]
        return {**parts[0], **parts[1]}
    lines = read_text(path, _CALIBRATION).splitlines()
    found = {}
    for line in lines:
        key, _, text = line.partition(":")
        try:
            found[key.strip()] = np.array([float(word) for word in text.split()])
        except ValueError:
            continue
    return found


def read_velodyne(path: str | Path) -> Float[np.ndarray, "n 4"]:
    """Read a scan: x forward, y left, z up in metres, and reflectance; float32."""
    path = Path(path)
    try:
        data = np.fromfile(path, dtype="<f4")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}. The scan of this frame is needed; "
            "download velodyne_points of its drive."
        ) from error
    if data.size == 0 or data.size % 4:
        raise InputError(
            f"{path} holds {data.size} numbers; four for every point are needed. Copy it again."
        )
    return data.reshape(-1, 4)


def get_entry(calibration: Calibration, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """An entry of a calibration as an array of ``shape``; InputError when it is not there."""
    values = calibration.get(key)
    if values is None or np.size(values) != np.prod(shape):
        raise InputError(
            f"calibration entry {key!r} is missing or not of {np.prod(shape)} numbers; the file "
            f"holds {sorted(calibration)}."
        )
    return np.asarray(values, dtype=np.float64).reshape(shape)


def pixel_from_velodyne(
    calibration: Calibration | str | Path, *, side: Literal["left", "right"] = "left"
) -> Float[np.ndarray, "3 4"]:
    """Projection of scanner points to a rectified colour picture; its third row gives z.

    Args:
        calibration: of a raw day (``P_rect_02``, ``R_rect_00``, ``R``, ``T``), of an object or
            odometry frame (``P2``, ``R0_rect``, ``Tr_velo_to_cam`` or ``Tr``), or where to read it.
        side: of the stereo pair.
    """
    if side not in _SIDES:
        raise UnknownNameError("side", side, _SIDES)
    if isinstance(calibration, (str, Path)):
        calibration = read_calibration(calibration)
    rectify, rigid = np.eye(4), np.eye(4)
    if "P_rect_02" in calibration:
        rectify[:3, :3] = get_entry(calibration, "R_rect_00", (3, 3))
        rigid[:3, :3] = get_entry(calibration, "R", (3, 3))
        rigid[:3, 3] = get_entry(calibration, "T", (3,))
        return get_entry(calibration, f"P_rect_0{_SIDES[side]}", (3, 4)) @ rectify @ rigid
    if "R0_rect" in calibration:
        rectify[:3, :3] = get_entry(calibration, "R0_rect", (3, 3))
    rigid[:3] = get_entry(
        calibration, "Tr_velo_to_cam" if "Tr_velo_to_cam" in calibration else "Tr", (3, 4)
    )
    return get_entry(calibration, f"P{_SIDES[side]}", (3, 4)) @ rectify @ rigid


def project_velodyne(
    points: Float[np.ndarray, "n k"],
    calibration: Calibration | str | Path | Float[np.ndarray, "3 4"],
    shape: tuple[int, int],
    *,
    depth: Measure = "camera_z",
    side: Literal["left", "right"] = "left",
    pixel_origin: Literal[0, 1] = 1,
) -> Float[np.ndarray, "h w"]:
    """Depth map of a scan: the nearest point that falls on each pixel, 0 where none does.

    Args:
        points: x forward, y left, z up in metres; further columns are ignored.
        calibration: what :func:`pixel_from_velodyne` takes, or its result.
        shape: (height, width) of the picture.
        depth: what is written, see :data:`Measure`.
        side: of the stereo pair; ignored when ``calibration`` is a projection.
        pixel_origin: coordinate that the projection gives the first pixel's centre. 1: exactly
            the map of the public evaluations, which also takes a pixel of the last column and the
            one of the first column a row below for the same; 0: KITTI's calibration as it is
            meant, one pixel off from the former.

    Returns:
        float64, metres.
    """
    if depth not in ("camera_z", "lidar_x"):
        raise UnknownNameError("measure of depth", depth, ("camera_z", "lidar_x"))
    if isinstance(calibration, np.ndarray):
        projection = calibration
    else:
        projection = pixel_from_velodyne(calibration, side=side)
    height, width = shape
    scan = points[:, :3].T.astype(np.float64)
    scan = scan[:, scan[0] >= 0]
    x, y, z = projection[:, :3] @ scan + projection[:, 3:]
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = x / z, y / z
        # before rounding: what cannot round into the frame goes early
        near = (u > -1) & (v > -1) & (u < width + 1) & (v < height + 1)
    if not pixel_origin:
        near &= z > 0
    u, v = np.rint(u[near]) - pixel_origin, np.rint(v[near]) - pixel_origin
    values = (scan[0] if depth == "lidar_x" else z)[near]
    inside = (u >= 0) & (v >= 0) & (u < width) & (v < height)
    columns, rows = u[inside].astype(np.int64), v[inside].astype(np.int64)
    return _nearest(rows, columns, values[inside], shape, merge=bool(pixel_origin))


def _nearest(
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    shape: tuple[int, int],
    *,
    merge: bool,
) -> np.ndarray:
    """The smallest value at every pixel, 0 where there is none; negative depths become 0.

    With ``merge`` the last pixel of a row and the first of the next count as one, as in the public
    evaluations: the smallest of both is written where the first point fell, and the other pixel
    keeps what was written to it last.
    """
    height, width = shape
    pixels = rows * width + columns
    found = np.full(height * width, np.inf)
    np.minimum.at(found, pixels, values)
    found[np.isinf(found)] = 0
    border = (columns == 0) | (columns == width - 1)
    if merge and border.any():
        pixels, values = pixels[border], values[border]
        keys = rows[border] * (width - 1) + columns[border]
        found[pixels] = values
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        found[pixels[order[starts]]] = np.minimum.reduceat(values[order], starts)
    return np.maximum(found, 0).reshape(shape)
