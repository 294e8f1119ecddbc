"""Outdoor street scenes: a road along +y between houses, trees, walls and parked cars."""

from __future__ import annotations

import numpy as np

from leadline.world import plants, vehicles
from leadline.world.bodies import animal, person
from leadline.world.buildings import house
from leadline.world.course import Course, clear, lay
from leadline.world.patterns import color
from leadline.world.roadside import (
    END,
    START,
    fence,
    fence_or_hedge,
    house_row,
    kerbside,
    lamp_post,
    rails,
    row,
    sign,
    tree_row,
)
from leadline.world.scene import Builder
from leadline.world.weather import daylight


def _side(b: Builder, side: int, edge: float, walk: float) -> None:
    """Everything beyond the kerb on one side; drawn for +x and mirrored by the frame."""
    rng = b.rng
    style = str(
        rng.choice(
            ["town", "houses", "green", "mixed", "open", "rails"],
            p=[0.22, 0.2, 0.28, 0.18, 0.05, 0.07],
        )
    )
    with b.at((0, 0, 0)) if side > 0 else b.at((0, START + END, 0), np.pi):
        far = edge + walk
        if style == "town":
            house_row(b, far + rng.uniform(0, 1.5), close=True)
            if rng.random() < 0.5:
                tree_row(b, edge + 0.8, (8, 22), 0.2)
        elif style == "houses":
            fence_or_hedge(b, far + 0.2)
            house_row(b, far + rng.uniform(4, 9), close=False)
            tree_row(b, far + 3, (8, 25), 1.5)
        elif style == "green":
            tree_row(b, far + rng.uniform(0.5, 4), (4, 12), 1.2)
            tree_row(b, far + rng.uniform(8, 16), (5, 11), 3)
            if rng.random() < 0.6:
                fence_or_hedge(b, far + 0.5)
            for y in row(b, START, (3, 14), 60):
                with b.at((far + rng.uniform(0.5, 6), y, 0)):
                    plants.bush(b, rng.uniform(0.8, 2.5))
        elif style == "mixed":
            fence(b, far + 0.5, rng.uniform(0.8, 2.6))
            tree_row(b, far + 4, (7, 16), 2)
            house_row(b, far + rng.uniform(10, 20), close=False)
        elif style == "rails":
            rails(b, far + 2)
            fence_or_hedge(b, far + 8)
            tree_row(b, far + 11, (5, 12), 2)
        else:
            fence(b, far + 0.6, rng.uniform(0.5, 1.2))
            tree_row(b, far + 30, (9, 22), 8)
        if rng.random() < 0.6:
            for y in row(b, rng.uniform(START, 5), (16, 34)):
                with b.at((edge + 0.4, y, 0)):
                    lamp_post(b)
        for y in row(b, rng.uniform(-5, 20), (10, 45), 80):
            with b.at((edge + 0.5, y, 0), np.pi if side < 0 else 0):
                sign(b)
        for _ in range(int(rng.integers(0, 6))):
            at = (edge + rng.uniform(0.3, max(walk, 0.8)), rng.uniform(2, 45), 0)
            with b.at(at, rng.uniform(0, 6.28)):
                if rng.random() < 0.85:
                    person(b)
                else:
                    animal(b, 0.8)
        kerbside(b, edge, walk)


