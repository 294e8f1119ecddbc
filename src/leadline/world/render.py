"""A picture of a scene: colour with light, shadow, haze and sensor effects; depth and normals."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.world import primitives as prim
from leadline.world import sensor
from leadline.world.light import corner_darkening, illuminate, occlusion
from leadline.world.scene import Scene
from leadline.world.sky import SKY_HEIGHT, SKY_WIDTH
from leadline.world.surfaces import Planes, albedo, surface
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


def _sky_colors(scene: Scene, directions: Planes) -> np.ndarray:
    """Linear sky colour (n, 3) for world directions (unit not needed)."""
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
    return flat


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


def _pose(camera: Camera) -> np.ndarray:
    if camera.world_from_camera is None:
        raise InputError("camera.world_from_camera is None: give the 4x4 pose of the camera.")
    return camera.world_from_camera


def _visible(
    scene: Scene,
    pose: np.ndarray,
    depth: np.ndarray,
    hit: np.ndarray,
    ids: np.ndarray,
    rays: Planes,
    focal: float,
) -> tuple[Planes, Planes]:
    """Colour and world normals (facing the eye) of the flat pixels ``hit``."""
    r, eye = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
    x, y, t = rays[0][hit], rays[1][hit], depth.ravel()[hit]
    direction = [r[a, 0] * x + r[a, 1] * y + r[a, 2] for a in range(3)]
    found = surface(scene, pose, ids[hit].astype(np.int32), t, [x, y])
    length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    to_eye = [-k / length for k in direction]
    n = found.normal
    cosine = n[0] * to_eye[0] + n[1] * to_eye[1] + n[2] * to_eye[2]
    flip = np.where(cosine < 0, np.float32(-1), np.float32(1))
    for axis in range(3):
        n[axis] *= flip
    points = [eye[a] + t * direction[a] for a in range(3)]
    base, rows = albedo(scene, found, t, focal, np.abs(cosine))
    ambient = occlusion(depth).ravel()[hit] * corner_darkening(scene, points)
    planes = illuminate(scene, found, points, to_eye, ambient, base, rows)
    if scene.lighting.fog > 0:
        clear = np.exp(-t * length * np.float32(scene.lighting.fog))
        fog = np.asarray(scene.lighting.fog_color, np.float32)
        planes = [fog[c] + (planes[c] - fog[c]) * clear for c in range(3)]
    return planes, n


def radiance(
    scene: Scene, camera: Camera, factor: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Linear colour (h, w, 3), depth (FAR = sky), primitive index and world normals (h, w, 3).

    Args:
        scene: what to look at.
        camera: where from; its world_from_camera is needed.
        factor: 1 or 2 samples per pixel side; colour is filtered, the rest taken at the centres.
    """
    pose = _pose(camera)
    focal, (h, w) = _supersample(camera, factor)
    fx, fy, cx, cy = (np.float32(k) for k in focal)
    depth, ids = trace(scene, pose, focal, (h, w), smallest=1.5)
    x = np.broadcast_to(((np.arange(w, dtype=np.float32) - cx) / fx)[None], (h, w)).ravel()
    y = np.broadcast_to(((np.arange(h, dtype=np.float32) - cy) / fy)[:, None], (h, w)).ravel()
    flat = ids.ravel()
    color = np.empty((h * w, 3), np.float32)
    normals = np.zeros((h * w, 3), np.float32)
    sky = np.nonzero(flat < 0)[0]
    if len(sky):
        r = pose[:3, :3].astype(np.float32)
        directions = [r[a, 0] * x[sky] + r[a, 1] * y[sky] + r[a, 2] for a in range(3)]
        color[sky] = _sky_colors(scene, directions)
    hit = np.nonzero(flat >= 0)[0]
    if len(hit):
        planes, n = _visible(scene, pose, depth, hit, flat, [x, y], float(fx))
        for c in range(3):
            color[hit, c] = planes[c]
            normals[hit, c] = n[c]
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
    pose = _pose(camera)
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
    return View(
        rgb=rgb, depth=depth, normals=normals, labels=labels, camera=camera, kind=scene.kind
    )
