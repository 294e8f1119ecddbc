"""A picture of a scene: colour with light, shadow, haze and sensor effects; depth and normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError, MissingDependencyError
from leadline.world import primitives as prim
from leadline.world import sensor
from leadline.world.light import (
    Setting,
    blur,
    occlusion,
    shadow_map,
)
from leadline.world.scene import Scene
from leadline.world.shading import (
    directions_of,
    pose_of,
    shade,
    sky_place,
    soften_edges,
    supersample,
)
from leadline.world.surfaces import Table
from leadline.world.trace import camera_frames, trace


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


def _sky_colors(picture: np.ndarray, col: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Sky (n, 3), 0..1, at flat places; OpenCV wants them as an image."""
    rows = -(-len(row) // 256)
    maps = np.zeros((2, rows * 256), np.float32)
    maps[0, : len(col)] = col
    maps[1, : len(row)] = row
    grid = maps.reshape(2, rows, 256)
    colors = cv2.remap(picture, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return colors.reshape(-1, 3)[: len(row)].astype(np.float32) / 255


def radiance(
    scene: Scene, camera: Camera, factor: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Linear colour (h, w, 3), depth (FAR = sky), primitive index and world normals (h, w, 3).

    Args:
        scene: what to look at.
        camera: where from; its world_from_camera is needed.
        factor: 1 or 2 samples per pixel side; colour is filtered, the rest taken at the centres.
    """
    pose = pose_of(camera)
    focal, (h, w) = supersample(camera, factor)
    fx, fy, cx, cy = (np.float32(k) for k in focal)
    depth, ids = trace(scene, pose, focal, (h, w), smallest=1.5)
    x = np.broadcast_to(((np.arange(w, dtype=np.float32) - cx) / fx)[None], (h, w)).ravel()
    y = np.broadcast_to(((np.arange(h, dtype=np.float32) - cy) / fy)[:, None], (h, w)).ravel()
    flat = ids.ravel()
    color = np.empty((h * w, 3), np.float32)
    normals = np.zeros((h * w, 3), np.float32)
    setting = Setting.of(scene, pose, float(fx))
    sky = np.nonzero(flat < 0)[0]
    if len(sky):
        yaw, gain = setting.heaven
        place = sky_place(np, directions_of(setting, [x[sky], y[sky]]), yaw)
        found = _sky_colors(scene.bank.skies[scene.lighting.sky], *place)
        color[sky] = found * found * gain
    hit = np.nonzero(flat >= 0)[0]
    if len(hit):
        look = Table.of(scene, camera_frames(scene, pose)), scene.bank.textures
        hits = flat[hit].astype(np.int32), depth.ravel()[hit], [x[hit], y[hit]]
        occluded = occlusion(np, depth, blur).ravel()[hit]
        shadows = (shadow_map(scene).ravel(), 0) if scene.lighting.shadows else None
        planes, n = shade(np, setting, look, hits, occluded, shadows)
        for c in range(3):
            color[hit, c] = planes[c]
            normals[hit, c] = n[c]
    image = color.reshape(h, w, 3)
    np.clip(image, 0, 6.0, out=image)
    normals = normals.reshape(h, w, 3)
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    blurred = cv2.sepFilter2D(image, -1, kernel, kernel)
    if factor == 1:
        return soften_edges(image, blurred, ids), depth, ids, normals
    image = np.ascontiguousarray(blurred[::2, ::2])
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
    camera = at_size(camera, size)
    if factor is None:
        factor = draw_factor(scene, rng)
    linear, depth, ids, world_normals = radiance(scene, camera, factor)
    normals = world_normals @ pose_of(camera)[:3, :3].astype(np.float32)
    labels = np.where(ids >= 0, scene.labels[ids], np.int16(-1))
    return develop(scene, camera, rng, linear, (depth, normals, labels))


def render_batch(
    scenes: Sequence[Scene],
    cameras: Sequence[Camera],
    size: tuple[int, int] | None = None,
    rngs: Sequence[np.random.Generator | int] | None = None,
    *,
    device: str,
    factor: int | None = None,
) -> list[View]:
    """Pictures as `render` makes them, all at once on a device by torch.

    A GPU needs many pictures at a time to be quick: some tens. Each is `render`'s of the same
    arguments, but for rounding: other pixels at silhouettes and where surfaces meet, skies not
    rounded to bytes, some bumpy shapes refined by a step more or less. Sensor effects stay on
    the CPU, with the same draws.

    Args:
        scenes: one for each picture; all of one texture bank. Views of a scene share its shadows.
        cameras: one for each picture.
        size: (height, width) of all pictures; None: each as its camera says.
        rngs: a generator of its own, or a seed, for each picture; None: all zero.
        device: ``cuda``, ``cpu``, ... as torch names it.
        factor: samples per pixel side (1 or 2); None draws one for each picture.

    Raises:
        InputError: the lists differ in length, or the scenes in their bank.
        DeviceError: torch does not offer the device here.
        MissingDependencyError: torch is not installed.
    """
    seeds = [0] * len(scenes) if rngs is None else rngs
    if not len(scenes) == len(cameras) == len(seeds):
        raise InputError(
            f"{len(scenes)} scenes, {len(cameras)} cameras and {len(seeds)} generators: give one "
            "of each for every picture."
        )
    try:
        from leadline.world.batch import linear_views
    except ModuleNotFoundError as error:
        raise MissingDependencyError("torch", "rendering on a device", "torch") from error
    generators = [np.random.default_rng(seed) for seed in seeds]
    sized = [at_size(camera, size) for camera in cameras]
    factors = [
        draw_factor(scene, rng) if factor is None else factor
        for scene, rng in zip(scenes, generators, strict=True)
    ]
    views: dict[int, View] = {}
    for n, linear, truth in linear_views(scenes, sized, factors, device):
        views[n] = develop(scenes[n], sized[n], generators[n], linear, truth)
    return [views[n] for n in range(len(scenes))]


def at_size(camera: Camera, size: tuple[int, int] | None) -> Camera:
    """The camera for pictures of another size (height, width)."""
    if size is None or size == (camera.height, camera.width):
        return camera
    return camera.resized(size[1], size[0])


def draw_factor(scene: Scene, rng: np.random.Generator) -> int:
    """Samples per pixel side of a picture: 2 for some, as the scene likes."""
    return 2 if rng.random() < scene.views.get("fine", 0.1) else 1


def develop(
    scene: Scene,
    camera: Camera,
    rng: np.random.Generator,
    linear: np.ndarray,
    truth: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> View:
    """The picture that lens and sensor make of linear light.

    Args:
        scene: that is seen.
        camera: that saw it.
        rng: of the sensor effects.
        linear: colour (h, w, 3).
        truth: depth (FAR at the sky, where inf is written), normals and labels.
    """
    depth, normals, labels = truth
    image = sensor.expose(linear, rng)
    style = scene.views.get("blur", 0.15)
    if rng.random() < style:
        finite = depth[depth < prim.FAR]
        if len(finite):
            focus = float(np.quantile(finite, rng.uniform(0.02, 0.5)))
            strength = float(rng.uniform(0.5, 4.0)) * min(camera.height, camera.width) / 192
            image = sensor.defocus(image, depth, focus, strength)
    rgb = sensor.capture(image, rng)
    depth[labels < 0] = np.inf
    return View(
        rgb=rgb, depth=depth, normals=normals, labels=labels, camera=camera, kind=scene.kind
    )
