"""Lengths, areas and angles in a map in metres, each with an interval.

A value follows from the points that pixels and the camera give. Its interval holds the true value
in nine of ten cases, if the errors are those of the model's held-out pictures: the scale of the
whole map, which all points share; the error of single pixels, which near pixels share
(:class:`~leadline.catalog.DepthError`); the roughness of the map around each point; the focal
length. All four are drawn together, many times, and the interval is the middle 90 % of what comes
out.

Source: JCGM 101, Propagation of distributions using a Monte Carlo method, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from leadline.camera import Camera
    from leadline.catalog import DepthError

Quantity = Literal["distance", "area", "angle"]
"""``distance``: the way over two or more points; ``area``: of the polygon of three or more;
``angle``: at the second of three points, in degrees."""

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

UNITS = {"distance": "m", "area": "m²", "angle": "deg"}

FOCAL_ERRORS = {"exif": 0.02, "predicted": 0.1, "guess": 0.25}
"""Where a camera comes from -> relative error of its focal length; of others, which were measured
or said, none. EXIF holds whole millimetres, of which a telephone's lens has 24 to 28."""

_DRAWS = 2000
_SHARE = (0.05, 0.95)
_WINDOW = 3
"""Pixels to each side of a point by which the roughness is judged."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A value with its interval.

    Attributes:
        quantity: what was measured.
        value: in ``unit``.
        low, high: bounds of the 90 % interval; None when the errors of the map are unknown.
        unit: ``m``, ``m²`` or ``deg``.
        points: (n, 3) of the camera's frame in metres.
    """

    quantity: Quantity
    value: float
    low: float | None
    high: float | None
    unit: str
    points: Float[np.ndarray, "n 3"]


def measure_points(
    depth: Float[np.ndarray, "h w"],
    camera: Camera,
    pixels: Sequence[tuple[float, float]] | np.ndarray,
    *,
    quantity: Quantity = "distance",
    plane: Sequence[tuple[float, float]] | np.ndarray | None = None,
    error: DepthError | None = None,
    focal_error: float | None = None,
    depth_scales_with_focal: bool = False,
) -> Measure:
    """Measure between pixels of a map in metres.

    Args:
        depth: metres along the optical axis; NaN where unknown.
        camera: of these pixels.
        pixels: x, y of each point.
        quantity: see :data:`Quantity`.
        plane: x, y of three or more points of a plane. The points are taken where their rays meet
            it, so that the map counts at these pixels alone.
        error: of the model on held-out pictures; None: no interval.
        focal_error: relative standard deviation of the focal length; default: by the camera's
            source, :data:`FOCAL_ERRORS`.
        depth_scales_with_focal: whether a longer focal length would make the map deeper, as it does
            for models with a canonical camera.

    Raises:
        InputError: too few points, one outside or without depth, or a plane seen from its edge.
        UnknownNameError: no such quantity.
    """
    if quantity not in QUANTITIES:
        raise UnknownNameError("quantity", quantity, QUANTITIES)
    corners = _check_pixels(pixels, depth, _LEAST[quantity], quantity)
    if quantity == "angle" and len(corners) != 3:
        raise InputError(
            f"{len(corners)} points for an angle, which has three; its second is the tip."
        )
    base = corners if plane is None else _check_pixels(plane, depth, 3, "plane")
    z = np.array([_depth_at(depth, pixel) for pixel in base])
    points = _points_of(z, base, corners, camera, on_plane=plane is not None)
    value = float(_compute(points[None], quantity)[0])
    bounds: tuple[float | None, float | None] = (None, None)
    if error is not None:
        if focal_error is None:
            focal_error = FOCAL_ERRORS.get(camera.source, 0.0)
        rough = np.array([estimate_roughness(depth, pixel) for pixel in base])
        drawn, lenses = _draw(z, base, rough, error, focal_error, depth.shape)
        if depth_scales_with_focal:
            drawn = drawn * lenses[:, None]
        made = _points_of(drawn, base, corners, camera, on_plane=plane is not None, lenses=lenses)
        low, high = np.nanquantile(_compute(made, quantity), _SHARE)
        bounds = min(float(low), value), max(float(high), value)
    return Measure(
        quantity=quantity,
        value=value,
        low=bounds[0],
        high=bounds[1],
        unit=UNITS[quantity],
        points=points,
    )


def lift_pixels(
    depth: Float[np.ndarray, "h w"],
    camera: Camera,
    pixels: Sequence[tuple[float, float]] | np.ndarray,
) -> Float[np.ndarray, "n 3"]:
    """Points of pixels in the camera's frame, each at the median depth of its 3x3 pixels.

    Raises:
        InputError: a pixel outside or without depth.
    """
    places = _check_pixels(pixels, depth, 1, "point")
    z = np.array([_depth_at(depth, pixel) for pixel in places])
    return _rays(places, camera) * z[:, None]


