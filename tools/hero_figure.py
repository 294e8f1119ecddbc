"""The picture that the README begins with: a photo, its depth, and its relief from two sides."""

from __future__ import annotations

import numpy as np
from PIL import Image

import leadline
from leadline.camera import Camera
from leadline.io import PointCloud
from leadline.resample import resize
from tools.pages import ROOT, save_picture

HEIGHT = 300
_TURNS = ((-12.0, 5.0), (12.0, 5.0))  # degrees to the side and down
_RELIEF = 0.4
_PAPER = 255


def hero() -> None:
    """Write docs/images/hero.jpg."""
    photo = np.asarray(Image.open(ROOT / "examples" / "photos" / "lobby.jpg").convert("RGB"))
    height, width = photo.shape[:2]
    camera = Camera.from_fov(width, height, fov_deg=55)
    prediction = leadline.load().predict(leadline.Image(pixels=photo, camera=camera))
    cloud = prediction.point_cloud(relief=_RELIEF)
    tiles = [photo, prediction.colorize()]
    tiles += [_crop(draw_cloud(cloud, camera, *turn)) for turn in _TURNS]
    save_picture(_row(tiles), "hero.jpg", quality=90)


def draw_cloud(cloud: PointCloud, camera: Camera, yaw_deg: float, pitch_deg: float) -> np.ndarray:
    """Points seen by a camera that turned around their middle; near ones cover far ones."""
    points, shades = np.asarray(cloud.points, dtype=np.float64), np.asarray(cloud.colors)
    middle = np.median(points, axis=0)
    yaw, pitch = np.deg2rad([yaw_deg, pitch_deg])
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    seen = (points - middle) @ (turn_x @ turn_y).T + middle + [0, 0, 0.25 * middle[2]]
    order = np.argsort(-seen[:, 2])
    seen, colors = seen[order], shades[order]
    canvas = np.full((camera.height, camera.width, 3), _PAPER, np.uint8)
    u = np.rint(camera.fx * seen[:, 0] / seen[:, 2] + camera.cx).astype(int)
    v = np.rint(camera.fy * seen[:, 1] / seen[:, 2] + camera.cy).astype(int)
    for dy in (0, 1):
        for dx in (0, 1):
            inside = (u + dx >= 0) & (u + dx < camera.width) & (v + dy >= 0)
            inside &= (v + dy < camera.height) & (seen[:, 2] > 0)
            canvas[(v + dy)[inside], (u + dx)[inside]] = colors[inside]
    return canvas


def _crop(tile: np.ndarray) -> np.ndarray:
    """The tile without its empty columns."""
    used = np.flatnonzero((tile != _PAPER).any(axis=(0, 2)))
    return tile[:, used[0] : used[-1] + 1]


def _row(tiles: list[np.ndarray], gap: int = 6) -> np.ndarray:
    parts = []
    for tile in tiles:
        width = round(tile.shape[1] * HEIGHT / tile.shape[0])
        small = np.clip(np.rint(resize(tile, (HEIGHT, width), "area_linear")), 0, 255)
        parts += [small.astype(np.uint8), np.full((HEIGHT, gap, 3), _PAPER, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)
