"""Seeds to scenes and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from leadline.errors import UnknownNameError
from leadline.world import nature, objects, rooms, streets
from leadline.world.cameras import sample_camera
from leadline.world.materials import TextureBank
from leadline.world.render import View, render, render_batch
from leadline.world.scene import Builder, Scene

_BUILDERS: dict[str, Callable[[Builder], None]] = {
    "room": rooms.build,
    "street": streets.build,
    "nature": nature.build,
    "objects": objects.build,
}
_SHARES = {"room": 0.4, "street": 0.27, "nature": 0.13, "objects": 0.2}
KINDS: tuple[str, ...] = tuple(_BUILDERS)
"""Kinds of scenes."""

_default: list[TextureBank] = []


def use_bank(bank: TextureBank | None = None) -> TextureBank:
    """Set (or with None get, building it once) the bank that scenes use when none is given."""
    if bank is not None:
        _default[:] = [bank]
    elif not _default:
        _default.append(TextureBank.procedural(0))
    return _default[0]


def sample_scene(seed: int, kind: str | None = None, *, bank: TextureBank | None = None) -> Scene:
    """A random scene: the same seed, kind and bank give the same scene.

    Args:
        seed: any non-negative integer.
        kind: room, street, nature or objects; None draws one.
        bank: textures; None = the bank of `use_bank`.

    Raises:
        UnknownNameError: the kind is none of those.
    """
    rng = np.random.default_rng([seed, 7])
    if kind is None:
        shares = np.array([_SHARES[k] for k in KINDS])
        kind = str(rng.choice(KINDS, p=shares / shares.sum()))
    if kind not in _BUILDERS:
        raise UnknownNameError("kind of scene", kind, KINDS)
    builder = Builder(rng, use_bank() if bank is None else bank)
    _BUILDERS[kind](builder)
    return builder.finish(kind, seed)


def sample_view(
    scene: Scene, seed: int, size: tuple[int, int] = (192, 256), *, mount: str = ""
) -> View:
    """A picture from a camera that suits the scene.

    Args:
        scene: from `sample_scene`.
        seed: of the camera and the sensor.
        size: (height, width) in pixels.
        mount: as of `sample_camera`.
    """
    rng = np.random.default_rng([scene.seed, seed, 11])
    camera = sample_camera(scene, rng, size, mount)
    return render(scene, camera, size, rng)


def sample_views(
    scenes: Sequence[Scene],
    seeds: Sequence[int],
    size: tuple[int, int],
    *,
    device: str,
    mount: str = "",
) -> list[View]:
    """Pictures as `sample_view` makes them, one for each scene and seed, by `render_batch`.

    Args:
        scenes: from `sample_scene`; a scene may come several times.
        seeds: of the cameras and the sensors.
        size: (height, width) in pixels.
        device: of torch.
        mount: as of `sample_camera`.
    """
    rngs = [
        np.random.default_rng([scene.seed, seed, 11])
        for scene, seed in zip(scenes, seeds, strict=True)
    ]
    cameras = [
        sample_camera(scene, rng, size, mount) for scene, rng in zip(scenes, rngs, strict=True)
    ]
    return render_batch(scenes, cameras, size, rngs, device=device)
