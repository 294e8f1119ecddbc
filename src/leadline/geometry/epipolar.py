"""Where a point of one picture can be in another: fundamental matrices, lines and errors.

Pixels are (x, y) with centres at integers. ``fundamental`` matrices F hold second^T F first = 0,
so F @ first is a line in the second picture; lines are (a, b, c) with a x + b y + c = 0 and
a^2 + b^2 = 1, so that a x + b y + c is a distance in pixels.

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sections 9.2 (F and its lines) and
11.4.3 (the Sampson distance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.camera import Camera


def skew(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The matrix whose product with a vector is the cross product."""
    x, y, z = np.asarray(vector, dtype=np.float64)
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def homogeneous(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Points with a 1 behind."""
    points = np.asarray(points, dtype=np.float64)
    return np.concatenate([points, np.ones((len(points), 1))], axis=1)


def second_from_first(first: Camera, second: Camera) -> Float[np.ndarray, "4 4"]:
    """Rigid transform from the first camera's axes to the second's.

    Raises:
        InputError: a camera without a pose.
    """
    for camera, name in ((first, "first"), (second, "second")):
        if camera.world_from_camera is None:
            raise InputError(
                f"the {name} camera has no pose; give camera.moved(world_from_camera) or find "
                "one with leadline.geometry.relative_pose."
            )
    pose_1, pose_2 = first.world_from_camera, second.world_from_camera
    return inverse_rigid(np.asarray(pose_2)) @ np.asarray(pose_1)


def inverse_rigid(transform: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """The inverse of a rotation and a translation."""
    inverse = np.eye(4)
    inverse[:3, :3] = transform[:3, :3].T
    inverse[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverse


def fundamental_from_cameras(first: Camera, second: Camera) -> Float[np.ndarray, "3 3"]:
    """F between two cameras with poses, of unit norm.

    Raises:
        InputError: a camera without a pose, or both at one place.
    """
    motion = second_from_first(first, second)
    if not np.linalg.norm(motion[:3, 3]) > 0:
        raise InputError(
            "both cameras stand at one place, so there are no epipolar lines and no depth; take "
            "pictures from different places."
        )
    essential = skew(motion[:3, 3]) @ motion[:3, :3]
    F = np.linalg.inv(second.matrix).T @ essential @ np.linalg.inv(first.matrix)
    return F / np.linalg.norm(F)


def sampson_error(
    F: Float[np.ndarray, "3 3"], first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, " n"]:
    """How far, in pixels, pairs of points are from the epipolar geometry, to first order.

    The joint distance that both points must move by to fit: the root of
    (second^T F first)^2 / (|F first|_xy^2 + |F^T second|_xy^2).
    """
    x1, x2 = homogeneous(first), homogeneous(second)
    lines_2, lines_1 = x1 @ F.T, x2 @ F
    residual = np.einsum("ni,ni->n", x2, lines_2)
    slope = (lines_2[:, :2] ** 2).sum(1) + (lines_1[:, :2] ** 2).sum(1)
    return np.abs(residual) / np.sqrt(np.maximum(slope, 1e-300))


def epipolar_lines(
    F: Float[np.ndarray, "3 3"], first: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 3"]:
    """Lines in the second picture on which points of the first must lie; F.T for the other way."""
    lines = homogeneous(first) @ F.T
    return lines / np.maximum(np.linalg.norm(lines[:, :2], axis=1, keepdims=True), 1e-300)


def line_ends(
    lines: Float[np.ndarray, "n 3"], width: int, height: int
) -> tuple[Float[np.ndarray, "n 2 2"], Bool[np.ndarray, " n"]]:
    """Where lines enter and leave a picture, for drawing.

    Returns:
        (n, 2, 2) both ends in pixels, and (n,) whether the line touches the picture at all.
    """
    a, b, c = np.asarray(lines, dtype=np.float64).T
    left, right, top, bottom = -0.5, width - 0.5, -0.5, height - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.stack(
            [
                np.stack([np.full_like(a, left), -(a * left + c) / b], 1),
                np.stack([np.full_like(a, right), -(a * right + c) / b], 1),
                np.stack([-(b * top + c) / a, np.full_like(a, top)], 1),
                np.stack([-(b * bottom + c) / a, np.full_like(a, bottom)], 1),
            ],
            axis=1,
        )  # n 4 2
    slack = 1e-6 * max(width, height)
    inside = np.isfinite(crossings).all(2)
    inside &= (crossings[..., 0] >= left - slack) & (crossings[..., 0] <= right + slack)
    inside &= (crossings[..., 1] >= top - slack) & (crossings[..., 1] <= bottom + slack)
    along = crossings[..., 0] * -b[:, None] + crossings[..., 1] * a[:, None]
    one = np.where(inside, along, np.inf).argmin(1)
    two = np.where(inside, along, -np.inf).argmax(1)
    rows = np.arange(len(a))
    ends = np.stack([crossings[rows, one], crossings[rows, two]], axis=1)
    seen = inside.sum(1) >= 2
    return np.where(seen[:, None, None], ends, np.nan), seen
