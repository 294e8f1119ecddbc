"""Light on surfaces: shadow map, occlusion, sun, lamps, highlights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from leadline.world.scene import Scene
from leadline.world.surfaces import Planes, Surface
from leadline.world.trace import trace

Source = tuple[Any, np.ndarray, np.ndarray]
"""Direction to a light, its strength at each pixel and its colour."""


def _look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    forward = (target - eye) / np.linalg.norm(target - eye)
    helper = np.array([0, 0, 1.0]) if abs(forward[2]) < 0.95 else np.array([0, 1.0, 0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = (
        right,
        np.cross(forward, right),
        forward,
        eye,
    )
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
        depth, _ = trace(
            scene, pose, (focal, focal, middle, middle), (side, side), ~scene.casts, 1.5
        )
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


def occlusion(depth: np.ndarray) -> np.ndarray:
    """Cheap ambient occlusion: darker where the surroundings are nearer. Source: unsharp depth,
    Luft, Colditz, Deussen 2006.
    """
    inverse = 1.0 / np.minimum(depth, 200.0)
    size = max(3, int(min(depth.shape) / 14) | 1)
    around = cv2.blur(inverse, (size, size))
    return np.clip(1.0 - 1.2 * np.clip(around / inverse - 1.0, 0, 0.4), 0.5, 1.0)


def corner_darkening(scene: Scene, points: Planes) -> np.ndarray:
    """Factor (0..1) that darkens the edges of a room, or what is near the ground outdoors."""
    if scene.room is None:
        return 0.72 + 0.28 * np.clip(points[2] / 0.5, 0, 1)
    out = np.ones_like(points[0])
    for axis in range(3):
        gap = np.minimum(points[axis] - scene.room[0, axis], scene.room[1, axis] - points[axis])
        out *= 1 - 0.22 * np.exp(np.abs(gap) * np.float32(-3.0))
    return out


def _sources(scene: Scene, points: Planes, lit: np.ndarray) -> Iterator[Source]:
    """Direction to, strength at the point and colour of the sun and of every lamp."""
    light = scene.lighting
    if float(np.max(light.sun_color)) > 0:
        power = lit if not light.shadow_lamp else np.ones_like(lit)
        yield [np.float32(k) for k in light.sun_direction], power, light.sun_color
    for index, (position, tint, reach) in enumerate(light.lamps):
        to = [np.float32(position[a]) - points[a] for a in range(3)]
        square = to[0] * to[0] + to[1] * to[1] + to[2] * to[2]
        square += np.float32(0.05)
        inverse = 1.0 / np.sqrt(square)
        power = np.float32(reach * reach) / (square + np.float32(reach * reach))
        if light.shadow_lamp and index == 0:
            power *= lit
        yield [k * inverse for k in to], power, tint


def _spot(n: Planes, to_eye: Planes, source: Source, at: np.ndarray, gloss: np.ndarray) -> Any:
    """Strength of the highlight (Blinn) at the shiny pixels ``at``."""
    towards, power, _ = source
    direction = [k if np.ndim(k) == 0 else k[at] for k in towards]
    half = [direction[a] + to_eye[a] for a in range(3)]
    norm = np.sqrt(half[0] * half[0] + half[1] * half[1] + half[2] * half[2]) + np.float32(1e-6)
    along = (n[0] * half[0] + n[1] * half[1] + n[2] * half[2]) / norm
    facing = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
    return np.clip(along, 0, 1) ** gloss * power[at] * (facing > 0)


def illuminate(
    scene: Scene,
    found: Surface,
    points: Planes,
    to_eye: Planes,
    ambient: np.ndarray,
    base: Planes,
    rows: np.ndarray,
) -> Planes:
    """Radiance of flat pixels: hemisphere, sun or lamps with shadow, highlights, glow."""
    light = scene.lighting
    n = found.normal
    up = 0.5 + 0.5 * n[2]
    lit = lit_fraction(scene, points, n) if light.shadows else np.ones_like(up)
    ground = np.asarray(light.ground_color, np.float32)
    rise = np.asarray(light.sky_color, np.float32) - ground
    diffuse = [ambient * (ground[c] + up * rise[c]) for c in range(3)]
    at = np.nonzero(rows[:, 3] > 0)[0]
    shine, gloss = rows[at, 3], rows[at, 4]
    near, eye = [k[at] for k in n], [k[at] for k in to_eye]
    gleam = _reflection(near, eye, shine, light.sky_color)
    for source in _sources(scene, points, lit):
        direction, power, tint = source
        strength = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
        np.maximum(strength, 0, out=strength)
        strength *= power
        spot = shine * _spot(near, eye, source, at, gloss) if len(at) else None
        for c in range(3):
            diffuse[c] += strength * np.float32(tint[c])
            if spot is not None:
                gleam[c] += spot * np.float32(tint[c])
    glow = rows[:, 5]
    lamp = np.nonzero(glow > 0)[0]
    for c in range(3):
        diffuse[c] *= base[c]
        diffuse[c][at] += gleam[c]
        diffuse[c][lamp] = base[c][lamp] * glow[lamp]
    return diffuse


def _reflection(n: Planes, to_eye: Planes, shine: np.ndarray, sky: np.ndarray) -> Planes:
    """Surroundings mirrored by shiny pixels: bright above, dark below, more at grazing angles."""
    facing = n[0] * to_eye[0] + n[1] * to_eye[1] + n[2] * to_eye[2]
    away = 1 - np.clip(facing, 0, 1)
    away *= away
    rim = shine * (0.08 + 0.9 * away * away)
    tone = np.clip((2 * facing * n[2] - to_eye[2]) * 1.5 + 0.4, 0.15, 1)
    return [rim * tone * np.float32(sky[c] * 1.5) for c in range(3)]
