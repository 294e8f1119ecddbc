"""Openings in the walls of rooms: windows with what is behind them, doors, wide passages.

The wall is at y = 0, the room at y < 0; x runs along the wall and z is up.
"""

from __future__ import annotations

import numpy as np

from leadline.world import furniture as f
from leadline.world import things
from leadline.world.patterns import color
from leadline.world.scene import Builder

Hole = tuple[float, float, float, float]
"""Opening in a wall: x0, y0, x1, y1 in the wall's own -1..1, y down."""


def hole(x: float, z: float, w: float, h: float, length: float, height: float) -> Hole:
    """The hole around (x, z) of w x h metres in a wall of length x height metres."""
    cx, cy = x / (length / 2), 1 - z / (height / 2)
    return (cx - w / length, cy - h / height, cx + w / length, cy + h / height)


def window(b: Builder, width: float, height: float, z: float) -> None:
    """Bright view, frame and curtains, around the height z."""
    rng = b.rng
    view = b.mat(str(rng.choice(["view", "flat"], p=[0.75, 0.25])), glow=rng.uniform(0.8, 5.0))
    away = rng.uniform(3, 20)
    b.quad(
        (0, away, z),
        (width + 3 * away, height + 2.2 * away),
        view,
        normal="y",
        fit=True,
        casts=False,
    )
    reveal = b.mat("flat", (0.85, 0.84, 0.82))
    for s in (-1, 1):
        b.box((s * (width / 2 + 0.03), 0.08, z), (0.06, 0.16, height), reveal)
        b.box((0, 0.08, z + s * (height / 2 + 0.03)), (width + 0.12, 0.16, 0.06), reveal)
    frame = things.paint(b, 0.3, 0.97)
    t = 0.05
    for x in (-1, 0, 1) if rng.random() < 0.7 else (-1, 1):
        b.box((x * width / 2, 0, z), (t, 0.1, height + t), frame)
    for s in (-1, 1):
        b.box((0, 0, z + s * height / 2), (width + t, 0.1, t), frame)
    b.box((0, -0.06, z - height / 2 - 0.03), (width + 0.2, 0.2, 0.03), frame)
    kind = rng.random()
    if kind < 0.45:
        cloth = things.cloth(b)
        drop = rng.choice([height + 0.3, z + height / 2 + 0.1])
        top = z + height / 2 + 0.15
        b.tube((-width * 0.7, -0.1, top), (width * 0.7, -0.1, top), 0.015, things.metal(b))
        for side in (-1, 1):
            folds = int(rng.integers(3, 6))
            for k in range(folds):
                x = side * (width * 0.62 - k * 0.075)
                b.tube((x, -0.1, top), (x, -0.1, top - drop), 0.05, cloth)
    elif kind < 0.65:
        blind = b.mat("flat", color(rng, 0.5, 0.95, 0.15))
        h = height * rng.uniform(0.2, 0.8)
        mask = "bars" if rng.random() < 0.5 else None
        b.quad(
            (0, -0.07, z + height / 2 - h / 2),
            (width, h),
            blind,
            normal="y",
            mask=mask,
            repeat=(1, 1),
        )


def doorway(b: Builder, width: float, height: float, wall: int) -> None:
    """Frame and often a leaf, with a small room behind it."""
    rng = b.rng
    deep = rng.uniform(1.5, 4.5)
    wide = rng.uniform(1.6, 3.5)
    inner = b.mat("flat", color(rng, 0.2, 0.9, 0.2)) if rng.random() < 0.6 else wall
    ground = b.mat(str(rng.choice(["planks", "carpet", "tiles", "concrete"])), scale=1.5)
    b.quad((0, deep, height * 0.65), (wide, height * 1.3), inner, normal="y")
    for s in (-1, 1):
        b.quad((s * wide / 2, deep / 2, height * 0.65), (deep, height * 1.3), inner, normal="x")
    b.quad((0, deep / 2, 0.0), (wide, deep), ground)
    b.quad(
        (0, deep / 2, height * 1.3), (wide, deep), b.mat("flat", (0.85, 0.85, 0.85)), casts=False
    )
    b.quad((0, deep + 0.5, 1.5), (9, 7), inner, normal="y", casts=False)
    frame = things.paint(b, 0.2, 0.97)
    for s in (-1, 1):
        b.box((s * width / 2, 0, height / 2), (0.08, 0.2, height), frame)
    b.box((0, 0, height), (width + 0.08, 0.2, 0.08), frame)
    with b.at((rng.uniform(-0.5, 0.5), deep - 0.4, 0)):
        f.cupboard(b, 0.9, rng.uniform(0.7, 1.8), 0.4)
    if rng.random() < 0.6:
        angle = rng.uniform(0.3, 2.2)
        with b.at((width / 2, 0, 0), np.pi - angle):
            b.box((width / 2, 0, height / 2), (width, 0.04, height), things.hard(b))
