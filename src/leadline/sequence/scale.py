"""Metres for a trajectory: from a known baseline, or the camera's height above the ground."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.sequence.ground import PITCHES_DEG, GroundFit
from leadline.sequence.odometry import Trajectory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float

    from leadline.image import Image


def scale_by_baseline(trajectory: Trajectory, baseline_m: float) -> Trajectory:
    """In metres, by the distance between the first frame and the second.

    Raises:
        InputError: a baseline that is not positive, or two frames at one place.
    """
    if not (np.isfinite(baseline_m) and baseline_m > 0):
        raise InputError(f"baseline {baseline_m} m: a positive distance in metres is needed.")
    places = trajectory.positions()
    length = float(np.linalg.norm(places[1] - places[0]))
    if not length > 0:
        raise InputError("the first two frames stand at one place; their baseline is 0.")
    return rescale(trajectory, np.full(len(trajectory.cameras), baseline_m / length))


def scale_by_height(
    trajectory: Trajectory, frames: Callable[[int], Image], height_m: float, *, window: int = 15
) -> Trajectory:
    """In metres, by the camera's height above the ground before it.

    A first search adds up, over neighbouring pairs of frames, how alike they are on planes of every
    height: stripes and tiles that repeat fit at several heights in one pair, but at one in all.
    Then every pair finds its own, and the median over neighbours gives the scale there, so that
    slow drift is taken out and single frames that see no ground do not count.

    Args:
        trajectory: up to a scale.
        frames: gives the picture of a frame by its number.
        height_m: metres between the camera and the ground.
        window: pairs of frames that are taken together.

    Raises:
        InputError: a height that is not positive, or no ground in view.
    """
    if not (np.isfinite(height_m) and height_m > 0):
        raise InputError(f"camera height {height_m} m: a positive number of metres is needed.")
    pairs = _pairs(trajectory)
    places = trajectory.positions()
    steps = [float(np.linalg.norm(places[b] - places[a])) for a, b in pairs]
    grid = float(np.median(steps)) * np.geomspace(0.5, 40, 70)
    flat = np.full((len(grid), len(PITCHES_DEG)), -1.0)
    tables = np.array(
        [flat if f is None else f.table(grid) for f in _fits(trajectory, frames, pairs)]
    )
    heights = np.full(len(pairs), np.nan)
    for i, fit in enumerate(_fits(trajectory, frames, pairs)):
        near = tables[max(0, i - window // 2) : i + window // 2 + 1].max(axis=2).mean(axis=0)
        row = int(near.argmax())
        pitch = PITCHES_DEG[int(tables[i, row].argmax())]
        ground = None if fit is None else fit.ground(float(grid[row]), pitch)
        if ground is not None:
            heights[i] = ground.height
    found = np.isfinite(heights)
    if found.sum() < max(1, 0.2 * len(pairs)):
        raise InputError(
            f"ground was found in {found.sum()} of {len(pairs)} pairs of frames: the camera needs "
            "to look about level, with textured ground in the lower middle. Give a baseline or "
            "poses in metres instead."
        )
    local = _running_median(heights, window)
    numbers = np.arange(len(trajectory.cameras))
    return rescale(trajectory, height_m / np.interp(numbers, [a for a, _ in pairs], local))


def _pairs(trajectory: Trajectory) -> list[tuple[int, int]]:
    """For every keyframe, it and a frame soon after: the less they differ, the less repeats."""
    places, keys = trajectory.positions(), trajectory.keyframes
    pairs = []
    for a, b in itertools.pairwise(keys):
        far = np.linalg.norm(places[b] - places[a])
        for between in range(a + 1, b + 1):
            if np.linalg.norm(places[between] - places[a]) >= 0.3 * far:
                pairs.append((a, between))
                break
    return pairs


def _fits(
    trajectory: Trajectory, frames: Callable[[int], Image], pairs: list[tuple[int, int]]
) -> Iterator[GroundFit | None]:
    for a, b in pairs:
        cameras = trajectory.cameras[a], trajectory.cameras[b]
        yield GroundFit.of(frames(a), frames(b), cameras)


def rescale(trajectory: Trajectory, factors: Float[np.ndarray, " f"]) -> Trajectory:
    """Every step of the way multiplied by the factor where it begins; the points by the median."""
    places = trajectory.positions()
    steps = np.diff(places, axis=0) * factors[:-1, None]
    moved = np.concatenate([[places[0] * factors[0]], steps]).cumsum(axis=0)
    cameras = []
    for camera, place in zip(trajectory.cameras, moved, strict=True):
        pose = np.array(camera.world_from_camera)
        pose[:3, 3] = place
        cameras.append(camera.moved(pose))
    if np.ptp(factors) == 0:
        points = trajectory.points * factors[0]
    else:  # each point goes with the keyframe that is nearest to it
        keys = np.array(trajectory.keyframes)
        away = _nearest(trajectory.points, places[keys])
        points = (trajectory.points - places[keys][away]) * factors[keys][away, None]
        points = points + moved[keys][away]
    return replace(trajectory, cameras=cameras, points=points, metric=True)


def _nearest(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    nearest = np.zeros(len(points), dtype=int)
    for start in range(0, len(points), 4096):
        block = points[start : start + 4096, None] - places[None]
        nearest[start : start + 4096] = (block**2).sum(2).argmin(1)
    return nearest


def _running_median(values: Sequence[float] | np.ndarray, window: int) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    half = window // 2
    out = np.empty(len(values))
    overall = float(np.nanmedian(values))
    for i in range(len(values)):
        near = values[max(0, i - half) : i + half + 1]
        near = near[np.isfinite(near)]
        out[i] = np.median(near) if len(near) else overall
    return out
