"""Points seen by frames whose poses are known, and dense maps of a trajectory's keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import DegenerateError, InputError
from leadline.geometry import (
    CONFIDENT,
    Features,
    check_poses,
    detect,
    match_features,
    plane_sweep,
    triangulate,
)
from leadline.geometry.inputs import check_size, posed_camera
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.sequence.odometry import Trajectory, colors_at

if TYPE_CHECKING:
    from leadline.camera import Camera
    from leadline.image import Image

_BASELINE_SHARE = 0.1  # of the depth between two pictures that give depth well


def triangulate_posed(
    frames: Sequence[Image],
    *,
    features: int = 3000,
    keyframe_parallax_deg: float = 1.0,
    metric: bool = True,
) -> Trajectory:
    """Points of frames with poses; every keyframe's features seen by its neighbours.

    Args:
        frames: pictures whose cameras have ``world_from_camera``.
        features: points per keyframe at most.
        keyframe_parallax_deg: median angle between rays that two keyframes are apart at least.
        metric: whether the poses are in metres.

    Raises:
        InputError: fewer than two frames, frames without poses, or poses that contradict the
            pictures.
        DegenerateError: the cameras stand at one place, or no point has parallax.
    """
    if len(frames) < 2:
        raise InputError(f"{len(frames)} frame: two or more are needed for depth.")
    cameras = [posed_camera(frame, f"frame {i}") for i, frame in enumerate(frames)]
    keys, found = _keyframes(frames, cameras, features, keyframe_parallax_deg)
    check_poses(frames[keys[0]], frames[keys[1]])
    points, colors, errors = [], [], []
    for i in range(len(keys)):
        near = [j for j in (i - 1, i + 1) if 0 <= j < len(keys)]
        if i + 1 == len(keys) and len(keys) > 2:
            continue  # its points are those of the one before
        own = found[i]
        pixels = [own.points]
        for j in near:
            rows = np.asarray(match_features(own, found[j]).indices)
            other = np.full(own.points.shape, np.nan)
            other[rows[:, 0]] = found[j].points[rows[:, 1]]
            pixels.append(other)
        made = triangulate(pixels, [cameras[keys[j]] for j in (i, *near)])
        points.append(made.world[made.keep])
        errors.append(made.error_px[made.keep])
        colors.append(colors_at(frames[keys[i]], own.points[made.keep]))
        if len(keys) == 2:
            break
    if not sum(len(p) for p in points):
        raise DegenerateError(
            "no point has enough parallax and fits the poses: the camera hardly moved, or poses "
            "and pictures do not belong together. Check the poses' order and unit."
        )
    return Trajectory(
        cameras=cameras,
        keyframes=keys,
        points=np.concatenate(points),
        colors=np.concatenate(colors),
        error_px=np.concatenate(errors),
        metric=metric,
    )


def dense_map(
    trajectory: Trajectory,
    frames: Sequence[Image],
    frame: int,
    *,
    sources: int = 4,
    confident: float = CONFIDENT,
) -> Prediction:
    """Depth of every pixel of a frame, by plane sweep over the keyframes around it.

    Args:
        trajectory: of the frames.
        frames: all pictures.
        frame: number of the picture.
        sources: keyframes that it is compared with, at most.
        confident: pixels with less confidence have no value.

    Returns:
        ``metric_depth`` where the trajectory is metric, else ``scaled_depth``.

    Raises:
        DegenerateError: too few points are in view, or no pixel is confident.
    """
    near, far = depth_range(trajectory, frame)
    others = sources_for(trajectory, frame)[:sources]
    views = [replace(frames[k], camera=trajectory.cameras[k]) for k in (frame, *others)]
    found = plane_sweep(
        views[0], views[1:], near=near, far=far, metric=trajectory.metric, check=False
    )
    if found.confidence is None:
        return found
    sure = found.known & (found.confidence >= confident)
    if not sure.any():
        raise DegenerateError(
            f"no pixel of frame {frame} has a depth that its neighbours confirm; take sharper "
            "pictures, nearer to each other."
        )
    return replace(found, valid=sure, image=views[0])


def sources_for(trajectory: Trajectory, frame: int) -> list[int]:
    """Keyframes to compare a frame with, best first: a tenth of the depth away, seeing the same.

    Nearer ones give little depth, farther ones look at things from another side.
    """
    inside = _in_camera(trajectory, frame)
    seen = _in_view(inside, trajectory.cameras[frame])
    depth = float(np.median(inside[seen, 2])) if seen.any() else 1.0
    place = trajectory.positions()[frame]
    scores = {}
    for key in trajectory.keyframes:
        away = float(np.linalg.norm(trajectory.positions()[key] - place))
        if key == frame or away == 0:
            continue
        shared = _in_view(_in_camera(trajectory, key)[seen], trajectory.cameras[key])
        overlap = float(shared.mean()) if seen.any() else 1.0
        scores[key] = abs(np.log(away / depth / _BASELINE_SHARE)) - 2 * np.log(max(overlap, 1e-3))
    return sorted(scores, key=lambda key: scores[key])


def sparse_map(trajectory: Trajectory, image: Image, frame: int) -> Prediction:
    """The trajectory's points as a frame sees them: one pixel each, the nearest where they meet."""
    camera = trajectory.cameras[frame]
    x = _in_camera(trajectory, frame)
    x = x[x[:, 2] > 0]
    u = np.rint(x[:, 0] / x[:, 2] * camera.fx + camera.cx)
    v = np.rint(x[:, 1] / x[:, 2] * camera.fy + camera.cy)
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    order = np.argsort(-x[inside, 2])  # the nearest is written last
    u, v, z = (a[inside][order] for a in (u, v, x[:, 2]))
    values = np.full(image.size, np.nan, dtype=np.float32)
    values[v.astype(int), u.astype(int)] = z
    return Prediction(
        values=values,
        kind=DepthKind.METRIC_DEPTH if trajectory.metric else DepthKind.SCALED_DEPTH,
        camera=camera,
        valid=np.isfinite(values),
        model="triangulation",
        image=image,
    )


