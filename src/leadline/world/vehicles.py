"""Cars, vans, lorries and bicycles; along +y (front), on the ground at the origin."""

from __future__ import annotations

import numpy as np

from leadline.world.bodies import person
from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from


def car_paint(b: Builder) -> int:
    """White, grey, black, silver mostly; sometimes a colour."""
    rng = b.rng
    if rng.random() < 0.72:
        tone = float(rng.choice([0.04, 0.1, 0.3, 0.55, 0.7, 0.92]))
        rgb = np.full(3, tone) + rng.normal(0, 0.02, 3)
    else:
        rgb = np.array(
            [
                [0.55, 0.05, 0.05],
                [0.05, 0.12, 0.45],
                [0.1, 0.3, 0.15],
                [0.75, 0.6, 0.1],
                [0.35, 0.2, 0.12],
                [0.2, 0.4, 0.65],
            ]
        )[int(rng.integers(0, 6))]
    return b.mat(
        "flat", np.clip(rgb, 0.02, 1), shine=rng.uniform(0.4, 1.0), gloss=rng.uniform(20, 90)
    )


def _wheels(b: Builder, half_width: float, front: float, rear: float, radius: float) -> None:
    tyre = b.mat("flat", (0.07, 0.07, 0.07))
    rim = b.mat("metal", (0.55, 0.55, 0.56), shine=0.5)
    for x in (-1, 1):
        for y in (front, rear):
            outer, inner = x * half_width, x * (half_width - 0.2)
            b.tube((inner, y, radius), (outer, y, radius), radius, tyre)
            b.tube((outer, y, radius), (outer + x * 0.01, y, radius), radius * 0.62, rim)


def _lights(b: Builder, width: float, length: float, z: float) -> None:
    lamp = b.mat("flat", (0.95, 0.95, 0.9), shine=1.0, glow=float(b.rng.choice([0, 0, 0, 3.0])))
    red = b.mat("flat", (0.7, 0.05, 0.04), shine=0.6, glow=float(b.rng.choice([0, 0, 1.2])))
    plate = b.mat("flat", (0.9, 0.9, 0.85))
    for x in (-1, 1):
        b.box((x * width * 0.38, length / 2 - 0.05, z), (0.3, 0.14, 0.14), lamp)
        b.box((x * width * 0.4, -length / 2 + 0.05, z + 0.1), (0.22, 0.14, 0.2), red)
    for y in (-length / 2 - 0.01, length / 2 + 0.01):
        b.box((0, y, z - 0.2), (0.5, 0.04, 0.11), plate)


def car(b: Builder) -> None:
    """Saloon, estate or hatchback."""
    rng = b.rng
    length, width, tall = rng.uniform(3.6, 4.9), rng.uniform(1.65, 1.9), rng.uniform(1.4, 1.75)
    body = car_paint(b)
    glass = b.mat("flat", np.full(3, rng.uniform(0.05, 0.25)), shine=0.9, gloss=60)
    under = b.mat("flat", (0.05, 0.05, 0.05))
    waist = tall * rng.uniform(0.58, 0.66)
    b.box((0, 0, 0.28), (width * 0.92, length * 0.92, 0.25), under)
    b.cushion((0, 0, (waist + 0.22) / 2 + 0.05), (width, length, waist - 0.1), body, doublings=3)
    style = rng.random()
    shift = {True: -0.28, False: -0.08}[style < 0.35] * length * 0.5
    cabin = length * (rng.uniform(0.48, 0.56) if style < 0.5 else rng.uniform(0.56, 0.72))
    b.cushion(
        (0, shift, waist - 0.02), (width * 0.88, cabin, (tall - waist) * 2), glass, doublings=2
    )
    b.cushion((0, shift, tall - 0.1), (width * 0.8, cabin * 0.72, 0.22), body, doublings=3)
    for x in (-1, 1):
        for y in (-0.45, 0.02, 0.42):
            top = (x * width * 0.37, shift + y * cabin * 0.75, tall - 0.08)
            b.tube((x * width * 0.43, shift + y * cabin * 1.05, waist - 0.03), top, 0.035, body)
        b.ball((x * width * 0.56, shift + cabin * 0.42, waist + 0.05), (0.12, 0.07, 0.08), body)
        b.box((x * width * 0.495, -0.1, waist * 0.8), (0.02, 0.2, 0.03), under)
    b.box((0, length / 2 - 0.02, 0.5), (width * 0.6, 0.08, 0.16), under)
    _wheels(b, width / 2 + 0.005, length * 0.31, -length * 0.3, 0.32)
    _lights(b, width * 0.95, length, waist * 0.78)


