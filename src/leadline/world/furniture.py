"""Things that stand in rooms: each is drawn at the origin of the current frame, front to -y."""

from __future__ import annotations

import numpy as np

from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from
from leadline.world.things import cloth, clutter, hard, metal, paint, screen


def table(b: Builder, width: float, depth: float, height: float, items: int = 3) -> None:
    """Round or four-legged table (width along x, depth along y, metres) with things on it."""
    top, legs = hard(b), hard(b)
    thick = b.rng.uniform(0.02, 0.07)
    style = b.rng.random()
    if style < 0.2:
        b.tube((0, 0, height - thick), (0, 0, height), width / 2, top)
        b.tube((0, 0, 0), (0, 0, height), 0.05, legs)
        b.tube((0, 0, 0), (0, 0, 0.03), width * 0.25, legs)
    else:
        b.box((0, 0, height - thick / 2), (width, depth, thick), top)
        w = b.rng.uniform(0.03, 0.09)
        for x in (-1, 1):
            for y in (-1, 1):
                px, py = x * (width / 2 - w), y * (depth / 2 - w)
                if style < 0.5:
                    b.tube((px, py, 0), (px, py, height - thick), w / 2, legs)
                else:
                    b.box((px, py, (height - thick) / 2), (w, w, height - thick), legs)
        if b.rng.random() < 0.5:
            b.box((0, 0, height - thick - 0.05), (width * 0.92, depth * 0.9, 0.09), legs)
    clutter(b, width, depth, height, items, 0.28)


def chair(b: Builder) -> None:
    """Chair with legs or a star foot; the back at +y."""
    seat, frame = hard(b), hard(b)
    if b.rng.random() < 0.4:
        seat = cloth(b)
    w, h, back = b.rng.uniform(0.4, 0.5), b.rng.uniform(0.42, 0.5), b.rng.uniform(0.8, 1.1)
    b.box((0, 0, h), (w, w, b.rng.uniform(0.03, 0.09)), seat)
    r = b.rng.uniform(0.012, 0.03)
    if b.rng.random() < 0.2:
        b.tube((0, 0, 0), (0, 0, h), 0.04, frame)
        for k in range(5):
            a = k * 1.2566
            b.limb((0, 0, 0.08), (0.3 * np.cos(a), 0.3 * np.sin(a), 0.04), 0.02, frame)
    else:
        for x in (-1, 1):
            b.tube((x * w * 0.46, -w * 0.46, 0), (x * w * 0.46, -w * 0.46, h), r, frame)
            b.tube((x * w * 0.46, w * 0.5, 0), (x * w * 0.46, w * 0.46, h), r, frame)
    for x in (-1, 1):
        b.tube((x * w * 0.46, w * 0.46, h), (x * w * 0.46, w * 0.56, back), r, frame)
    style = b.rng.random()
    if style < 0.4:
        count = int(b.rng.integers(2, 5))
        for k in range(count):
            z = h + (back - h) * (k + 1) / count - 0.05
            b.box((0, w * 0.52, z), (w * 0.9, 0.025, b.rng.uniform(0.03, 0.09)), frame)
    elif style < 0.6:
        b.quad((0, w * 0.52, (h + back) / 2), (w, back - h), frame, normal="y", mask="frame")
    else:
        b.cushion(
            (0, w * 0.5, (h + back) / 2 + 0.08), (w, 0.07, (back - h) * 0.75), seat, doublings=3
        )


def dining_set(b: Builder) -> None:
    """A table with alike chairs around it, some pulled out."""
    rng = b.rng
    width, depth = rng.uniform(1.2, 2.6), rng.uniform(0.75, 1.1)
    table(b, width, depth, rng.uniform(0.71, 0.78), int(rng.integers(0, 8)))
    look = rng.bit_generator.state
    places = []
    count = max(1, int(width / rng.uniform(0.55, 0.8)))
    for k in range(count):
        x = (k + 0.5) / count * width - width / 2
        places += [(x, depth / 2, 0.0), (x, -depth / 2, np.pi)]
    places += [(width / 2, 0.0, -np.pi / 2), (-width / 2, 0.0, np.pi / 2)]
    out = rng.uniform(0.0, 0.35, len(places))
    turns = rng.normal(0, 0.25, len(places))
    there = rng.random(len(places)) < 0.85
    rest = rng.bit_generator.state
    for (x, y, yaw), pull, turn, stands in zip(places, out, turns, there, strict=True):
        if stands:
            away = np.array([-np.sin(yaw), np.cos(yaw)]) * pull
            rng.bit_generator.state = look  # the same draws make the same chair
            with b.at((x + away[0], y + away[1], 0), yaw + turn):
                chair(b)
    rng.bit_generator.state = rest


