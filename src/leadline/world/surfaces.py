"""Visible surfaces, shape by shape: normals, texture coordinates and colours of flat pixels.

Written for numpy and torch (``xp``); the pixels may come from several views, of several scenes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from leadline.world import primitives as prim
from leadline.world.arrays import take, to_int32
from leadline.world.materials import Textures, sample
from leadline.world.scene import Scene

Planes = list[Any]
Local = tuple[Planes, Any, Any]
"""Local normal (not unit) and texture coordinates in metres."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Primitives as cameras see them: a row is one primitive in one view.

    Attributes:
        matrices: local-from-camera, (n, 3, 3).
        origins: the camera's centre in local frames, (n, 3).
        kinds: shape codes (n,).
        numbers: of the shape in double precision (n, 15): up to three parameters, or the three
            waves of a bumpy sphere.
        shapes: the same in single precision.
        alpha: mask (-1 = solid) and its repeats (n, 3).
        rotations, scales: world-from-local (n, 3, 3), half sizes in metres (n, 3).
        rows: of the material (n, 9); see `Builder.mat`.
        fit: whether one texture tile is stretched over it (n,).
        gains, starts: texture coordinates of a rectangle from local ones, (n, 2) and (n,).
        tiles_per_metre: of the texture (n,).
        texel: the same, by which the MIP level is chosen (n,).
        offset: of the texture in tiles (n,). It is float64 in numpy, and with it the lookup: the
            pictures of every seed depend on it.
    """

    matrices: Any
    origins: Any
    kinds: Any
    numbers: Any
    shapes: Any
    alpha: Any
    rotations: Any
    scales: Any
    rows: Any
    fit: Any
    gains: Any
    starts: Any
    tiles_per_metre: Any
    texel: Any
    offset: Any

    @classmethod
    def of(cls, scene: Scene, frames: tuple[np.ndarray, np.ndarray]) -> Table:
        """All primitives of a scene, with `trace.camera_frames` of one camera."""
        if not scene.looks_cache:
            scene.looks_cache.append(_looks(scene))
        return cls(matrices=frames[0], origins=frames[1], **scene.looks_cache[0])


def _looks(scene: Scene) -> dict[str, np.ndarray]:
    """The table's columns that no camera changes."""
    numbers = np.zeros((len(scene.kinds), 15))
    for i, own in enumerate(scene.params):
        if own:
            flat = np.ravel(own) if scene.kinds[i] == prim.BLOB else own
            numbers[i, : len(flat)] = flat
    rows = scene.material_table[scene.materials[:, 0].astype(np.int32)]
    fit = scene.materials[:, 1] > 0
    half = np.float32(0.5)
    return {
        "kinds": np.array(scene.kinds, np.int8),
        "numbers": numbers,
        "shapes": numbers.astype(np.float32),
        "alpha": np.array(scene.alpha, np.float32),
        "rotations": scene.rotations,
        "scales": scene.scales,
        "rows": rows,
        "fit": fit,
        "gains": np.where(fit[:, None], half, scene.scales[:, :2]),
        "starts": np.where(fit, half, np.float32(0)),
        "tiles_per_metre": np.where(fit, np.float32(1), rows[:, 1]),
        "texel": np.where(fit, half / np.maximum(scene.scales[:, 0], 1e-3), rows[:, 1]),
        "offset": np.arange(len(fit)) * np.float64(np.float32(0.37)) * ~fit,
    }


@dataclass(kw_only=True)
class Surface:
    """Visible surface at flat pixels: table rows, world normals and texture coordinates (m)."""

    ids: Any
    normal: Planes
    u: Any
    v: Any


def _box_uv(xp: ModuleType, p: Planes, n: Planes, s: Any) -> tuple[Any, Any]:
    """Metres along the two axes of the face that the normal points out of."""
    ax, ay, az = (xp.abs(k) for k in n)
    on_x = (ax >= ay) & (ax >= az)
    on_y = ~on_x & (ay >= az)
    u = xp.where(on_x, p[1] * s[:, 1], p[0] * s[:, 0])
    v = xp.where(on_x | on_y, -p[2] * s[:, 2], p[1] * s[:, 1])
    return u, v


