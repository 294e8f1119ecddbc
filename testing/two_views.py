"""Random scenes of points seen by two or more cameras, with noise and wrong matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from leadline.camera import Camera

Motion = Literal["forward", "sideways", "any", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Points in the world, the cameras, and where these see them."""

    world: np.ndarray  # n 3
    cameras: list[Camera]
    pixels: list[np.ndarray]  # per view (n, 2)
    wrong: np.ndarray  # n, True where the last view shows another place

    def depths(self, view: int) -> np.ndarray:
        """Depth of every point in a view."""
        return in_camera(self.cameras[view], self.world)[:, 2]


def rotation(vector: list[float] | np.ndarray) -> np.ndarray:
    """Rotation by an axis times an angle in radians (Rodrigues)."""
    vector = np.asarray(vector, dtype=np.float64)
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K


def in_camera(camera: Camera, world: np.ndarray) -> np.ndarray:
    """World points in the camera's axes."""
    pose = np.asarray(camera.world_from_camera)
    return (world - pose[:3, 3]) @ pose[:3, :3]


def project(camera: Camera, world: np.ndarray) -> np.ndarray:
    """Pixels of world points."""
    X, Y, Z = in_camera(camera, world).T
    return np.stack([camera.fx * X / Z + camera.cx, camera.fy * Y / Z + camera.cy], axis=1)


def two_views(
    seed: int,
    *,
    points: int = 300,
    motion: Motion = "any",
    near: float = 4.0,
    far: float = 30.0,
    flat: bool = False,
    noise_px: float = 0.0,
    wrong_share: float = 0.0,
    views: int = 2,
) -> Scene:
    """A scene that all views see whole: points before every camera, not all inside the frame."""
    rng = np.random.default_rng(seed)
    width, height = 1242, 375
    base = Camera(width=width, height=height, fx=720.0, fy=715.0, cx=610.0, cy=180.0)
    z = 1 / rng.uniform(1 / far, 1 / near, points) if not flat else np.full(points, near)
    u, v = rng.uniform(0, width, points), rng.uniform(0, height, points)
    world = np.stack([(u - base.cx) / base.fx * z, (v - base.cy) / base.fy * z, z], axis=1)
    if flat:
        world[:, 2] += 0.3 * world[:, 0] + 0.1 * world[:, 1]
        world[:, 2] += 2 * np.abs(world[:, 0].min())
    poses = [np.eye(4)]
    for i in range(1, views):
        pose = np.eye(4)
        pose[:3, :3] = rotation(0.03 * rng.normal(size=3))
        step = {"forward": [0.05, 0.02, 1.0], "sideways": [0.8, 0.05, 0.05], "none": [0, 0, 0]}
        pose[:3, 3] = step.get(motion, [0.8 + 0.2 * i, 0.2 * (-1) ** i, 0.3])
        poses.append(pose)
    cameras = [base.moved(pose) for pose in poses]
    pixels = [project(c, world) + noise_px * rng.normal(size=(points, 2)) for c in cameras]
    wrong = rng.random(points) < wrong_share
    pixels[-1][wrong] = rng.uniform((0, 0), (width, height), (int(wrong.sum()), 2))
    return Scene(world=world, cameras=cameras, pixels=pixels, wrong=wrong)
