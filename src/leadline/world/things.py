"""Small things that lie about, and the materials that furniture is made of.

Every function draws at the origin of the current frame, standing on z = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from

WOODS = ("wood", "wood", "planks", "flat", "marble", "metal")
CLOTHS = ("fabric", "fabric", "carpet", "flat", "noise", "wallpaper")


def hard(b: Builder, *, shine: float = 0.25) -> int:
    """Material of cupboards and tables."""
    rng = b.rng
    category = str(rng.choice(WOODS, p=[0.32, 0.13, 0.12, 0.33, 0.05, 0.05]))
    own = category in ("wood", "planks") and rng.random() < 0.6
    return b.mat(
        category,
        None if own else color(rng, 0.08, 0.95, 0.3),
        scale=rng.uniform(0.5, 1.5),
        contrast=rng.uniform(0.4, 1.1),
        shine=rng.uniform(0, shine),
        gloss=rng.uniform(8, 60),
    )


def cloth(b: Builder) -> int:
    """Material of covers, curtains and clothes."""
    rng = b.rng
    return b.mat(
        str(rng.choice(CLOTHS)),
        None if rng.random() < 0.4 else color(rng, 0.08, 0.9, 0.4),
        scale=rng.uniform(0.25, 1.2),
        contrast=rng.uniform(0.4, 1.1),
    )


def paint(b: Builder, low: float = 0.1, high: float = 0.95) -> int:
    """Plain, fairly smooth colour."""
    rng = b.rng
    return b.mat(
        "flat", color(rng, low, high, 0.5), shine=rng.uniform(0, 0.5), gloss=rng.uniform(10, 80)
    )


def metal(b: Builder) -> int:
    """Shiny grey."""
    tone = b.rng.uniform(0.15, 0.85)
    return b.mat("metal", (tone, tone, tone), shine=0.5, gloss=40)


def bottle(b: Builder, size: float = 0.25) -> None:
    """Bottle of the given height, often labelled."""
    r = size * b.rng.uniform(0.13, 0.2)
    m = paint(b, 0.05)
    b.tube((0, 0, 0), (0, 0, size * 0.6), r, m)
    b.tube((0, 0, size * 0.6), (0, 0, size * 0.78), r, m, end_radius=r * 0.35)
    b.tube((0, 0, size * 0.78), (0, 0, size), r * 0.35, paint(b))
    if b.rng.random() < 0.6:
        label = b.mat("poster", scale=r * 3)
        b.tube((0, 0, size * 0.2), (0, 0, size * 0.5), r * 1.02, label)


def cup(b: Builder, size: float = 0.1) -> None:
    """Cup with a handle."""
    m = paint(b)
    r = size * b.rng.uniform(0.3, 0.5)
    b.tube((0, 0, 0), (0, 0, size), r * b.rng.uniform(0.7, 1), m, end_radius=r, closed=False)
    b.tube((0, 0, size * 0.1), (0, 0, size * 0.8), r * 0.8, paint(b, 0.02, 0.5))
    b.limb((r, 0, size * 0.25), (r * 1.5, 0, size * 0.5), size * 0.05, m)
    b.limb((r * 1.5, 0, size * 0.5), (r, 0, size * 0.75), size * 0.05, m)


def bowl(b: Builder, size: float = 0.2) -> None:
    """Bowl, often with fruit."""
    m = paint(b)
    b.tube((0, 0, 0), (0, 0, size * 0.35), size * 0.25, m, end_radius=size * 0.5, closed=False)
    for _ in range(int(b.rng.integers(0, 5))):
        x, y = b.rng.uniform(-0.25, 0.25, 2) * size
        b.ball((x, y, size * 0.3), [size * 0.16] * 3, paint(b), bumps=b.rng.uniform(0, 0.1))


def packet(b: Builder, size: float = 0.25) -> None:
    """Printed or plain box."""
    s = size * b.rng.uniform(0.3, 1.0, 3)
    category = str(b.rng.choice(["poster", "flat", "poster", "photo", "noise"]))
    b.box((0, 0, s[2] / 2), s, b.mat(category, scale=float(max(s)) * 1.2, shine=0.1))


def book_stack(b: Builder, size: float = 0.25) -> None:
    """Books lying on each other."""
    z = 0.0
    for _ in range(int(b.rng.integers(1, 5))):
        h = size * b.rng.uniform(0.06, 0.18)
        turn = rotation_from((0, 0, 1), b.rng.normal(0, 0.25))
        b.box((0, 0, z + h / 2), (size, size * 0.7, h), b.mat("poster", scale=size), rotation=turn)
        z += h


def vase(b: Builder, size: float = 0.3) -> None:
    """Vase, often with a sprig."""
    m = paint(b)
    kind = b.rng.random()
    if kind < 0.5:
        b.ball((0, 0, size * 0.35), (size * 0.3, size * 0.3, size * 0.35), m)
        b.tube(
            (0, 0, size * 0.6), (0, 0, size), size * 0.12, m, end_radius=size * 0.2, closed=False
        )
    else:
        b.tube((0, 0, 0), (0, 0, size * 0.5), size * 0.15, m, end_radius=size * 0.3)
        b.tube((0, 0, size * 0.5), (0, 0, size), size * 0.3, m, end_radius=size * 0.12)
    if b.rng.random() < 0.5:
        sprig(b, (0, 0, size * 0.9), size * 1.5)


def sprig(b: Builder, at: tuple[float, float, float], size: float) -> None:
    """Crossed cut-out leaves or flowers."""
    m = b.mat(
        str(b.rng.choice(["leaves", "flowers", "flat"])),
        None if b.rng.random() < 0.6 else color(b.rng, 0.1, 0.9, 0.5),
        scale=0.5,
    )
    mask = str(b.rng.choice(["branches", "branches", "shape", "foliage"]))
    for k in range(int(b.rng.integers(2, 4))):
        turn = rotation_from((0, 0, 1), k * 1.1 + b.rng.normal(0, 0.3))
        b.quad(
            (at[0], at[1], at[2] + size / 2), (size, size), m, normal="y", rotation=turn, mask=mask
        )


def plant(b: Builder, size: float = 0.8) -> None:
    """Pot plant of the given height."""
    pot = size * 0.25
    b.tube((0, 0, 0), (0, 0, pot), pot * 0.4, paint(b), end_radius=pot * 0.55)
    green = b.mat("leaves", (0.2, b.rng.uniform(0.3, 0.5), 0.12), scale=0.4)
    for _ in range(int(b.rng.integers(3, 10))):
        d = b.rng.normal(size=3) * (0.35, 0.35, 0.2) + (0, 0, 0.8)
        tip = np.array([0, 0, pot]) + d * size * b.rng.uniform(0.4, 0.8)
        b.tube((0, 0, pot), tip, 0.008 * size, green)
        if b.rng.random() < 0.5:
            turn = rotation_from(b.rng.normal(size=3), b.rng.uniform(0, 3))
            b.quad(tip, (size * 0.4, size * 0.4), green, rotation=turn, mask="shape")
        else:
            b.ball(tip, b.rng.uniform(0.1, 0.25, 3) * size, green, mask="foliage", repeat=1)


def ball_toy(b: Builder, size: float = 0.2) -> None:
    """Ball of the given diameter."""
    m = b.mat(
        str(b.rng.choice(["flat", "noise", "fabric", "photo"])),
        color(b.rng, 0.2, 0.95, 0.6),
        scale=size,
    )
    b.ball((0, 0, size / 2), [size / 2] * 3, m)


def lump(b: Builder, size: float = 0.25) -> None:
    """Bag, fruit, bread, toy: a bumpy ball."""
    r = size / 2 * b.rng.uniform(0.5, 1, 3)
    b.ball(
        (0, 0, r[2] * 0.9),
        r,
        cloth(b),
        bumps=b.rng.uniform(0.08, 0.35),
        waviness=b.rng.uniform(2, 7),
    )


def cutout(b: Builder, size: float = 0.3) -> None:
    """Flat thing of an irregular outline that stands."""
    m = b.mat(str(b.rng.choice(["photo", "poster", "noise", "flat", "fabric"])), scale=size)
    mask = str(b.rng.choice(["shape", "blot", "frame", "perforated", "animal", "person"]))
    turn = rotation_from((0, 0, 1), b.rng.normal(0, 0.5))
    b.quad((0, 0, size / 2), (size, size), m, normal="y", mask=mask, rotation=turn)


def papers(b: Builder, size: float = 0.3) -> None:
    """Sheets that lie about."""
    for k in range(int(b.rng.integers(1, 5))):
        turn = rotation_from((0, 0, 1), b.rng.uniform(0, 3))
        x, y = b.rng.normal(0, 0.35, 2) * size
        m = b.mat(str(b.rng.choice(["page", "poster"])), scale=size)
        b.quad((x, y, 0.003 * (k + 1)), (size, size * 0.7), m, rotation=turn, fit=True)


def gadget(b: Builder, size: float = 0.3) -> None:
    """Kettle, toaster, printer: rounded box with knobs."""
    m = paint(b)
    s = size * b.rng.uniform(0.5, 1, 3)
    b.cushion((0, 0, s[2] / 2), s, m, doublings=int(b.rng.integers(2, 4)))
    b.tube((0, -s[1] * 0.48, s[2] * 0.5), (0, -s[1] * 0.55, s[2] * 0.5), s[2] * 0.15, paint(b))
    if b.rng.random() < 0.5:
        b.limb((s[0] * 0.45, 0, s[2] * 0.3), (s[0] * 0.75, 0, s[2] * 0.9), size * 0.04, m)


def screen(b: Builder, size: float = 0.5) -> None:
    """Monitor on a foot."""
    dark = b.mat("flat", (0.07, 0.07, 0.08), shine=0.4, gloss=60)
    b.box((0, 0, size * 0.55), (size * 1.1, size * 0.06, size * 0.65), dark)
    picture = b.mat("picture", glow=b.rng.uniform(0.3, 1.2)) if b.rng.random() < 0.5 else dark
    b.quad((0, -size * 0.035, size * 0.55), (size, size * 0.56), picture, normal="y", fit=True)
    b.tube((0, 0, 0), (0, 0, size * 0.3), size * 0.06, dark)
    b.box((0, 0, 0.01), (size * 0.5, size * 0.3, 0.02), dark)


CLUTTER: tuple[Callable[[Builder, float], None], ...] = (
    bottle,
    cup,
    bowl,
    packet,
    packet,
    book_stack,
    vase,
    ball_toy,
    lump,
    cutout,
    papers,
    gadget,
)


def clutter(
    b: Builder, width: float, depth: float, z: float, count: int, size: float = 0.25
) -> None:
    """Scatter small things on a rectangle at height z."""
    for _ in range(count):
        x = b.rng.uniform(-0.48, 0.48) * width
        y = b.rng.uniform(-0.45, 0.45) * depth
        make = CLUTTER[int(b.rng.integers(0, len(CLUTTER)))]
        with b.at((x, y, z), b.rng.uniform(0, 6.28)):
            make(b, size * b.rng.uniform(0.4, 1.3))