def _box(xp: ModuleType, table: Table, own: Any, p: Planes, s: Any) -> Local:
    ax, ay, az = (xp.abs(k) for k in p)
    on_x = (ax >= ay) & (ax >= az)
    on_y = ~on_x & (ay >= az)
    n = [xp.sign(p[0]) * on_x, xp.sign(p[1]) * on_y, xp.sign(p[2]) * ~(on_x | on_y)]
    u, v = _box_uv(xp, p, n, s)
    stretched = take(table.fit, own)
    if stretched.any():
        u = xp.where(stretched, u / s[:, 0] * 0.5 + 0.5, u)
        v = xp.where(stretched, v / s[:, 2] * 0.5 + 0.5, v)
    return n, u, v


def _cushion(xp: ModuleType, table: Table, own: Any, p: Planes, s: Any) -> Local:
    power = 2.0 ** take(table.shapes[:, 0], own) - 1.0
    n = [xp.sign(k) * xp.abs(k) ** power for k in p]
    return n, *_box_uv(xp, p, [k / s[:, a] for a, k in enumerate(n)], s)


def _ellipsoid(xp: ModuleType, table: Table, own: Any, p: Planes, s: Any) -> Local:
    del table, own
    return p, *_box_uv(xp, p, [k / s[:, a] for a, k in enumerate(p)], s)


def _blob(xp: ModuleType, table: Table, own: Any, p: Planes, s: Any) -> Local:
    """The bumpy sphere's normal: the direction, less the slope of the radius along the sphere."""
    w = take(table.shapes, own)
    length = xp.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) + 1e-6
    d = [k / length for k in p]
    gradient = [xp.zeros_like(length) for _ in range(3)]
    for octave in (0, 5, 10):
        k = w[:, octave : octave + 5]
        phase = k[:, 0] * d[0] + k[:, 1] * d[1] + k[:, 2] * d[2] + k[:, 3]
        slope = k[:, 4] * xp.cos(phase)
        for axis in range(3):
            gradient[axis] += slope * k[:, axis]
    radial = gradient[0] * d[0] + gradient[1] * d[1] + gradient[2] * d[2]
    n = [d[axis] - (gradient[axis] - radial * d[axis]) / length for axis in range(3)]
    return n, *_box_uv(xp, p, [k / s[:, a] for a, k in enumerate(n)], s)


def _cone(xp: ModuleType, table: Table, own: Any, p: Planes, s: Any) -> Local:
    rise, closed = take(table.shapes[:, 1], own), take(table.shapes[:, 2], own)
    lid = xp.abs(p[2]) > 0.999
    lid &= closed > 0.5
    radius = xp.sqrt(p[0] ** 2 + p[1] ** 2) + 1e-6
    n = [
        xp.where(lid, 0, p[0] / radius),
        xp.where(lid, 0, p[1] / radius),
        xp.where(lid, xp.sign(p[2]), -rise),
    ]
    u = xp.where(lid, p[0] * s[:, 0], xp.arctan2(p[1], p[0]) * s[:, 0])
    v = xp.where(lid, p[1] * s[:, 1], p[2] * s[:, 2])
    return n, u, v


def _capsule(xp: ModuleType, table: Table, own: Any, p: Planes, s: Any) -> Local:
    rise, half = take(table.shapes[:, 1], own), take(table.shapes[:, 2], own)
    radius = xp.sqrt(p[0] ** 2 + p[1] ** 2) + 1e-6
    over = xp.abs(p[2]) > half
    n = [
        xp.where(over, p[0], p[0] / radius),
        xp.where(over, p[1], p[1] / radius),
        xp.where(over, p[2] - xp.sign(p[2]) * half, -rise),
    ]
    return n, xp.arctan2(p[1], p[0]) * s[:, 0], p[2] * s[:, 2]


_SHAPES: dict[int, Callable[[ModuleType, Table, Any, Planes, Any], Local]] = {
    prim.BOX: _box,
    prim.ELLIPSOID: _ellipsoid,
    prim.BLOB: _blob,
    prim.CONE: _cone,
    prim.CAPSULE: _capsule,
    prim.CUSHION: _cushion,
}


