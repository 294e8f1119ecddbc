"""What lines a road that runs along +y: rows of houses and trees, fences, lamps, signs, benches."""

from __future__ import annotations

import numpy as np

from leadline.world import plants, vehicles
from leadline.world.buildings import house
from leadline.world.patterns import color
from leadline.world.scene import Builder

START, END = -25.0, 120.0


def lamp_post(b: Builder) -> None:
    """Post whose arm reaches to -x."""
    m = b.mat("metal", np.full(3, b.rng.uniform(0.1, 0.6)))
    h = b.rng.uniform(4, 9)
    b.tube((0, 0, 0), (0, 0, h), 0.09, m, end_radius=0.05)
    if b.rng.random() < 0.6:
        arm = b.rng.uniform(0.6, 2.2)
        b.limb((0, 0, h), (-arm, 0, h + 0.25), 0.04, m)
        b.cushion((-arm - 0.2, 0, h + 0.2), (0.7, 0.25, 0.15), m)
    else:
        b.ball((0, 0, h + 0.1), (0.25, 0.25, 0.25), b.mat("flat", (0.9, 0.9, 0.85)))


def sign(b: Builder) -> None:
    """Traffic sign, signal or board that faces -y."""
    rng = b.rng
    post = b.mat("metal", (0.5, 0.5, 0.5))
    h = rng.uniform(2.0, 3.4)
    b.tube((0, 0, 0), (0, 0, h), 0.035, post)
    kind = rng.random()
    face = b.mat("flat", color(rng, 0.3, 0.95, 0.8))
    if kind < 0.4:
        b.tube((0, -0.03, h - 0.3), (0, -0.06, h - 0.3), 0.33, b.mat("flat", (0.75, 0.05, 0.05)))
        b.tube((0, -0.06, h - 0.3), (0, -0.07, h - 0.3), 0.25, b.mat("flat", (0.92, 0.92, 0.92)))
    elif kind < 0.6:
        b.box(
            (0, -0.05, h - 0.2),
            (rng.uniform(0.5, 1.6), 0.04, rng.uniform(0.4, 0.8)),
            b.mat("poster"),
            fit=True,
        )
    elif kind < 0.75:
        b.box((0, -0.05, h), (0.3, 0.2, 0.9), b.mat("flat", (0.05, 0.05, 0.05)))
        glow = b.mat("flat", [(0.9, 0.1, 0.05), (0.1, 0.8, 0.3)][int(rng.integers(0, 2))], glow=3)
        b.ball((0, -0.16, h + rng.choice([-0.28, 0.28])), (0.1, 0.06, 0.1), glow)
    else:
        b.quad((0, -0.05, h - 0.3), (0.7, 0.7), face, normal="y", mask="shape")


def row(b: Builder, first: float, gap: tuple[float, float], last: float = END) -> list[float]:
    """Positions along y from first to last with random gaps (metres)."""
    out, y = [], first
    while y < last:
        out.append(y)
        y += b.rng.uniform(*gap)
    return out


def house_row(b: Builder, x: float, *, close: bool) -> None:
    """Houses along the road: wall to wall when close, detached otherwise; fronts at x."""
    rng = b.rng
    y = START
    high = rng.uniform(6, 20) if close else rng.uniform(5, 9)
    while y < END:
        w = rng.uniform(8, 24) if close else rng.uniform(8, 14)
        with b.at((x + (0 if close else rng.uniform(-1, 3)), y + w / 2, 0)):
            house(b, w, rng.uniform(8, 14), high * rng.uniform(0.75, 1.25))
        y += w + (rng.choice([0, 0, 0.5, 5]) if close else rng.uniform(3, 12))


