"""The pinhole camera of a calibration: pixel centres at integers, lens distortion accounted for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from leadline.camera import Camera
from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from jaxtyping import Float

MOST_DISTORTION = 0.1
"""Share by which distortion may move the farthest corner away from the centre."""


def make_camera(
    size: tuple[int, int],
    numbers: Sequence[float],
    name: str,
    *,
    distortion: Sequence[float] = (),
    world_from_camera: Float[np.ndarray, "4 4"] | None = None,
) -> Camera:
    """A Camera of calibrated numbers.

    Args:
        size: (height, width) of the pictures it was calibrated for.
        numbers: fx, fy, cx, cy in pixels, pixel centres at integers.
        name: of its file, for messages.
        distortion: k1, k2, p1, p2, k3 of OpenCV's polynomial, or the first few of them. Distortion
            is not modelled; the camera's ``source`` says so where there is some.
        world_from_camera: its pose, where that is known.

    Raises:
        InputError: numbers that no camera has, or distortion that a pinhole does not stand for.
    """
    fx, fy, cx, cy = (float(number) for number in numbers)
    try:
        camera = Camera(
            width=size[1],
            height=size[0],
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy,
            world_from_camera=world_from_camera,
            source="given" if not any(distortion) else "given, its lens distortion left out",
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    moved = _corner_shift(camera, distortion)
    if moved > MOST_DISTORTION:
        raise InputError(
            f"{name}: lens distortion moves the pictures' corners by {moved:.0%}, and a pinhole "
            "camera is needed; undistort the pictures (colmap image_undistorter, ROS image_proc, "
            "OpenCV) and give their camera."
        )
    return camera


def _corner_shift(camera: Camera, distortion: Sequence[float]) -> float:
    """How far radial distortion moves the farthest corner, as a share of its distance."""
    k1, k2, _, _, k3, *_ = (*map(float, distortion), *[0.0] * 5)
    x = max(camera.cx, camera.width - 1 - camera.cx) / camera.fx
    y = max(camera.cy, camera.height - 1 - camera.cy) / camera.fy
    r2 = x * x + y * y
    shift = abs(k1 * r2 + k2 * r2**2 + k3 * r2**3)
    return shift if math.isfinite(shift) else math.inf