def _park_cars(b: Builder, x: float, share: float) -> None:
    rng = b.rng
    for y in row(b, START + rng.uniform(0, 6), (5.6, 8.0), 75):
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
        with b.at(
            (side * half * rng.uniform(0.3, 0.6), y, 0), np.pi * (side < 0) + rng.normal(0, 0.04)
        ):
            kind = rng.random()
            if kind < 0.72:
                vehicles.car(b)
            elif kind < 0.8:
                vehicles.van(b)
            elif kind < 0.87:
                vehicles.lorry(b)
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
    road = b.mat(
        kind,
        np.array([1, 1, 1.02]) * tone,
        scale=rng.uniform(2, 5),
        contrast=rng.uniform(0.5, 1.3),
        shine=float(rng.choice([0, 0, 0.25])),
        gloss=15,
    )
    land = b.mat(
        str(rng.choice(["grass", "grass", "grass", "concrete", "gravel", "litter"])), scale=3
    )
    b.quad((0, middle, -0.03), (900, 900), land, casts=False)
    bank = 2 * (half + walk + 30)
    b.box((0, middle, -5.02), (bank, length, 10.0), land, casts=False)
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
            b.quad(
                (x, START + 90, 0.006),
                (0.14, 180),
                white,
                mask=mask,
                repeat=(1, 180 / rng.uniform(5, 12)),
                casts=False,
            )
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
            b.ball(
                (x + rng.normal(0, 3), END + rng.uniform(-10, 15), r[2] * 0.5),
                r,
                green,
                bumps=0.3,
                waviness=7,
            )
    if rng.random() < 0.35:
        hill = b.mat("leaves", np.array([0.25, 0.33, 0.3]) * rng.uniform(0.7, 1.3), scale=30)
        for _ in range(3):
            b.ball(
                (rng.uniform(-300, 300), 420, -10),
                (rng.uniform(120, 300), 90, rng.uniform(20, 60)),
                hill,
                bumps=0.1,
            )
    if rng.random() < 0.12:
        y = rng.uniform(20, 80)
        m = b.mat("concrete", scale=3)
        b.box((0, y, 6.2), (60, 7, 1.4), m)
        for x in (-14, 14):
            b.box((x, y, 2.8), (1.5, 6, 5.6), m)
    if rng.random() < 0.15:
        wire = b.mat("flat", (0.1, 0.1, 0.1))
        for x in (-3, 3):
            b.tube((x, START, 7), (x, END, 7), 0.03, wire)


def _crossing(b: Builder, half: float, walk: float) -> None:
    """A road that crosses ours, with what stands and drives at a corner."""
    rng = b.rng
    y, width = rng.uniform(18, 70), rng.uniform(5, 12)
    b.rows = clear(b.rows, y, width + 1.5, lambda row: abs(row.centre[0]) < half)
    tone = rng.uniform(0.25, 0.6)
    road = b.mat("asphalt", np.full(3, tone), scale=3, contrast=rng.uniform(0.5, 1.2))
    b.quad((0, y, 0.004), (150, width), road, casts=False)
    white = b.mat("flat", np.full(3, rng.uniform(0.65, 0.95)))
    if rng.random() < 0.6:
        for x in np.arange(-half + 0.5, half, 1.0):
            b.quad((x, y - width / 2 - 2.5, 0.007), (0.5, 3.0), white, casts=False)
    b.quad((0, y - width / 2 - 0.5, 0.007), (2 * half, 0.3), white, casts=False)
    for side in (-1, 1):
        corner = side * (half + max(walk, 0.6) * 0.6)
        for end in (-1, 1):
            if rng.random() < 0.6:
                with b.at((corner, y + end * (width / 2 + 1.2), 0), np.pi * (end > 0)):
                    sign(b)
        for x in row(b, half + walk + 4, (6, 25), 60):
            kind = rng.random()
            with b.at((side * x, y + rng.choice([-0.3, 0.3]) * width, 0), np.pi / 2):
                (vehicles.car if x < 25 and kind < 0.4 else vehicles.far_car)(b)
        with b.at((side * rng.uniform(45, 75), y, 0), np.pi * (side < 0)):
            if rng.random() < 0.5:
                house(b, rng.uniform(16, 30), 10, rng.uniform(6, 16))
            else:
                tree_row(b, 0, (5, 9), 3)
    if rng.random() < 0.4:
        make = vehicles.van if rng.random() < 0.3 else vehicles.car
        at = (rng.uniform(-half, half), y + rng.uniform(-0.3, 0.3) * width, 0)
        with b.at(at, np.pi / 2 + rng.choice([0, np.pi]) + rng.normal(0, 0.3)):
            make(b)


