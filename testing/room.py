"""Pictures of a textured box from any pose, with exact depth: a scene to move a camera in."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from leadline.camera import Camera
from leadline.image import Image

HALF = np.array([4.0, 1.5, 9.0])
"""Half sizes of the box in metres; its floor is 1.5 m below the origin."""


@lru_cache(maxsize=1)
def _texture() -> np.ndarray:
    """Grey noise of several sizes, (512, 512), repeated over the walls."""
    rng = np.random.default_rng(0)
    total = np.zeros((512, 512))
    for cell in (4, 8, 16, 32):
        coarse = rng.uniform(-1, 1, (512 // cell, 512 // cell))
        total += np.kron(coarse, np.ones((cell, cell)))
    return np.clip(128 + 45 * total, 0, 255)


def view(camera: Camera) -> tuple[Image, np.ndarray]:
    """What the camera sees, and its depth (h, w)."""
    pose = np.asarray(camera.world_from_camera)
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1
    )
    world = rays @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        walls = (np.sign(world) * HALF - pose[:3, 3]) / world
    axis = walls.argmin(axis=-1)
    depth = np.take_along_axis(walls, axis[..., None], axis=-1)[..., 0]
    hit = pose[:3, 3] + world * depth[..., None]
    others = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    place = np.take_along_axis(hit, others, axis=-1) * 60 + 97 * axis[..., None]
    grey = _sampled(_texture(), place[..., 0], place[..., 1])
    return Image(
        pixels=np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2), camera=camera
    ), depth


def _sampled(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0
    h, w = texture.shape

    def at(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return texture[j % h, i % w]

    top = at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx
    low = at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx
    return top * (1 - fy) + low * fy


def walk(
    count: int, *, step: tuple[float, float, float] = (0.0, 0.0, 0.25), size: int = 320
) -> list[Image]:
    """Pictures of a camera that walks through the box and turns a little; poses in the cameras."""
    base = Camera.from_fov(size, size * 3 // 4, fov_deg=75)
    images = []
    for i in range(count):
        turn = 0.02 * i
        pose = np.eye(4)
        pose[:3, :3] = [
            [np.cos(turn), 0, np.sin(turn)],
            [0, 1, 0],
            [-np.sin(turn), 0, np.cos(turn)],
        ]
        pose[:3, 3] = [0.3 + step[0] * i, step[1] * i, -5 + step[2] * i]
        images.append(view(base.moved(pose))[0])
    return images
