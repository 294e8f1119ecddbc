"""Metres by the user's own means: from a few known points, known numbers, or a known floor.

All three end in an :class:`~leadline.alignment.Alignment`: a scale, and for affine maps a shift, in
the space where the map is right up to them (disparity for disparities, depth for depths).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.alignment import Alignment, Space, fit
from leadline.errors import InputError, KindError
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float

    from leadline.camera import Camera

Point = tuple[float, float, float]
"""(x, y, metres): pixels from the left and from the top, and the depth there along the axis."""

_AFFINE = (DepthKind.AFFINE_DEPTH, DepthKind.AFFINE_DISPARITY, DepthKind.PIXEL_DISPARITY)
"""Right up to scale and shift; pixels between eyes are where baseline or offset is unknown."""


def alignment_from_points(
    values: Float[np.ndarray, "h w"],
    known: Bool[np.ndarray, "h w"],
    kind: DepthKind,
    points: Sequence[Point],
) -> Alignment:
    """Fit known depths at a few pixels; three or more points outvote a wrong one.

    Args:
        values: (h, w) of ``kind``.
        known: where the map has a value.
        kind: what the values mean.
        points: two at different depths for affine kinds, one for scaled ones.

    Raises:
        InputError: a point outside the picture or where the map has no value, too few, or points
            that the map contradicts (a nearer one that it shows farther away).
        KindError: a kind that has its own way to metres.
    """
    _check_kind(kind)
    least = 2 if kind in _AFFINE else 1
    if len(points) < least:
        raise InputError(
            f"{len(points)} points for {kind}: at least {least} are needed, (x, y, metres) each"
            + (", at different depths." if least > 1 else ".")
        )
    samples = np.array([_value_at(values, known, point) for point in points])
    metres = np.array([float(point[2]) for point in points])
    if kind not in _AFFINE:
        return _scale_alone(samples, metres, np.ones(len(samples), dtype=bool), _space(kind))
    if np.ptp(samples) == 0 or np.ptp(metres) == 0:
        raise InputError(
            f"points at depths {metres.tolist()} m where the map is {samples.tolist()}: both need "
            "to differ between points, or scale and shift cannot be told apart. Choose one point "
            "near and one far."
        )
    return _sensible(fit(samples, metres, space=_space(kind), method="lad"), "the points")


def alignment_from_numbers(kind: DepthKind, scale: float, shift: float | None) -> Alignment:
    """``scale * value + shift`` is the depth in metres, or for a disparity its inverse.

    Raises:
        InputError: ``scale`` not positive, or a missing or needless ``shift``.
        KindError: a kind that has its own way to metres.
    """
    _check_kind(kind)
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"scale={scale}: a positive number is needed; nothing turns a map round.")
    if kind not in _AFFINE:
        if shift:
            raise InputError(
                f"shift={shift} for {kind}, which is right up to a scale; give scale alone."
            )
        return Alignment(scale=scale, shift=0.0, space=_space(kind))
    if shift is None or not np.isfinite(shift):
        raise InputError(
            f"scale without a shift for {kind}, which needs both; give to_metric(scale=, shift=) "
            "or known points."
        )
    return Alignment(scale=scale, shift=float(shift), space=_space(kind))


def alignment_from_floor(
    values: Float[np.ndarray, "h w"],
    known: Bool[np.ndarray, "h w"],
    kind: DepthKind,
    depth: Float[np.ndarray, "h w"],
) -> Alignment:
    """Fit the depth of a known plane; see :func:`floor_depth`. Objects on it are outvoted.

    Raises:
        InputError: the plane is nowhere in the picture, or the map contradicts it.
        KindError: a kind that has its own way to metres.
    """
    _check_kind(kind)
    seen = known & np.isfinite(depth)
    if not seen.any():
        raise InputError(
            "the floor is nowhere where the map has values: pixels below the horizon are needed. "
            "Check pitch_deg (positive looks down) and the mask."
        )
    if kind not in _AFFINE:
        return _scale_alone(values, depth, seen, _space(kind))
    method = "ransac" if seen.sum() > 2 else "least_squares"  # an object is a leverage point
    return _sensible(fit(values, depth, seen, space=_space(kind), method=method), "the floor")


def floor_depth(
    camera: Camera, height_m: float, *, pitch_deg: float = 0.0, roll_deg: float = 0.0
) -> Float[np.ndarray, "h w"]:
    """Depth of a level floor under a camera, NaN at and above the horizon.

    Args:
        camera: intrinsics.
        height_m: of the camera above the floor.
        pitch_deg: how far the camera looks down.
        roll_deg: how far it leans to its right.

    Returns:
        (h, w) metres along the optical axis.

    Raises:
        InputError: a height that is not positive.
    """
    if not (np.isfinite(height_m) and height_m > 0):
        raise InputError(f"camera_height_m={height_m}: positive metres above the floor are needed.")
    pitch, roll = np.radians([pitch_deg, roll_deg])
    down = np.array([np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)])
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    fall = down[0] * x[None, :] + down[1] * y[:, None] + down[2]  # metres down per metre ahead
    return np.where(fall > 1e-3, height_m / np.where(fall > 1e-3, fall, 1.0), np.nan)


def _check_kind(kind: DepthKind) -> None:
    if kind is DepthKind.METRIC_DEPTH:
        raise KindError(
            "metric_depth is in metres already; to correct it by a factor, multiply its values, or "
            "fit it with prediction.aligned_to(depth_m)."
        )


def _space(kind: DepthKind) -> Space:
    return "disparity" if kind.larger_is_nearer else "depth"


def _scale_alone(
    values: np.ndarray, metres: np.ndarray, keep: np.ndarray, space: Space
) -> Alignment:
    """The median ratio, which half of the pixels may contradict."""
    keep = keep & (values > 0)
    if not keep.any():
        raise InputError("no known depth lies where the map is positive; check the points.")
    target = metres[keep] if space == "depth" else 1 / metres[keep]
    return Alignment(scale=float(np.median(target / values[keep])), shift=0.0, space=space)


def _value_at(
    values: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], point: Point
) -> float:
    height, width = values.shape
    try:
        x, y, metres = (float(number) for number in point)
    except (TypeError, ValueError) as error:
        raise InputError(f"point {point!r}: (x, y, metres) is needed.") from error
    if not (np.isfinite(metres) and metres > 0):
        raise InputError(f"point {point!r}: a positive depth in metres is needed.")
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        raise InputError(
            f"point {point!r} is outside the picture; x from 0 to {width - 1} and y from 0 to "
            f"{height - 1} are needed."
        )
    row, column = round(y), round(x)
    if not known[row, column]:
        raise InputError(f"point {point!r}: the map has no value there; choose another.")
    return float(values[row, column])


def _sensible(alignment: Alignment, what: str) -> Alignment:
    if alignment.scale > 0:
        return alignment
    raise InputError(
        f"{what} contradict the map (fitted scale {alignment.scale:.3g}): what they call nearer "
        "the map shows farther away. Check the order (x, y, metres), and the unit."
    )