def estimate_roughness(depth: Float[np.ndarray, "h w"], pixel: np.ndarray) -> float:
    """Median deviation of log depth from its own plane around a pixel, as a standard deviation."""
    x, y = np.rint(pixel).astype(int)
    rows = slice(max(0, y - _WINDOW), y + _WINDOW + 1)
    columns = slice(max(0, x - _WINDOW), x + _WINDOW + 1)
    part = depth[rows, columns]
    v, u = np.nonzero(np.isfinite(part) & (part > 0))
    if len(u) < 4:
        return 0.0
    design = np.stack([u, v, np.ones(len(u))], axis=1)
    inverse = 1 / part[v, u].astype(np.float64)  # of a plane it is affine in the pixel's place
    fitted = design @ np.linalg.lstsq(design, inverse, rcond=None)[0]
    return float(1.4826 * np.median(np.abs(inverse / np.maximum(fitted, 1e-9) - 1)))


_LEAST = {"distance": 2, "area": 3, "angle": 3}


def _check_pixels(
    pixels: Sequence[tuple[float, float]] | np.ndarray, depth: np.ndarray, least: int, what: str
) -> np.ndarray:
    found = np.asarray(pixels, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < least:
        count = len(found) if found.ndim == 2 else 0
        raise InputError(f"{count} points for {what}: {least} or more are needed, x and y each.")
    h, w = depth.shape
    for x, y in found:
        if not (-0.5 <= x < w - 0.5 and -0.5 <= y < h - 0.5):
            raise InputError(
                f"point ({x:g}, {y:g}) lies outside of the picture of {w}x{h} pixels; give x from "
                f"0 to {w - 1} and y from 0 to {h - 1}."
            )
    return found


def _depth_at(depth: np.ndarray, pixel: np.ndarray) -> float:
    x, y = np.rint(pixel).astype(int)
    part = depth[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
    known = part[np.isfinite(part) & (part > 0)]
    if not np.isfinite(depth[y, x]) or depth[y, x] <= 0 or not len(known):
        raise InputError(
            f"point ({pixel[0]:g}, {pixel[1]:g}) has no depth in this map (sky or a hole); choose "
            "another pixel."
        )
    return float(np.median(known))


def _rays(pixels: np.ndarray, camera: Camera, lenses: np.ndarray | float = 1.0) -> np.ndarray:
    """Directions (..., n, 3) of pixels; ``lenses`` are factors of the focal length."""
    scale = np.asarray(lenses)[..., None]
    x = (pixels[:, 0] - camera.cx) / (camera.fx * scale)
    y = (pixels[:, 1] - camera.cy) / (camera.fy * scale)
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def _points_of(
    z: np.ndarray,
    base: np.ndarray,
    corners: np.ndarray,
    camera: Camera,
    *,
    on_plane: bool,
    lenses: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Points (..., n, 3) of the corners, from depths (..., m) of the base."""
    points = _rays(base, camera, lenses) * z[..., None]
    if not on_plane:
        return points
    middle = points.mean(axis=-2, keepdims=True)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][..., 2, :]
    rays = _rays(corners, camera, lenses)
    slope = (rays * normal[..., None, :]).sum(axis=-1)
    height = (middle[..., 0, :] * normal).sum(axis=-1)
    reach = height[..., None] / np.where(np.abs(slope) > 1e-9, slope, np.nan)
    if z.ndim == 1 and not (np.isfinite(reach) & (reach > 0)).all():
        raise InputError(
            "a point's ray does not meet the plane before the camera (it lies beyond the horizon); "
            "choose points on the plane."
        )
    return rays * np.where(reach > 0, reach, np.nan)[..., None]


def _draw(
    z: np.ndarray,
    base: np.ndarray,
    rough: np.ndarray,
    error: DepthError,
    focal_error: float,
    size: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Depths (draws, m) and factors of the focal length (draws,) that could as well be true."""
    rng = np.random.default_rng(0)
    apart = np.linalg.norm(base[:, None] - base[None], axis=2) / np.linalg.norm(size)
    alike = error.local**2 * np.exp(-apart / error.reach) + np.diag(rough**2)
    root = np.linalg.cholesky(alike + 1e-12 * np.eye(len(z)))
    logs = rng.standard_normal((_DRAWS, len(z))) @ root.T
    logs += error.scale * rng.standard_normal((_DRAWS, 1))
    return z * np.exp(logs), np.exp(focal_error * rng.standard_normal(_DRAWS))


def _compute(points: np.ndarray, quantity: Quantity) -> np.ndarray:
    """The quantity of points (..., n, 3)."""
    if quantity == "distance":
        return np.linalg.norm(np.diff(points, axis=-2), axis=-1).sum(axis=-1)
    if quantity == "area":
        first, rest = points[..., :1, :], points[..., 1:, :]
        sides = rest - first
        return np.linalg.norm(
            0.5 * np.cross(sides[..., :-1, :], sides[..., 1:, :]).sum(axis=-2), axis=-1
        )
    arms = points[..., [0, 2], :] - points[..., 1:2, :]
    lengths = np.linalg.norm(arms, axis=-1)
    if (lengths == 0).any():
        raise InputError("two points of the angle are the same; choose three different ones.")
    cosine = (arms[..., 0, :] * arms[..., 1, :]).sum(axis=-1) / lengths.prod(axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
