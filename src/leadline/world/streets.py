"""Outdoor street scenes: a road along +y between houses, trees, walls and parked cars."""

from __future__ import annotations

import numpy as np

from leadline.world import plants, vehicles
from leadline.world.bodies import animal, person
from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from

START, END = -25.0, 120.0


def daylight(b: Builder, moods: tuple[float, float, float, float] = (0.55, 0.33, 0.09, 0.03)) -> str:
    """Sky, sun and haze; returns the mood."""
    rng, light = b.rng, b.light
    mood = str(rng.choice(["day", "grey", "dusk", "night"], p=moods))
    light.sky = b.bank.pick_sky(rng, mood)
    light.sky_yaw = rng.uniform(0, 6.28)
    azimuth, low = rng.uniform(0, 6.28), {"day": (15, 70), "dusk": (4, 16)}.get(mood, (40, 80))
    elevation = np.radians(rng.uniform(*low))
    light.sun_direction = np.array([
        np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation),
    ])  # fmt: skip
    if mood == "day":
        light.sun_color = np.array([1.0, 0.94, 0.84]) * rng.uniform(0.7, 1.7)
        light.sky_color = np.array([0.42, 0.5, 0.62]) * rng.uniform(0.35, 0.9)
    elif mood == "grey":
        light.sun_color = np.full(3, rng.uniform(0.0, 0.25))
        light.sky_color = np.array([0.75, 0.78, 0.82]) * rng.uniform(0.8, 1.1)
    elif mood == "dusk":
        light.sun_color = np.array([1.0, 0.65, 0.4]) * rng.uniform(0.3, 1.0)
        light.sky_color = np.array([0.3, 0.3, 0.4]) * rng.uniform(0.5, 1.0)
    else:
        light.sky_color = np.array([0.06, 0.07, 0.11])
    light.ground_color = light.sky_color * rng.uniform(0.3, 0.6) + 0.15 * light.sun_color * elevation
    light.sky_gain = {"day": 1.15, "grey": 1.4, "dusk": 0.8, "night": 0.15}[mood] * rng.uniform(0.8, 1.6)
    light.fog = float(rng.choice([0.0, 0.0015, 0.004, 0.015], p=[0.25, 0.45, 0.25, 0.05]))
    light.fog_color = light.sky_color * rng.uniform(0.9, 1.2)
    light.lit_radius = 42.0
    return mood


def facade_mat(b: Builder) -> int:
    rng = b.rng
    own = None if rng.random() < 0.45 else color(rng, 0.3, 0.92, 0.2)
    return b.mat("facade", own, scale=1, contrast=rng.uniform(0.7, 1.0), shine=0.05)


def house(b: Builder, width: float, depth: float, height: float) -> None:
    """Building whose front is at x = 0 and looks to -x; width along y."""
    rng = b.rng
    plain = b.mat(str(rng.choice(["plaster", "bricks", "concrete"])), color(rng, 0.35, 0.9, 0.2), scale=2.5)
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
        b.quad((depth / 2, -width / 2 - 0.02, height / 2), (depth, height), side, normal="y", fit=True, casts=False)
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
        b.box((0, -0.05, h - 0.2), (rng.uniform(0.5, 1.6), 0.04, rng.uniform(0.4, 0.8)), b.mat("poster"), fit=True)
    elif kind < 0.75:
        b.box((0, -0.05, h), (0.3, 0.2, 0.9), b.mat("flat", (0.05, 0.05, 0.05)))
        glow = b.mat("flat", [(0.9, 0.1, 0.05), (0.1, 0.8, 0.3)][int(rng.integers(0, 2))], glow=3)
        b.ball((0, -0.16, h + rng.choice([-0.28, 0.28])), (0.1, 0.06, 0.1), glow)
    else:
        b.quad((0, -0.05, h - 0.3), (0.7, 0.7), face, normal="y", mask="shape")


def _row(b: Builder, first: float, gap: tuple[float, float], last: float = END) -> list[float]:
    out, y = [], first
    while y < last:
        out.append(y)
        y += b.rng.uniform(*gap)
    return out


