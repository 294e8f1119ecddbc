"""Houses with fronts of windows, balconies and roofs."""

from __future__ import annotations

import numpy as np

from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from


def facade_mat(b: Builder) -> int:
    """House front with windows; its own colours or a tint."""
    rng = b.rng
    own = None if rng.random() < 0.45 else color(rng, 0.3, 0.92, 0.2)
    return b.mat("facade", own, scale=1, contrast=rng.uniform(0.7, 1.0), shine=0.05)


def house(b: Builder, width: float, depth: float, height: float) -> None:
    """Building whose front is at x = 0 and looks to -x; width along y."""
    rng = b.rng
    plain = b.mat(
        str(rng.choice(["plaster", "bricks", "concrete"])), color(rng, 0.35, 0.9, 0.2), scale=2.5
    )
    b.box((depth / 2 + 0.05, 0, height / 2), (depth, width, height), plain)
    front = facade_mat(b)
    bays = max(1, int(width / rng.uniform(5, 9)))
    floors = max(1, round(height / rng.uniform(5, 8)))
    for k in range(bays):
        for level in range(floors):
            w, h = width / bays, height / floors
            y, z = -width / 2 + (k + 0.5) * w, (level + 0.5) * h
            b.quad((0, y, z), (w, h), front, normal="x", fit=True, casts=False)
    if rng.random() < 0.6:
        side = facade_mat(b) if rng.random() < 0.5 else front
        b.quad(
            (depth / 2, -width / 2 - 0.02, height / 2),
            (depth, height),
            side,
            normal="y",
            fit=True,
            casts=False,
        )
    door = b.mat("flat", color(rng, 0.05, 0.6, 0.4))
    b.box((-0.02, rng.uniform(-0.4, 0.4) * width, 1.05), (0.1, 1.0, 2.1), door)
    trim = b.mat("flat", color(rng, 0.3, 0.95, 0.1))
    if rng.random() < 0.35:
        for level in range(1, floors + 1):
            y, z = rng.uniform(-0.3, 0.3) * width, level * height / floors - height / floors * 0.6
            b.box((-0.5, y, z), (1.0, 2.5, 0.15), trim)
            b.quad((-1.0, y, z + 0.5), (2.5, 1.0), trim, normal="x", mask="bars", repeat=(2, 1))
    if rng.random() < 0.3:
        awning = b.mat("fabric", scale=1.5)
        b.quad((-0.7, 0, 2.9), (1.6, width * 0.7), awning, rotation=rotation_from((0, 1, 0), -0.35))
    _roof(b, width, depth, height)


def _roof(b: Builder, width: float, depth: float, height: float) -> None:
    rng = b.rng
    if rng.random() < 0.35 or height > 14:
        b.box((depth / 2, 0, height + 0.15), (depth + 0.5, width + 0.3, 0.3), b.mat("concrete"))
        return
    m = b.mat(str(rng.choice(["bricks", "tiles", "metal"])), color(rng, 0.12, 0.5, 0.35), scale=1.2)
    slope = rng.uniform(0.5, 0.95)
    run = depth / 2 + 0.4
    size = run / np.cos(slope)
    rise = run * np.tan(slope)
    for side in (-1, 1):
        turn = rotation_from((0, 1, 0), side * slope)
        at = (depth / 2 + side * run / 2, 0, height + rise / 2 - 0.1)
        b.quad(at, (size, width + 0.5), m, rotation=turn)
    for _ in range(int(rng.integers(0, 3))):
        y = rng.uniform(-0.4, 0.4) * width
        b.box((depth / 2, y, height + rise), (0.6, 0.6, 1.4), b.mat("bricks", (0.45, 0.3, 0.25)))