def far_car(b: Builder) -> None:
    """Car of few parts, for the distance."""
    body = car_paint(b)
    dark = b.mat("flat", (0.07, 0.07, 0.08), shine=0.6)
    b.box((0, 0, 0.3), (1.6, 3.9, 0.4), dark)
    b.cushion((0, 0, 0.65), (1.75, 4.2, 0.8), body, doublings=3)
    b.cushion((0, -0.3, 0.98), (1.5, 2.4, 0.95), dark, doublings=2)
    b.cushion((0, -0.3, 1.38), (1.35, 1.7, 0.14), body, doublings=3)


def van(b: Builder) -> None:
    """Van, bus or lorry."""
    rng = b.rng
    big = rng.random() < 0.4
    length = rng.uniform(6.5, 11) if big else rng.uniform(4.6, 6)
    width, tall = (2.5, rng.uniform(2.9, 3.9)) if big else (1.95, rng.uniform(1.9, 2.6))
    body = car_paint(b)
    load = body if rng.random() < 0.6 else b.mat("poster", scale=rng.uniform(3, 6))
    glass = b.mat("flat", np.full(3, rng.uniform(0.05, 0.2)), shine=0.8, gloss=60)
    under = b.mat("flat", (0.05, 0.05, 0.05))
    b.box((0, 0, 0.5), (width * 0.9, length * 0.95, 0.4), under)
    nose = rng.uniform(1.4, 2.0)
    b.box((0, -nose / 2, (tall + 0.45) / 2), (width, length - nose, tall - 0.45), load)
    front = tall * (0.75 if rng.random() < 0.6 else 1.0)
    b.cushion(
        (0, length / 2 - nose, front / 2 + 0.2),
        (width * 0.97, nose * 2, front - 0.3),
        body,
        doublings=3,
    )
    b.cushion(
        (0, length / 2 - nose * 0.7, front * 0.72),
        (width * 0.99, nose * 1.1, front * 0.3),
        glass,
        doublings=3,
    )
    if rng.random() < 0.4:
        for x in (-1, 1):
            b.box(
                (x * (width / 2 + 0.005), -nose / 2, tall * 0.68),
                (0.02, length * 0.65, tall * 0.28),
                glass,
            )
    b.box((0, -length / 2 - 0.01, tall * 0.68), (width * 0.8, 0.02, tall * 0.28), glass)
    _wheels(b, width / 2 + 0.01, length * 0.33, -length * 0.3, 0.48 if big else 0.36)
    _lights(b, width, length, 0.9)


def lorry(b: Builder) -> float:
    """Tractor with a trailer: box, tarpaulin, tank, flat load or tipper; returns its length (m)."""
    rng = b.rng
    length, width = rng.uniform(8, 16), 2.5
    body, dark = car_paint(b), b.mat("flat", (0.06, 0.06, 0.06))
    glass = b.mat("flat", np.full(3, rng.uniform(0.05, 0.2)), shine=0.8, gloss=60)
    front, tall = length / 2, rng.uniform(2.8, 3.7)
    b.cushion((0, front - 1.0, tall / 2 + 0.3), (width, 2.0, tall - 0.5), body, doublings=4)
    b.box((0, front, tall * 0.68), (width * 0.9, 0.06, tall * 0.28), glass)
    for x in (-1, 1):
        b.box((x * width * 0.5, front - 0.7, tall * 0.7), (0.03, 0.8, tall * 0.22), glass)
        b.box((x * width * 0.6, front - 0.1, tall * 0.65), (0.25, 0.12, 0.5), dark)
    b.box((0, 0, 0.95), (width * 0.5, length * 0.96, 0.3), dark)
    load, middle = length - 2.6, -1.3
    kind = rng.random()
    if kind < 0.35:
        _closed_load(b, width, load, middle)
    elif kind < 0.55:
        _tarpaulin(b, width, load, middle)
    elif kind < 0.75:
        _tank(b, width, load, middle)
    elif kind < 0.9:
        _open_load(b, width, load, middle)
    else:
        b.box((0, middle, 1.2), (width, load, 0.2), _cover(b))
        with b.at((0, middle + 0.2 * load, 1.3)):
            car(b)
    axles = [front - 1.3, *(-length * (0.46 - 0.09 * k) for k in range(int(rng.integers(1, 4))))]
    for y in axles:
        _wheels(b, width / 2, y, y, 0.5)
    for x in (-1, 1):
        if rng.random() < 0.6:  # tool boxes, spare wheels or an underride guard between the axles
            at = (x * width * 0.44, rng.uniform(-0.05, 0.15) * length, 0.75)
            b.box(at, (0.25, length * rng.uniform(0.1, 0.3), rng.uniform(0.2, 0.6)), dark)
    _lights(b, width, length, 1.0)
    stripes = b.mat("flat", (0.85, 0.1, 0.08), glow=0.3)
    b.box((0, -length / 2, 1.05), (width, 0.04, 0.14), stripes)
    return length


