"""Light on surfaces: shadow map, occlusion, sun, lamps, highlights.

What depends on pixels is written for numpy and torch (``xp``) and takes a `Setting`: the numbers of
one picture, or one flat array for each number where the pixels come from several pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from leadline.world.arrays import take, to_int32
from leadline.world.scene import Scene
from leadline.world.surfaces import Planes, Surface
from leadline.world.trace import trace

Source = tuple[Any, Any, Any]
"""Direction to a light, its strength at each pixel and its colour."""

LAMP = 7
"""Numbers of a lamp: position, colour, squared reach."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Camera, light and air of a picture: lists of numbers (numpy), or of flat arrays.

    Attributes:
        turn: world-from-camera rotation, row by row.
        centre: of the camera (m).
        zoom: side of a tile in texels / focal length in pixels.
        sun, sun_color: direction towards it and colour; colour 0: none.
        by_lamp: whether the shadow map is the first lamp's, not the sun's.
        sky, ground, mirrored: colours from above, from below, and in highlights.
        lamps: `LAMP` numbers for each.
        air: haze per metre and its colour; empty: clear.
        room: lower and upper corner of a room; empty: outdoors.
        outdoors: whether to ignore the room; empty: no.
        caster: rotation (row by row), centre, focal length and bias of the shadow map.
        heaven: turn and gain of the sky's picture.
    """

    turn: list[Any]
    centre: list[Any]
    zoom: list[Any]
    sun: list[Any]
    sun_color: list[Any]
    by_lamp: list[Any]
    sky: list[Any]
    ground: list[Any]
    mirrored: list[Any]
    lamps: list[Any]
    air: list[Any]
    room: list[Any]
    outdoors: list[Any]
    caster: list[Any]
    heaven: list[Any]

    @classmethod
    def of(cls, scene: Scene, pose: np.ndarray, focal: float) -> Setting:
        """That of one picture.

        Args:
            scene: what is lit.
            pose: world_from_camera.
            focal: in pixels.
        """
        light = scene.lighting
        caster, centre, bias = shadow_camera(scene)
        lamps = [(*at, *tint, reach * reach) for at, tint, reach in light.lamps]
        return cls(
            turn=_numbers(pose[:3, :3].ravel()),
            centre=_numbers(pose[:3, 3]),
            zoom=[256.0 / focal],
            sun=_numbers(light.sun_direction),
            sun_color=_numbers(light.sun_color) if float(np.max(light.sun_color)) > 0 else [],
            by_lamp=[np.bool_(light.shadow_lamp)],
            sky=_numbers(light.sky_color),
            ground=_numbers(light.ground_color),
            mirrored=_numbers(np.asarray(light.sky_color) * 1.5),
            lamps=_numbers([k for lamp in lamps for k in lamp]),
            air=_numbers([light.fog, *light.fog_color]) if light.fog > 0 else [],
            room=[] if scene.room is None else list(scene.room.ravel()),
            outdoors=[],
            caster=_numbers([*caster[:3, :3].ravel(), *caster[:3, 3], centre, bias]),
            heaven=[light.sky_yaw, np.float32(light.sky_gain)],
        )


def _numbers(values: Any) -> list[np.float32]:
    return list(np.asarray(values, np.float32))


def _look_at(centre: np.ndarray, target: np.ndarray) -> np.ndarray:
    forward = (target - centre) / np.linalg.norm(target - centre)
    helper = np.array([0, 0, 1.0]) if abs(forward[2]) < 0.95 else np.array([0, 1.0, 0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = (
        right,
        np.cross(forward, right),
        forward,
        centre,
    )
    return pose


SHADOWS = 256
"""Side of a shadow map in pixels."""


def shadow_camera(scene: Scene) -> tuple[np.ndarray, float, float]:
    """Where the shadow map is seen from: world_from_light, focal length in pixels, bias (m)."""
    light = scene.lighting
    if light.shadow_lamp:
        lamp = np.asarray(light.lamps[0][0], float)
        return _look_at(lamp, lamp + np.array([0.02, 0.03, -1.0])), SHADOWS / 2 / 1.9, 0.04
    centre = np.asarray(scene.views.get("focus", (0.0, 0.0, 0.0)), float)
    pose = _look_at(centre + light.sun_direction * 400.0, centre)
    return pose, SHADOWS / 2 * 400.0 / light.lit_radius, max(0.02, light.lit_radius / 250)


def shadow_view(scene: Scene) -> dict[str, Any]:
    """What to trace for the shadow map: arguments of `trace` by name."""
    pose, focal, _ = shadow_camera(scene)
    middle = (SHADOWS - 1) / 2
    return {
        "world_from_camera": pose,
        "focal": (focal, focal, middle, middle),
        "size": (SHADOWS, SHADOWS),
        "skip": ~scene.casts,
        "smallest": 1.5,
    }


def shadow_map(scene: Scene) -> np.ndarray:
    """Depth seen from the light, square. Computed once per scene."""
    if not scene.shadow_cache:
        scene.shadow_cache.append(trace(scene, **shadow_view(scene))[0])
    return scene.shadow_cache[0]


def lit_fraction(
    xp: ModuleType, setting: Setting, depth: Any, start: Any, points: Planes, normal: Planes
) -> Any:
    """1 where the main light reaches the point, 0 in shadow (flat pixels).

    Args:
        xp: numpy or torch.
        setting: of the picture or the pixels.
        depth: shadow maps, flat, one after the other.
        start: where that of the picture, or of each pixel, begins.
        points: in the world (m).
        normal: of the surface.
    """
    r, centre, (focal, offset) = setting.caster[:9], setting.caster[9:12], setting.caster[12:]
    middle = (SHADOWS - 1) / 2
    q = [points[a] + normal[a] * offset - centre[a] for a in range(3)]
    x, y, z = (r[a] * q[0] + r[3 + a] * q[1] + r[6 + a] * q[2] for a in range(3))
    behind = z < 0.05
    z = xp.where(behind, 1.0, z)
    inverse = focal / z
    fu = x * inverse + middle
    fv = y * inverse + middle
    outside = behind | (fu < 0) | (fv < 0) | (fu >= SHADOWS - 1) | (fv >= SHADOWS - 1)
    fu, fv = xp.where(outside, 0, fu), xp.where(outside, 0, fv)
    u, v = to_int32(fu), to_int32(fv)
    fu, fv = fu - xp.floor(fu), fv - xp.floor(fv)
    index = v * SHADOWS + u + start
    limit = z - offset
    lit = (take(depth, index) > limit) * ((1 - fu) * (1 - fv))
    lit += (take(depth, index + 1) > limit) * (fu * (1 - fv))
    lit += (take(depth, index + SHADOWS) > limit) * ((1 - fu) * fv)
    lit += (take(depth, index + (SHADOWS + 1)) > limit) * (fu * fv)
    return xp.where(outside, 1.0, lit)


def occlusion(xp: ModuleType, depth: Any, blur: Callable[[Any, int], Any]) -> Any:
    """Cheap ambient occlusion: darker where the surroundings are nearer. Source: unsharp depth,
    Luft, Colditz, Deussen 2006.

    Args:
        xp: numpy or torch.
        depth: (..., h, w).
        blur: means over squares of a side in pixels, mirrored at the border.
    """
    inverse = 1.0 / xp.clip(depth, None, 200.0)
    around = blur(inverse, max(3, int(min(depth.shape[-2:]) / 14) | 1))
    return xp.clip(1.0 - 1.2 * xp.clip(around / inverse - 1.0, 0, 0.4), 0.5, 1.0)


def blur(inverse: np.ndarray, side: int) -> np.ndarray:
    """OpenCV's mean over squares."""
    return cv2.blur(inverse, (side, side))


