"""Deferred shading: normals, texture coordinates and light for every visible pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadline.world import primitives as prim
from leadline.world.scene import Scene
from leadline.world.trace import camera_frames, trace

Planes = list[np.ndarray]


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


def _local(scene: Scene, kind: int, ids: np.ndarray, p: Planes, s: np.ndarray):  # noqa: ANN202
    """Local normals (not unit) and texture coordinates in metres for one shape."""
    if kind == prim.BOX:
        ax, ay, az = (np.abs(k) for k in p)
        on_x = (ax >= ay) & (ax >= az)
        on_y = ~on_x & (ay >= az)
        n = [np.sign(p[0]) * on_x, np.sign(p[1]) * on_y, np.sign(p[2]) * ~(on_x | on_y)]
        u, v = _box_uv(p, n, s)
        return n, u, v
    if kind == prim.CUSHION:
        power = np.array([2 ** scene.params[i][0] - 1 if scene.kinds[i] == prim.CUSHION else 1
                          for i in range(len(scene.kinds))], np.float32)[ids]  # fmt: skip
        n = [np.sign(k) * np.abs(k) ** power for k in p]
        u, v = _box_uv(p, [k / s[:, a] for a, k in enumerate(n)], s)
        return n, u, v
    if kind in (prim.ELLIPSOID, prim.BLOB):
        n = [k.copy() for k in p]
        if kind == prim.BLOB:
            _blob_normal(scene, ids, n)
        u, v = _box_uv(p, [k / s[:, a] for a, k in enumerate(n)], s)
        return n, u, v
    table = np.zeros((len(scene.kinds), 3), np.float32)
    for i in np.unique(ids):
        table[i] = scene.params[i]
    slope = table[ids, 1]
    if kind == prim.CONE:
        lid = np.abs(p[2]) > 0.999
        lid &= table[ids, 2] > 0.5
        radius = np.sqrt(p[0] ** 2 + p[1] ** 2) + 1e-6
        n = [
            np.where(lid, 0, p[0] / radius),
            np.where(lid, 0, p[1] / radius),
            np.where(lid, np.sign(p[2]), -slope),
        ]
        u = np.where(lid, p[0] * s[:, 0], np.arctan2(p[1], p[0]) * s[:, 0])
        v = np.where(lid, p[1] * s[:, 1], p[2] * s[:, 2])
        return n, u, v
    half = table[ids, 2]
    radius = np.sqrt(p[0] ** 2 + p[1] ** 2) + 1e-6
    over = np.abs(p[2]) > half
    n = [
        np.where(over, p[0], p[0] / radius),
        np.where(over, p[1], p[1] / radius),
        np.where(over, p[2] - np.sign(p[2]) * half, -slope),
    ]
    return n, np.arctan2(p[1], p[0]) * s[:, 0], p[2] * s[:, 2]


def _flat(
    scene: Scene, matrices: np.ndarray, origins: np.ndarray, own: np.ndarray,
    t: np.ndarray, x: np.ndarray, y: np.ndarray, fit: np.ndarray,
) -> Planes:  # fmt: skip
    """Texture coordinates of rectangles (metres, or 0..1 where fitted): one gain per primitive."""
    out = []
    for axis in range(2):
        size = scene.scales[:, axis]
        gain = np.where(fit, np.float32(0.5), size)
        start = origins[:, axis] * gain + np.where(fit, np.float32(0.5), np.float32(0))
        m = [(matrices[:, axis, k] * gain).take(own) for k in range(3)]
        out.append(start.take(own) + t * (m[0] * x + m[1] * y + m[2]))
    return out


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
    count = len(ids)
    normal = [np.empty(count, np.float32) for _ in range(3)]
    u = np.empty(count, np.float32)
    v = np.empty(count, np.float32)
    fit = scene.materials[:, 1] > 0
    for kind in np.unique(kinds):
        at = np.nonzero(kinds == kind)[0]
        own = ids[at]
        t, x, y = depth[at], rays[0][at], rays[1][at]
        if kind == prim.QUAD:
            uv = _flat(scene, matrices, origins, own, t, x, y, fit)
            u[at], v[at] = uv
            for axis in range(3):
                normal[axis][at] = scene.rotations[:, axis, 2].take(own)
            continue
        p = []
        for axis in range(3):
            m = [matrices[:, axis, k].take(own) for k in range(3)]
            p.append(origins[:, axis].take(own) + t * (m[0] * x + m[1] * y + m[2]))
        s = scene.scales[own]
        n, uu, vv = _local(scene, int(kind), own, p, s)
        if kind == prim.BOX:
            stretched = fit[own]
            if stretched.any():
                uu = np.where(stretched, uu / s[:, 0] * 0.5 + 0.5, uu)
                vv = np.where(stretched, vv / s[:, 2] * 0.5 + 0.5, vv)
        u[at], v[at] = uu, vv
        n = [k / s[:, a] for a, k in enumerate(n)]
        world = [
            sum(scene.rotations[:, a, k].take(own) * n[k] for k in range(3)) for a in range(3)
        ]
        length = np.sqrt(world[0] ** 2 + world[1] ** 2 + world[2] ** 2) + 1e-9
        for axis in range(3):
            normal[axis][at] = world[axis] / length
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


def _look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    forward = (target - eye) / np.linalg.norm(target - eye)
    helper = np.array([0, 0, 1.0]) if abs(forward[2]) < 0.95 else np.array([0, 1.0, 0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(forward, right), forward, eye
    return pose


def shadow_map(scene: Scene, side: int = 256) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Depth seen from the light: (map, world_from_light, focal, bias). Computed once per scene."""
    if not scene.shadow_cache:
        light = scene.lighting
        if light.shadow_lamp:
            eye = np.asarray(light.lamps[0][0], float)
            pose = _look_at(eye, eye + np.array([0.02, 0.03, -1.0]))
            focal, bias = side / 2 / 1.9, 0.04
        else:
            centre = np.asarray(scene.views.get("focus", (0.0, 0.0, 0.0)), float)
            eye = centre + light.sun_direction * 400.0
            pose = _look_at(eye, centre)
            focal, bias = side / 2 * 400.0 / light.lit_radius, max(0.02, light.lit_radius / 250)
        middle = (side - 1) / 2
        depth, _ = trace(scene, pose, (focal, focal, middle, middle), (side, side), ~scene.casts, 1.5)
        scene.shadow_cache.append((depth, pose, focal, bias))
    return scene.shadow_cache[0]


