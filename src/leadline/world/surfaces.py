"""Visible surfaces, shape by shape: normals, texture coordinates and colours of flat pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leadline.world import primitives as prim
from leadline.world.scene import Scene
from leadline.world.trace import camera_frames

Planes = list[np.ndarray]
Local = tuple[Planes, np.ndarray, np.ndarray]
"""Local normal (not unit) and texture coordinates in metres."""


@dataclass(kw_only=True)
class Surface:
    """Visible surface at flat pixels: local hits, world normals and texture coordinates (m)."""

    ids: np.ndarray
    normal: Planes
    u: np.ndarray
    v: np.ndarray


def _box_uv(p: Planes, n: Planes, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metres along the two axes of the face that the normal points out of."""
    ax, ay, az = (np.abs(k) for k in n)
    on_x = (ax >= ay) & (ax >= az)
    on_y = ~on_x & (ay >= az)
    u = np.where(on_x, p[1] * s[:, 1], p[0] * s[:, 0])
    v = np.where(on_x | on_y, -p[2] * s[:, 2], p[1] * s[:, 1])
    return u, v


def _blob_normal(scene: Scene, ids: np.ndarray, p: Planes) -> None:
    """Turn unit directions into normals of bumpy spheres, in place."""
    waves = np.zeros((len(scene.kinds), 3, 5), np.float32)
    for i in np.unique(ids):
        waves[i, : len(scene.params[i])] = scene.params[i]
    w = waves[ids]
    length = np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) + 1e-6
    d = [k / length for k in p]
    gradient = [np.zeros_like(length) for _ in range(3)]
    for octave in range(3):
        k = w[:, octave]
        phase = k[:, 0] * d[0] + k[:, 1] * d[1] + k[:, 2] * d[2] + k[:, 3]
        slope = k[:, 4] * np.cos(phase)
        for axis in range(3):
            gradient[axis] += slope * k[:, axis]
    radial = gradient[0] * d[0] + gradient[1] * d[1] + gradient[2] * d[2]
    for axis in range(3):
        p[axis][:] = d[axis] - (gradient[axis] - radial * d[axis]) / length


def _box(scene: Scene, ids: np.ndarray, p: Planes, s: np.ndarray) -> Local:
    ax, ay, az = (np.abs(k) for k in p)
    on_x = (ax >= ay) & (ax >= az)
    on_y = ~on_x & (ay >= az)
    n = [np.sign(p[0]) * on_x, np.sign(p[1]) * on_y, np.sign(p[2]) * ~(on_x | on_y)]
    u, v = _box_uv(p, n, s)
    stretched = scene.materials[ids, 1] > 0
    if stretched.any():
        u = np.where(stretched, u / s[:, 0] * 0.5 + 0.5, u)
        v = np.where(stretched, v / s[:, 2] * 0.5 + 0.5, v)
    return n, u, v


def _cushion(scene: Scene, ids: np.ndarray, p: Planes, s: np.ndarray) -> Local:
    power = 2.0 ** _params(scene, ids)[:, 0] - 1.0
    n = [np.sign(k) * np.abs(k) ** power for k in p]
    return n, *_box_uv(p, [k / s[:, a] for a, k in enumerate(n)], s)


def _ellipsoid(scene: Scene, ids: np.ndarray, p: Planes, s: np.ndarray) -> Local:
    del scene, ids
    return p, *_box_uv(p, [k / s[:, a] for a, k in enumerate(p)], s)


def _blob(scene: Scene, ids: np.ndarray, p: Planes, s: np.ndarray) -> Local:
    n = [k.copy() for k in p]
    _blob_normal(scene, ids, n)
    return n, *_box_uv(p, [k / s[:, a] for a, k in enumerate(n)], s)


def _cone(scene: Scene, ids: np.ndarray, p: Planes, s: np.ndarray) -> Local:
    params = _params(scene, ids)
    lid = np.abs(p[2]) > 0.999
    lid &= params[:, 2] > 0.5
    radius = np.sqrt(p[0] ** 2 + p[1] ** 2) + 1e-6
    n = [
        np.where(lid, 0, p[0] / radius),
        np.where(lid, 0, p[1] / radius),
        np.where(lid, np.sign(p[2]), -params[:, 1]),
    ]
    u = np.where(lid, p[0] * s[:, 0], np.arctan2(p[1], p[0]) * s[:, 0])
    v = np.where(lid, p[1] * s[:, 1], p[2] * s[:, 2])
    return n, u, v


def _capsule(scene: Scene, ids: np.ndarray, p: Planes, s: np.ndarray) -> Local:
    params = _params(scene, ids)
    half = params[:, 2]
    radius = np.sqrt(p[0] ** 2 + p[1] ** 2) + 1e-6
    over = np.abs(p[2]) > half
    n = [
        np.where(over, p[0], p[0] / radius),
        np.where(over, p[1], p[1] / radius),
        np.where(over, p[2] - np.sign(p[2]) * half, -params[:, 1]),
    ]
    return n, np.arctan2(p[1], p[0]) * s[:, 0], p[2] * s[:, 2]


_SHAPES: dict[int, Callable[[Scene, np.ndarray, Planes, np.ndarray], Local]] = {
    prim.BOX: _box,
    prim.ELLIPSOID: _ellipsoid,
    prim.BLOB: _blob,
    prim.CONE: _cone,
    prim.CAPSULE: _capsule,
    prim.CUSHION: _cushion,
}


