"""From a point map that is known up to a shift in depth to a camera, a depth map and metres.

A network such as MoGe gives points (x, y, z) of every pixel up to one unknown shift of z. The right
shift makes them project onto their own pixels; the focal length comes with it.

Places in the picture and focal lengths are measured in halves of its diagonal, see
:func:`make_view_plane_uv`, until a :class:`~leadline.camera.Camera` is made of them.

Sources:
    Wang et al., MoGe: Unlocking Accurate Monocular Geometry Estimation for Open-Domain Images with
    Optimal Training Supervision, CVPR 2025, section 3.1 (focal and shift).
    Golub and Pereyra, The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems
    Whose Variables Separate, 1973 (variable projection).
    Moré, The Levenberg-Marquardt Algorithm: Implementation and Theory, 1978 (trust region).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

_SAMPLES = 64  # rows and columns of the points that the solver looks at
_TOLERANCE = 1e-3  # relative fall of the squared error at which the authors stop
# Moré's constants, as in MINPACK:
_STEP_TOLERANCE = 1e-8
_FLAT = 1e-8  # cosine between residuals and their slope
_EPSILON = math.sqrt(np.finfo(np.float64).eps)  # of the finite difference
_FIRST_RADIUS = 100.0
_ACCEPTED = 1e-4  # share of the foretold fall
_EVALUATIONS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class ResolvedPoints:
    """What a point map says once its shift is known.

    Attributes:
        points: (h, w, 3) x right, y down, z forward; infinite where not valid.
        depth: (h, w) along the optical axis; infinite where not valid.
        valid: (h, w) in front of the camera, and not masked out.
        normal: (h, w, 3) unit vectors that face the camera, zero where not valid; None: not given.
        camera: with square pixels and a centred principal point.
        shift: what was added to the points' z, before ``metric_scale``.
    """

    points: Float[np.ndarray, "h w 3"]
    depth: Float[np.ndarray, "h w"]
    valid: Bool[np.ndarray, "h w"]
    normal: Float[np.ndarray, "h w 3"] | None
    camera: Camera
    shift: float


def make_view_plane_uv(
    height: int, width: int, aspect: float | None = None
) -> Float[np.ndarray, "height width 2"]:
    """Places of pixel centres on a view plane whose half diagonal is 1; (0, 0) is the middle.

    Args:
        height: rows.
        width: columns.
        aspect: width over height of the plane; None: of the grid.
    """
    u, v = _make_axes(height, width, width / height if aspect is None else aspect)
    return np.stack(np.meshgrid(u, v), axis=-1)


def convert_fov(fov_x_deg: float, aspect: float) -> float:
    """Focal length in half diagonals of a picture ``fov_x_deg`` wide, ``aspect`` width / height."""
    if not 0 < fov_x_deg < 180:
        raise InputError(f"fov_x_deg={fov_x_deg}: needs to be between 0 and 180 degrees.")
    return aspect / math.hypot(1, aspect) / math.tan(math.radians(fov_x_deg) / 2)


def recover_focal_shift(
    points: Float[np.ndarray, "h w 3"],
    valid: Bool[np.ndarray, "h w"] | None = None,
    *,
    focal: float | None = None,
) -> tuple[float, float]:
    """Find the focal length and the shift of z that project points onto their own pixels.

    With p = (x, y) / (z + s), minimises sum |f(s) p - uv|^2 over the shift s alone, where
    f(s) = sum(p uv) / sum(p p) is the best focal length of each shift. The sum has poles at s = -z,
    so the search starts at 0 and stays where the error falls.

    Args:
        points: up to a shift of z, and up to scale.
        valid: pixels to look at; None: all.
        focal: in half diagonals, when it is known.

    Returns:
        (focal, shift): the focal length in half diagonals, the shift in the points' unit. Where
        nothing can be found, because fewer than two of 64 x 64 samples are valid, or because the
        points project nowhere, the focal length is 1, if not known, and the shift 0.

    Raises:
        InputError: ``points`` is not (h, w, 3), or ``valid`` not (h, w).
    """
    uv, sampled = _sample(points, valid)
    if len(sampled) < 2:
        return (1.0 if focal is None else focal), 0.0
    xy, z = np.hsplit(sampled.astype(np.float64), [2])

    def project(shift: float) -> tuple[np.ndarray, float]:
        projected = xy / (z + shift)
        best = (projected * uv).sum() / np.square(projected).sum()
        return projected, best if focal is None else focal

    def residuals(shift: float) -> np.ndarray:
        projected, scale = project(shift)
        return (scale * projected - uv).ravel()

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shift = float(np.float32(_minimise(residuals)))
        found = float(project(shift)[1])
    return (found, shift) if math.isfinite(found) and found > 0 else (1.0, 0.0)


def resolve_points(
    points: Float[np.ndarray, "h w 3"],
    mask: np.ndarray | None = None,
    *,
    normal: Float[np.ndarray, "h w 3"] | None = None,
    metric_scale: float = 1.0,
    fov_x_deg: float | None = None,
    force_projection: bool = True,
    apply_mask: bool = True,
) -> ResolvedPoints:
    """Turn a point map that is known up to a shift into depth, points and a camera.

    Args:
        points: x right, y down, z forward.
        mask: (h, w) above 0.5 where the points mean something; None: everywhere.
        normal: unit vectors, passed on.
        metric_scale: factor from the points' unit to metres.
        fov_x_deg: horizontal field of view, when it is known; the shift alone is then sought.
        force_projection: put every point on the ray of its pixel; otherwise keep x and y.
        apply_mask: make points and depth infinite, and normals zero, where not valid.

    Raises:
        InputError: arrays of other shapes, or an impossible field of view.
    """
    valid = None if mask is None else np.asarray(mask) > 0.5
    height, width = _check_shapes(points, valid)
    aspect = width / height
    known = None if fov_x_deg is None else convert_fov(fov_x_deg, aspect)
    focal, shift = recover_focal_shift(points, valid, focal=known)
    camera = _make_camera(height, width, focal, given=known is not None)
    depth = points[..., 2] + np.float32(shift)
    valid = depth > 0 if valid is None else valid & (depth > 0)
    moved = np.concatenate([points[..., :2], depth[..., None]], axis=-1)
    if force_projection:
        moved = make_view_plane_uv(height, width) / np.float32(focal)
        moved = np.concatenate([moved, np.ones_like(depth)[..., None]], axis=-1) * depth[..., None]
    moved, depth = moved * np.float32(metric_scale), depth * np.float32(metric_scale)
    if apply_mask:
        moved = np.where(valid[..., None], moved, np.float32(np.inf))
        depth = np.where(valid, depth, np.float32(np.inf))
        normal = None if normal is None else np.where(valid[..., None], normal, np.float32(0))
    return ResolvedPoints(
        points=moved, depth=depth, valid=valid, normal=normal, camera=camera, shift=shift
    )


def _make_axes(height: int, width: int, aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of the columns and of the rows."""
    diagonal = math.hypot(1, aspect)
    u = aspect / diagonal * (2 * np.arange(width) + 1 - width) / width
    v = 1 / diagonal * (2 * np.arange(height) + 1 - height) / height
    return u.astype(np.float32), v.astype(np.float32)


