"""Indoor scenes: a shell with doors and windows, furniture along the walls and in the middle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from leadline.world import furniture as f
from leadline.world import things
from leadline.world.bodies import person
from leadline.world.openings import Hole, doorway, hole, window
from leadline.world.patterns import color
from leadline.world.scene import Builder

Gap = tuple[float, float]
"""Part of a wall, from x to x, where nothing may stand or hang."""

_WHOLE: Gap = (np.inf, np.inf)  # none


def _lights(b: Builder, size: np.ndarray) -> None:
    rng, light = b.rng, b.light
    warm = np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.5, 1.0)])
    level = rng.uniform(0.3, 0.75)
    light.sky_color = level * np.array([1, 0.98, 0.95]) * rng.uniform(0.7, 1.2)
    light.ground_color = light.sky_color * rng.uniform(0.5, 0.95)
    count = int(rng.integers(1, 4))
    for k in range(count):
        spot = (rng.uniform(-0.3, 0.3, 2)) * size[:2]
        at = np.array([spot[0], spot[1], size[2] - rng.uniform(0.1, 0.7)])
        power = rng.uniform(0.4, 1.6) / count
        light.lamps.append((at, warm * power, rng.uniform(1.5, 4.0)))
        if k == 0 or rng.random() < 0.5:
            glow = b.mat("flat", (1, 0.97, 0.9), glow=rng.uniform(1.5, 4))
            kind = rng.random()
            if kind < 0.35:
                b.ball(at + np.array([0, 0, 0.05]), [rng.uniform(0.1, 0.25)] * 2 + [0.1], glow)
            elif kind < 0.7:
                b.box(
                    (at[0], at[1], size[2] - 0.03),
                    (rng.uniform(0.3, 1.4), 0.3, 0.05),
                    glow,
                    casts=False,
                )
            else:
                b.tube(at, (at[0], at[1], at[2] + 0.2), 0.2, glow, end_radius=0.08, closed=False)
                b.tube(at, (at[0], at[1], size[2]), 0.008, things.metal(b))
    light.shadow_lamp = True
    if rng.random() < 0.35:
        light.sun_color = np.array([1, 0.97, 0.9]) * rng.uniform(0.2, 0.7)
        d = np.array([rng.normal(), rng.normal(), rng.uniform(0.3, 1)])
        light.sun_direction = d / np.linalg.norm(d)


def _against(b: Builder, length: float, height: float, dense: float, gap: Gap) -> None:
    """Fill a wall (at y = 0, room at y < 0) with furniture from left to right, but for a gap."""
    rng = b.rng
    x = -length / 2 + rng.uniform(0.1, 0.8)
    while x < length / 2 - 0.5:
        if gap[0] - 1.0 < x < gap[1]:
            x = gap[1] + 0.1
            continue
        if rng.random() > dense:
            x += rng.uniform(0.3, 1.2)
            continue
        kind = rng.random()
        if kind < 0.2:
            w = rng.uniform(0.5, 1.4)
            with b.at((x + w / 2, -0.17, 0)):
                f.shelf(b, w, rng.uniform(0.8, 2.2))
        elif kind < 0.45:
            w, d = rng.uniform(0.5, 1.8), rng.uniform(0.35, 0.6)
            with b.at((x + w / 2, -d / 2 - 0.02, 0)):
                f.cupboard(b, w, rng.choice([0.75, 0.9, 1.2, 2.0]) * rng.uniform(0.9, 1.1), d)
        elif kind < 0.58:
            w = rng.uniform(1.2, 1.8)
            with b.at((x + w / 2, -0.45, 0)):
                f.desk(b)
        elif kind < 0.62:
            w = 0.9
            with b.at((x + w / 2, -0.5, 0), rng.normal(0, 0.5)):
                f.wing_chair(b)
        elif kind < 0.69:
            w = rng.uniform(1.2, 2.4)
            with b.at((x + w / 2, -0.6, 0)):
                f.sofa(b)
        elif kind < 0.76:
            w = 0.8
            with b.at((x + w / 2, -0.4, 0), rng.uniform(0, 6)):
                things.plant(b, rng.uniform(0.6, 1.7))
        elif kind < 0.81:
            w = 0.6
            with b.at((x + w / 2, -0.35, 0)):
                f.fridge(b)
        elif kind < 0.87:
            w = 0.7
            with b.at((x + w / 2, -0.4, 0)):
                f.pile(b, rng.uniform(0.3, 1.6))
        elif kind < 0.91:
            w = 1.3
            with b.at((x + w / 2, -0.35, 0)):
                f.coat_rack(b)
        elif kind < 0.95:
            w = 0.5
            with b.at((x + w / 2, -0.3, 0)):
                f.floor_lamp(b)
        else:
            w = 0.6
            with b.at((x + w / 2, -0.35, 0)):
                f.pipes(b, height)
        x += w + rng.uniform(0.02, 0.5)


def _wall_things(b: Builder, length: float, height: float, gap: Gap) -> None:
    """Pictures, posters, shelves, clocks and radiators on the wall at y = 0, but for a gap."""
    rng = b.rng
    for _ in range(int(rng.integers(0, 6))):
        x, z = rng.uniform(-0.45, 0.45) * length, rng.uniform(1.0, min(2.2, height - 0.4))
        if gap[0] - 0.6 < x < gap[1] + 0.6:
            continue
        kind = rng.random()
        w, h = rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.8)
        if kind < 0.4:
            b.box((x, -0.012, z), (w + 0.05, 0.025, h + 0.05), things.hard(b))
            b.quad((x, -0.027, z), (w, h), b.mat("picture"), normal="y", fit=True)
        elif kind < 0.75:
            for k in range(int(rng.integers(1, 4))):
                poster = b.mat(str(rng.choice(["poster", "page"])))
                b.quad((x + k * w * 1.1, -0.006, z), (w, h), poster, normal="y", fit=True)
        elif kind < 0.88:
            b.box((x, -0.11, z), (w * 1.5, 0.22, 0.03), things.hard(b))
            with b.at((x, -0.11, z + 0.015)):
                things.clutter(b, w * 1.5, 0.2, 0, int(rng.integers(2, 6)), 0.22)
        elif kind < 0.94:
            b.tube((x, 0, z), (x, -0.05, z), 0.15, things.paint(b))
        else:
            b.box((x, -0.07, 0.45), (1.0, 0.1, 0.6), b.mat("flat", (0.85, 0.85, 0.82)))


def _passage(b: Builder, width: float, height: float, wall: int, dense: float) -> None:
    """Wide opening without a door, at y = 0, into another furnished room."""
    rng = b.rng
    deep, wide = rng.uniform(2.2, 6.5), width + rng.uniform(0.6, 3.5)
    tall = max(height + 0.05, rng.uniform(2.3, 2.9))
    walls, floor, ceiling = _surfaces(b)
    walls = wall if rng.random() < 0.5 else walls
    for s in (-1, 1):
        b.box((s * (width / 2 + 0.04), 0.06, height / 2), (0.08, 0.14, height), wall)
    b.box((0, 0.06, height + 0.04), (width + 0.16, 0.14, 0.08), wall)
    with b.at((rng.uniform(-0.45, 0.45) * (wide - width), 0.13, 0)):
        b.quad((0, deep / 2 - 0.07, 0), (wide, deep + 0.14), floor)
        b.quad((0, deep / 2, tall), (wide, deep), ceiling, casts=False)
        for s in (-1, 1):
            b.quad((s * wide / 2, deep / 2, tall / 2), (deep, tall), walls, normal="x", casts=False)
        with b.at((0, deep, 0)):
            _side(b, wide, tall, walls, dense, passages=False)
        middle = (rng.uniform(-0.3, 0.3) * wide, deep * rng.uniform(0.3, 0.6), 0)
        with b.at(middle, rng.uniform(0, 6)):
            pieces = (f.dining_set, f.sofa, f.chair, f.wing_chair, f.bed)
            pieces[int(rng.integers(len(pieces)))](b)
        warm = np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.55, 1.0)])
        lamp = b.place((0, deep * rng.uniform(0.3, 0.8), tall - 0.4))
        b.light.lamps.append((lamp, warm * rng.uniform(0.0, 1.2), rng.uniform(1.5, 3.0)))


def _side(
    b: Builder,
    length: float,
    height: float,
    wall: int,
    dense: float,
    *,
    passages: bool = True,
    counter: Mapping[str, Any] | None = None,
) -> None:
    """One wall at y = 0 with openings, things on it and furniture before it.

    Args:
        b: builder.
        length: of the wall, metres.
        height: of the wall, metres.
        wall: its material.
        dense: share of its foot that furniture takes.
        passages: whether another furnished room may lie behind it.
        counter: state of the generator that gives a kitchen its look; it then runs all along.
    """
    rng = b.rng
    holes: list[Hole] = []
    gap = _WHOLE
    kind = rng.random() * (0.6 if counter else 1.0)
    if kind < 0.35:
        w, h = rng.uniform(0.7, min(2.5, length * 0.5)), rng.uniform(0.8, 1.5)
        x, z = rng.uniform(-0.25, 0.25) * length, rng.uniform(1.3, 1.6)
        holes.append(hole(x, z, w, h, length, height))
        with b.at((x, 0, 0)):
            window(b, w, h, z)
    elif kind > 0.82 and passages:
        w, h = rng.uniform(1.1, max(1.3, min(3.6, length * 0.7))), rng.uniform(2.0, height - 0.05)
        x = rng.uniform(-0.5, 0.5) * (length - w - 0.3)
        gap = (x - w / 2, x + w / 2)
        holes.append(hole(x, h / 2, w, h, length, height))
        with b.at((x, 0, 0)):
            _passage(b, w, h, wall, dense)
    elif kind > 0.6:
        w, h = rng.uniform(0.8, 1.6), rng.uniform(1.95, 2.2)
        x = rng.uniform(-0.35, 0.35) * length
        if rng.random() < 0.6:
            gap = (x - w / 2, x + w / 2) if rng.random() < 0.5 else gap
            holes.append(hole(x, h / 2, w, h, length, height))
            with b.at((x, 0, 0)):
                doorway(b, w, h, wall)
        else:
            b.box((x, -0.02, h / 2), (w, 0.04, h), things.hard(b))
            b.tube((x + w * 0.4, -0.04, 1.0), (x + w * 0.4, -0.1, 1.0), 0.03, things.metal(b))
    b.quad((0, 0, height / 2), (length, height), wall, normal="y", holes=holes, casts=False)
    if rng.random() < 0.5 and gap is _WHOLE:
        b.box((0, -0.01, 0.05), (length, 0.02, 0.1), things.paint(b, 0.1, 0.95))
    _wall_things(b, length, height, gap)
    if counter:
        rest, rng.bit_generator.state = rng.bit_generator.state, counter
        with b.at((0, -0.32, 0)):
            f.kitchen(b, length)
        rng.bit_generator.state = rest
    elif rng.random() < 0.18 and length > 2.5 and gap is _WHOLE:
        with b.at((0, -0.32, 0)):
            f.kitchen(b, length * rng.uniform(0.6, 0.95))
    else:
        _against(b, length, height, dense, gap)


def _surfaces(b: Builder) -> tuple[int, int, int]:
    """Materials of walls, floor and ceiling."""
    rng = b.rng
    walls = str(
        rng.choice(
            ["flat", "plaster", "wallpaper", "bricks", "tiles", "concrete", "planks"],
            p=[0.5, 0.17, 0.1, 0.08, 0.05, 0.06, 0.04],
        )
    )
    wall = b.mat(
        walls, color(rng, 0.45, 0.97, 0.2), scale=rng.uniform(0.8, 3), contrast=rng.uniform(0.3, 1)
    )
    floors = str(
        rng.choice(
            ["planks", "carpet", "tiles", "concrete", "flat", "fabric", "marble", "stones"],
            p=[0.3, 0.24, 0.16, 0.1, 0.08, 0.05, 0.03, 0.04],
        )
    )
    floor = b.mat(
        floors,
        None if rng.random() < 0.5 else color(rng, 0.15, 0.75, 0.15),
        scale=rng.uniform(0.5, 2.5),
        contrast=rng.uniform(0.4, 1.1),
        shine=rng.choice([0, 0, 0.3]),
        gloss=20,
    )
    ceiling = b.mat(
        str(rng.choice(["flat", "plaster", "planks", "tiles"], p=[0.65, 0.2, 0.07, 0.08])),
        color(rng, 0.6, 0.98, 0.06),
        scale=1.2,
        contrast=0.5,
    )
    return wall, floor, ceiling


def _middle(b: Builder, size: np.ndarray) -> None:
    """Furniture away from the walls; cameras may stand close to it."""
    rng = b.rng
    b.views["spots"] = []
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(-0.28, 0.28, 2) * size[:2]
        b.views["spots"].append(np.array([x, y]))
        with b.at((x, y, 0), rng.uniform(0, 6.28)):
            kind = rng.random()
            if kind < 0.2:
                f.dining_set(b)
            elif kind < 0.28:
                f.desk(b)
            elif kind < 0.36:
                f.wing_chair(b)
            elif kind < 0.5:
                w, d = rng.uniform(0.6, 1.8), rng.uniform(0.5, 1.0)
                f.table(b, w, d, rng.choice([0.45, 0.74]), int(rng.integers(1, 7)))
                for _ in range(int(rng.integers(0, 4))):
                    side = rng.choice([-1, 1])
                    at = (rng.uniform(-0.4, 0.4) * w, side * (d / 2 + rng.uniform(0, 0.3)), 0)
                    with b.at(at, (0 if side > 0 else np.pi) + rng.normal(0, 0.4)):
                        f.chair(b)
            elif kind < 0.6:
                f.sofa(b)
            elif kind < 0.75:
                f.chair(b)
            elif kind < 0.82:
                f.bed(b)
            elif kind < 0.9:
                person(b)
            else:
                f.pile(b, rng.uniform(0.3, 1.0))
    if rng.random() < 0.5:
        rug = things.cloth(b)
        x, y = rng.uniform(-0.2, 0.2, 2) * size[:2]
        b.box((x, y, 0.006), (rng.uniform(1, 2.5), rng.uniform(0.8, 2), 0.012), rug)
    things.clutter(b, size[0] * 0.8, size[1] * 0.8, 0, int(rng.integers(0, 6)), 0.4)


def _partition(b: Builder, size: np.ndarray, wall: int) -> None:
    """A wall, a half-high counter or a column that makes the room two."""
    rng = b.rng
    axis = int(rng.integers(0, 2))
    yaw = axis * np.pi / 2
    length, across = size[1 - axis], size[axis]
    with b.at((0, 0, 0), yaw):
        x, side = rng.uniform(-0.25, 0.25) * across, rng.choice([-1, 1])
        reach = rng.uniform(0.2, 0.55) * length
        y = side * (length / 2 - reach / 2)
        kind = rng.random()
        if kind < 0.55:
            b.box((x, y, size[2] / 2), (0.12, reach, size[2]), wall)
            if rng.random() < 0.5:
                edge = y - side * reach / 2
                b.box((x, edge, size[2] / 2), (0.16, 0.06, size[2]), things.paint(b))
            if rng.random() < 0.5:
                picture = b.mat("picture")
                for face in (-0.066, 0.066):
                    b.quad((x + face, y, 1.5), (0.6, 0.5), picture, normal="x", fit=True)
        elif kind < 0.85:
            high = rng.uniform(0.85, 1.15)
            b.box((x, y, high / 2), (0.5, reach, high), things.hard(b))
            b.box((x, y, high + 0.02), (0.6, reach + 0.05, 0.04), things.hard(b))
            with b.at((x, y, 0), np.pi / 2):
                things.clutter(b, reach, 0.5, high + 0.04, int(rng.integers(2, 9)), 0.35)
        else:
            w = rng.uniform(0.15, 0.5)
            b.box((x, y, size[2] / 2), (w, w, size[2]), wall)


def build(b: Builder) -> None:
    """A room around the origin; the camera stands inside it."""
    rng = b.rng
    longest = 7.0 if rng.random() < 0.8 else 11.0
    size = np.array([*rng.uniform(2.6, longest, 2), rng.uniform(2.3, 3.2)])
    _lights(b, size)
    wall, floor, ceiling = _surfaces(b)
    second = b.mat("flat", color(rng, 0.2, 0.95, 0.4)) if rng.random() < 0.3 else wall
    b.quad((0, 0, 0), (size[0], size[1]), floor)
    b.quad((0, 0, size[2]), (size[0], size[1]), ceiling, casts=False)
    dense = rng.uniform(0.5, 1.0)
    corner = int(rng.integers(4)) if rng.random() < 0.14 else None
    look = rng.bit_generator.state
    for k in range(4):
        yaw = -k * np.pi / 2
        length, reach = (size[0], size[1]) if k % 2 == 0 else (size[1], size[0])
        at = (np.sin(-yaw) * reach / 2, np.cos(yaw) * reach / 2, 0)
        with b.at(at, yaw):
            fitted = corner is not None and k in (corner, (corner + 1) % 4)
            counter = look if fitted else None
            _side(b, length, size[2], second if k == 1 else wall, dense, counter=counter)
    _middle(b, size)
    if rng.random() < 0.3:
        _partition(b, size, wall)
    if rng.random() < 0.15:
        with b.at((*rng.uniform(-0.3, 0.3, 2) * size[:2], size[2])):
            f.ceiling_fan(b)
    if rng.random() < 0.12:
        beam = things.hard(b)
        for x in np.arange(-size[0] / 2, size[0] / 2, rng.uniform(0.5, 1.2)):
            b.box((x, 0, size[2] - 0.08), (0.1, size[1], 0.16), beam, casts=False)
    b.room = np.array([[-size[0] / 2, -size[1] / 2, 0], [size[0] / 2, size[1] / 2, size[2]]])
    b.views |= {"size": size, "blur": 0.06}