def _buildings(b: Builder, x: float, *, close: bool) -> None:
    rng = b.rng
    y = START
    high = rng.uniform(6, 20) if close else rng.uniform(5, 9)
    while y < END:
        w = rng.uniform(8, 24) if close else rng.uniform(8, 14)
        with b.at((x + (0 if close else rng.uniform(-1, 3)), y + w / 2, 0)):
            house(b, w, rng.uniform(8, 14), high * rng.uniform(0.75, 1.25))
        y += w + (rng.choice([0, 0, 0.5, 5]) if close else rng.uniform(3, 12))


def _trees(b: Builder, x: float, gap: tuple[float, float], spread: float = 0.5) -> None:
    rng = b.rng
    tall = rng.uniform(5, 16)
    for y in _row(b, START + rng.uniform(0, 8), gap):
        at = (x + rng.normal(0, spread), y, 0)
        with b.at(at, rng.uniform(0, 6)):
            if rng.random() < 0.12:
                plants.conifer(b, tall * rng.uniform(0.7, 1.3))
            else:
                plants.tree(b, tall * rng.uniform(0.7, 1.3), 5 if -5 < y < 30 else 2)


def _fence(b: Builder, x: float, height: float) -> None:
    rng = b.rng
    kind = rng.random()
    length = END - START
    m = b.mat(str(rng.choice(["wood", "metal", "flat"])), color(rng, 0.1, 0.9, 0.2), scale=1)
    if kind < 0.35:
        mask = str(rng.choice(["bars", "lattice", "bars", "frame"]))
        for y in np.arange(START, END, 24.0):
            b.quad((x, y + 12, height / 2), (24, height), m, normal="x", mask=mask, repeat=(24 / height, 1))
    elif kind < 0.7:
        wall = b.mat(str(rng.choice(["bricks", "stones", "concrete", "plaster"])), color(rng, 0.3, 0.8, 0.2), scale=1.5)
        b.box((x, START + length / 2, height / 2), (0.25, length, height), wall)
    else:
        rail = b.mat("metal", (0.6, 0.6, 0.6), shine=0.3)
        b.box((x, START + length / 2, 0.62), (0.06, length, 0.3), rail)
        for y in _row(b, START, (4, 4.1), 60):
            b.box((x + 0.06, y, 0.35), (0.1, 0.1, 0.7), rail)


def _side(b: Builder, side: int, edge: float, walk: float) -> None:
    """Everything beyond the kerb on one side; drawn for +x and mirrored by the frame."""
    rng = b.rng
    style = str(rng.choice(["town", "houses", "green", "mixed", "open", "rails"],
                           p=[0.22, 0.2, 0.28, 0.18, 0.05, 0.07]))  # fmt: skip
    with b.at((0, 0, 0)) if side > 0 else b.at((0, START + END, 0), np.pi):
        far = edge + walk
        if style == "town":
            _buildings(b, far + rng.uniform(0, 1.5), close=True)
            if rng.random() < 0.5:
                _trees(b, edge + 0.8, (8, 22), 0.2)
        elif style == "houses":
            _fence_or_hedge(b, far + 0.2)
            _buildings(b, far + rng.uniform(4, 9), close=False)
            _trees(b, far + 3, (8, 25), 1.5)
        elif style == "green":
            _trees(b, far + rng.uniform(0.5, 4), (4, 12), 1.2)
            _trees(b, far + rng.uniform(8, 16), (5, 11), 3)
            if rng.random() < 0.6:
                _fence_or_hedge(b, far + 0.5)
            for y in _row(b, START, (3, 14), 60):
                with b.at((far + rng.uniform(0.5, 6), y, 0)):
                    plants.bush(b, rng.uniform(0.8, 2.5))
        elif style == "mixed":
            _fence(b, far + 0.5, rng.uniform(0.8, 2.6))
            _trees(b, far + 4, (7, 16), 2)
            _buildings(b, far + rng.uniform(10, 20), close=False)
        elif style == "rails":
            _rails(b, far + 2)
            _fence_or_hedge(b, far + 8)
            _trees(b, far + 11, (5, 12), 2)
        else:
            _fence(b, far + 0.6, rng.uniform(0.5, 1.2))
            _trees(b, far + 30, (9, 22), 8)
        if rng.random() < 0.6:
            for y in _row(b, rng.uniform(START, 5), (16, 34)):
                with b.at((edge + 0.4, y, 0)):
                    lamp_post(b)
        for y in _row(b, rng.uniform(-5, 20), (10, 45), 80):
            with b.at((edge + 0.5, y, 0), np.pi if side < 0 else 0):
                sign(b)
        for _ in range(int(rng.integers(0, 6))):
            at = (edge + rng.uniform(0.3, max(walk, 0.8)), rng.uniform(2, 45), 0)
            with b.at(at, rng.uniform(0, 6.28)):
                if rng.random() < 0.85:
                    person(b)
                else:
                    animal(b, 0.8)
        _kerbside(b, edge, walk)


