"""Eye pairs and film of a textured wall at a known distance: geometry without a renderer."""

from __future__ import annotations

import cv2
import numpy as np

from leadline.training.options import Rig


def wall(rng: np.random.Generator, size: tuple[int, int], wide: int) -> np.ndarray:
    """A smooth random texture, ``wide`` pixels wider on both sides than ``size``; 0 to 1."""
    height, width = size
    coarse = rng.random((height // 4 + 2, (width + 2 * wide) // 4 + 2, 3))
    return cv2.resize(coarse, (width + 2 * wide, height), interpolation=cv2.INTER_CUBIC)


def seen_from(texture: np.ndarray, offset_px: float, width: int, wide: int) -> np.ndarray:
    """The picture (h, w, 3) uint8 of a camera that stands ``offset_px`` to the right."""
    columns = np.arange(width) + wide + offset_px
    low = np.floor(columns).astype(int)
    share = (columns - low)[None, :, None]
    picture = texture[:, low] * (1 - share) + texture[:, low + 1] * share
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def plane_pairs(
    rng: np.random.Generator, size: tuple[int, int], count: int, *, rig: Rig
) -> dict[str, np.ndarray]:
    """What ``render_pairs`` gives, of walls."""
    made = plane_triplets(rng, size, count, rig=rig)
    depth = made["depth"]
    return {
        "left": made["frame"],
        "right": made["right"],
        "left_depth": depth,
        "right_depth": depth,
    }


def plane_triplets(
    rng: np.random.Generator, size: tuple[int, int], count: int, *, rig: Rig
) -> dict[str, np.ndarray]:
    """What ``render_triplets`` gives, of walls that a camera passes sideways, left to right."""
    wide, step = size[1], rig.baseline_m / 2
    made: dict[str, list[np.ndarray]] = {}
    for _ in range(count):
        texture, away = wall(rng, size, wide), float(rng.uniform(3, 8))
        per_metre = rig.camera(size).fx / away
        offsets = {"frame": 0.0, "before": -step, "after": step, "right": rig.baseline_m}
        for name, metres in offsets.items():
            picture = seen_from(texture, metres * per_metre, size[1], wide)
            made.setdefault(name, []).append(picture)
        made.setdefault("depth", []).append(np.full(size, away, np.float16))
        for name, sign in (("before_from_frame", 1), ("after_from_frame", -1)):
            move = np.eye(4, dtype=np.float32)
            move[0, 3] = sign * step
            made.setdefault(name, []).append(move)
    return {name: np.stack(arrays) for name, arrays in made.items()}
