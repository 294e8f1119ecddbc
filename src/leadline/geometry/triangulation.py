"""Points in the world from the pixels at which cameras with poses see them.

Everything is done for all points at once, in blocks that fit the processor's cache. World
coordinates are those of ``world_from_camera``, in its unit; depth is z in a camera's axes.

- ``linear``: the homogeneous least-squares solution (direct linear transform).
- ``midpoint``: the point nearest to all rays.
- ``optimal``: the point with the smallest sum of squared distances in the pictures. Two views:
  closed form; more: Gauss-Newton from the linear point.

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., 12.2 (linear) and 5.2 (covariance);
Lindstrom, Triangulation Made Easy, CVPR 2010, listing 3 (two views, optimal); Hartley and Sturm,
Triangulation, CVIU 1997 (midpoint, and why it is worst for far points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.geometry.symmetric import adjugate_solve, inverse_of, smallest_vector
from leadline.geometry.views import Views

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.camera import Camera

Method = Literal["linear", "midpoint", "optimal"]
_BLOCK = 8192  # points at a time: their columns stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Triangulated points, one for each column of pixels given, and how far to trust them.

    Attributes:
        world: (n, 3) float64 in the world's axes and unit; NaN where fewer than two views see it.
        depths: (v, n) z in every camera's axes, NaN where that camera does not see it.
        error_px: (n,) root mean square distance between pixels and projections, over views.
        parallax_deg: (n,) largest angle between two of its rays; small angles give no depth.
        keep: (n,) in front of all cameras that see it, enough parallax, small enough error.
        covariance: (n, 3, 3) of ``world`` for pixels of standard deviation ``sigma_px``, or None.
    """

    world: Float[np.ndarray, "n 3"]
    depths: Float[np.ndarray, "v n"]
    error_px: Float[np.ndarray, " n"]
    parallax_deg: Float[np.ndarray, " n"]
    keep: Bool[np.ndarray, " n"]
    covariance: Float[np.ndarray, "n 3 3"] | None = None

    def __len__(self) -> int:
        return len(self.world)

    def depth_sigma(self, camera: Camera) -> Float[np.ndarray, " n"]:
        """Standard deviation of the depth in ``camera``, in the world's unit.

        Raises:
            InputError: points that were triangulated without their covariance.
        """
        if self.covariance is None or camera.world_from_camera is None:
            raise InputError(
                "depth_sigma needs the points' covariance and a camera with a pose; call "
                "triangulate(..., covariance=True) and camera.moved(world_from_camera)."
            )
        axis = camera.world_from_camera[:3, 2]
        return np.sqrt(np.einsum("i,nij,j->n", axis, self.covariance, axis))


def triangulate(
    pixels: Sequence[Float[np.ndarray, "n 2"]],
    cameras: Sequence[Camera],
    *,
    method: Method = "optimal",
    min_parallax_deg: float = 1.0,
    max_error_px: float = 2.0,
    sigma_px: float = 1.0,
    covariance: bool = False,
) -> Points:
    """Points in the world from where two or more cameras with poses see them.

    Args:
        pixels: for every view (n, 2) x and y, e.g. ``(matches.first, matches.second)``; row i is
            the same place in all views, NaN where a view does not see it.
        cameras: one for every view, with ``world_from_camera``.
        method: ``optimal``, ``linear`` or ``midpoint``.
        min_parallax_deg: angle below which a point is not kept.
        max_error_px: distance between pixels and projections above which it is not kept.
        sigma_px: standard deviation of a pixel's place, for the covariance.
        covariance: whether to work out the covariances.

    Returns:
        Points: all n of them; ``keep`` says which are to be trusted.

    Raises:
        InputError: fewer than two views, shapes that differ, or cameras without poses.
        DegenerateError: all cameras stand at one place.
        UnknownNameError: no such method.
    """
    if method not in get_args(Method):
        raise UnknownNameError("way to triangulate", method, get_args(Method))
    views = Views.of(pixels, cameras)
    parts = [
        _triangulate_block(views.rows(slice(start, start + _BLOCK)), method, sigma_px, covariance)
        for start in range(0, max(views.count, 1), _BLOCK)
    ]
    world = np.concatenate([part.world for part in parts]) * views.scale + views.origin
    depths = np.concatenate([part.depths for part in parts], axis=1) * views.scale
    error = np.concatenate([part.error_px for part in parts])
    parallax = np.concatenate([part.parallax_deg for part in parts])
    spreads = [part.covariance for part in parts if part.covariance is not None]
    with np.errstate(invalid="ignore"):
        front = np.where(np.isnan(depths), True, depths > 0).all(0) & np.isfinite(world).all(1)
        keep = front & (parallax >= min_parallax_deg) & (error <= max_error_px)
    return Points(
        world=world,
        depths=depths,
        error_px=error,
        parallax_deg=parallax,
        keep=keep,
        covariance=np.concatenate(spreads) * views.scale**2 if spreads else None,
    )