def tree_row(b: Builder, x: float, gap: tuple[float, float], spread: float = 0.5) -> None:
    """Trees along x with random gaps; all of about one height."""
    rng = b.rng
    tall = rng.uniform(5, 16)
    for y in row(b, START + rng.uniform(0, 8), gap):
        at = (x + rng.normal(0, spread), y, 0)
        with b.at(at, rng.uniform(0, 6)):
            if rng.random() < 0.12:
                plants.conifer(b, tall * rng.uniform(0.7, 1.3))
            else:
                plants.tree(b, tall * rng.uniform(0.7, 1.3), 5 if -5 < y < 30 else 2)


def fence(b: Builder, x: float, height: float) -> None:
    """Fence, wall or guard rail along the road at x; height in metres."""
    rng = b.rng
    kind = rng.random()
    length = END - START
    m = b.mat(str(rng.choice(["wood", "metal", "flat"])), color(rng, 0.1, 0.9, 0.2), scale=1)
    if kind < 0.35:
        mask = str(rng.choice(["bars", "lattice", "bars", "frame"]))
        for y in np.arange(START, END, 24.0):
            b.quad(
                (x, y + 12, height / 2),
                (24, height),
                m,
                normal="x",
                mask=mask,
                repeat=(24 / height, 1),
            )
    elif kind < 0.7:
        wall = b.mat(
            str(rng.choice(["bricks", "stones", "concrete", "plaster"])),
            color(rng, 0.3, 0.8, 0.2),
            scale=1.5,
        )
        b.box((x, START + length / 2, height / 2), (0.25, length, height), wall)
    else:
        rail = b.mat("metal", (0.6, 0.6, 0.6), shine=0.3)
        b.box((x, START + length / 2, 0.62), (0.06, length, 0.3), rail)
        for y in row(b, START, (4, 4.1), 60):
            b.box((x + 0.06, y, 0.35), (0.1, 0.1, 0.7), rail)


def kerbside(b: Builder, edge: float, walk: float) -> None:
    """Bins, bollards, benches, bicycles, boxes."""
    rng = b.rng
    for _ in range(int(rng.integers(0, 5))):
        with b.at(
            (edge + rng.uniform(0.3, max(walk, 0.8)), rng.uniform(2, 40), 0), rng.uniform(0, 6.28)
        ):
            kind = rng.random()
            m = b.mat("flat", color(rng, 0.05, 0.8, 0.4), shine=0.2)
            if kind < 0.3:
                vehicles.bicycle(b)
            elif kind < 0.5:
                b.box((0, 0, 0.55), (0.6, 0.7, 1.1), m)
            elif kind < 0.7:
                for k in range(4):
                    b.limb((0, k * 1.5, 0), (0, k * 1.5, 0.85), 0.07, m)
            elif kind < 0.85:
                b.box((0, 0, 0.45), (0.5, 1.6, 0.06), m)
                b.box((0.25, 0, 0.75), (0.05, 1.6, 0.4), m)
                for y in (-0.6, 0.6):
                    b.box((0, y, 0.22), (0.4, 0.06, 0.44), m)
            else:
                b.box((0, 0, 1.0), (1.2, 1.2, 2.0), b.mat("poster", scale=1.5))


def fence_or_hedge(b: Builder, x: float) -> None:
    """Border of a garden at x."""
    rng = b.rng
    if rng.random() < 0.5:
        fence(b, x, rng.uniform(0.7, 2.0))
        return
    height, depth = rng.uniform(0.8, 2.6), rng.uniform(0.6, 1.4)
    for y in np.arange(START, 90, 14.0):
        with b.at((x + 0.4, y + 7, 0)):
            plants.hedge(b, 13.0, height * rng.uniform(0.9, 1.1), depth)


def rails(b: Builder, x: float) -> None:
    """Two tracks on a gravel bed from x on."""
    bed = b.mat("gravel", (0.38, 0.33, 0.3), scale=2)
    length = END - START
    b.quad((x + 2, START + length / 2, 0.08), (6, length), bed, casts=False)
    rail = b.mat("metal", (0.4, 0.36, 0.33), shine=0.5)
    for k in (0, 1.45, 3.2, 4.65):
        b.box((x + k, START + length / 2, 0.15), (0.07, length, 0.14), rail, casts=False)
