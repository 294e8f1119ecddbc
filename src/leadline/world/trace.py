"""Z-buffer ray caster: every primitive is intersected only inside its screen rectangle."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from leadline.world import primitives as prim
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


def _masked(scene: Scene, i: int, u: Any, v: Any) -> Any:
    """Alpha of primitive i at local coordinates (True = solid)."""
    masks = scene.bank.masks
    n = masks.shape[1]
    index, repeat_u, repeat_v = scene.alpha[i]
    col = ((u + 1.0) * (0.5 * n * repeat_u)).astype(np.int32) & (n - 1)
    row = ((v + 1.0) * (0.5 * n * repeat_v)).astype(np.int32) & (n - 1)
    return masks[int(index)].ravel()[row * n + col]


def _quad(xp: ModuleType, scene: Scene, i: int, o: prim.Vector, d: prim.Rays) -> Any:
    t, x, y = prim.hit_quad(xp, o, d)
    if scene.alpha[i][0] >= 0:
        hit = t < prim.FAR
        solid = _masked(scene, i, np.where(hit, x, 0.0), np.where(hit, y, 0.0))
        t = xp.where(solid, t, prim.FAR)
    for x0, y0, x1, y1 in scene.holes.get(i, ()):
        t = xp.where((x > x0) & (x < x1) & (y > y0) & (y < y1), prim.FAR, t)
    return t


def _leafy(xp: ModuleType, scene: Scene, i: int, o: prim.Vector, d: prim.Rays) -> Any:
    """Ellipsoid shell with an alpha mask: what the front lets through may stop at the back."""
    middle, half, missed = prim.sphere_roots(xp, o, d)
    best: Any = None
    for t in (middle + half, middle - half):
        x, y, z = (o[k] + t * d[k] for k in range(3))
        solid = _masked(scene, i, x + 0.6 * z, y - 0.5 * z + 0.3 * x) & ~missed & (t > prim.NEAR)
        best = xp.where(solid, t, prim.FAR if best is None else best)
    return best


def _refined(scene: Scene, i: int, o: prim.Vector, d: prim.Rays, window: np.ndarray) -> Any:
    """Iterated shapes: bound first, then only the rays that may come out in front."""
    kind, params = scene.kinds[i], scene.params[i]
    bound = prim.hit_ellipsoid if kind == prim.BLOB else prim.hit_box
    entry = bound(np, o, d)
    hopeful = entry < window
    count = int(np.count_nonzero(hopeful))
    if count == 0:
        return None
    inner = tuple(np.broadcast_to(k, window.shape)[hopeful] for k in d)
    if kind == prim.BLOB:
        t = prim.hit_blob(np, o, inner, params, 3 if count > 1500 else 2)
    else:
        t = prim.hit_cushion(np, o, inner, int(params[0]), 5 if count > 1500 else 4)
    entry[...] = prim.FAR
    entry[hopeful] = t
    return entry


def _hit(scene: Scene, i: int, o: prim.Vector, d: prim.Rays, window: np.ndarray) -> Any:
    kind = scene.kinds[i]
    if kind in (prim.BLOB, prim.CUSHION):
        return _refined(scene, i, o, d, window)
    params = scene.params[i]
    if kind == prim.QUAD:
        return _quad(np, scene, i, o, d)
    if kind == prim.BOX:
        return prim.hit_box(np, o, d)
    if kind == prim.ELLIPSOID:
        return (
            _leafy(np, scene, i, o, d) if scene.alpha[i][0] >= 0 else prim.hit_ellipsoid(np, o, d)
        )
    if kind == prim.CONE:
        return prim.hit_cone(np, o, d, (params[0], params[1]), bool(params[2]))
    return prim.hit_capsule(np, o, d, params[2], (params[0], params[1]))


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
    rects, nearest = screen_rects(scene, world_from_camera, focal, size)
    seen = (rects[:, 2] > rects[:, 0]) & (rects[:, 3] > rects[:, 1])
    if skip is not None:
        seen &= ~skip
    if smallest > 0:
        seen &= np.maximum(rects[:, 2] - rects[:, 0], rects[:, 3] - rects[:, 1]) > smallest
    order = np.nonzero(seen)[0]
    order = order[np.argsort(nearest[order], kind="stable")]
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