def lit_fraction(scene: Scene, points: Planes, normal: Planes) -> np.ndarray:
    """1 where the main light reaches the point, 0 in shadow (flat pixels)."""
    depth, pose, focal, bias = shadow_map(scene)
    side = depth.shape[0]
    middle = np.float32((side - 1) / 2)
    r = pose[:3, :3].astype(np.float32)
    eye = pose[:3, 3].astype(np.float32)
    offset = np.float32(bias)
    q = [points[a] + normal[a] * offset - eye[a] for a in range(3)]
    x, y, z = (r[0, a] * q[0] + r[1, a] * q[1] + r[2, a] * q[2] for a in range(3))
    behind = z < 0.05
    z = np.where(behind, 1.0, z)
    inverse = np.float32(focal) / z
    fu = x * inverse + middle
    fv = y * inverse + middle
    outside = behind | (fu < 0) | (fv < 0) | (fu >= side - 1) | (fv >= side - 1)
    u = np.where(outside, 0, fu).astype(np.int32)
    v = np.where(outside, 0, fv).astype(np.int32)
    fu = np.where(outside, 0, fu - u).astype(np.float32)
    fv = np.where(outside, 0, fv - v).astype(np.float32)
    index = v * side + u
    flat = depth.ravel()
    limit = z - offset
    lit = (flat.take(index) > limit) * ((1 - fu) * (1 - fv))
    lit += (flat.take(index + 1, mode="clip") > limit) * (fu * (1 - fv))
    lit += (flat.take(index + side, mode="clip") > limit) * ((1 - fu) * fv)
    lit += (flat.take(index + side + 1, mode="clip") > limit) * (fu * fv)
    return np.where(outside, np.float32(1.0), lit)
