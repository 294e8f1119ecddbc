"""Single pictures of the procedural world with their truth, as samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from leadline import world
from leadline.training.data.seeds import scene_seed

Sample = dict[str, np.ndarray]
"""Named arrays of one sample."""

Render = Callable[[np.random.Generator, tuple[int, int], int], dict[str, np.ndarray]]


def render_views(
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    *,
    kinds: tuple[str, ...] = (),
    views: int = 3,
    device: str = "",
    mount: str = "",
) -> dict[str, np.ndarray]:
    """Single pictures with their truth.

    Args:
        rng: decides everything.
        size: (height, width) in pixels.
        count: of pictures.
        kinds: of scenes; empty: all, in their usual shares.
        views: pictures per scene.
        device: where torch renders, ``BATCH`` pictures at once; empty: by numpy, one by one.
        mount: the camera of a data set, of ``leadline.world.MOUNTS``; empty: any.

    Returns:
        ``rgb`` (n, h, w, 3) uint8; ``disparity`` (n, h, w) float16 in 1/m, 0 at the sky;
        ``focal_px`` (n,) float32; ``kind`` (n,) int64, the place in ``leadline.world.KINDS``.
    """
    height, width = size
    made: dict[str, np.ndarray] = {
        "rgb": np.empty((count, height, width, 3), np.uint8),
        "disparity": np.empty((count, height, width), np.float16),
        "focal_px": np.empty(count, np.float32),
        "kind": np.empty(count, np.int64),
    }
    for n, view in enumerate(_sample_views(rng, size, count, (kinds, views, device, mount))):
        made["rgb"][n] = view.rgb
        made["disparity"][n] = inverse_depth(view.depth)
        made["focal_px"][n] = view.camera.fx
        made["kind"][n] = world.KINDS.index(view.kind)
    return made


BATCH = 48
"""Pictures that are rendered at once on a device."""


def _sample_views(
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    of: tuple[tuple[str, ...], int, str, str],
) -> Iterator[world.View]:
    """Pictures as `render_views` wants them (its last arguments), one after the other."""
    kinds, views, device, mount = of
    waiting: list[world.Scene] = []
    for first in range(0, count, views):
        scene = world.sample_scene(scene_seed(rng), choose_kind(rng, size, kinds))
        for n in range(first, min(first + views, count)):
            if not device:
                yield world.sample_view(scene, seed=n, size=size, mount=mount)
                continue
            waiting.append(scene)
            if len(waiting) == BATCH or n == count - 1:
                seeds = range(n + 1 - len(waiting), n + 1)
                yield from world.sample_views(waiting, seeds, size, device=device, mount=mount)
                waiting = []


def choose_kind(
    rng: np.random.Generator, size: tuple[int, int], kinds: tuple[str, ...]
) -> str | None:
    """The kind of a scene to render; very wide pictures are mostly taken from cars."""
    wide = size[1] > 2.3 * size[0] and rng.random() < 0.75
    if wide and (not kinds or "street" in kinds):
        return "street"
    return str(rng.choice(kinds)) if kinds else None


def inverse_depth(depth: np.ndarray) -> np.ndarray:
    """1 / depth as float16: three digits at any distance; 0 where depth is infinite (sky)."""
    return (1.0 / np.maximum(depth, 0.05)).astype(np.float16)