def _cover(b: Builder) -> int:
    """Material of a load's hull: white or pale as often as not, else any colour, or printed."""
    rng = b.rng
    kind = str(rng.choice(["poster", "flat", "flat", "fabric", "metal"]))
    tone = np.full(3, rng.uniform(0.7, 0.97)) if rng.random() < 0.45 else color(rng, 0.1, 0.95, 0.4)
    own = kind == "poster" and rng.random() < 0.5
    return b.mat(
        kind,
        None if own else tone,
        scale=rng.uniform(2, 5),
        contrast=rng.uniform(0.3, 1.0),
        shine=rng.uniform(0, 0.4),
    )


def _closed_load(b: Builder, width: float, load: float, middle: float) -> None:
    """Box with doors at its back; ribs along its sides, or none."""
    rng = b.rng
    hull, dark = _cover(b), b.mat("flat", (0.06, 0.06, 0.06))
    high, back = rng.uniform(2.2, 2.9), middle - load / 2
    z = 1.15 + high / 2
    b.box((0, middle, z), (width, load, high), hull)
    if rng.random() < 0.5:
        for y in np.linspace(back, middle + load / 2, 5):
            b.box((0, y, z), (width + 0.04, 0.08, high), dark)
    if rng.random() < 0.6:
        b.box((0, back - 0.02, z), (0.04, 0.03, high), dark)
        for x in (-0.6, -0.2, 0.2, 0.6):
            b.tube((x, back - 0.05, 1.2), (x, back - 0.05, 1.1 + high), 0.025, dark)


def _tarpaulin(b: Builder, width: float, load: float, middle: float) -> None:
    """Side boards of a flat bed, cloth over hoops above them, warning stripes at the back."""
    rng = b.rng
    board = b.mat("metal", np.full(3, rng.uniform(0.3, 0.9)), shine=0.3)
    cloth = b.mat(
        str(rng.choice(["fabric", "flat", "noise"])),
        color(rng, 0.1, 0.85, 0.6),
        scale=rng.uniform(1, 4),
        contrast=rng.uniform(0.4, 1.0),
    )
    low, high, back = rng.uniform(0.4, 0.9), rng.uniform(1.3, 2.1), middle - load / 2
    b.box((0, middle, 1.15 + low / 2), (width, load, low), board)
    top = 1.15 + low + high / 2
    b.cushion((0, middle, top), (width * 0.97, load * 0.98, high), cloth, doublings=4)
    for y in np.linspace(back + 0.3, middle + load / 2 - 0.3, int(rng.integers(3, 7))):
        b.cushion((0, y, top), (width, 0.1, high * 1.02), cloth, doublings=4)
    if rng.random() < 0.5:
        for k, x in enumerate(np.arange(-1.05, 1.06, 0.3)):
            tone = (0.9, 0.75, 0.05) if k % 2 else (0.75, 0.05, 0.05)
            b.box((x, back - 0.02, 1.2), (0.3, 0.03, 0.3), b.mat("flat", tone))