@dataclass(frozen=True, kw_only=True)
class _Hits:
    """Pixels of one shape: table row, depth and ray of each."""

    own: Any
    depth: Any
    x: Any
    y: Any

    def along(self, matrix: Any, origin: Any) -> Any:
        """One local coordinate of the hit points from per-primitive rows (n, 3) and (n,)."""
        m = [take(matrix[:, k], self.own) for k in range(3)]
        return take(origin, self.own) + self.depth * (m[0] * self.x + m[1] * self.y + m[2])


def _rectangles(table: Table, hits: _Hits) -> tuple[Planes, Any, Any]:
    """World normals and texture coordinates (metres, or 0..1 where fitted) of rectangles."""
    uv = []
    for axis in range(2):
        gain = table.gains[:, axis]
        start = table.origins[:, axis] * gain + table.starts
        uv.append(hits.along(table.matrices[:, axis] * gain[:, None], start))
    return [take(table.rotations[:, axis, 2], hits.own) for axis in range(3)], uv[0], uv[1]


def _solids(xp: ModuleType, kind: int, table: Table, hits: _Hits) -> tuple[Planes, Any, Any]:
    """World normals and texture coordinates (metres) of one of the solid shapes."""
    p = [hits.along(table.matrices[:, axis], table.origins[:, axis]) for axis in range(3)]
    s = take(table.scales, hits.own)
    n, u, v = _SHAPES[kind](xp, table, hits.own, p, s)
    n = [k / s[:, a] for a, k in enumerate(n)]
    world = []
    for axis in range(3):
        rows = [take(table.rotations[:, axis, k], hits.own) for k in range(3)]
        world.append(rows[0] * n[0] + rows[1] * n[1] + rows[2] * n[2])
    length = xp.sqrt(world[0] ** 2 + world[1] ** 2 + world[2] ** 2) + 1e-9
    return [k / length for k in world], u, v


def surface(xp: ModuleType, table: Table, ids: Any, depth: Any, rays: Planes) -> Surface:
    """Surface at flat pixels that hit something.

    Args:
        xp: numpy or torch.
        table: the primitives.
        ids: table row per pixel.
        depth: z depth per pixel.
        rays: x and y of the camera rays (z = 1).
    """
    kinds = take(table.kinds, ids)
    normal = [xp.empty_like(depth) for _ in range(3)]
    u, v = xp.empty_like(depth), xp.empty_like(depth)
    for kind in range(prim.CUSHION + 1):
        at = xp.where(kinds == kind)[0]
        if not len(at):
            continue
        hits = _Hits(
            own=take(ids, at), depth=take(depth, at), x=take(rays[0], at), y=take(rays[1], at)
        )
        if kind == prim.QUAD:
            n, u[at], v[at] = _rectangles(table, hits)
        else:
            n, u[at], v[at] = _solids(xp, kind, table, hits)
        for axis in range(3):
            normal[axis][at] = n[axis]
    return Surface(ids=ids, normal=normal, u=u, v=v)


def albedo(
    xp: ModuleType,
    table: Table,
    textures: Textures,
    found: Surface,
    zoom: Any,
    depth: Any,
    cosine: Any,
) -> tuple[Planes, Any]:
    """Linear colour planes of the surface and its material rows.

    Args:
        xp: numpy or torch.
        table: the primitives.
        textures: of the bank.
        found: surface at flat pixels.
        zoom: side of a tile in texels / focal length in pixels.
        depth: z depth per pixel.
        cosine: between the ray and the normal, per pixel.
    """
    rows = take(table.rows, found.ids)
    tile = to_int32(rows[:, 0])
    texels = take(table.texel, found.ids) * zoom * depth / xp.clip(cosine, 0.15, None)
    level = to_int32(xp.clip(xp.log2(xp.clip(texels, 1.0, None)) - 0.3, 0, 8))
    per_metre = take(table.tiles_per_metre, found.ids)
    u = found.u * per_metre + take(table.offset, found.ids)
    planes = sample(xp, textures, tile, u, found.v * per_metre, level)
    mean = take(textures.means, tile)
    contrast = rows[:, 2]
    out = []
    for axis, plane in enumerate(planes):
        plane *= 1 / 255
        plane *= plane
        tint = rows[:, 6 + axis]
        own = mean[:, axis]
        target = xp.where(tint < 0, own, tint)
        plane = target * (1 + contrast * (plane / own - 1))
        out.append(xp.clip(plane, 0.004, 0.95))
    return out, rows