def corner_darkening(xp: ModuleType, setting: Setting, points: Planes) -> Any:
    """Factor (0..1) that darkens the edges of a room, or what is near the ground outdoors."""
    if setting.room and not setting.outdoors:
        return _in_room(xp, setting.room, points)
    near_ground = 0.72 + 0.28 * xp.clip(points[2] / 0.5, 0, 1)
    if not setting.room:
        return near_ground
    return xp.where(setting.outdoors[0], near_ground, _in_room(xp, setting.room, points))


def _in_room(xp: ModuleType, room: list[Any], points: Planes) -> Any:
    out = xp.ones_like(points[0])
    for axis in range(3):
        low, high = points[axis] - room[axis], room[3 + axis] - points[axis]
        out *= 1 - 0.22 * xp.exp(xp.abs(xp.minimum(low, high)) * -3.0)
    return out


def _sources(xp: ModuleType, setting: Setting, points: Planes, lit: Any) -> Iterator[Source]:
    """Direction to, strength at the point and colour of the sun and of every lamp."""
    by_lamp, everywhere = setting.by_lamp[0], xp.ones_like(lit)
    if setting.sun_color:
        yield setting.sun, xp.where(by_lamp, everywhere, lit), setting.sun_color
    for first in range(0, len(setting.lamps), LAMP):
        lamp = setting.lamps[first : first + LAMP]
        to = [lamp[a] - points[a] for a in range(3)]
        square = to[0] * to[0] + to[1] * to[1] + to[2] * to[2]
        square += 0.05
        inverse = 1.0 / xp.sqrt(square)
        power = lamp[6] / (square + lamp[6])
        if first == 0:
            power *= xp.where(by_lamp, lit, everywhere)
        yield [k * inverse for k in to], power, lamp[3:6]


