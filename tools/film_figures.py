"""Picture of docs/film.md: a rendered film, its depth stretched frame by frame, and steady."""

from __future__ import annotations

import numpy as np

import leadline
from leadline import viz, world
from leadline.camera import Camera
from leadline.image import Image
from leadline.video import Stabiliser
from tools.pages import save_picture

_SIZE = (240, 320)
_FRAMES, _SHOWN = 12, (2, 5, 8, 11)
_TURN_DEG = 0.6  # of the camera from frame to frame
_GRAIN = 6.0  # grey levels of noise, as of a phone in a room
_TIMES = 4.0  # differences are shown brighter by this


def film() -> None:
    """Write docs/images/steady-film.jpg."""
    frames = _render()
    estimator, steady = leadline.load(), Stabiliser("flow")
    maps = [estimator.predict(Image(pixels=frame)) for frame in frames]
    alone = [_stretch(one.values) for one in maps]
    calm = [steady(one, frame).values for one, frame in zip(maps, frames, strict=True)]
    low, high = min(m.min() for m in calm), max(m.max() for m in calm)
    calm = [(m - low) / (high - low) for m in calm]
    rows = [
        [frames[n] for n in _SHOWN],
        [viz.colorize(alone[n], limits=(0, 1)) for n in _SHOWN],
        [viz.colorize(calm[n], limits=(0, 1)) for n in _SHOWN],
        [_difference(alone[n - 1], alone[n]) for n in _SHOWN],
        [_difference(calm[n - 1], calm[n]) for n in _SHOWN],
    ]
    tiles = [tile for row in rows for tile in row]
    sheet = viz.contact_sheet(tiles, columns=len(_SHOWN), cell=(150, 200))
    save_picture(sheet, "steady-film.jpg", quality=88, optimize=True)


def _render() -> list[np.ndarray]:
    """A room seen by a camera that turns, with noise."""
    scene, noise = world.sample_scene(3, "room"), np.random.default_rng(0)
    camera = world.sample_view(scene, 1, _SIZE).camera
    frames = []
    for number in range(_FRAMES):
        pixels = world.render(scene, _turn(camera, number * _TURN_DEG), _SIZE, 0, factor=1).rgb
        grain = noise.normal(0, _GRAIN, pixels.shape)
        frames.append(np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8))
    return frames


def _turn(camera: Camera, degrees: float) -> Camera:
    """The camera turned about its vertical axis."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1]])
    return camera.moved(np.asarray(camera.world_from_camera) @ turn)


def _stretch(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / np.ptp(values)


def _difference(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    return viz.colorize(_TIMES * np.abs(now - before), cmap="grey", limits=(0, 1))
