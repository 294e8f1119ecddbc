"""The camera that a command's options name: ``--camera`` or ``--fov``, or the picture's EXIF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.camera import Camera
    from leadline.image import Image

_WAYS = "--camera fx,fy,cx,cy (pixels), --camera FILE or --fov DEGREES (horizontal)"
_NUMBERS = ("fx", "fy", "cx", "cy")


def check_camera(camera: str | None, fov_deg: float | None) -> None:
    """Raise InputError for what no picture could mend: both options, or no camera in them."""
    if camera is not None and fov_deg is not None:
        raise InputError("--camera and --fov were both given; one of them is needed.")
    if camera is not None:
        numbers_of(camera)


def camera_for(image: Image, *, camera: str | None, fov_deg: float | None) -> Camera:
    """Intrinsics of a picture.

    Args:
        image: the picture; its own camera, from EXIF, counts when neither option is given.
        camera: ``fx,fy,cx,cy`` in pixels of this picture, or a file of any kind that
            :func:`leadline.io.read_camera` reads, of any size of the same picture.
        fov_deg: horizontal field of view.

    Returns:
        The camera at the picture's size, without a pose.

    Raises:
        InputError: both, neither, or intrinsics that no camera of such pictures has.
    """
    from leadline.camera import Camera

    height, width = image.size
    if camera is not None and fov_deg is not None:
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
    found = _given(camera, image)
    if abs(found.width * height - found.height * width) > max(width, height):  # a rounded side
        raise InputError(
            f"--camera {camera} is of {found.width}x{found.height} pixels for a picture of "
            f"{width}x{height}: the same shape is needed; crop the picture or the camera."
        )
    found = found.resized(width, height).moved(None)
    inside = -0.5 * width < found.cx < 1.5 * width and -0.5 * height < found.cy < 1.5 * height
    if not inside or not 5 < found.fov_deg < 150:
        raise InputError(
            f"--camera {camera}: a field of view of {found.fov_deg:.1f} degrees and a principal "
            f"point of ({found.cx:g}, {found.cy:g}) for a picture of {width}x{height} pixels. Give "
            "pixels of this picture size, not millimetres."
        )
    return found


def folder_intrinsics(folder: Path, camera: str) -> dict[str, float]:
    """``fx, fy, cx, cy`` of ``--camera`` at the size of the folder's pictures.

    Raises:
        InputError: no camera of such pictures, or no picture.
    """
    from leadline.datasets.folder import picture_files
    from leadline.io import read_image

    first = next(iter(picture_files(folder).values()), None)
    if first is None:
        raise InputError(f"{folder} holds no pictures; pictures with depth are needed.")
    found = camera_for(read_image(first), camera=camera, fov_deg=None)
    return {"fx": found.fx, "fy": found.fy, "cx": found.cx, "cy": found.cy}


def numbers_of(camera: str) -> dict[str, Any]:
    """All that ``--camera`` says, whatever it is written in, as a plain table.

    Raises:
        InputError: neither four numbers nor a file that holds a camera.
    """
    if _is_numbers(camera):
        return _numbers(camera)
    from leadline.io import read_cameras

    try:
        found = read_cameras(camera, size=(1, 1))
    except InputError as error:
        raise _named(camera, error) from error
    return {name: one.to_dict() for name, one in found.items()}


def _given(camera: str, image: Image) -> Camera:
    """What ``--camera`` says; of the picture's size unless its file says otherwise."""
    from leadline.camera import Camera
    from leadline.io import read_camera

    height, width = image.size
    try:
        if _is_numbers(camera):
            return Camera.from_dict({**_numbers(camera), "width": width, "height": height})
        return read_camera(camera, size=image.size, picture=image.name)
    except InputError as error:
        raise _named(camera, error) from error


def _named(camera: str, error: InputError) -> InputError:
    """The same error, which says that it is of ``--camera`` and of which."""
    return InputError(
        f"--camera {error}" if camera in str(error) else f"--camera {camera}: {error}"
    )


def _is_numbers(camera: str) -> bool:
    return "," in camera and not Path(camera).exists()


def _numbers(text: str) -> dict[str, Any]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4:
        raise InputError(f"--camera {text}: four numbers are needed; give {_WAYS}.")
    return dict(zip(_NUMBERS, values, strict=True))
