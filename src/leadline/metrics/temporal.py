"""Metrics of films: how much depth changes that should not.

Source: Yang et al., Depth Any Video, and Chen et al., Video Depth Anything, CVPR 2025, sec. 4
(temporal alignment error); Wang et al., Less is More: Consistent Video Depth Estimation with Masked
Frames Modeling, ACM MM 2022, and Neural Video Depth Stabilizer, ICCV 2023 (OPW).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, UInt8

    from leadline.camera import Camera

_NEAREST = 1e-3  # metres


def temporal_alignment_error(
    depths: Sequence[Float[np.ndarray, "h w"]], cameras: Sequence[Camera], *, max_depth: float
) -> float:
    """TAE in percent: how far each map, seen from the next camera, is from the next map.

    Every map is projected into the next frame and back (nearest pixel; of two that meet, the last
    one written stays), and compared where it falls; relative differences are averaged.

    Args:
        depths: metres, aligned to the truth by one scale and shift for all of them.
        cameras: with ``world_from_camera``.
        max_depth: metres; depths are cut off there.

    Raises:
        InputError: fewer than two maps, or cameras without poses.
    """
    if len(depths) < 2 or len(depths) != len(cameras):
        raise InputError(
            f"{len(depths)} maps and {len(cameras)} cameras: two or more of each are needed."
        )
    total = 0.0
    maps = [np.clip(depth, _NEAREST, max_depth) for depth in depths]
    for k in range(len(maps) - 1):
        total += _projected_error(maps[k], maps[k + 1], cameras[k], cameras[k + 1])
        total += _projected_error(maps[k + 1], maps[k], cameras[k + 1], cameras[k])
    return 100 * total / (2 * (len(maps) - 1))


def _projected_error(first: np.ndarray, second: np.ndarray, camera: Camera, other: Camera) -> float:
    """Mean relative difference of ``second`` to ``first`` as the other camera sees it."""
    if camera.world_from_camera is None or other.world_from_camera is None:
        raise InputError("TAE needs the pose of every frame; leave it out where there is none.")
    world, target = np.asarray(camera.world_from_camera), np.asarray(other.world_from_camera)
    motion = np.linalg.inv(target) @ world
    h, w = first.shape
    v, u = np.mgrid[:h, :w]
    z = np.where(np.isfinite(first), first, 0).reshape(-1).astype(np.float64)
    points = np.stack(
        [(u.ravel() - camera.cx) / camera.fx * z, (v.ravel() - camera.cy) / camera.fy * z, z], 1
    )
    points = points @ motion[:3, :3].T + motion[:3, 3]
    front = (points[:, 2] > _NEAREST) & (z > 0)
    points = points[front]
    x = np.rint(points[:, 0] / points[:, 2] * other.fx + other.cx).astype(np.int64)
    y = np.rint(points[:, 1] / points[:, 2] * other.fy + other.cy).astype(np.int64)
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    seen = np.full((h, w), np.nan)
    seen[y[inside], x[inside]] = points[inside, 2]
    both = np.isfinite(seen) & np.isfinite(second)
    if not both.any():
        return 0.0
    return float((np.abs(second[both] - seen[both]) / second[both]).mean())


def warping_error(
    maps: tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]],
    pictures: tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]],
    flow: Float[np.ndarray, "h w 2"],
) -> float:
    """OPW of two neighbouring frames; a film's is the mean over all its neighbours.

    Each map is centred on its median and divided by its mean distance from it. The second frame is
    moved by the flow; pixels count less the more its picture differs there.

    Args:
        maps: of both frames.
        pictures: of both frames.
        flow: pixels (x, y) from each place of the first frame to the same thing in the second.
    """
    first, second = (_normalise(each) for each in maps)
    colours, other = (each.astype(np.float32) / 255 for each in pictures)
    moved = _sample(np.concatenate([other, second[..., None]], axis=-1), flow)
    weight = np.exp(-50 * (moved[..., :3] - colours) ** 2).sum(-1)
    known = np.isfinite(first) & np.isfinite(moved[..., 3])
    return float(10 * (weight * np.abs(moved[..., 3] - first))[known].mean())


def mean_change(before: Float[np.ndarray, "h w"], now: Float[np.ndarray, "h w"]) -> float:
    """Mean |difference| of two neighbouring maps of a scene in which nothing moves."""
    both = np.isfinite(before) & np.isfinite(now)
    return float(np.abs(now[both] - before[both]).mean()) if both.any() else float("nan")


def _normalise(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    middle = np.median(known) if known.size else 0.0
    spread = np.abs(known - middle).mean() if known.size else 0.0
    return ((values - middle) / max(float(spread), 1e-12)).astype(np.float32)


def _sample(planes: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """``planes`` (h, w, c) at each place and its flow, bilinear; the border is repeated."""
    h, w = flow.shape[:2]
    v, u = np.mgrid[:h, :w].astype(np.float32)
    x, y = np.clip(u + flow[..., 0], 0, w - 1), np.clip(v + flow[..., 1], 0, h - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, low = np.minimum(left + 1, w - 1), np.minimum(top + 1, h - 1)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    above = planes[top, left] * (1 - fx) + planes[top, right] * fx
    below = planes[low, left] * (1 - fx) + planes[low, right] * fx
    return above * (1 - fy) + below * fy