def _kerbside(b: Builder, edge: float, walk: float) -> None:
    """Bins, bollards, benches, bicycles, boxes."""
    rng = b.rng
    for _ in range(int(rng.integers(0, 5))):
        with b.at((edge + rng.uniform(0.3, max(walk, 0.8)), rng.uniform(2, 40), 0), rng.uniform(0, 6.28)):
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


def _fence_or_hedge(b: Builder, x: float) -> None:
    rng = b.rng
    if rng.random() < 0.5:
        _fence(b, x, rng.uniform(0.7, 2.0))
        return
    height, depth = rng.uniform(0.8, 2.6), rng.uniform(0.6, 1.4)
    for y in np.arange(START, 90, 14.0):
        with b.at((x + 0.4, y + 7, 0)):
            plants.hedge(b, 13.0, height * rng.uniform(0.9, 1.1), depth)


def _rails(b: Builder, x: float) -> None:
    bed = b.mat("gravel", (0.38, 0.33, 0.3), scale=2)
    length = END - START
    b.quad((x + 2, START + length / 2, 0.08), (6, length), bed, casts=False)
    rail = b.mat("metal", (0.4, 0.36, 0.33), shine=0.5)
    for k in (0, 1.45, 3.2, 4.65):
        b.box((x + k, START + length / 2, 0.15), (0.07, length, 0.14), rail, casts=False)


def _parked(b: Builder, x: float, share: float) -> None:
    rng = b.rng
    for y in _row(b, START + rng.uniform(0, 6), (5.6, 8.0), 75):
        if rng.random() < share:
            with b.at((x + rng.normal(0, 0.1), y, 0), rng.choice([0, np.pi]) + rng.normal(0, 0.02)):
                if not -8 < y < 28:
                    vehicles.far_car(b)
                else:
                    (vehicles.van if rng.random() < 0.1 else vehicles.car)(b)


def _traffic(b: Builder, half: float) -> None:
    rng = b.rng
    for _ in range(int(rng.integers(0, 6))):
        side = rng.choice([-1, 1])
        y = rng.uniform(12, 80) if rng.random() < 0.8 else rng.uniform(4, 14)
        with b.at((side * half * rng.uniform(0.3, 0.6), y, 0), np.pi * (side < 0) + rng.normal(0, 0.04)):
            kind = rng.random()
            if kind < 0.72:
                vehicles.car(b)
            elif kind < 0.86:
                vehicles.van(b)
            elif kind < 0.95:
                vehicles.bicycle(b, rider=True)
            else:
                vehicles.tram(b)