def wing_chair(b: Builder) -> None:
    """Upholstered chair with a high back, ears and thin legs."""
    rng = b.rng
    m, wood = cloth(b), hard(b)
    w, back = rng.uniform(0.65, 0.8), rng.uniform(1.0, 1.2)
    b.cushion((0, 0, 0.38), (w, 0.7, 0.22), m, doublings=3)
    b.cushion((0, 0.32, back / 2 + 0.15), (w * 0.95, 0.16, back - 0.25), m, doublings=3)
    for x in (-1, 1):
        b.cushion((x * w * 0.47, 0.15, back * 0.72), (0.1, 0.36, back * 0.4), m, doublings=2)
        b.cushion((x * w * 0.47, -0.05, 0.52), (0.13, 0.62, 0.26), m, doublings=3)
        for y in (-0.3, 0.3):
            b.tube((x * w * 0.4, y, 0), (x * w * 0.42, y, 0.3), 0.02, wood, end_radius=0.03)


def desk(b: Builder) -> None:
    """Desk with a screen, keyboard, papers and a mess, the worker's side at -y."""
    rng = b.rng
    width, depth, height = rng.uniform(1.0, 1.8), rng.uniform(0.55, 0.8), rng.uniform(0.7, 0.77)
    table(b, width, depth, height, int(rng.integers(3, 11)))
    for _ in range(int(rng.integers(1, 3))):
        with b.at((rng.uniform(-0.3, 0.3) * width, depth * 0.2, height), rng.normal(0, 0.3)):
            screen(b, rng.uniform(0.35, 0.65))
    dark = paint(b, 0.02, 0.8)
    b.box((rng.uniform(-0.2, 0.2), -depth * 0.2, height + 0.012), (0.42, 0.14, 0.024), dark)
    for _ in range(int(rng.integers(0, 5))):
        at = (rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.35, 0.2) * depth, height + 0.004)
        sheet = b.mat(str(rng.choice(["page", "poster"])))
        turn = rotation_from((0, 0, 1), rng.uniform(0, 6))
        b.quad(at, (0.21, 0.3), sheet, rotation=turn, fit=True, casts=False)
    if rng.random() < 0.5:
        with b.at((width / 2 - 0.22, 0, 0)):
            cupboard(b, 0.4, height - 0.08, depth * 0.85)
    with b.at((rng.uniform(-0.3, 0.3), -depth / 2 - rng.uniform(0.05, 0.4), 0), np.pi):
        chair(b)


def ceiling_fan(b: Builder) -> None:
    """Fan or chandelier hanging from the origin downwards."""
    rng = b.rng
    m, blade = metal(b), hard(b)
    drop = rng.uniform(0.25, 0.6)
    b.tube((0, 0, 0), (0, 0, -drop), 0.02, m)
    b.ball((0, 0, -drop), (0.12, 0.12, 0.08), m)
    arms = int(rng.integers(3, 7))
    fan = rng.random() < 0.5
    glow = b.mat("flat", (1, 0.95, 0.85), glow=rng.uniform(1.0, 3.5))
    for k in range(arms):
        turn = rotation_from((0, 0, 1), 6.28 * k / arms)
        if fan:
            b.box(turn @ (0.38, 0, -drop), (0.55, 0.14, 0.012), blade, rotation=turn)
        else:
            tip = turn @ (0.3, 0, -drop + 0.05)
            b.limb((0, 0, -drop), tip, 0.012, m)
            b.ball(tip + (0, 0, 0.05), (0.05, 0.05, 0.06), glow)


def sofa(b: Builder) -> None:
    """Armchair or sofa with cushions."""
    m = cloth(b)
    width, depth, h = b.rng.uniform(0.8, 2.2), b.rng.uniform(0.8, 1.0), b.rng.uniform(0.38, 0.46)
    b.cushion((0, 0, h / 2 + 0.03), (width, depth, h), m, doublings=3)
    b.cushion((0, depth * 0.4, 0.45), (width, 0.25, b.rng.uniform(0.75, 1.0)), m, doublings=3)
    for x in (-1, 1):
        b.cushion((x * width / 2, 0, 0.33), (0.22, depth, b.rng.uniform(0.55, 0.7)), m, doublings=3)
    seats = max(1, int(width / 0.7))
    cover = cloth(b) if b.rng.random() < 0.3 else m
    for k in range(seats):
        x = (k + 0.5) / seats * (width - 0.2) - (width - 0.2) / 2
        size = (width - 0.2) / seats
        b.cushion((x, -0.05, h + 0.07), (size, depth * 0.8, 0.16), cover, doublings=3)
        b.cushion((x, depth * 0.26, h + 0.3), (size, 0.2, 0.45), cover, doublings=2)
    for _ in range(int(b.rng.integers(0, 4))):
        turn = rotation_from((1, b.rng.normal(0, 0.5), b.rng.normal(0, 0.3)), -0.4)
        b.cushion(
            (b.rng.uniform(-0.4, 0.4) * width, 0.08, h + 0.3),
            (0.42, 0.15, 0.42),
            cloth(b),
            rotation=turn,
        )


