"""A textured wall with a box before it, seen by a moving camera, with exact depth."""

import numpy as np

from leadline.camera import Camera
from leadline.image import Image

WALL_M, BOX_M = 3.0, 2.0


def _texture(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise over a plane, in grey levels."""
    rng = np.random.default_rng(seed)
    value = np.zeros_like(x)
    for _ in range(60):
        length = rng.uniform(0.06, 0.5)
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        value += np.sin(2 * np.pi / length * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return np.clip(128 + 16 * value, 0, 255)


def camera(width: int = 120, height: int = 96, focal_px: float = 110.0) -> Camera:
    return Camera.from_focal(width, height, focal_px=focal_px)


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw_deg: float = 0.0) -> np.ndarray:
    made = np.eye(4)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    made[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    made[:3, 3] = (x, y, z)
    return made


def view(world_from_camera: np.ndarray, lens: Camera | None = None) -> tuple[Image, np.ndarray]:
    """The picture and its depth along the optical axis."""
    lens = (lens or camera()).moved(world_from_camera)
    v, u = np.mgrid[: lens.height, : lens.width].astype(np.float64)
    rays = np.stack([(u - lens.cx) / lens.fx, (v - lens.cy) / lens.fy, np.ones_like(u)], -1)
    turned = rays @ world_from_camera[:3, :3].T
    origin = world_from_camera[:3, 3]
    depth, grey = np.full(u.shape, np.inf), np.zeros(u.shape)
    for z, half, seed in ((WALL_M, np.inf, 1), (BOX_M, 0.45, 2)):
        reach = (z - origin[2]) / turned[..., 2]
        point = origin + reach[..., None] * turned
        hit = (np.abs(point[..., :2]).max(axis=-1) < half) & (reach > 0) & (reach < depth)
        depth = np.where(hit, reach, depth)
        grey = np.where(hit, _texture(point[..., 0], point[..., 1], seed), grey)
    pixels = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    return Image(pixels=pixels, camera=lens), depth
