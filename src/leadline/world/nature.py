"""Gardens, woods, fields, parks: uneven ground, plants, rocks, animals, people."""

from __future__ import annotations

import numpy as np

from leadline.world import plants, vehicles
from leadline.world.bodies import animal, person
from leadline.world.buildings import house
from leadline.world.patterns import color
from leadline.world.scene import Builder
from leadline.world.weather import daylight


def _ground(b: Builder) -> None:
    rng = b.rng
    kind = str(
        rng.choice(["grass", "grass", "grass", "grass", "litter", "gravel", "stones", "leaves"])
    )
    g = rng.uniform(0.22, 0.42)
    green = np.array([g * rng.uniform(0.75, 1.1), g, g * rng.uniform(0.4, 0.75)])
    tint = green if kind in ("grass", "leaves") and rng.random() < 0.7 else None
    land = b.mat(kind, tint, scale=rng.uniform(1, 3))
    b.quad((0, 0, 0), (900, 900), land, casts=False)
    for _ in range(int(rng.integers(0, 6))):
        d = rng.uniform(6, 60)
        a = rng.uniform(0, 6.28)
        r = d * rng.uniform(0.3, 0.8)
        b.ball(
            (d * np.cos(a), d * np.sin(a), -0.1),
            (r, r, r * rng.uniform(0.05, 0.25)),
            land,
            bumps=0.15,
        )
    if rng.random() < 0.4:
        path = b.mat(
            str(rng.choice(["gravel", "concrete", "stones", "asphalt", "planks"])), scale=2
        )
        with b.at((rng.uniform(-3, 3), 0, 0), rng.uniform(0, 3.14)):
            b.quad((0, 0, 0.01), (rng.uniform(1, 4), 200), path, casts=False)


def _things(b: Builder, reach: float, wood: bool) -> None:
    rng = b.rng
    count = int(rng.integers(30, 65))
    spots = []
    for _ in range(count):
        d = reach * np.sqrt(rng.uniform(0.02, 1)) * rng.choice([1.0, 1.0, 2.2])
        a = rng.uniform(0, 6.28)
        if d < reach:
            spots.append(np.array([d * np.cos(a), d * np.sin(a)]))
        with b.at((d * np.cos(a), d * np.sin(a), 0), rng.uniform(0, 6.28)):
            kind = rng.random()
            if wood and kind < 0.5:
                plants.trunk(b, rng.uniform(8, 16), rng.uniform(0.1, 0.35))
            elif kind < 0.27:
                plants.tree(b, rng.uniform(2, 10), int(rng.integers(3, 8)))
            elif kind < 0.32:
                plants.conifer(b, rng.uniform(2, 12))
            elif kind < 0.5:
                plants.bush(b, rng.uniform(0.4, 2.0))
            elif kind < 0.6:
                plants.rock(b, rng.uniform(0.2, 1.5))
            elif kind < 0.75:
                plants.grass(b, 1.2, int(rng.integers(4, 12)), rng.uniform(0.2, 0.7))
            elif kind < 0.88:
                for _ in range(int(rng.integers(1, 5))):
                    with b.at((*rng.normal(0, 0.4, 2), 0)):
                        plants.flower(b, rng.uniform(0.3, 1.5))
            elif kind < 0.93:
                person(b)
            elif kind < 0.97:
                animal(b)
            else:
                vehicles.bicycle(b)
    b.views["spots"] = spots or [np.zeros(2)]


def _build_houses(b: Builder) -> None:
    """Fence, bench, shed or wall in the garden."""
    rng = b.rng
    if rng.random() < 0.5:
        m = b.mat(
            str(rng.choice(["wood", "metal", "bricks", "stones"])),
            color(rng, 0.15, 0.85, 0.2),
            scale=1,
        )
        h = rng.uniform(0.8, 2.2)
        y = rng.uniform(6, 18)
        if rng.random() < 0.5:
            b.box((0, y, h / 2), (60, 0.2, h), m)
        else:
            mask = str(rng.choice(["bars", "lattice", "frame", "net"]))
            for x in np.arange(-30, 30, 10.0):
                b.quad((x, y, h / 2), (10, h), m, normal="y", mask=mask, repeat=(10 / h, 1))
    if rng.random() < 0.35:
        with b.at((rng.uniform(-10, 10), rng.uniform(16, 40), 0), np.pi / 2):
            house(b, rng.uniform(6, 20), 8, rng.uniform(3, 9))


def build(b: Builder) -> None:
    """Open ground around the origin."""
    rng = b.rng
    daylight(b, (0.62, 0.25, 0.12, 0.01))
    wood = rng.random() < 0.35
    reach = rng.uniform(4, 13)
    _ground(b)
    _things(b, reach, wood)
    for k in range(4):
        with b.at((0, 0, 0), k * np.pi / 2):
            if rng.random() < 0.45:
                _build_houses(b)
    if rng.random() < 0.7:
        green = plants.foliage_mat(b)
        ring = rng.uniform(35, 110)
        for a in np.arange(0, 6.28, rng.uniform(0.15, 0.35)):
            r = ring * rng.uniform(0.06, 0.16)
            at = (ring * np.cos(a), ring * np.sin(a), r * 0.5)
            b.ball(at, (r * 1.3, r * 1.3, r * rng.uniform(0.7, 1.5)), green, bumps=0.3, waviness=7)
    b.light.lit_radius = 22.0
    b.views |= {"reach": reach * 0.7, "near": 0.8, "blur": 0.15, "focus": (0.0, 0.0, 0.0)}
