"""Things that stand in rooms. Every function draws at the origin of the current frame, front to -y."""

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
        category, None if own else color(rng, 0.08, 0.95, 0.3), scale=rng.uniform(0.5, 1.5),
        contrast=rng.uniform(0.4, 1.1), shine=rng.uniform(0, shine), gloss=rng.uniform(8, 60),
    )  # fmt: skip


def cloth(b: Builder) -> int:
    """Material of covers, curtains and clothes."""
    rng = b.rng
    return b.mat(
        str(rng.choice(CLOTHS)), None if rng.random() < 0.4 else color(rng, 0.08, 0.9, 0.4),
        scale=rng.uniform(0.25, 1.2), contrast=rng.uniform(0.4, 1.1),
    )  # fmt: skip


def paint(b: Builder, low: float = 0.1, high: float = 0.95) -> int:
    """Plain, fairly smooth colour."""
    rng = b.rng
    return b.mat("flat", color(rng, low, high, 0.5), shine=rng.uniform(0, 0.5), gloss=rng.uniform(10, 80))


def metal(b: Builder) -> int:
    tone = b.rng.uniform(0.15, 0.85)
    return b.mat("metal", (tone, tone, tone), shine=0.5, gloss=40)


def bottle(b: Builder, size: float = 0.25) -> None:
    r = size * b.rng.uniform(0.13, 0.2)
    m = paint(b, 0.05)
    b.tube((0, 0, 0), (0, 0, size * 0.6), r, m)
    b.tube((0, 0, size * 0.6), (0, 0, size * 0.78), r, m, end_radius=r * 0.35)
    b.tube((0, 0, size * 0.78), (0, 0, size), r * 0.35, paint(b))
    if b.rng.random() < 0.6:
        label = b.mat("poster", scale=r * 3)
        b.tube((0, 0, size * 0.2), (0, 0, size * 0.5), r * 1.02, label)


def cup(b: Builder, size: float = 0.1) -> None:
    m = paint(b)
    r = size * b.rng.uniform(0.3, 0.5)
    b.tube((0, 0, 0), (0, 0, size), r * b.rng.uniform(0.7, 1), m, end_radius=r, closed=False)
    b.tube((0, 0, size * 0.1), (0, 0, size * 0.8), r * 0.8, paint(b, 0.02, 0.5))
    b.limb((r, 0, size * 0.25), (r * 1.5, 0, size * 0.5), size * 0.05, m)
    b.limb((r * 1.5, 0, size * 0.5), (r, 0, size * 0.75), size * 0.05, m)


def bowl(b: Builder, size: float = 0.2) -> None:
    m = paint(b)
    b.tube((0, 0, 0), (0, 0, size * 0.35), size * 0.25, m, end_radius=size * 0.5, closed=False)
    for _ in range(int(b.rng.integers(0, 5))):
        x, y = b.rng.uniform(-0.25, 0.25, 2) * size
        b.ball((x, y, size * 0.3), [size * 0.16] * 3, paint(b), bumps=b.rng.uniform(0, 0.1))


def packet(b: Builder, size: float = 0.25) -> None:
    s = size * b.rng.uniform(0.3, 1.0, 3)
    category = str(b.rng.choice(["poster", "flat", "poster", "photo", "noise"]))
    b.box((0, 0, s[2] / 2), s, b.mat(category, scale=float(max(s)) * 1.2, shine=0.1))


def book_stack(b: Builder, size: float = 0.25) -> None:
    z = 0.0
    for _ in range(int(b.rng.integers(1, 5))):
        h = size * b.rng.uniform(0.06, 0.18)
        turn = rotation_from((0, 0, 1), b.rng.normal(0, 0.25))
        b.box((0, 0, z + h / 2), (size, size * 0.7, h), b.mat("poster", scale=size), rotation=turn)
        z += h


def vase(b: Builder, size: float = 0.3) -> None:
    m = paint(b)
    kind = b.rng.random()
    if kind < 0.5:
        b.ball((0, 0, size * 0.35), (size * 0.3, size * 0.3, size * 0.35), m)
        b.tube((0, 0, size * 0.6), (0, 0, size), size * 0.12, m, end_radius=size * 0.2, closed=False)
    else:
        b.tube((0, 0, 0), (0, 0, size * 0.5), size * 0.15, m, end_radius=size * 0.3)
        b.tube((0, 0, size * 0.5), (0, 0, size), size * 0.3, m, end_radius=size * 0.12)
    if b.rng.random() < 0.5:
        sprig(b, (0, 0, size * 0.9), size * 1.5)