def _queue(b: Builder, half: float) -> None:
    """Stopped or slow traffic in one or two lanes: bumper to bumper, many lorries."""
    rng = b.rng
    lorries = rng.uniform(0, 0.7)
    lanes = rng.choice([-0.7, -0.25, 0.25, 0.7], int(rng.integers(1, 4)), replace=False)
    for lane in lanes:
        y = rng.uniform(-6, 14) if abs(lane) > 0.4 else rng.uniform(24, 34)
        for _ in range(int(rng.integers(2, 7))):
            big = rng.random() < lorries
            with b.at((lane * half, y, 0), np.pi * (lane < 0 and rng.random() < 0.5)):
                if big:
                    y += vehicles.lorry(b) + rng.uniform(2, 6)
                elif y < 45:
                    (vehicles.van if rng.random() < 0.2 else vehicles.car)(b)
                    y += rng.uniform(7, 12)
                else:
                    vehicles.far_car(b)
                    y += rng.uniform(7, 14)


def _median(b: Builder) -> None:
    """What parts the lanes of a wide road: grass, a rail, a hedge or lamps."""
    rng = b.rng
    kind = rng.random()
    if kind < 0.5:
        strip = b.mat("grass", scale=2)
        b.box((0, START + 150, 0.05), (rng.uniform(1, 3), 320, 0.2), strip, casts=False)
    if kind < 0.25:
        with b.at((0, 0, 0)):
            fence_or_hedge(b, -0.3)
    elif kind < 0.75:
        with b.at((0, 0, 0)):
            fence(b, 0, 0.8)
    for y in row(b, rng.uniform(START, 5), (20, 40)):
        with b.at((0, y, 0), rng.choice([0, np.pi])):
            lamp_post(b)


def _course(rng: np.random.Generator) -> Course:
    """Straight, a bend, a slope, or both."""
    bends, climbs = rng.random() < 0.5, rng.random() < 0.4
    radius = float(np.exp(rng.uniform(np.log(25), np.log(250))))
    start = rng.uniform(-10, 45)
    return Course(
        curvature=rng.choice([-1, 1]) / radius if bends else 0.0,
        start=start,
        stop=start + min(radius * rng.uniform(0.3, 1.5), 140),
        slope=rng.uniform(0.01, 0.07) if climbs else 0.0,
        wave=rng.uniform(110, 400),
        phase=rng.uniform(0, 6.28),
    )


def build(b: Builder) -> None:
    """A road that the camera drives or walks along: straight, bent or climbing, some crossed."""
    rng = b.rng
    daylight(b)
    wide = rng.random() < 0.28
    half = rng.uniform(7.0, 11.0) if wide else rng.uniform(2.6, 7.0)
    walk = float(rng.choice([0.0, 1.5, 2.5, 4.0])) * rng.uniform(0.8, 1.2)
    course = _course(rng)
    _ground(b, half, walk)
    if wide:
        _median(b)
    for side in (-1, 1):
        _side(b, side, half, walk)
        share = float(rng.choice([0.0, 0.4, 0.85]))
        if share > 0 and not wide:
            _park_cars(b, side * (half - 1.0), share)
    (_queue if rng.random() < (0.5 if wide else 0.22) else _traffic)(b, half)
    if rng.random() < 0.35:
        _crossing(b, half, walk)
    _horizon(b)
    if course.curvature or course.slope:
        b.rows = lay(b.rows, course)
    near = rng.uniform(0.35, 0.6) if wide else 0.4
    b.views = {
        "lanes": [-half * near, half * near, half * near],
        "run": 18.0,
        "walk": (half * 0.8, half + max(walk, 1.0)),
        "focus": tuple(course.place(0, 30)[0]),
        "course": course,
        "near": 1.6,
        "blur": 0.06,
    }
