"""What a surface looks like, on the arrays of numpy and of torch alike."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.world.light import Setting, corner_darkening, illuminate, lit_fraction
from leadline.world.materials import Textures
from leadline.world.sky import SKY_HEIGHT, SKY_WIDTH
from leadline.world.surfaces import Planes, Table, albedo, surface


def sky_place(xp: ModuleType, directions: Planes, yaw: Any) -> tuple[Any, Any]:
    """Column and row in a sky's picture of world directions (unit not needed)."""
    x, y, z = directions
    elevation = xp.arctan2(z, xp.sqrt(x * x + y * y))
    azimuth = xp.arctan2(y, x) + yaw
    row = xp.clip((0.5 - elevation / np.pi) * SKY_HEIGHT - 0.5, 0, SKY_HEIGHT - 1)
    return (azimuth * (SKY_WIDTH / (2 * np.pi))) % SKY_WIDTH, row


def supersample(camera: Camera, factor: int) -> tuple[tuple[float, ...], tuple[int, int]]:
    """Intrinsics and size of the finer grid: its samples 0, factor, ... are the pixel centres."""
    focal = (camera.fx * factor, camera.fy * factor, camera.cx * factor, camera.cy * factor)
    return focal, (camera.height * factor, camera.width * factor)


def soften_edges(image: Any, blurred: Any, ids: Any) -> Any:
    """Blend pixels (..., h, w, 3) at object borders with their neighbours, as a lens does."""
    edge = ids != ids
    across = ids[..., 1:] != ids[..., :-1]
    down = ids[..., 1:, :] != ids[..., :-1, :]
    edge[..., 1:] |= across
    edge[..., :-1] |= across
    edge[..., 1:, :] |= down
    edge[..., :-1, :] |= down
    return image + (blurred - image) * edge[..., None]


def pose_of(camera: Camera) -> np.ndarray:
    """world_from_camera, which must be there."""
    if camera.world_from_camera is None:
        raise InputError("camera.world_from_camera is None: give the 4x4 pose of the camera.")
    return camera.world_from_camera


Shadows = tuple[Any, Any]
"""Shadow maps, flat, one after the other; where that of the picture, or of a pixel, begins."""


def directions_of(setting: Setting, rays: Planes) -> Planes:
    """World directions of camera rays (x, y; z = 1)."""
    r, (x, y) = setting.turn, rays
    return [r[3 * a] * x + r[3 * a + 1] * y + r[3 * a + 2] for a in range(3)]


def shade(
    xp: ModuleType,
    setting: Setting,
    look: tuple[Table, Textures],
    hits: tuple[Any, Any, Planes],
    occluded: Any,
    shadows: Shadows | None,
) -> tuple[Planes, Planes]:
    """Colour and world normals (facing the camera) of flat pixels that hit something.

    Args:
        xp: numpy or torch.
        setting: of the picture or the pixels.
        look: the primitives and the bank's textures.
        hits: table row, depth and camera ray (x, y) of each pixel.
        occluded: share of the ambient light that arrives, by `occlusion`.
        shadows: None: nothing throws any.
    """
    table, textures = look
    ids, t, rays = hits
    direction = directions_of(setting, rays)
    found = surface(xp, table, ids, t, rays)
    length = xp.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    to_camera = [-k / length for k in direction]
    n = found.normal
    cosine = n[0] * to_camera[0] + n[1] * to_camera[1] + n[2] * to_camera[2]
    for axis in range(3):
        n[axis] = xp.where(cosine < 0, -n[axis], n[axis])
    points = [setting.centre[a] + t * direction[a] for a in range(3)]
    base = albedo(xp, table, textures, found, setting.zoom[0], t, xp.abs(cosine))
    ambient = occluded * corner_darkening(xp, setting, points)
    lit = xp.ones_like(t) if shadows is None else lit_fraction(xp, setting, *shadows, points, n)
    planes = illuminate(xp, setting, found, points, to_camera, (ambient, lit), base)
    if setting.air:
        haze, *fog = setting.air
        clear = xp.exp(-t * length * haze)
        planes = [fog[c] + (planes[c] - fog[c]) * clear for c in range(3)]
    return planes, n
