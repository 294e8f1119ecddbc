"""A camera from a map of rays: where every pixel looks, and from where, in the world's axes.

A pixel p = (x, y, 1) of a pinhole camera looks along R K^-1 p. The homography between the pixels
and the directions is therefore R K^-1 up to a factor, which splits into a rotation and an upper
triangle.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), section 3 (rays to cameras); Hartley
and Zisserman, Multiple View Geometry, 2nd ed., 4.1 (direct linear transformation), 6.2.4
(decomposition of the camera).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.camera import Camera
from leadline.errors import DegenerateError, InputError

if TYPE_CHECKING:
    from jaxtyping import Float

Triangle = Literal["upper", "lower"]
"""``upper`` is exact. ``lower`` is what the authors' code computes: it agrees where the principal
point is the middle of the picture, and is wrong elsewhere (off by 6 % of the side: principal point
by 0.08 half sides, rotation by 0.04)."""

_FLAT_RAY = 1e-4  # |z| of a direction below which it does not count
_CANDIDATES, _SAMPLES, _SAMPLE = 0.3, 100, 8
_INLIER = 0.2  # between directions of length 1
_SINGULAR = 1e-12  # determinant of a homography of length 1


def camera_from_rays(
    rays: Float[np.ndarray, "6 h w"],
    confidence: Float[np.ndarray, "h w"],
    size: tuple[int, int],
    *,
    triangle: Triangle = "upper",
    seed: int = 0,
) -> Camera:
    """Pinhole camera and pose behind a map of rays.

    RANSAC over the surest pixels finds those that one camera explains; all of them then decide,
    weighted by their confidence.

    Args:
        rays: direction x, y, z (of any length) and origin x, y, z of each pixel.
        confidence: weights, 0 or more.
        size: (height, width) in pixels of the picture that the camera is for.
        triangle: see :data:`Triangle`.
        seed: of the random samples.

    Returns:
        The camera with ``world_from_camera``, ``source="predicted"``.

    Raises:
        InputError: maps of other shapes.
        DegenerateError: too few rays that count, or rays that no camera has.
    """
    directions, origins, weight = _check_rays(rays, confidence)
    height, width = np.shape(confidence)
    v, u = np.mgrid[:height, :width]
    plane = np.stack([(2 * u + 1) / width - 1, (2 * v + 1) / height - 1, np.ones_like(u)], axis=-1)
    homography = _fit_robustly(plane.reshape(-1, 3), directions, weight, seed)
    rotation, focal, principal = _split(homography, triangle)
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = weight @ origins / weight.sum()
    half = np.array([size[1], size[0]]) / 2  # of the plane from -1 to 1
    fx, fy = focal * half
    cx, cy = (principal + 1) * half - 0.5  # pixel centres at integers
    return Camera(
        width=size[1],
        height=size[0],
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        world_from_camera=pose,
        source="predicted",
    )


def _check_rays(
    rays: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions (n, 3), origins (n, 3) and weights (n,) of the pixels, row by row."""
    rays, weight = np.asarray(rays, np.float64), np.asarray(confidence, np.float64)
    if rays.ndim != 3 or len(rays) != 6 or rays.shape[1:] != weight.shape:
        raise InputError(
            f"rays of shape {rays.shape} with confidence of shape {weight.shape}: (6, h, w) and "
            "(h, w) are needed."
        )
    directions, origins = rays[:3].reshape(3, -1).T, rays[3:].reshape(3, -1).T
    weight = np.where(np.abs(directions[:, 2]) > _FLAT_RAY, weight.ravel(), 0)
    if np.count_nonzero(weight) < _SAMPLE:
        raise DegenerateError(
            f"{np.count_nonzero(weight)} rays with a direction and a weight; {_SAMPLE} are needed "
            "for a camera. Use the camera head's pose."
        )
    return directions, origins, weight


def _fit_robustly(
    plane: np.ndarray, directions: np.ndarray, weight: np.ndarray, seed: int
) -> np.ndarray:
    """The homography (3, 3), determinant above 0, from pixels to directions."""
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = directions / np.where(length > 0, length, 1)
    equations = _equations(plane, unit)
    count = max(_SAMPLE, int(_CANDIDATES * len(weight)))
    surest = np.argsort(-weight, kind="stable")[: min(count, np.count_nonzero(weight))]
    rng = np.random.default_rng(seed)
    best, inliers = -1.0, weight > 0
    for _ in range(_SAMPLES):
        drawn = rng.choice(surest, _SAMPLE, replace=False)
        seen = plane @ _solve(equations[drawn], np.ones(_SAMPLE)).T
        seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-300)
        close = np.minimum(_distance(seen, unit), _distance(seen, -unit)) < _INLIER
        if (support := float(weight @ close)) > best:
            best, inliers = support, close
    homography = _solve(equations, weight * inliers)
    determinant = np.linalg.det(homography)
    if abs(determinant) < _SINGULAR:
        raise DegenerateError(
            "the rays fit no pinhole camera: they lie in one plane. Use the camera head's pose."
        )
    return homography * np.sign(determinant)


def _equations(plane: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(n, 3, 9): direction x (H pixel) = 0, linear in the rows of H."""
    x, y, z = unit.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    return (cross[..., None] * plane[:, None, None, :]).reshape(-1, 3, 9)


def _solve(equations: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The H of length 1 with the least weighted squares."""
    rows = (equations * np.sqrt(weight)[:, None, None]).reshape(-1, 9)
    return np.linalg.eigh(rows.T @ rows)[1][:, 0].reshape(3, 3)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=1)


def _split(homography: np.ndarray, triangle: Triangle) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation (3, 3), focal lengths and principal point in the plane from -1 to 1, (2,) each."""
    if triangle == "upper":
        rotation, upper = np.linalg.qr(homography)
        signs = np.sign(np.diag(upper))
        calibration = np.linalg.inv(upper * signs[:, None])
        calibration /= calibration[2, 2]
        rotation, focal, principal = rotation * signs, np.diag(calibration)[:2], calibration[:2, 2]
    else:
        flipped, reversed_upper = np.linalg.qr(homography[:, ::-1])
        rotation, lower = flipped[:, ::-1], reversed_upper[::-1, ::-1]
        signs = np.sign(np.diag(lower))
        rotation, lower = rotation * signs, lower * signs[:, None]
        focal = lower[2, 2] / np.diag(lower)[:2]
        principal = lower[2, :2] / lower[2, 2]
    return rotation, focal, principal
