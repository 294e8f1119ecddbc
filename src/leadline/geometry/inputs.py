"""What pictures need to be used together: a camera, a pose, one size; and their points' slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.geometry.epipolar import homogeneous

if TYPE_CHECKING:
    from jaxtyping import Float

    from leadline.camera import Camera
    from leadline.image import Image


def camera_of(image: Image, name: str = "picture") -> Camera:
    """The camera of a picture.

    Args:
        image: the picture.
        name: for the message, where the picture has none.

    Raises:
        InputError: it has no camera.
    """
    if image.camera is None:
        raise InputError(
            f"{image.name or name} has no camera: intrinsics are needed; give Image(pixels=..., "
            "camera=...), or replace(image, camera=...)."
        )
    return image.camera


def posed_camera(image: Image, name: str = "picture") -> Camera:
    """As :func:`camera_of`, for a camera with a pose.

    Raises:
        InputError: it has no camera, or the camera no pose.
    """
    camera = camera_of(image, name)
    if camera.world_from_camera is None:
        raise InputError(
            f"{image.name or name} has no pose: world_from_camera is needed of every picture; give "
            "camera.moved(world_from_camera)."
        )
    return camera


def check_size(image: Image, size: tuple[int, int], name: str = "picture") -> None:
    """Refuse a picture that is not of ``size``, (height, width), as those before it.

    Raises:
        InputError: another size.
    """
    if image.size != size:
        raise InputError(
            f"{image.name or name} of {image.size[1]}x{image.size[0]} pixels beside pictures of "
            f"{size[1]}x{size[0]}: one size is needed; resize or crop all alike, and their cameras "
            "(camera.resized)."
        )


def slopes_of(points: Float[np.ndarray, "n 2"], camera: Camera) -> Float[np.ndarray, "n 2"]:
    """X/Z and Y/Z of the rays through pixels x and y."""
    return (points - (camera.cx, camera.cy)) / (camera.fx, camera.fy)


def rays_of(points: Float[np.ndarray, "n 2"], camera: Camera) -> Float[np.ndarray, "n 3"]:
    """The rays through pixels x and y in the camera's axes, with z = 1."""
    return homogeneous(slopes_of(points, camera))