def _ground(b: Builder, half: float, walk: float) -> None:
    rng = b.rng
    length = END - START + 300
    middle = START + length / 2 - 60
    tone = rng.uniform(0.25, 0.6)
    kind = str(rng.choice(["asphalt"] * 8 + ["concrete", "stones", "gravel"]))
    road = b.mat(kind, np.array([1, 1, 1.02]) * tone, scale=rng.uniform(2, 5), contrast=rng.uniform(0.5, 1.3),
                 shine=float(rng.choice([0, 0, 0.25])), gloss=15)  # fmt: skip
    land = b.mat(str(rng.choice(["grass", "grass", "grass", "concrete", "gravel", "litter"])), scale=3)
    b.quad((0, middle, -0.03), (900, 900), land, casts=False)
    b.quad((0, middle, 0.0), (2 * half, length), road, casts=False)
    side_kind = str(rng.choice(["concrete", "stones", "tiles", "bricks", "asphalt", "grass"]))
    path = b.mat(side_kind, color(rng, 0.35, 0.75, 0.08), scale=rng.uniform(1, 3))
    kerb = b.mat("concrete", np.full(3, rng.uniform(0.4, 0.8)), scale=1.5)
    for s in (-1, 1):
        if walk > 0:
            b.box((s * (half + walk / 2), middle, 0.0), (walk, length, 0.24), path, casts=False)
            b.box((s * (half + 0.08), middle, 0.0), (0.16, length, 0.26), kerb, casts=False)
    if rng.random() < 0.75:
        white = b.mat("flat", np.full(3, rng.uniform(0.65, 0.95)))
        for x in [0.0] if half < 5 else [-half / 3, half / 3, 0.0]:
            mask = "dashes" if rng.random() < 0.75 else None
            b.quad((x, START + 90, 0.006), (0.14, 180), white, mask=mask, repeat=(1, 180 / rng.uniform(5, 12)), casts=False)
        if rng.random() < 0.6:
            for s in (-1, 1):
                b.quad((s * (half - 0.4), START + 90, 0.006), (0.12, 180), white, casts=False)
        if rng.random() < 0.3:
            y = rng.uniform(8, 40)
            for x in np.arange(-half + 0.5, half, 1.0):
                b.quad((x, y, 0.007), (0.5, 3.5), white, casts=False)
    for _ in range(int(rng.integers(0, 5))):
        spot = b.mat("asphalt", np.full(3, tone * rng.uniform(0.5, 1.2)))
        at = (rng.uniform(-half, half), rng.uniform(0, 40), 0.003)
        b.quad(at, (rng.uniform(0.5, 3), rng.uniform(0.5, 6)), spot, casts=False)


def _horizon(b: Builder) -> None:
    """What closes the view: a cross building, woods, hills, a bridge."""
    rng = b.rng
    kind = rng.random()
    if kind < 0.4:
        with b.at((rng.uniform(-10, 10), END + rng.uniform(-30, 5), 0), np.pi / 2):
            house(b, rng.uniform(20, 60), 12, rng.uniform(7, 22))
    elif kind < 0.7:
        green = plants.foliage_mat(b)
        for x in np.arange(-90, 90, 14.0):
            r = np.array([rng.uniform(8, 13), 8, rng.uniform(6, 13)])
            b.ball((x + rng.normal(0, 3), END + rng.uniform(-10, 15), r[2] * 0.5), r, green, bumps=0.3, waviness=7)
    if rng.random() < 0.35:
        hill = b.mat("leaves", np.array([0.25, 0.33, 0.3]) * rng.uniform(0.7, 1.3), scale=30)
        for _ in range(3):
            b.ball((rng.uniform(-300, 300), 420, -10), (rng.uniform(120, 300), 90, rng.uniform(20, 60)), hill, bumps=0.1)
    if rng.random() < 0.08:
        y = rng.uniform(25, 80)
        m = b.mat("concrete", scale=3)
        b.box((0, y, 6.2), (60, 7, 1.4), m)
        for x in (-14, 14):
            b.box((x, y, 2.8), (1.5, 6, 5.6), m)
    if rng.random() < 0.15:
        wire = b.mat("flat", (0.1, 0.1, 0.1))
        for x in (-3, 3):
            b.tube((x, START, 7), (x, END, 7), 0.03, wire)


def build(b: Builder) -> None:
    """A straight street; the camera drives or walks along it."""
    rng = b.rng
    daylight(b)
    half = rng.uniform(2.6, 7.0)
    walk = float(rng.choice([0.0, 1.5, 2.5, 4.0])) * rng.uniform(0.8, 1.2)
    _ground(b, half, walk)
    for side in (-1, 1):
        _side(b, side, half, walk)
        share = float(rng.choice([0.0, 0.4, 0.85]))
        if share > 0:
            _parked(b, side * (half - 1.0), share)
    _traffic(b, half)
    _horizon(b)
    b.views = {
        "lanes": [-half * 0.4, half * 0.4, half * 0.4], "run": 18.0, "walk": (half * 0.8, half + max(walk, 1.0)),
        "focus": (0.0, 30.0, 0.0), "near": 1.6, "blur": 0.06,
    }  # fmt: skip
