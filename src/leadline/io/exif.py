"""The camera that EXIF tells of.

Source: CIPA DC-008 (Exif 2.32), tags FocalLengthIn35mmFilm, FocalLength, FocalPlaneXResolution;
CIPA DCG-001 for the 35 mm equivalent over the picture's diagonal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np

from leadline.camera import Camera

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image as PilImage

_EXIF_IFD = 0x8769
_ORIENTATION = 0x0112
_FOCAL_LENGTH = 0x920A
_FOCAL_LENGTH_35MM = 0xA405
_FOCAL_PLANE_X_RESOLUTION = 0xA20E
_FOCAL_PLANE_UNIT = 0xA210
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003

_FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}
_FOV_LIMITS_DEG = (1.0, 170.0)  # beyond these the tag is nonsense


def orientation(exif: PilImage.Exif) -> int:
    """The orientation code 1..8; 1 when there is none or it is nonsense."""
    code = exif.get(_ORIENTATION, 1)
    return code if isinstance(code, int) and 1 <= code <= 8 else 1


def turn(array: np.ndarray, code: int) -> np.ndarray:
    """View of an (h, w, ...) array that is stored under an orientation code as upright pixels."""
    match code:
        case 2:
            return array[:, ::-1]
        case 3:
            return array[::-1, ::-1]
        case 4:
            return array[::-1]
        case 5:
            return array.swapaxes(0, 1)
        case 6:
            return np.rot90(array, -1)
        case 7:
            return array.swapaxes(0, 1)[::-1, ::-1]
        case 8:
            return np.rot90(array, 1)
        case _:
            return array


def turn_back(upright: np.ndarray, code: int) -> np.ndarray:
    """View of upright pixels as they are stored under an orientation code; undoes :func:`turn`."""
    return turn(upright, {6: 8, 8: 6}.get(code, code))


def exif_camera(exif: PilImage.Exif, width: int, height: int) -> Camera | None:
    """Camera of the upright ``height`` x ``width`` picture, or None when EXIF does not tell.

    Pixels are square and the principal point is the centre. The 35 mm equivalent is read first
    (over the diagonal), else the focal length with the sensor's pixel pitch. Both hold for a
    picture that was resized after it was taken, not for one that was cropped.
    """
    tags = exif.get_ifd(_EXIF_IFD)
    focal_px = _from_35mm(tags, width, height) or _from_focal_plane(tags, width, height)
    if focal_px is None:
        return None
    fov_deg = 2 * math.degrees(math.atan(max(width, height) / (2 * focal_px)))
    if not _FOV_LIMITS_DEG[0] <= fov_deg <= _FOV_LIMITS_DEG[1]:
        return None
    return Camera.from_focal(width, height, focal_px=focal_px, source="exif")


def _from_35mm(tags: Mapping[int, object], width: int, height: int) -> float | None:
    focal_mm = _positive(tags.get(_FOCAL_LENGTH_35MM))
    if focal_mm is None:
        return None
    return focal_mm / _FULL_FRAME_DIAGONAL_MM * math.hypot(width, height)


def _from_focal_plane(tags: Mapping[int, object], width: int, height: int) -> float | None:
    focal_mm = _positive(tags.get(_FOCAL_LENGTH))
    resolution = _positive(tags.get(_FOCAL_PLANE_X_RESOLUTION))
    unit = tags.get(_FOCAL_PLANE_UNIT, 2)
    mm = _MM_PER_UNIT.get(unit) if isinstance(unit, int) else None
    if focal_mm is None or resolution is None or mm is None:
        return None
    taken = _positive(tags.get(_EXIF_WIDTH)), _positive(tags.get(_EXIF_HEIGHT))
    resized = 1.0
    if taken[0] is not None and taken[1] is not None:  # sides may be swapped: compare long ones
        resized = max(width, height) / max(taken[0], taken[1])
    return focal_mm * resolution / mm * resized


def _positive(value: object) -> float | None:
    """A finite positive number, or None; EXIF holds 0, 0/0 and text where nothing is known."""
    if not isinstance(value, SupportsFloat):
        return None
    try:
        number = float(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None