def _params(scene: Scene, ids: np.ndarray) -> np.ndarray:
    """Up to three shape parameters per pixel."""
    table = np.zeros((len(scene.kinds), 3), np.float32)
    for i in np.unique(ids):
        table[i, : len(scene.params[i])] = scene.params[i]
    return table[ids]


@dataclass(frozen=True, kw_only=True)
class _Hits:
    """Pixels of one shape: primitive, depth and ray of each."""

    own: np.ndarray
    depth: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def along(self, matrix: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """One local coordinate of the hit points from per-primitive rows (n, 3) and (n,)."""
        m = [matrix[:, k].take(self.own) for k in range(3)]
        return origin.take(self.own) + self.depth * (m[0] * self.x + m[1] * self.y + m[2])


def _rectangles(
    scene: Scene, matrices: np.ndarray, origins: np.ndarray, hits: _Hits
) -> tuple[Planes, np.ndarray, np.ndarray]:
    """World normals and texture coordinates (metres, or 0..1 where fitted) of rectangles."""
    fit = scene.materials[:, 1] > 0
    uv = []
    for axis in range(2):
        gain = np.where(fit, np.float32(0.5), scene.scales[:, axis])
        start = origins[:, axis] * gain + np.where(fit, np.float32(0.5), np.float32(0))
        uv.append(hits.along(matrices[:, axis] * gain[:, None], start))
    return [scene.rotations[:, axis, 2].take(hits.own) for axis in range(3)], uv[0], uv[1]


def _solids(
    scene: Scene, kind: int, matrices: np.ndarray, origins: np.ndarray, hits: _Hits
) -> tuple[Planes, np.ndarray, np.ndarray]:
    """World normals and texture coordinates (metres) of one of the solid shapes."""
    p = [hits.along(matrices[:, axis], origins[:, axis]) for axis in range(3)]
    s = scene.scales[hits.own]
    n, u, v = _SHAPES[kind](scene, hits.own, p, s)
    n = [k / s[:, a] for a, k in enumerate(n)]
    turn = scene.rotations
    world = []
    for axis in range(3):
        rows = [turn[:, axis, k].take(hits.own) for k in range(3)]
        world.append(rows[0] * n[0] + rows[1] * n[1] + rows[2] * n[2])
    length = np.sqrt(world[0] ** 2 + world[1] ** 2 + world[2] ** 2) + 1e-9
    return [k / length for k in world], u, v


def surface(
    scene: Scene, pose: np.ndarray, ids: np.ndarray, depth: np.ndarray, rays: Planes
) -> Surface:
    """Surface at flat pixels that hit something.

    Args:
        scene: the primitives.
        pose: world_from_camera.
        ids: primitive per pixel.
        depth: z depth per pixel.
        rays: x and y of the camera rays (z = 1).
    """
    matrices, origins = camera_frames(scene, pose)
    kinds = np.array(scene.kinds)[ids]
    normal = [np.empty(len(ids), np.float32) for _ in range(3)]
    u = np.empty(len(ids), np.float32)
    v = np.empty(len(ids), np.float32)
    for kind in np.unique(kinds).tolist():
        at = np.nonzero(kinds == kind)[0]
        hits = _Hits(own=ids[at], depth=depth[at], x=rays[0][at], y=rays[1][at])
        if kind == prim.QUAD:
            n, u[at], v[at] = _rectangles(scene, matrices, origins, hits)
        else:
            n, u[at], v[at] = _solids(scene, kind, matrices, origins, hits)
        for axis in range(3):
            normal[axis][at] = n[axis]
    return Surface(ids=ids, normal=normal, u=u, v=v)


def albedo(
    scene: Scene, found: Surface, depth: np.ndarray, focal: float, cosine: np.ndarray
) -> tuple[Planes, np.ndarray]:
    """Linear colour planes of the surface and its material rows."""
    material = scene.materials[found.ids, 0].astype(np.int32)
    rows = scene.material_table[material]
    tile = rows[:, 0].astype(np.int32)
    fit = scene.materials[found.ids, 1] > 0
    per_metre = np.where(fit, 1.0, rows[:, 1]).astype(np.float32)
    size = np.where(fit, 0.5 / np.maximum(scene.scales[found.ids, 0], 1e-3), rows[:, 1])
    texels = size * (256.0 / focal) * depth / np.maximum(cosine, 0.15)
    level = np.clip(np.log2(np.maximum(texels, 1.0)) - 0.3, 0, 8).astype(np.int32)
    offset = (found.ids * np.float32(0.37)) * ~fit
    planes = scene.bank.sample(tile, found.u * per_metre + offset, found.v * per_metre, level)
    mean = scene.bank.means[tile]
    contrast = rows[:, 2]
    out = []
    for axis, plane in enumerate(planes):
        plane *= np.float32(1 / 255)
        plane *= plane
        tint = rows[:, 6 + axis]
        own = mean[:, axis]
        target = np.where(tint < 0, own, tint)
        plane = target * (1 + contrast * (plane / own - 1))
        out.append(np.clip(plane, 0.004, 0.95))
    return out, rows