def _tank(b: Builder, width: float, load: float, middle: float) -> None:
    """Lying tank with bands, a rail along its top, saddles, and a ladder at its back."""
    rng = b.rng
    metal = b.mat("metal", np.full(3, rng.uniform(0.4, 0.85)), shine=0.9, gloss=50)
    hull = metal if rng.random() < 0.5 else _cover(b)
    dark = b.mat("flat", (0.08, 0.08, 0.09), shine=0.3)
    radius = rng.uniform(1.0, 1.25)
    z, back, nose = 1.2 + radius, middle - load / 2, middle + load / 2
    if rng.random() < 0.5:
        b.limb((0, back + 1, z), (0, nose - 1, z), radius, hull)
    else:
        b.tube((0, back + 0.2, z), (0, nose - 0.2, z), radius, hull)
    for y in np.linspace(back + 1, nose - 1, int(rng.integers(2, 6))):
        b.tube((0, y - 0.04, z), (0, y + 0.04, z), radius + 0.02, dark)
        b.box((0, y, 1.2), (width * 0.8, 0.15, 0.5), dark)
    b.box((0, middle, 1.15), (width, load, 0.12), dark)
    for x in (-1, 1):
        rail = (x * 0.35, z + radius + 0.12)
        b.tube((rail[0], back + 1, rail[1]), (rail[0], nose - 1, rail[1]), 0.03, metal)
        if rng.random() < 0.6:
            at = (x * width * 0.48, middle + rng.uniform(-0.3, 0.3) * load, 0.95)
            b.box(at, (0.3, load * rng.uniform(0.2, 0.6), 0.35), dark)
    side = rng.choice([-1, 0, 1]) * 0.9
    for x in (side - 0.22, side + 0.22):
        b.tube((x, back + 0.05, 0.7), (x, back + 0.05, z + radius), 0.025, metal)
    for step in np.arange(0.8, z + radius, 0.3):
        b.tube((side - 0.22, back + 0.05, step), (side + 0.22, back + 0.05, step), 0.018, metal)


def _open_load(b: Builder, width: float, load: float, middle: float) -> None:
    """Low sides and what lies between them."""
    rng = b.rng
    b.box((0, middle, 1.5), (width, load, 0.7), _cover(b))
    for _ in range(int(rng.integers(2, 7))):
        at = (rng.normal(0, 0.3), middle + rng.uniform(-0.4, 0.4) * load, 2.1)
        b.cushion(at, rng.uniform(0.8, 2.0, 3), _load_mat(b), doublings=3)


def _load_mat(b: Builder) -> int:
    """Material of a load."""
    rng = b.rng
    return b.mat(
        str(rng.choice(["fabric", "wood", "flat", "metal"])), color(rng, 0.1, 0.9, 0.4), scale=1.0
    )


def bicycle(b: Builder, *, rider: bool = False) -> None:
    """Bicycle, with a rider if asked for."""
    rng = b.rng
    frame = b.mat("flat", color(rng, 0.05, 0.8, 0.5), shine=0.4)
    black = b.mat("flat", (0.06, 0.06, 0.06))
    r = 0.34
    turn = rotation_from((0, 0, 1), np.pi / 2)
    for y in (-0.52, 0.52):
        b.quad((0, y, r), (2 * r, 2 * r), black, normal="y", mask="wheel", rotation=turn)
    seat, bar, crank = (0, -0.2, 0.85), (0, 0.4, 0.9), (0, -0.08, 0.3)
    for start, stop in (
        (seat, crank),
        (crank, bar),
        (bar, (0, -0.18, 0.75)),
        (crank, (0, -0.52, r)),
        ((0, -0.52, r), (0, -0.18, 0.75)),
        ((0, 0.38, 1.0), (0, 0.52, r)),
    ):
        b.limb(start, stop, 0.02, frame)
    b.limb((-0.27, 0.36, 1.0), (0.27, 0.36, 1.0), 0.015, black)
    b.cushion((0, -0.22, 0.9), (0.14, 0.25, 0.07), black)
    if rider:
        with b.at((0, -0.2, 0.42), np.pi):
            person(b, seated=True)


def tram(b: Builder) -> None:
    """Long rail car."""
    rng = b.rng
    length = rng.uniform(14, 26)
    body, glass = car_paint(b), b.mat("flat", (0.1, 0.11, 0.13), shine=0.8, gloss=60)
    b.cushion((0, 0, 1.9), (2.5, length, 3.2), body, doublings=4)
    for x in (-1, 1):
        b.box((x * 1.25, 0, 2.3), (0.03, length * 0.9, 1.0), glass)
    b.box((0, length / 2, 2.3), (2.0, 0.05, 1.2), glass)
    b.box((0, -length / 2, 2.3), (2.0, 0.05, 1.2), glass)
    b.box((0, 0, 0.2), (2.2, length * 0.95, 0.3), b.mat("flat", (0.06, 0.06, 0.06)))