def sprig(b: Builder, at: tuple[float, float, float], size: float) -> None:
    """Crossed cut-out leaves or flowers."""
    m = b.mat(str(b.rng.choice(["leaves", "flowers", "flat"])),
              None if b.rng.random() < 0.6 else color(b.rng, 0.1, 0.9, 0.5), scale=0.5)  # fmt: skip
    mask = str(b.rng.choice(["branches", "branches", "shape", "foliage"]))
    for k in range(int(b.rng.integers(2, 4))):
        turn = rotation_from((0, 0, 1), k * 1.1 + b.rng.normal(0, 0.3))
        b.quad((at[0], at[1], at[2] + size / 2), (size, size), m, normal="y", rotation=turn, mask=mask)


def plant(b: Builder, size: float = 0.8) -> None:
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
    m = b.mat(str(b.rng.choice(["flat", "noise", "fabric", "photo"])), color(b.rng, 0.2, 0.95, 0.6), scale=size)
    b.ball((0, 0, size / 2), [size / 2] * 3, m)


def lump(b: Builder, size: float = 0.25) -> None:
    """Bag, fruit, bread, toy: a bumpy ball."""
    r = size / 2 * b.rng.uniform(0.5, 1, 3)
    b.ball((0, 0, r[2] * 0.9), r, cloth(b), bumps=b.rng.uniform(0.08, 0.35), waviness=b.rng.uniform(2, 7))


def cutout(b: Builder, size: float = 0.3) -> None:
    """Flat thing of an irregular outline that stands."""
    m = b.mat(str(b.rng.choice(["photo", "poster", "noise", "flat", "fabric"])), scale=size)
    mask = str(b.rng.choice(["shape", "blot", "frame", "perforated", "animal", "person"]))
    turn = rotation_from((0, 0, 1), b.rng.normal(0, 0.5))
    b.quad((0, 0, size / 2), (size, size), m, normal="y", mask=mask, rotation=turn)


def papers(b: Builder, size: float = 0.3) -> None:
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
    bottle, cup, bowl, packet, packet, book_stack, vase, ball_toy, lump, cutout, papers, gadget,
)  # fmt: skip


def clutter(b: Builder, width: float, depth: float, z: float, count: int, size: float = 0.25) -> None:
    """Scatter small things on a rectangle at height z."""
    for _ in range(count):
        x = b.rng.uniform(-0.48, 0.48) * width
        y = b.rng.uniform(-0.45, 0.45) * depth
        make = CLUTTER[int(b.rng.integers(0, len(CLUTTER)))]
        with b.at((x, y, z), b.rng.uniform(0, 6.28)):
            make(b, size * b.rng.uniform(0.4, 1.3))


def table(b: Builder, width: float, depth: float, height: float, items: int = 3) -> None:
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
        b.cushion((0, w * 0.5, (h + back) / 2 + 0.08), (w, 0.07, (back - h) * 0.75), seat, doublings=3)


def sofa(b: Builder) -> None:
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
        b.cushion((b.rng.uniform(-0.4, 0.4) * width, 0.08, h + 0.3), (0.42, 0.15, 0.42), cloth(b), rotation=turn)


def bed(b: Builder) -> None:
    width, length = b.rng.uniform(0.9, 1.8), 2.05
    frame, sheet, cover = hard(b), cloth(b), cloth(b)
    b.box((0, 0, 0.2), (width, length, 0.3), frame)
    b.cushion((0, 0, 0.45), (width, length, 0.26), sheet, doublings=3)
    b.ball((0, -0.3, 0.55), (width * 0.55, length * 0.36, 0.12), cover, bumps=0.15, waviness=6)
    b.box((0, length / 2, 0.55), (width, 0.06, b.rng.uniform(0.8, 1.2)), frame)
    for x in (-0.25, 0.25):
        b.cushion((x * width, length * 0.38, 0.64), (width * 0.42, 0.4, 0.18), sheet)


def shelf(b: Builder, width: float, height: float, depth: float = 0.3) -> None:
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
                b.box((x + dw * 0.38, -depth / 2 - 0.03, z), (0.015, 0.02, min(0.15, dh * 0.4)), knob)
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
        b.quad((0, 0.29, 1.2), (length, 0.6), b.mat("tiles", scale=b.rng.uniform(0.2, 0.6), shine=0.3), normal="y")
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
    m = metal(b)
    h = b.rng.uniform(1.2, 1.8)
    b.tube((0, 0, 0), (0, 0, 0.03), 0.14, m)
    b.tube((0, 0, 0), (0, 0, h), 0.012, m)
    glow = b.rng.uniform(0.8, 3.0) if b.rng.random() < 0.6 else 0.0
    shade = b.mat("fabric", (0.9, 0.82, 0.66), glow=glow)
    b.tube((0, 0, h - 0.12), (0, 0, h + 0.14), 0.2, shade, end_radius=0.12, closed=False)


def fridge(b: Builder) -> None:
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
        m = b.mat(str(b.rng.choice(["flat", "poster", "noise", "wood"])), color(b.rng, 0.2, 0.8, 0.4), scale=0.6)
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
