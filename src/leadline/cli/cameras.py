"""The camera that a command's options name: ``--camera`` or ``--fov``, or the picture's EXIF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.camera import Camera
    from leadline.image import Image

_WAYS = "--camera fx,fy,cx,cy (pixels), --camera FILE.json or --fov DEGREES (horizontal)"


def check_camera(camera: str | None, fov_deg: float | None) -> None:
    """Raise InputError for what no picture could mend: both options, or numbers of no camera."""
    if camera is not None and fov_deg is not None:
        raise InputError("--camera and --fov were both given; one of them is needed.")
    if camera is not None:
        _given(camera, 1, 1)


def camera_for(image: Image, *, camera: str | None, fov_deg: float | None) -> Camera:
    """Intrinsics of a picture.

    Args:
        image: the picture; its own camera, from EXIF, counts when neither option is given.
        camera: ``fx,fy,cx,cy`` in pixels of this picture, or a JSON file: a record of
            ``Camera.to_dict`` (of any size of the same picture), or a 3x3 matrix under ``K``.
        fov_deg: horizontal field of view.

    Raises:
        InputError: both, neither, or intrinsics that no camera of such pictures has.
    """
    from leadline.camera import Camera

    height, width = image.size
    check_camera(camera, fov_deg)
    if fov_deg is not None:
        if not 5 < fov_deg < 150:
            raise InputError(
                f"--fov {fov_deg:g}: the horizontal field of view of a picture is 5 to 150 degrees."
            )
        return Camera.from_fov(width, height, fov_deg=fov_deg)
    if camera is None:
        if image.camera is None:
            raise InputError(
                f"{image.name or 'picture'}: no camera is known and its EXIF tells none; give "
                f"{_WAYS}."
            )
        return image.camera
    found = _given(camera, width, height)
    if found.width * height != found.height * width:
        raise InputError(
            f"--camera {camera} is of {found.width}x{found.height} pixels for a picture of "
            f"{width}x{height}: the same shape is needed; crop the picture or the camera."
        )
    found = found.resized(width, height)
    inside = -0.5 * width < found.cx < 1.5 * width and -0.5 * height < found.cy < 1.5 * height
    if not inside or not 5 < found.fov_deg < 150:
        raise InputError(
            f"--camera {camera}: a field of view of {found.fov_deg:.1f} degrees and a principal "
            f"point of ({found.cx:g}, {found.cy:g}) for a picture of {width}x{height} pixels. Give "
            "pixels of this picture size, not millimetres."
        )
    return found


def numbers_of(camera: str) -> dict[str, Any]:
    """The table that ``--camera`` means, whatever it is written in.

    Raises:
        InputError: neither four numbers nor a file that holds a camera.
    """
    return _numbers(camera) if "," in camera else _read(Path(camera))


def _given(camera: str, width: int, height: int) -> Camera:
    """What ``--camera`` says, of ``height`` x ``width`` pixels unless its file says otherwise."""
    from leadline.camera import Camera

    data = numbers_of(camera)
    if not {"width", "height"} & set(data):
        data = {**data, "width": width, "height": height}
    try:
        return Camera.from_dict(data)
    except InputError as error:
        raise InputError(f"--camera {camera}: {error}") from error


def _numbers(text: str) -> dict[str, Any]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4:
        raise InputError(f"--camera {text}: four numbers are needed; give {_WAYS}.")
    return dict(zip(("fx", "fy", "cx", "cy"), values, strict=True))


def _read(path: Path) -> dict[str, Any]:
    """The table of a camera's file; a 3x3 matrix becomes one."""
    import json

    import numpy as np

    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--camera {path} cannot be read as JSON ({error}); give {_WAYS}.") from (
            error
        )
    if isinstance(data, dict) and "K" not in data:
        return data
    try:
        matrix = np.asarray(data["K"] if isinstance(data, dict) else data, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (3, 3):
        raise InputError(
            f"--camera {path} holds neither a table with fx, fy, cx and cy nor a 3x3 matrix of "
            "numbers (alone or under K); one of them is needed."
        )
    return {"fx": matrix[0, 0], "fy": matrix[1, 1], "cx": matrix[0, 2], "cy": matrix[1, 2]}