def depth_range(trajectory: Trajectory, frame: int) -> tuple[float, float]:
    """Depths between which a frame's points lie, with room on either side.

    Raises:
        DegenerateError: it sees fewer than ten.
    """
    camera = trajectory.cameras[frame]
    x = _in_camera(trajectory, frame)
    seen = _in_view(x, camera)
    if seen.sum() < 10:
        raise DegenerateError(
            f"frame {frame} sees {seen.sum()} triangulated points, and 10 are needed for the range "
            "of depths; give frames with more parallax."
        )
    near, far = np.percentile(x[seen, 2], [1, 99])
    return float(0.5 * near), float(2 * far)


def _in_view(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Which points (in the camera's axes) the picture shows."""
    z = np.where(points[:, 2] > 0, points[:, 2], np.nan)
    u = points[:, 0] / z * camera.fx + camera.cx
    v = points[:, 1] / z * camera.fy + camera.cy
    return (u > 0) & (u < camera.width) & (v > 0) & (v < camera.height)


def _in_camera(trajectory: Trajectory, frame: int) -> np.ndarray:
    pose = np.asarray(trajectory.cameras[frame].world_from_camera)
    return (trajectory.points - pose[:3, 3]) @ pose[:3, :3]


def _keyframes(
    frames: Sequence[Image], cameras: Sequence[Camera], features: int, parallax_deg: float
) -> tuple[list[int], list[Features]]:
    """Numbers of the keyframes and their features; the last frame is one where only it moved."""
    keys, found = [0], [detect(frames[0], limit=features)]
    widest, number, last = 0.0, 0, found[0]
    for i in range(1, len(frames)):
        check_size(frames[i], frames[0].size, f"frame {i}")
        pose, before = (np.asarray(cameras[k].world_from_camera) for k in (i, keys[-1]))
        if np.allclose(pose, before):
            continue
        own = detect(frames[i], limit=features)
        matches = match_features(found[-1], own)
        pair = [cameras[keys[-1]], cameras[i]]
        made = triangulate((matches.first, matches.second), pair, max_error_px=4)
        good = made.error_px < 4
        parallax = float(np.median(made.parallax_deg[good])) if good.any() else 0.0
        if parallax >= parallax_deg or good.sum() < 50:
            keys.append(i)
            found.append(own)
        elif parallax > widest:
            widest, number, last = parallax, i, own
    if len(keys) == 1:
        if number == 0:
            raise DegenerateError(
                "all cameras stand at one place, so there is no parallax and no depth; check the "
                "poses, or give frames from different places."
            )
        keys.append(number)
        found.append(last)
    return keys, found