def _make_camera(height: int, width: int, focal: float, *, given: bool) -> Camera:
    focal_px = focal * math.hypot(height, width) / 2
    source = "given" if given else "predicted"
    return Camera.from_focal(width, height, focal_px=focal_px, source=source)


def _check_shapes(points: np.ndarray, valid: np.ndarray | None) -> tuple[int, int]:
    """The points' height and width."""
    if points.ndim != 3 or points.shape[2] != 3 or points.size == 0:
        raise InputError(
            f"point map of shape {points.shape}: (h, w, 3) is needed; move the channels to the end."
        )
    if valid is not None and valid.shape != points.shape[:2]:
        raise InputError(
            f"mask of shape {valid.shape} for points of shape {points.shape}: one value per pixel, "
            f"{points.shape[:2]}, is needed."
        )
    return points.shape[0], points.shape[1]


def _sample(points: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) places and (n, 3) points of the valid among 64 x 64 nearest samples."""
    height, width = _check_shapes(points, valid)
    rows = np.arange(_SAMPLES) * height // _SAMPLES
    columns = np.arange(_SAMPLES) * width // _SAMPLES
    u, v = _make_axes(height, width, width / height)
    uv = np.stack(np.meshgrid(u[columns], v[rows]), axis=-1)
    chosen = rows[:, None], columns[None]
    sampled = points[chosen]
    kept = np.ones(sampled.shape[:2], bool) if valid is None else valid[chosen]
    return uv[kept], sampled[kept]


def _minimise(residuals: Callable[[float], np.ndarray]) -> float:
    """Find the local minimum of |residuals|^2 that a walk downhill from 0 reaches.

    Levenberg and Marquardt's method for one unknown with Moré's rules, which are those of the
    authors' solver: it takes the same steps and stops as early.
    """
    x, r, evaluations = 0.0, residuals(0.0), 1
    region = _TrustRegion()
    while evaluations < _EVALUATIONS:
        h = _EPSILON * (abs(x) or 1.0)
        slope = (residuals(x + h) - r) / h
        error, curvature, gradient = float(r @ r), float(slope @ slope), float(slope @ r)
        evaluations += 1
        if not math.isfinite(curvature) or abs(gradient) <= _FLAT * math.sqrt(error * curvature):
            return x
        region.scale = max(region.scale, math.sqrt(curvature))
        accepted = False
        while not accepted and evaluations < _EVALUATIONS:
            step = region.step(curvature, gradient)
            tried = residuals(x + step)
            evaluations += 1
            fell, foretold = region.judge(step, curvature, error, float(tried @ tried))
            accepted = fell >= _ACCEPTED * foretold
            if accepted:
                x, r = x + step, tried
            if max(abs(fell), foretold, fell - 2 * foretold) <= _TOLERANCE or region.is_spent(x):
                return x
    return x


@dataclass
class _TrustRegion:
    """How far the linear model of the residuals is believed; see :func:`_minimise`.

    Attributes:
        radius: longest step, in units of ``1 / scale``; None before the first step.
        damping: what the last step was damped with.
        scale: steepest slope so far.
    """

    radius: float | None = None
    damping: float = 0.0
    scale: float = 0.0

    def is_spent(self, x: float) -> bool:
        """Whether steps from ``x`` have become too short to matter."""
        return self.radius is not None and self.radius <= _STEP_TOLERANCE * self.scale * abs(x)

    def step(self, curvature: float, gradient: float) -> float:
        """The Gauss-Newton step, damped where it would leave the region by more than a tenth."""
        radius = _FIRST_RADIUS if self.radius is None else self.radius
        newton = self.scale * abs(gradient) / curvature
        if newton <= 1.1 * radius:
            self.damping = 0.0
        else:
            exact = (newton / radius - 1) * curvature / self.scale**2
            reached = self.scale * abs(gradient) / (curvature + self.damping * self.scale**2)
            if self.damping < exact or reached < 0.9 * radius:
                self.damping = exact
        step = -gradient / (curvature + self.damping * self.scale**2)
        self.radius = min(radius, self.scale * abs(step)) if self.radius is None else radius
        return step

    def judge(
        self, step: float, curvature: float, error: float, tried: float
    ) -> tuple[float, float]:
        """Resize the region by how well the error's fall was foretold.

        Args:
            step: that was tried.
            curvature: squared length of the residuals' slope.
            error: sum of squares before the step.
            tried: and after it.

        Returns:
            The relative fall of the error, and the one that the linear model foretold.
        """
        radius, length = self.radius or _FIRST_RADIUS, self.scale * abs(step)
        linear, damped = curvature * step**2 / error, self.damping * length**2 / error
        fell = 1 - tried / error if tried < 100 * error else -1.0
        foretold, slope = linear + 2 * damped, linear + damped
        if fell <= 0.25 * foretold:
            shrink = 0.5 if fell >= 0 else 0.5 * slope / (slope - 0.5 * fell)
            if shrink < 0.1 or not tried < 100 * error:
                shrink = 0.1
            self.radius = shrink * min(radius, 10 * length)
            self.damping /= shrink
        elif self.damping == 0 or fell >= 0.75 * foretold:
            self.radius, self.damping = 2 * length, 0.5 * self.damping
        return fell, foretold