def bed(b: Builder) -> None:
    """Bed with a lumpy cover and pillows; the head at +y."""
    width, length = b.rng.uniform(0.9, 1.8), 2.05
    frame, sheet, cover = hard(b), cloth(b), cloth(b)
    b.box((0, 0, 0.2), (width, length, 0.3), frame)
    b.cushion((0, 0, 0.45), (width, length, 0.26), sheet, doublings=3)
    b.ball((0, -0.3, 0.55), (width * 0.55, length * 0.36, 0.12), cover, bumps=0.15, waviness=6)
    b.box((0, length / 2, 0.55), (width, 0.06, b.rng.uniform(0.8, 1.2)), frame)
    for x in (-0.25, 0.25):
        b.cushion((x * width, length * 0.38, 0.64), (width * 0.42, 0.4, 0.18), sheet)


def shelf(b: Builder, width: float, height: float, depth: float = 0.3) -> None:
    """Open shelf with books and things; width, height and depth in metres."""
    m, back = hard(b), hard(b)
    t = 0.025
    for x in (-1, 1):
        b.box((x * (width / 2 - t / 2), 0, height / 2), (t, depth, height), m)
    if b.rng.random() < 0.8:
        b.box((0, depth / 2 - 0.005, height / 2), (width, 0.01, height), back)
    levels = max(2, int(height / b.rng.uniform(0.28, 0.45)))
    for k in range(levels + 1):
        z = k * (height - t) / levels + t / 2
        b.box((0, 0, z), (width, depth, t), m)
        if k == levels:
            clutter(b, width, depth, height, int(b.rng.integers(0, 3)), 0.25)
            continue
        gap = (height - t) / levels - t
        kind = b.rng.random()
        if kind < 0.55:
            w = width * b.rng.uniform(0.4, 0.96)
            h = gap * b.rng.uniform(0.6, 0.92)
            books = b.mat("books", scale=1)
            x = b.rng.uniform(-0.5, 0.5) * (width - w - 0.06)
            b.box((x, 0.02, z + t / 2 + h / 2), (w, depth * 0.75, h), books, fit=True)
        elif kind < 0.9:
            clutter(b, width, depth * 0.8, z + t / 2, int(b.rng.integers(1, 4)), gap * 0.7)


def cupboard(b: Builder, width: float, height: float, depth: float) -> None:
    """Cupboard or chest of drawers with doors and knobs; things on low ones."""
    m = hard(b)
    b.box((0, 0, height / 2), (width, depth, height), m)
    door = hard(b) if b.rng.random() < 0.4 else m
    knob = metal(b)
    columns = max(1, int(width / b.rng.uniform(0.35, 0.65)))
    rows = int(b.rng.integers(1, 5)) if height < 1.3 else int(b.rng.integers(1, 3))
    dw, dh = width / columns, (height - 0.08) / rows
    for c in range(columns):
        for r in range(rows):
            x, z = (c + 0.5) * dw - width / 2, 0.06 + (r + 0.5) * dh
            b.box((x, -depth / 2 - 0.008, z), (dw * 0.95, 0.018, dh * 0.94), door)
            if rows > 2:
                b.box((x, -depth / 2 - 0.03, z + dh * 0.2), (dw * 0.3, 0.02, 0.015), knob)
            else:
                b.box(
                    (x + dw * 0.38, -depth / 2 - 0.03, z), (0.015, 0.02, min(0.15, dh * 0.4)), knob
                )
    if height < 1.4:
        clutter(b, width, depth, height, int(b.rng.integers(0, 5)), 0.3)


