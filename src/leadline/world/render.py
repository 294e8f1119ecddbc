"""A picture of a scene: colour with light, shadow, haze and sensor effects; depth and normals."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.world import primitives as prim
from leadline.world import sensor
from leadline.world.scene import Scene
from leadline.world.shade import Planes, Surface, albedo, lit_fraction, surface
from leadline.world.sky import SKY_HEIGHT, SKY_WIDTH
from leadline.world.trace import trace


@dataclass(frozen=True, kw_only=True)
class View:
    """One rendered picture and its truth.

    Attributes:
        rgb: (h, w, 3) uint8.
        depth: (h, w) float32, z along the optical axis in metres, inf = sky.
        normals: (h, w, 3) float32, unit, camera frame, facing the camera; 0 at the sky.
        labels: (h, w) int16 object number, -1 = sky.
        camera: intrinsics and pose.
        kind: kind of the scene.
    """

    rgb: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    labels: np.ndarray
    camera: Camera
    kind: str


def _sky_planes(scene: Scene, directions: Planes) -> Planes:
    """Linear sky colour for world directions (unit not needed)."""
    light = scene.lighting
    x, y, z = directions
    elevation = np.arctan2(z, np.sqrt(x * x + y * y))
    azimuth = np.arctan2(y, x) + light.sky_yaw
    row = np.clip((0.5 - elevation / np.pi) * SKY_HEIGHT - 0.5, 0, SKY_HEIGHT - 1)
    col = (azimuth * (SKY_WIDTH / (2 * np.pi))) % SKY_WIDTH
    picture = scene.bank.skies[light.sky]
    rows = -(-len(row) // 256)
    maps = np.zeros((2, rows * 256), np.float32)
    maps[0, : len(col)] = col
    maps[1, : len(row)] = row
    grid = maps.reshape(2, rows, 256)
    colors = cv2.remap(picture, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    flat = colors.reshape(-1, 3)[: len(row)].astype(np.float32) / 255
    flat *= flat
    flat *= np.float32(light.sky_gain)
    planes = [flat[:, c] for c in range(3)]
    return planes


def _occlusion(depth: np.ndarray) -> np.ndarray:
    """Cheap ambient occlusion: darker where the surroundings are nearer. Source: unsharp depth,
    Luft, Colditz, Deussen 2006."""
    inverse = 1.0 / np.minimum(depth, 200.0)
    size = max(3, int(min(depth.shape) / 14) | 1)
    around = cv2.blur(inverse, (size, size))
    return np.clip(1.0 - 1.2 * np.clip(around / inverse - 1.0, 0, 0.4), 0.5, 1.0)


def _corner_darkening(scene: Scene, points: Planes) -> np.ndarray:
    if scene.room is None:
        return 0.72 + 0.28 * np.clip(points[2] / 0.5, 0, 1)
    out = np.ones_like(points[0])
    for axis in range(3):
        for side in (0, 1):
            gap = np.abs(points[axis] - scene.room[side, axis])
            out *= 1 - 0.22 * np.exp(-gap * 3.0)
    return out


def _illuminate(
    scene: Scene, found: Surface, points: Planes, to_eye: Planes, ambient: np.ndarray,
    base: Planes, rows: np.ndarray,
) -> Planes:  # fmt: skip
    """Radiance of flat pixels: hemisphere, sun or lamps with shadow, highlights, glow."""
    light = scene.lighting
    n = found.normal
    up = 0.5 + 0.5 * n[2]
    lit = lit_fraction(scene, points, n) if light.shadows else np.ones_like(up)
    diffuse = [
        ambient * (np.float32(light.ground_color[c]) + up * np.float32(light.sky_color[c] - light.ground_color[c]))
        for c in range(3)
    ]
    shine = rows[:, 3]
    gloss = rows[:, 4]
    highlight = [np.zeros_like(up) for _ in range(3)]
    sources: list[tuple[Planes, np.ndarray, np.ndarray]] = []
    if float(np.max(light.sun_color)) > 0:
        d = [np.float32(k) for k in light.sun_direction]
        power = lit if not light.shadow_lamp else np.ones_like(up)
        sources.append(([np.broadcast_to(k, up.shape) for k in d], power, light.sun_color))
    for index, (position, tint, reach) in enumerate(light.lamps):
        to = [np.float32(position[a]) - points[a] for a in range(3)]
        square = to[0] ** 2 + to[1] ** 2 + to[2] ** 2 + 0.05
        inverse = 1.0 / np.sqrt(square)
        power = reach * reach / (square + reach * reach)
        if light.shadow_lamp and index == 0:
            power = power * lit
        sources.append(([k * inverse for k in to], power, tint))
    shiny = float(shine.max(initial=0.0)) > 0
    for direction, power, tint in sources:
        facing = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
        strength = np.clip(facing, 0, None) * power
        for c in range(3):
            diffuse[c] += strength * np.float32(tint[c])
        if shiny:
            half = [direction[a] + to_eye[a] for a in range(3)]
            norm = np.sqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2) + 1e-6
            along = (n[0] * half[0] + n[1] * half[1] + n[2] * half[2]) / norm
            spot = shine * np.clip(along, 0, 1) ** gloss * power * (facing > 0)
            for c in range(3):
                highlight[c] += spot * np.float32(tint[c])
    glow = rows[:, 5]
    if shiny:
        facing = n[0] * to_eye[0] + n[1] * to_eye[1] + n[2] * to_eye[2]
        rim = shine * (0.08 + 0.9 * (1 - np.clip(facing, 0, 1)) ** 4)
        mirror = [2 * facing * n[a] - to_eye[a] for a in range(3)]
        tone = np.clip(mirror[2] * 1.5 + 0.4, 0.15, 1)
        for c in range(3):
            highlight[c] += rim * tone * np.float32(light.sky_color[c]) * 1.5
    return [
        np.where(glow > 0, base[c] * glow, base[c] * diffuse[c] + highlight[c]) for c in range(3)
    ]


def _supersample(camera: Camera, factor: int) -> tuple[tuple[float, ...], tuple[int, int]]:
    """Intrinsics and size of the finer grid: its samples 0, factor, ... are the pixel centres."""
    focal = (camera.fx * factor, camera.fy * factor, camera.cx * factor, camera.cy * factor)
    return focal, (camera.height * factor, camera.width * factor)


def _soften_edges(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Blend pixels at object borders with their neighbours, as a lens and sensor do."""
    edge = np.zeros(ids.shape, np.float32)
    across = ids[:, 1:] != ids[:, :-1]
    down = ids[1:] != ids[:-1]
    edge[:, 1:][across] = 1
    edge[:, :-1][across] = 1
    edge[1:][down] = 1
    edge[:-1][down] = 1
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    blurred = cv2.sepFilter2D(image, -1, kernel, kernel)
    return image + (blurred - image) * edge[..., None]


