"""Z-buffer ray caster: every primitive is intersected only inside its screen rectangle."""

from __future__ import annotations

from typing import Any

import numpy as np

from leadline.world import primitives as prim
from leadline.world.arrays import to_int32
from leadline.world.scene import Scene

_CORNERS = np.array(
    [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float32
)
_EDGES = np.array([[a, b] for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1])


def camera_frames(scene: Scene, world_from_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local-from-camera matrices (n, 3, 3) and the camera centre in local frames (n, 3)."""
    rotation = world_from_camera[:3, :3].astype(np.float32)
    centre = world_from_camera[:3, 3].astype(np.float32)
    matrices = scene.local_from_world @ rotation
    origins = np.einsum("nij,nj->ni", scene.local_from_world, centre - scene.centres)
    return matrices.astype(np.float32), origins.astype(np.float32)


def screen_rects(
    scene: Scene, world_from_camera: np.ndarray, focal: tuple[float, ...], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel rectangles (n, 4: x0, y0, x1, y1 exclusive; empty when unseen) and nearest depths.

    Args:
        scene: the primitives.
        world_from_camera: 4x4 pose.
        focal: fx, fy, cx, cy in pixels.
        size: (height, width).
    """
    fx, fy, cx, cy = focal
    rotation = world_from_camera[:3, :3].astype(np.float32)
    corners = _CORNERS[None] * scene.extents[:, None, :]
    world = np.einsum("nij,nkj->nki", scene.world_from_local, corners) + scene.centres[:, None, :]
    camera = (world - world_from_camera[:3, 3].astype(np.float32)) @ rotation
    nearest = np.maximum(camera[..., 2].min(axis=1), prim.NEAR)
    a = camera[:, _EDGES[:, 0]]
    b = camera[:, _EDGES[:, 1]]
    za, zb = a[..., 2], b[..., 2]
    fraction = np.clip((prim.NEAR - za) / np.where(np.abs(zb - za) < 1e-9, 1e-9, zb - za), 0, 1)
    cut = a + fraction[..., None] * (b - a)
    start = np.where((za < prim.NEAR)[..., None], cut, a)
    stop = np.where((zb < prim.NEAR)[..., None], cut, b)
    unseen = (za < prim.NEAR) & (zb < prim.NEAR)
    points = np.concatenate([start, stop], axis=1)
    skip = np.concatenate([unseen, unseen], axis=1)
    depth = np.maximum(points[..., 2], 1e-3)
    u = points[..., 0] / depth * fx + cx
    v = points[..., 1] / depth * fy + cy
    big = 1e7
    x0 = np.where(skip, big, u).min(axis=1)
    x1 = np.where(skip, -big, u).max(axis=1)
    y0 = np.where(skip, big, v).min(axis=1)
    y1 = np.where(skip, -big, v).max(axis=1)
    h, w = size
    rects = np.stack(
        [
            np.clip(np.ceil(x0), 0, w),
            np.clip(np.ceil(y0), 0, h),
            np.clip(np.floor(x1) + 1, 0, w),
            np.clip(np.floor(y1) + 1, 0, h),
        ],
        axis=1,
    )
    return rects.astype(np.int64), nearest


def mask_texel(n: int, u: Any, v: Any, repeat_u: Any, repeat_v: Any) -> Any:
    """Place in a flat alpha mask of n x n (a power of two) of local coordinates -1..1."""
    col = to_int32((u + 1.0) * (0.5 * n * repeat_u)) & (n - 1)
    row = to_int32((v + 1.0) * (0.5 * n * repeat_v)) & (n - 1)
    return row * n + col


def _solid(scene: Scene, i: int) -> prim.Solid | None:
    """Alpha mask of primitive i; None where it has none."""
    index, repeat_u, repeat_v = scene.alpha[i]
    if index < 0:
        return None
    mask = scene.bank.masks[int(index)]
    return lambda u, v: mask.ravel()[mask_texel(mask.shape[1], u, v, repeat_u, repeat_v)]


MANY = 1500
"""Rays from which on an iterated shape is worth another step."""


def refinement(kind: int, large: bool) -> int:
    """Steps of an iterated shape that may cover more (large) or fewer than ``MANY`` pixels."""
    return (2 if kind == prim.BLOB else 4) + large


def _refine(scene: Scene, i: int, o: prim.Vector, d: prim.Rays, window: np.ndarray) -> Any:
    """Iterated shapes: bound first, then only the rays that may come out in front."""
    kind, params = scene.kinds[i], scene.params[i]
    bound = prim.hit_ellipsoid if kind == prim.BLOB else prim.hit_box
    entry = bound(np, o, d)
    hopeful = entry < window
    count = int(np.count_nonzero(hopeful))
    if count == 0:
        return None
    inner = tuple(np.broadcast_to(k, window.shape)[hopeful] for k in d)
    steps = refinement(kind, count > MANY)
    if kind == prim.BLOB:
        t = prim.hit_blob(np, o, inner, params, steps)
    else:
        t = prim.hit_cushion(np, o, inner, int(params[0]), steps)
    entry[...] = prim.FAR
    entry[hopeful] = t
    return entry


def _hit(scene: Scene, i: int, o: prim.Vector, d: prim.Rays, window: np.ndarray) -> Any:
    kind = scene.kinds[i]
    if kind in (prim.BLOB, prim.CUSHION):
        return _refine(scene, i, o, d, window)
    params = scene.params[i]
    if kind == prim.QUAD:
        return prim.hit_cut_quad(np, o, d, _solid(scene, i), scene.holes.get(i, ()))
    if kind == prim.BOX:
        return prim.hit_box(np, o, d)
    if kind == prim.ELLIPSOID:
        solid = _solid(scene, i)
        return prim.hit_leafy(np, o, d, solid) if solid else prim.hit_ellipsoid(np, o, d)
    if kind == prim.CONE:
        return prim.hit_cone(np, o, d, (params[0], params[1]), bool(params[2]))
    return prim.hit_capsule(np, o, d, params[2], (params[0], params[1]))


def in_sight(
    scene: Scene,
    world_from_camera: np.ndarray,
    focal: tuple[float, ...],
    size: tuple[int, int],
    skip: np.ndarray | None = None,
    smallest: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Primitives that a camera may see, nearest first, with all rectangles and nearest depths.

    The arguments are those of `trace`, which draws them in this order: the first of two at the
    same depth is seen.
    """
    rects, nearest = screen_rects(scene, world_from_camera, focal, size)
    seen = (rects[:, 2] > rects[:, 0]) & (rects[:, 3] > rects[:, 1])
    if skip is not None:
        seen &= ~skip
    if smallest > 0:
        seen &= np.maximum(rects[:, 2] - rects[:, 0], rects[:, 3] - rects[:, 1]) > smallest
    order = np.nonzero(seen)[0]
    return order[np.argsort(nearest[order], kind="stable")], rects, nearest


# Rays along a plane give NaN and rays far beside a cushion give inf; neither is a hit.
@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def trace(
    scene: Scene,
    world_from_camera: np.ndarray,
    focal: tuple[float, ...],
    size: tuple[int, int],
    skip: np.ndarray | None = None,
    smallest: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest depth (h, w, float32; FAR = nothing) and primitive index (h, w, int16; -1 = none).

    Args:
        scene: what to look at.
        world_from_camera: 4x4 pose.
        focal: fx, fy, cx, cy in pixels.
        size: (height, width).
        skip: mask of primitives to leave out.
        smallest: leave out primitives whose rectangle is narrower than this both ways (pixels).
    """
    h, w = size
    fx, fy, cx, cy = focal
    xs = ((np.arange(w, dtype=np.float32) - np.float32(cx)) / np.float32(fx)).astype(np.float32)
    ys = ((np.arange(h, dtype=np.float32) - np.float32(cy)) / np.float32(fy)).astype(np.float32)
    matrices, origins = camera_frames(scene, world_from_camera)
    order, rects, nearest = in_sight(scene, world_from_camera, focal, size, skip, smallest)
    zbuf = np.full((h, w), prim.FAR, np.float32)
    ids = np.full((h, w), -1, np.int16)
    matrix_list = matrices[order].tolist()
    origin_list = origins[order].tolist()
    rect_list = rects[order].tolist()
    near_list = nearest[order].tolist()
    for i, m, o, (x0, y0, x1, y1), near in zip(
        order.tolist(), matrix_list, origin_list, rect_list, near_list, strict=True
    ):
        window = zbuf[y0:y1, x0:x1]
        if near > window.max():
            continue
        rx = xs[None, x0:x1]
        ry = ys[y0:y1, None]
        mx, my, mz = m
        d = (
            rx * mx[0] + (ry * mx[1] + (mx[2] + 1e-9)),
            rx * my[0] + (ry * my[1] + (my[2] + 1e-9)),
            rx * mz[0] + (ry * mz[1] + (mz[2] + 1e-9)),
        )
        t = _hit(scene, i, (o[0], o[1], o[2]), d, window)
        if t is None:
            continue
        closer = t < window
        np.copyto(window, t, where=closer, casting="same_kind")
        ids[y0:y1, x0:x1][closer] = i
    return zbuf, ids