def _triangulate_block(views: Views, method: Method, sigma_px: float, covariance: bool) -> Points:
    """Points in the coordinates of ``views``; ``keep`` is True where two views see the point."""
    if method == "midpoint":
        world = _midpoint(views)
    elif method == "linear":
        world = _linear(views)
    elif len(views.x) == 2 and views.seen is None:
        world = _optimal_of_two(views)
    else:
        world = _gauss_newton(views, _linear(views))
    depths, error = _residuals(views, world)
    paired = np.ones(views.count, dtype=bool)
    if views.seen is not None:
        paired = np.sum(views.seen, axis=0) >= 2
        world[~paired] = np.nan
        depths[:, ~paired] = np.nan
    return Points(
        world=world,
        depths=depths,
        error_px=error,
        parallax_deg=_parallax(views),
        keep=paired,
        covariance=_covariance(views, world, sigma_px) if covariance else None,
    )


def _camera_points(views: Views, world: np.ndarray, view: int) -> tuple[np.ndarray, ...]:
    points = world @ views.rotations[view].T + views.translations[view]
    return points[:, 0], points[:, 1], points[:, 2]


def _residuals(views: Views, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depths (v, n) and root mean square error (n,) in pixels."""
    depths = np.empty((len(views.x), len(world)))
    total, count = np.zeros(len(world)), np.zeros(len(world))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for v in range(len(views.x)):
            X, Y, Z = _camera_points(views, world, v)
            dx = (X / Z - views.x[v]) * views.focals[v, 0]
            dy = (Y / Z - views.y[v]) * views.focals[v, 1]
            if views.seen is None:
                depths[v] = Z
                total += dx * dx + dy * dy
                count += 1
            else:
                seen = views.seen[v]
                depths[v] = np.where(seen, Z, np.nan)
                total += np.where(seen, dx * dx + dy * dy, 0)
                count += seen
        return depths, np.sqrt(total / count)


def _rays(views: Views, view: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit rays in world axes."""
    x, y = views.slopes(view)
    length = 1 / np.sqrt(x * x + y * y + 1)
    R = views.rotations[view]  # camera from world: columns of its transpose are rows here
    return tuple((R[0, i] * x + R[1, i] * y + R[2, i]) * length for i in range(3))


def _parallax(views: Views) -> np.ndarray:
    """Largest angle between two rays, degrees, exact for small ones; NaN for fewer than two."""
    rays = [_rays(views, v) for v in range(len(views.x))]
    widest = np.zeros(views.count)
    for i in range(len(rays)):
        for j in range(i + 1, len(rays)):
            (ax, ay, az), (bx, by, bz) = rays[i], rays[j]
            chord = (ax - bx) ** 2 + (ay - by) ** 2 + (az - bz) ** 2
            if views.seen is not None:
                chord = np.where(views.seen[i] & views.seen[j], chord, 0)
            widest = np.maximum(widest, chord)
    return np.degrees(2 * np.arcsin(np.minimum(np.sqrt(widest) / 2, 1)))


def _midpoint(views: Views) -> np.ndarray:
    """The point X with the smallest sum of squared distances to the rays.

    Rays c + s d: sum (1 - d d^T) (X - c) = 0.
    """
    n = views.count
    M = [np.zeros(n) for _ in range(6)]  # xx xy xz yy yz zz
    b = [np.zeros(n) for _ in range(3)]
    for v in range(len(views.x)):
        dx, dy, dz = _rays(views, v)
        w = views.weights(v)
        cx, cy, cz = views.centres[v]
        along = cx * dx + cy * dy + cz * dz
        for entry, value in enumerate(
            (1 - dx * dx, -dx * dy, -dx * dz, 1 - dy * dy, -dy * dz, 1 - dz * dz)
        ):
            M[entry] += w * value
        for entry, value in enumerate((cx - along * dx, cy - along * dy, cz - along * dz)):
            b[entry] += w * value
    return adjugate_solve(M, b)


def _linear(views: Views) -> np.ndarray:
    """The homogeneous X with the smallest |A X|: rows x P3 - P1 and y P3 - P2 of every view."""
    n = views.count
    M = [np.zeros(n) for _ in range(10)]
    for v in range(len(views.x)):
        P = np.concatenate([views.rotations[v], views.translations[v][:, None]], axis=1)
        x, y = views.slopes(v)
        w = views.weights(v)
        for slope, row in ((x, P[0]), (y, P[1])):
            a = [slope * P[2, i] - row[i] for i in range(4)]
            entry = 0
            for i in range(4):
                for j in range(i, 4):
                    M[entry] += w * a[i] * a[j]
                    entry += 1
    X = smallest_vector(M)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([X[0] / X[3], X[1] / X[3], X[2] / X[3]], axis=1)


def _optimal_of_two(views: Views) -> np.ndarray:
    """Move both points to the nearest pair that meets, in two closed steps; then intersect.

    In units of pixels from the principal points, so that both pictures count alike.
    """
    R = views.rotations[1] @ views.rotations[0].T
    t = views.translations[1] - R @ views.translations[0]
    tx = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    K1 = np.diag([1 / views.focals[0, 0], 1 / views.focals[0, 1], 1.0])
    K2 = np.diag([1 / views.focals[1, 0], 1 / views.focals[1, 1], 1.0])
    F = K2 @ tx @ R @ K1  # second^T F first = 0
    F = F / np.linalg.norm(F[:2, :2] if np.linalg.norm(F[:2, :2]) > 0 else F)
    x1, y1 = views.x[0] * views.focals[0, 0], views.y[0] * views.focals[0, 1]
    x2, y2 = views.x[1] * views.focals[1, 0], views.y[1] * views.focals[1, 1]
    # n: slopes of the constraint in the second picture, m: in the first.
    nx, ny = (F[i, 0] * x1 + F[i, 1] * y1 + F[i, 2] for i in range(2))
    mx, my = (F[0, i] * x2 + F[1, i] * y2 + F[2, i] for i in range(2))
    c = x2 * nx + y2 * ny + F[2, 0] * x1 + F[2, 1] * y1 + F[2, 2]
    a = nx * (F[0, 0] * mx + F[0, 1] * my) + ny * (F[1, 0] * mx + F[1, 1] * my)
    b = 0.5 * (nx * nx + ny * ny + mx * mx + my * my)
    d = np.sqrt(np.maximum(b * b - a * c, 0))
    step = c / (b + d)
    dx2, dy2, dx1, dy1 = step * nx, step * ny, step * mx, step * my
    nx, ny = nx - (F[0, 0] * dx1 + F[0, 1] * dy1), ny - (F[1, 0] * dx1 + F[1, 1] * dy1)
    mx, my = mx - (F[0, 0] * dx2 + F[1, 0] * dy2), my - (F[0, 1] * dx2 + F[1, 1] * dy2)
    step = step * 2 * d / np.maximum(nx * nx + ny * ny + mx * mx + my * my, 1e-300)
    x1, y1 = (x1 - step * mx) / views.focals[0, 0], (y1 - step * my) / views.focals[0, 1]
    x2, y2 = (x2 - step * nx) / views.focals[1, 0], (y2 - step * ny) / views.focals[1, 1]
    return _intersect(views, R, t, (x1, y1), (x2, y2))


def _intersect(
    views: Views,
    R: np.ndarray,
    t: np.ndarray,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Where rays that meet do so: depth z with second x (z R first + t) = 0, least squares."""
    (x1, y1), (x2, y2) = first, second
    rx, ry, rz = (R[i, 0] * x1 + R[i, 1] * y1 + R[i, 2] for i in range(3))
    ax, ay, az = y2 * rz - ry, rx - x2 * rz, x2 * ry - y2 * rx
    bx, by, bz = y2 * t[2] - t[1], t[0] - x2 * t[2], x2 * t[1] - y2 * t[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -(ax * bx + ay * by + az * bz) / (ax * ax + ay * ay + az * az)
        camera = np.stack([x1 * z, y1 * z, z], axis=1)
        return (camera - views.translations[0]) @ views.rotations[0]


def _normal_equations(views: Views, world: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """J^T J (six entries) and J^T r (three) of the reprojection errors in pixels."""
    n = len(world)
    M = [np.zeros(n) for _ in range(6)]
    g = [np.zeros(n) for _ in range(3)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for v in range(len(views.x)):
            X, Y, Z = _camera_points(views, world, v)
            R, (fx, fy) = views.rotations[v], views.focals[v]
            x, y = views.slopes(v)
            w = views.weights(v)
            u, s = X / Z, Y / Z
            rows = (
                (fx * (u - x), [fx * (R[0, i] - u * R[2, i]) / Z for i in range(3)]),
                (fy * (s - y), [fy * (R[1, i] - s * R[2, i]) / Z for i in range(3)]),
            )
            for residual, J in rows:
                entry = 0
                for i in range(3):
                    g[i] += w * J[i] * residual
                    for j in range(i, 3):
                        M[entry] += w * J[i] * J[j]
                        entry += 1
    return M, g


def _gauss_newton(views: Views, world: np.ndarray) -> np.ndarray:
    """The smallest reprojection error; a step that does not lower it is not taken."""
    _, error = _residuals(views, world)
    for _ in range(5):
        M, g = _normal_equations(views, world)
        moved = world - adjugate_solve(M, g)
        _, after = _residuals(views, moved)
        with np.errstate(invalid="ignore"):
            better = after < error
        if not better.any():
            break
        world = np.where(better[:, None], moved, world)
        error = np.where(better, after, error)
    return world


def _covariance(views: Views, world: np.ndarray, sigma_px: float) -> np.ndarray:
    M, _ = _normal_equations(views, world)
    return inverse_of(M) * sigma_px**2
