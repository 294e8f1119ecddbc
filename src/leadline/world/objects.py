"""Close subjects: things, people, animals and plants before walls, dark rooms or far views."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from leadline.world import plants, things, vehicles
from leadline.world.bodies import animal, bust, person
from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from
from leadline.world.weather import daylight


def _compound(b: Builder, size: float) -> None:
    """An invented thing: random parts stuck together."""
    rng = b.rng
    mats = [things.hard(b), things.paint(b), things.cloth(b)]
    for _ in range(int(rng.integers(2, 9))):
        m = mats[int(rng.integers(0, 3))]
        at = rng.normal(0, 0.22, 3) * size + (0, 0, 0.5 * size)
        s = size * rng.uniform(0.06, 0.5, 3)
        turn = rotation_from(rng.normal(size=3), rng.uniform(0, 3)) if rng.random() < 0.5 else None
        kind = int(rng.integers(0, 7))
        if kind == 0:
            b.box(at, s, m, rotation=turn)
        elif kind == 1:
            b.cushion(at, s, m, rotation=turn, doublings=int(rng.integers(2, 4)))
        elif kind == 2:
            b.ball(
                at, s / 2, m, rotation=turn, bumps=rng.uniform(0, 0.35), waviness=rng.uniform(2, 9)
            )
        elif kind == 3:
            b.tube(at, at + rng.normal(0, 0.3, 3) * size, s[0] * 0.3, m, end_radius=s[1] * 0.3)
        elif kind == 4:
            b.limb(at, at + rng.normal(0, 0.35, 3) * size, s[0] * 0.15, m, s[1] * 0.15)
        elif kind == 5:
            b.quad(
                at,
                (s[0] * 2, s[1] * 2),
                m,
                rotation=turn,
                mask=str(rng.choice(["shape", "blot", "perforated", "frame", "net", "lattice"])),
            )
        else:
            b.ball(
                at,
                s * 0.7,
                m,
                mask=str(rng.choice(["lattice", "net", "perforated", "patches"])),
                repeat=1,
            )


def _bumpy(b: Builder, size: float) -> None:
    r = size / 2 * b.rng.uniform(0.5, 1.0, 3)
    m = b.mat(
        str(b.rng.choice(["noise", "flat", "photo", "leaves", "fabric", "stones"])),
        None if b.rng.random() < 0.5 else color(b.rng),
        scale=size,
    )
    b.ball((0, 0, r[2]), r, m, bumps=b.rng.uniform(0.1, 0.45), waviness=b.rng.uniform(2, 9))


def _net_ball(b: Builder, size: float) -> None:
    """Basket, net or cage with a thing in it."""
    m = things.paint(b)
    mask = str(b.rng.choice(["net", "lattice", "bars", "perforated"]))
    b.ball((0, 0, size / 2), [size / 2] * 3, m, mask=mask, repeat=float(b.rng.choice([1, 2])))
    things.ball_toy(b, size * 0.5)


def _bouquet(b: Builder, size: float) -> None:
    for _ in range(int(b.rng.integers(2, 8))):
        with b.at((*b.rng.normal(0, 0.2, 2) * size, 0)):
            plants.flower(b, size * b.rng.uniform(0.7, 1.2))


def _figure(b: Builder, size: float) -> None:
    person(b, size)


def _beast(b: Builder, size: float) -> None:
    animal(b, size)


def _machine(b: Builder, size: float) -> None:
    del size
    make: tuple[Callable[[Builder], None], ...] = (
        vehicles.car,
        vehicles.bicycle,
        vehicles.bicycle,
        vehicles.van,
    )
    make[int(b.rng.integers(0, len(make)))](b)


_SUBJECTS: tuple[tuple[Callable[[Builder, float], None], tuple[float, float], float], ...] = (
    (_compound, (0.15, 1.2), 4),
    (_bumpy, (0.1, 0.8), 2),
    (things.bottle, (0.2, 0.35), 1),
    (things.cup, (0.09, 0.15), 1),
    (things.vase, (0.2, 0.6), 1),
    (things.packet, (0.15, 0.5), 1),
    (things.gadget, (0.2, 0.5), 1.2),
    (things.bowl, (0.2, 0.4), 1),
    (things.ball_toy, (0.1, 0.5), 0.7),
    (things.cutout, (0.2, 1.2), 2.5),
    (things.plant, (0.5, 1.3), 1.5),
    (things.screen, (0.4, 0.8), 0.7),
    (things.book_stack, (0.2, 0.35), 0.7),
    (_net_ball, (0.2, 0.6), 1),
    (_bouquet, (0.3, 1.2), 1.5),
    (_figure, (1.55, 1.9), 2.5),
    (bust, (0.5, 0.75), 3),
    (_beast, (0.4, 1.8), 3.5),
    (_machine, (1.5, 2), 1),
    (things.lump, (0.15, 0.5), 1),
)
_WEIGHTS = np.array([s[2] for s in _SUBJECTS])


def _studio(b: Builder, size: float) -> None:
    """Table or ground with a backdrop that is plain, printed, dark or far."""
    rng, light = b.rng, b.light
    dark = rng.random() < 0.4
    level = rng.uniform(0.02, 0.12) if dark else rng.uniform(0.25, 0.6)
    light.sky_color = np.full(3, level) * np.array([1, 0.97, 0.93])
    light.ground_color = light.sky_color * 0.6
    warm = np.array([1.0, rng.uniform(0.8, 1), rng.uniform(0.6, 1)])
    lamp = rng.normal(size=3) * (1, 1, 0.3) + (0, -0.6, 1.4)
    light.sun_direction = lamp / np.linalg.norm(lamp)
    light.sun_color = warm * rng.uniform(0.5, 1.3)
    light.lit_radius = size * 4
    black = np.full(3, rng.uniform(0.02, 0.12))
    away = size * rng.uniform(1.5, 8)
    backdrop = str(
        rng.choice(
            ["flat", "plaster", "photo", "noise", "bricks", "picture", "fabric"],
            p=[0.35, 0.1, 0.2, 0.1, 0.07, 0.1, 0.08],
        )
    )
    tone = black if dark else (None if rng.random() < 0.3 else color(rng, 0.15, 0.98, 0.25))
    stretch = max(away * 3, size * 6)
    wall = b.mat(
        "flat" if dark and rng.random() < 0.6 else backdrop,
        tone,
        scale=stretch if backdrop in ("photo", "picture") else size * 3,
        glow=rng.uniform(0.3, 1.0) if not dark and rng.random() < 0.25 else 0.0,
    )
    for k in range(4):
        with b.at((0, 0, 0), k * np.pi / 2):
            b.quad((0, away, 0), (away * 2.02, max(away, size) * 4), wall, normal="y", casts=False)
    b.views["away"] = away
    floor_kind = rng.random()
    ground = wall if floor_kind < 0.15 else things.hard(b) if floor_kind < 0.6 else things.cloth(b)
    if dark and rng.random() < 0.5:
        ground = b.mat("flat", black * 1.5)
    if rng.random() < 0.25 and size < 1:
        z = -rng.uniform(0.4, 0.9)
        b.quad((0, 0, z), (away * 2.02, away * 2.02), ground, casts=False)
        top = things.hard(b)
        b.box((0, 0, -0.02), (size * rng.uniform(2, 5), size * rng.uniform(1.5, 4), 0.04), top)
        b.views["floor"] = z
    elif rng.random() < 0.9:
        b.quad((0, 0, 0), (away * 2.02, away * 2.02), ground, casts=False)
    b.quad((0, 0, max(away, size) * 2), (away * 2.02, away * 2.02), wall, casts=False)


def _outside(b: Builder, size: float) -> None:
    """Open ground with far blobs and trees."""
    rng = b.rng
    daylight(b, (0.6, 0.28, 0.1, 0.02))
    land = b.mat(
        str(rng.choice(["grass", "litter", "gravel", "asphalt", "stones", "planks", "concrete"])),
        scale=rng.uniform(0.6, 2),
    )
    b.quad((0, 0, 0), (900, 900), land, casts=False)
    green = plants.foliage_mat(b)
    ring = size * rng.uniform(6, 40)
    for a in np.arange(0, 6.28, rng.uniform(0.2, 0.5)):
        r = ring * rng.uniform(0.1, 0.3)
        at = (ring * np.cos(a), ring * np.sin(a), r * rng.uniform(0.3, 0.9))
        if rng.random() < 0.75:
            b.ball(at, (r, r, r * rng.uniform(0.8, 2)), green, bumps=0.3, waviness=7)
    for _ in range(int(rng.integers(0, 5))):
        with b.at((*rng.normal(0, 5, 2) * max(size, 0.6), 0), rng.uniform(0, 6)):
            (plants.tree if rng.random() < 0.5 else plants.bush)(b, rng.uniform(0.8, 4))
    b.light.lit_radius = max(size * 6, 3.0)


def build(b: Builder) -> None:
    """One subject (or a few) near the origin, seen from close by."""
    rng = b.rng
    make, sizes, _ = _SUBJECTS[int(rng.choice(len(_SUBJECTS), p=_WEIGHTS / _WEIGHTS.sum()))]
    size = rng.uniform(*sizes)
    (_outside if rng.random() < 0.35 else _studio)(b, size)
    with b.at((0, 0, 0), rng.uniform(0, 6.28)):
        make(b, size)
    reach = size * rng.uniform(0.6, 1.6)
    for _ in range(int(rng.choice([0, 0, 1, 2, 4, 8]))):
        other, others, _ = _SUBJECTS[int(rng.choice(len(_SUBJECTS), p=_WEIGHTS / _WEIGHTS.sum()))]
        if other is _machine or others[0] > size * 2.5:
            continue
        a, d = rng.uniform(0, 6.28), reach * rng.uniform(0.7, 2.0)
        with b.at((d * np.cos(a), d * np.sin(a), 0), rng.uniform(0, 6.28)):
            other(b, float(np.clip(rng.uniform(*others), 0.3 * size, 1.5 * size)))
    if rng.random() < 0.1:
        _foreground(b, size)
    low, high = (-8, 40) if rng.random() < 0.8 else (40, 85)
    spread = rng.uniform(0.4, math.pi)
    middle = rng.uniform(-math.pi, math.pi)
    large = 1.2 if make is _machine else size / 2
    b.views |= {
        "orbit": True,
        "focus": (0, 0, size * 0.45),
        "radius": large,
        "fov": (28, 72),
        "azimuth": (middle - spread, middle + spread),
        "elevation": (low, high),
        "fill": (0.45, 1.5),
        "near": min(0.2, size * 0.3),
        "blur": 0.3,
        "distance": (0.25, 12),
    }


def _foreground(b: Builder, size: float) -> None:
    """Perforated things all around between camera and subject: branches, mesh, bars."""
    m = things.paint(b)
    mask = str(b.rng.choice(["branches", "net", "bars", "lattice", "foliage"]))
    for k in range(4):
        with b.at((0, 0, 0), k * np.pi / 2 + 0.3):
            s = size * b.rng.uniform(1.0, 2.5)
            b.quad((0, -size * 0.95, s * 0.4), (s, s), m, normal="y", mask=mask)