def kitchen(b: Builder, length: float) -> None:
    """Counter with units, things on it and wall cupboards, along x against a wall at y = +0.3."""
    door, top = paint(b), hard(b, shine=0.5)
    b.box((0, 0.02, 0.44), (length, 0.56, 0.86), door)
    b.box((0, 0, 0.89), (length, 0.62, 0.04), top)
    handle = metal(b)
    units = max(2, int(length / 0.6))
    seam = b.mat("flat", (0.12, 0.1, 0.1))
    for k in range(units):
        x = (k + 0.5) * length / units - length / 2
        b.box((x - length / units / 2, -0.262, 0.46), (0.008, 0.006, 0.8), seam)
        b.box((x, -0.28, b.rng.choice([0.62, 0.78])), (0.2, 0.02, 0.015), handle)
    if b.rng.random() < 0.7:
        b.quad(
            (0, 0.29, 1.2),
            (length, 0.6),
            b.mat("tiles", scale=b.rng.uniform(0.2, 0.6), shine=0.3),
            normal="y",
        )
    clutter(b, length, 0.5, 0.91, int(length * b.rng.uniform(1.5, 4)), 0.3)
    if b.rng.random() < 0.7:
        count = max(1, int(length / 0.6))
        upper = door if b.rng.random() < 0.5 else paint(b)
        for k in range(count):
            if b.rng.random() < 0.75:
                x = (k + 0.5) * length / count - length / 2
                b.box((x, 0.14, 1.85), (length / count * 0.97, 0.33, 0.7), upper)
                b.box((x + 0.2, -0.04, 1.56), (0.015, 0.02, 0.12), handle)
    else:
        b.box((0, 0.2, 1.5), (length, 0.22, 0.03), hard(b))
        clutter(b, length, 0.2, 1.515, int(length * 3), 0.22)


def floor_lamp(b: Builder) -> None:
    """Standard lamp, often lit."""
    m = metal(b)
    h = b.rng.uniform(1.2, 1.8)
    b.tube((0, 0, 0), (0, 0, 0.03), 0.14, m)
    b.tube((0, 0, 0), (0, 0, h), 0.012, m)
    glow = b.rng.uniform(0.8, 3.0) if b.rng.random() < 0.6 else 0.0
    shade = b.mat("fabric", (0.9, 0.82, 0.66), glow=glow)
    b.tube((0, 0, h - 0.12), (0, 0, h + 0.14), 0.2, shade, end_radius=0.12, closed=False)


def fridge(b: Builder) -> None:
    """Fridge, things on its top."""
    h = b.rng.uniform(0.85, 1.9)
    m = b.mat("flat", color(b.rng, 0.5, 0.97, 0.1), shine=0.3, gloss=30)
    b.cushion((0, 0, h / 2), (0.62, 0.64, h), m, doublings=4)
    b.box((0, -0.322, h * 0.62), (0.6, 0.01, 0.012), b.mat("flat", (0.1, 0.1, 0.1)))
    b.box((0.24, -0.35, h * 0.8), (0.02, 0.03, 0.25), metal(b))
    clutter(b, 0.6, 0.6, h, int(b.rng.integers(0, 4)), 0.3)


def pipes(b: Builder, height: float) -> None:
    """Boiler, post or duct with pipes: what cellars have."""
    m = b.mat(str(b.rng.choice(["metal", "rust", "flat"])), color(b.rng, 0.1, 0.9, 0.15), shine=0.2)
    kind = b.rng.random()
    if kind < 0.4:
        b.tube((0, 0, 0.1), (0, 0, height * 0.6), 0.25, m)
        b.tube((0.1, 0, height * 0.6), (0.1, 0, height), 0.05, m)
        b.tube((0.1, 0, height - 0.2), (2.5, 0, height - 0.2), 0.05, m)
    elif kind < 0.7:
        b.tube((0, 0, 0), (0, 0, height), b.rng.uniform(0.03, 0.12), m)
    else:
        b.box((0, 0, height / 2), (b.rng.uniform(0.1, 0.4), 0.3, height), m)


def pile(b: Builder, height: float = 1.0) -> None:
    """Boxes and bags in a heap."""
    z = 0.0
    while z < height:
        s = b.rng.uniform(0.25, 0.6, 3)
        turn = rotation_from((0, 0, 1), b.rng.normal(0, 0.3))
        m = b.mat(
            str(b.rng.choice(["flat", "poster", "noise", "wood"])),
            color(b.rng, 0.2, 0.8, 0.4),
            scale=0.6,
        )
        if b.rng.random() < 0.7:
            b.box((0, 0, z + s[2] / 2), s, m, rotation=turn)
        else:
            b.ball((0, 0, z + s[2] / 2), s / 2, m, bumps=0.3)
        z += s[2]


def coat_rack(b: Builder) -> None:
    """Clothes that hang: lumpy cloth on a rail."""
    rail = metal(b)
    b.tube((-0.6, 0, 1.6), (0.6, 0, 1.6), 0.015, rail)
    for x in (-0.6, 0.6):
        b.tube((x, 0, 0), (x, 0, 1.6), 0.015, rail)
    for k in range(int(b.rng.integers(3, 9))):
        x = -0.5 + k * 0.13
        h = b.rng.uniform(0.5, 1.1)
        b.ball((x, 0, 1.55 - h / 2), (0.07, 0.25, h / 2), cloth(b), bumps=0.25, waviness=5)
