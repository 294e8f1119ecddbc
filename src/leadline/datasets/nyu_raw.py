"""NYU Depth v2, raw dumps: synchronise, undistort, project depth into the picture.

The toolbox's constants and its quirks are kept: pixel numbers from 1, the translation with y and z
exchanged, the last row and column dropped, and the depth camera's own depth written into the
picture's frame.

Source: Silberman et al. 2012, the data set's toolbox.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import Frame, FrameRef, set_intrinsics, zero_unknown
from leadline.datasets.nyu import CAMERA, MAX_DEPTH_M
from leadline.errors import InputError
from leadline.image import Image
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float, UInt8, UInt16

DEPTH_CAMERA = {"fx": 582.62448, "fy": 582.69103, "cx": 313.04476, "cy": 238.44390}
RGB_DISTORTION = (
    0.20796615318809061,
    -0.58613825163911781,
    7.2231363135888329e-4,
    1.0479627195765181e-3,
    0.49856986684705107,
)
DEPTH_DISTORTION = (
    -0.099897236553084481,
    0.39065324602765344,
    1.9290592870229277e-3,
    -1.9422022475975055e-3,
    -0.51031725053400578,
)
"""k1, k2, p1, p2, k3."""

ROTATION = np.array(
    [
        [-0.99997799, 0.00503599, 0.00431966],
        [-0.00505184, -0.99998052, -0.00366624],
        [-0.00430112, 0.00368798, -0.99998395],
    ]
)
TRANSLATION = np.array([0.025031875, -0.000293423, 0.000662387])
"""From the depth camera to the colour camera, as the toolbox has them: near minus the identity."""

_NO_RETURN = 2047
_TOO_NEAR = 600


def nyu_raw_refs(root: Path, *, every: int = 1) -> list[FrameRef]:
    """Frames of the dumps below ``root``: each depth dump with the picture nearest in time.

    Args:
        root: folder of scenes that hold ``d-*.pgm`` and ``r-*.ppm``.
        every: only every n-th pair of a scene.
    """
    found = []
    folders = sorted({path.parent for path in root.rglob("d-*.pgm")})
    for folder in folders:
        for depth, picture in synchronise(folder)[::every]:
            name = f"{folder.relative_to(root).as_posix()}/{depth.stem}"
            found.append(FrameRef(name=name, read=partial(_frame, depth, picture, name)))
    return found


def synchronise(folder: Path) -> list[tuple[Path, Path]]:
    """(depth, picture) pairs: for each depth dump the picture that is nearest in time.

    Both go forward only, as in the toolbox. Names are ``<letter>-<seconds>-<ticks>``.
    """
    depths, pictures = (sorted(folder.glob(p), key=_time) for p in ("d-*.pgm", "r-*.ppm"))
    if not depths or not pictures:
        raise InputError(
            f"{folder} holds {len(depths)} d-*.pgm and {len(pictures)} r-*.ppm; both are needed."
        )
    pairs, at = [], 0
    for depth in depths:
        while at + 1 < len(pictures) and abs(_time(pictures[at + 1]) - _time(depth)) < abs(
            _time(pictures[at]) - _time(depth)
        ):
            at += 1
        pairs.append((depth, pictures[at]))
    return pairs


def read_raw_depth(path: Path) -> UInt16[np.ndarray, "h w"]:
    """Codes of a depth dump: 16 bits whose bytes stand the wrong way round for PGM.

    Raises:
        InputError: not a whole 16-bit PGM.
    """
    try:
        data = path.read_bytes()
        magic, width, height, largest = data.split(maxsplit=4)[:4]
        body = data[len(data) - 2 * int(width) * int(height) :]
        if magic != b"P5" or int(largest) < 256 or len(body) != 2 * int(width) * int(height):
            raise ValueError("not a 16-bit P5 file")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a depth dump ({error}); copy it again.") from error
    return np.frombuffer(body, dtype="<u2").reshape(int(height), int(width))


def raw_to_metres(codes: np.ndarray) -> Float[np.ndarray, "h w"]:
    """Metres of Kinect codes: 351.3 / (1092.5 - code), clipped to [0, 10]."""
    with np.errstate(divide="ignore"):
        return np.clip(351.3 / (1092.5 - codes.astype(np.float64)), 0, MAX_DEPTH_M)


def project_depth(
    codes: UInt16[np.ndarray, "h w"], picture: UInt8[np.ndarray, "h w 3"]
) -> tuple[Float[np.ndarray, "h w"], UInt8[np.ndarray, "h w 3"]]:
    """Bring a depth dump into the picture's frame.

    Args:
        codes: (480, 640) from :func:`read_raw_depth`.
        picture: the colour dump, distorted as recorded.

    Returns:
        Depth in metres, 0 where unknown, and the undistorted picture.
    """
    if codes.shape != picture.shape[:2]:
        raise InputError(
            f"a depth dump of {codes.shape} with a picture of {picture.shape[:2]}; one size."
        )
    colour = undistort(picture.astype(np.float64), CAMERA, RGB_DISTORTION)
    colour = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    noisy = undistort((codes == codes.max()).astype(np.float64), DEPTH_CAMERA, DEPTH_DISTORTION)
    straight = undistort(codes.astype(np.float64), DEPTH_CAMERA, DEPTH_DISTORTION)
    straight = np.where((straight < _TOO_NEAR) | (noisy > 0), _NO_RETURN, straight)
    return _splat(raw_to_metres(straight)), colour


def undistort(
    values: np.ndarray, camera: dict[str, float], distortion: tuple[float, ...]
) -> np.ndarray:
    """A map or picture as a camera without lens distortion would see it; bilinear, 0 outside."""
    height, width = values.shape[:2]
    v, u = np.mgrid[1 : height + 1, 1 : width + 1].astype(np.float64)  # the toolbox counts from 1
    x, y = (u - camera["cx"]) / camera["fx"], (v - camera["cy"]) / camera["fy"]
    k1, k2, p1, p2, k3 = distortion
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    column, row = xd * camera["fx"] + camera["cx"] - 1, yd * camera["fy"] + camera["cy"] - 1
    return _bilinear(values, row, column)


def _splat(depth: np.ndarray) -> np.ndarray:
    """Depth of the depth camera written at the colour camera's pixels, nearest on top."""
    height, width = depth.shape
    v, u = np.mgrid[1 : height + 1, 1 : width + 1].astype(np.float64)
    x = (u - DEPTH_CAMERA["cx"]) * depth / DEPTH_CAMERA["fx"]
    y = (v - DEPTH_CAMERA["cy"]) * depth / DEPTH_CAMERA["fy"]
    moved = ROTATION @ np.stack([x, y, depth]).reshape(3, -1) + TRANSLATION[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        column = np.round(moved[0] * CAMERA["fx"] / moved[2] + CAMERA["cx"])
        row = np.round(moved[1] * CAMERA["fy"] / moved[2] + CAMERA["cy"])
    good = (column > 0) & (row > 0) & (column < width) & (row < height) & (depth.ravel() > 0)
    flat = depth.ravel()
    order = np.flatnonzero(good)[np.argsort(-flat[good], kind="stable")]
    found = np.zeros((height, width))
    found[row[order].astype(int) - 1, column[order].astype(int) - 1] = flat[order]
    found[found >= MAX_DEPTH_M] = MAX_DEPTH_M
    return found


def _bilinear(values: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    height, width = values.shape[:2]
    inside = (row >= 0) & (column >= 0) & (row <= height - 1) & (column <= width - 1)
    r0 = np.clip(row.astype(np.int64), 0, height - 2)
    c0 = np.clip(column.astype(np.int64), 0, width - 2)
    fr, fc = row - r0, column - c0
    if values.ndim == 3:
        fr, fc, inside = fr[..., None], fc[..., None], inside[..., None]
    above = values[r0, c0] * (1 - fc) + values[r0, c0 + 1] * fc
    below = values[r0 + 1, c0] * (1 - fc) + values[r0 + 1, c0 + 1] * fc
    return np.where(inside, above * (1 - fr) + below * fr, 0)


def _time(path: Path) -> float:
    parts = path.stem.split("-")
    try:
        return float(parts[1])
    except (IndexError, ValueError):
        raise InputError(
            f"{path}: dumps are named like d-1300000000.123456-1234567.pgm; this name has no time."
        ) from None


def _frame(depth: Path, picture: Path, name: str) -> Frame:
    projected, colour = project_depth(read_raw_depth(depth), read_image(picture).pixels)
    return Frame(
        image=set_intrinsics(Image(pixels=colour, name=str(picture)), **CAMERA),
        depth=zero_unknown(projected, projected < MAX_DEPTH_M),
        max_depth=MAX_DEPTH_M,
        group="nyu-raw",
        name=name,
    )