def _spot(xp: ModuleType, n: Planes, to_camera: Planes, source: Source, at: Any, gloss: Any) -> Any:
    """Strength of the highlight (Blinn) at the shiny pixels ``at``."""
    towards, power, _ = source
    direction = [k[at] if k.ndim else k for k in towards]
    half = [direction[a] + to_camera[a] for a in range(3)]
    norm = xp.sqrt(half[0] * half[0] + half[1] * half[1] + half[2] * half[2]) + 1e-6
    along = (n[0] * half[0] + n[1] * half[1] + n[2] * half[2]) / norm
    facing = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
    return xp.clip(along, 0, 1) ** gloss * power[at] * (facing > 0)


def illuminate(
    xp: ModuleType,
    setting: Setting,
    found: Surface,
    points: Planes,
    to_camera: Planes,
    shade: tuple[Any, Any],
    base: tuple[Planes, Any],
) -> Planes:
    """Radiance of flat pixels: hemisphere, sun or lamps with shadow, highlights, glow.

    Args:
        xp: numpy or torch.
        setting: of the picture or the pixels.
        found: the surface, its normals facing the camera.
        points: in the world (m).
        to_camera: unit directions.
        shade: share of the ambient light, and of the main light, that arrives.
        base: albedo and material rows.
    """
    n, (ambient, lit), (colors, rows) = found.normal, shade, base
    up = 0.5 + 0.5 * n[2]
    ground, sky = setting.ground, setting.sky
    diffuse = [ambient * (ground[c] + up * (sky[c] - ground[c])) for c in range(3)]
    at = xp.where(rows[:, 3] > 0)[0]
    shine, gloss = rows[at, 3], rows[at, 4]
    near, back = [k[at] for k in n], [k[at] for k in to_camera]
    mirrored = [k[at] if k.ndim else k for k in setting.mirrored]
    gleam = _reflection(xp, near, back, shine, mirrored)
    for source in _sources(xp, setting, points, lit):
        direction, power, tint = source
        strength = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
        strength = xp.clip(strength, 0, None)
        strength *= power
        spot = shine * _spot(xp, near, back, source, at, gloss) if len(at) else None
        for c in range(3):
            diffuse[c] += strength * tint[c]
            if spot is not None:
                gleam[c] += spot * (tint[c][at] if tint[c].ndim else tint[c])
    glow = rows[:, 5]
    lamp = xp.where(glow > 0)[0]
    for c in range(3):
        diffuse[c] *= colors[c]
        diffuse[c][at] += gleam[c]
        diffuse[c][lamp] = colors[c][lamp] * glow[lamp]
    return diffuse


def _reflection(
    xp: ModuleType, n: Planes, to_camera: Planes, shine: Any, mirrored: list[Any]
) -> Planes:
    """Surroundings mirrored by shiny pixels: bright above, dark below, more at grazing angles."""
    facing = n[0] * to_camera[0] + n[1] * to_camera[1] + n[2] * to_camera[2]
    away = 1 - xp.clip(facing, 0, 1)
    away *= away
    rim = shine * (0.08 + 0.9 * away * away)
    tone = xp.clip((2 * facing * n[2] - to_camera[2]) * 1.5 + 0.4, 0.15, 1)
    return [rim * tone * mirrored[c] for c in range(3)]