def radiance(
    scene: Scene, camera: Camera, factor: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Linear colour (h, w, 3), depth (FAR = sky), primitive index and world normals (h, w, 3).

    Args:
        scene: what to look at.
        camera: where from; its world_from_camera is needed.
        factor: 1 or 2 samples per pixel side; colour is filtered, the rest taken at the centres.
    """
    pose = camera.world_from_camera
    if pose is None:
        raise InputError("camera.world_from_camera is None: give the 4x4 pose of the camera.")
    focal, (h, w) = _supersample(camera, factor)
    fx, fy, cx, cy = (np.float32(k) for k in focal)
    depth, ids = trace(scene, pose, focal, (h, w), None, 1.5)
    x = np.broadcast_to(((np.arange(w, dtype=np.float32) - cx) / fx)[None], (h, w)).ravel()
    y = np.broadcast_to(((np.arange(h, dtype=np.float32) - cy) / fy)[:, None], (h, w)).ravel()
    r = pose[:3, :3].astype(np.float32)
    eye = pose[:3, 3].astype(np.float32)
    world = [r[a, 0] * x + r[a, 1] * y + r[a, 2] for a in range(3)]
    flat_ids, flat_depth = ids.ravel(), depth.ravel()
    hit = np.nonzero(flat_ids >= 0)[0]
    sky = np.nonzero(flat_ids < 0)[0]
    color = np.empty((h * w, 3), np.float32)
    normals = np.zeros((h * w, 3), np.float32)
    if len(sky):
        for c, plane in enumerate(_sky_planes(scene, [k[sky] for k in world])):
            color[sky, c] = plane
    if len(hit):
        t = flat_depth[hit]
        direction = [k[hit] for k in world]
        found = surface(scene, pose, flat_ids[hit].astype(np.int32), t, [x[hit], y[hit]])
        length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
        to_eye = [-k / length for k in direction]
        cosine = sum(found.normal[a] * to_eye[a] for a in range(3))
        flip = np.where(cosine < 0, np.float32(-1), np.float32(1))
        for axis in range(3):
            found.normal[axis] *= flip
            normals[hit, axis] = found.normal[axis]
        points = [eye[a] + t * direction[a] for a in range(3)]
        base, rows = albedo(scene, found, t, float(fx), np.abs(cosine))
        ambient = _occlusion(depth).ravel()[hit] * _corner_darkening(scene, points)
        planes = _illuminate(scene, found, points, to_eye, ambient, base, rows)
        haze = None
        if scene.lighting.fog > 0:
            haze = np.exp(-t * length * np.float32(scene.lighting.fog))
        for c in range(3):
            plane = planes[c]
            if haze is not None:
                fog = np.float32(scene.lighting.fog_color[c])
                plane = fog + (plane - fog) * haze
            color[hit, c] = plane
    image = color.reshape(h, w, 3)
    np.clip(image, 0, 6.0, out=image)
    normals = normals.reshape(h, w, 3)
    if factor == 1:
        return _soften_edges(image, ids), depth, ids, normals
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    image = np.ascontiguousarray(cv2.sepFilter2D(image, -1, kernel, kernel)[::2, ::2])
    return image, depth[::2, ::2].copy(), ids[::2, ::2].copy(), normals[::2, ::2]


def render(
    scene: Scene,
    camera: Camera,
    size: tuple[int, int] | None = None,
    rng: np.random.Generator | int = 0,
    *,
    factor: int | None = None,
) -> View:
    """Picture of the scene with sensor effects.

    Args:
        scene: what to look at.
        camera: intrinsics for its own width and height, and world_from_camera.
        size: (height, width) of the picture; another size than the camera's rescales it.
        rng: generator or seed of the sensor effects.
        factor: samples per pixel side (1 or 2); None draws one.

    Returns:
        View with colour, depth, normals and labels.
    """
    rng = np.random.default_rng(rng)
    if size is not None and size != (camera.height, camera.width):
        camera = camera.resized(size[1], size[0])
    if factor is None:
        factor = 2 if rng.random() < scene.views.get("fine", 0.1) else 1
    linear, depth, ids, world_normals = radiance(scene, camera, factor)
    pose = camera.world_from_camera
    image = sensor.expose(linear, rng)
    style = scene.views.get("blur", 0.15)
    if rng.random() < style:
        finite = depth[depth < prim.FAR]
        if len(finite):
            focus = float(np.quantile(finite, rng.uniform(0.02, 0.5)))
            strength = float(rng.uniform(0.5, 4.0)) * min(camera.height, camera.width) / 192
            image = sensor.defocus(image, depth, focus, strength)
    rgb = sensor.capture(image, rng)
    normals = world_normals @ pose[:3, :3].astype(np.float32)
    labels = np.where(ids >= 0, scene.labels[ids], np.int16(-1))
    depth[ids < 0] = np.inf
    return View(rgb=rgb, depth=depth, normals=normals, labels=labels, camera=camera, kind=scene.kind)
