"""Trees, bushes, hedges, grass and flowers; rooted at the origin of the current frame."""

from __future__ import annotations

import numpy as np

from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_from


def foliage_mat(b: Builder, dry: float = 0.12) -> int:
    """Leaf material, green or (share dry) autumnal."""
    rng = b.rng
    if rng.random() < dry:
        rgb = np.array([rng.uniform(0.35, 0.6), rng.uniform(0.25, 0.4), 0.12])
    else:
        g = rng.uniform(0.18, 0.46)
        rgb = np.array([g * rng.uniform(0.65, 1.05), g, g * rng.uniform(0.35, 0.75)])
    return b.mat("leaves", rgb, scale=rng.uniform(1.0, 3.5), contrast=rng.uniform(0.6, 1.2))


def tree(b: Builder, height: float, detail: int = 5) -> None:
    """Broad-leaved tree: trunk, branches and a crown of perforated and bumpy balls."""
    rng = b.rng
    bark, green = b.mat("bark", color(rng, 0.15, 0.4, 0.1), scale=0.8), foliage_mat(b)
    lean = rng.normal(0, 0.04, 2) * height
    fork = height * rng.uniform(0.2, 0.45)
    r = height * rng.uniform(0.012, 0.03)
    b.tube((0, 0, 0), (lean[0], lean[1], fork), r, bark, end_radius=r * 0.7)
    width = height * rng.uniform(0.25, 0.5)
    bare = rng.random() < 0.1
    for k in range(detail):
        angle = 6.28 * k / detail + rng.normal(0, 0.4)
        out = width * rng.uniform(0.15, 0.75)
        z = fork + (height - fork) * rng.uniform(0.25, 0.85)
        tip = np.array([lean[0] + out * np.cos(angle), lean[1] + out * np.sin(angle), z])
        b.tube(
            (lean[0], lean[1], fork * rng.uniform(0.7, 1.0)),
            tip,
            r * 0.45,
            bark,
            end_radius=r * 0.15,
        )
        size = width * rng.uniform(0.45, 0.8) * np.array([1, 1, rng.uniform(0.7, 1.1)])
        if bare:
            turn = rotation_from((0, 0, 1), angle)
            b.quad(
                tip,
                (size[0] * 2.5, size[0] * 2.5),
                bark,
                normal="y",
                mask="branches",
                rotation=turn,
            )
            continue
        b.ball(tip, size, green, bumps=rng.uniform(0.25, 0.45), waviness=rng.uniform(6, 12))
        leaves(b, tip, size, green, 1 + (detail > 3))


def leaves(b: Builder, at: np.ndarray, size: np.ndarray, green: int, count: int) -> None:
    """Leafy branches that stick out of a crown of half-widths ``size`` (m) at ``at``."""
    rng = b.rng
    for _ in range(count):
        turn = rotation_from(rng.normal(size=3), rng.uniform(0, 3.14))
        spot = at + rng.normal(0, 0.35, 3) * size
        wide = float(size[0]) * rng.uniform(2.0, 2.8)
        b.quad(spot, (wide, wide), green, rotation=turn, mask="clump")


def conifer(b: Builder, height: float) -> None:
    """Fir of bumpy tiers; height in metres."""
    rng = b.rng
    bark, green = b.mat("bark", (0.25, 0.18, 0.13), scale=0.8), foliage_mat(b, 0.02)
    b.tube((0, 0, 0), (0, 0, height * 0.9), height * 0.018, bark, end_radius=0.02)
    tiers = int(rng.integers(3, 6))
    for k in range(tiers):
        z = height * (0.12 + 0.8 * k / tiers)
        r = height * 0.2 * (1 - k / tiers) * rng.uniform(0.85, 1.15)
        b.ball((0, 0, z + height * 0.08), (r, r, height * 0.17), green, bumps=0.35, waviness=11)
        leaves(b, np.array([0, 0, z + height * 0.06]), np.array([r, r, r]) * 0.8, green, 2)


def trunk(b: Builder, height: float, radius: float) -> None:
    """Stem of a tall tree with a few dead branches; metres."""
    bark = b.mat("bark", color(b.rng, 0.15, 0.5, 0.12), scale=radius * 4)
    tip = np.array([*b.rng.normal(0, 0.03, 2) * height, height])
    b.tube((0, 0, 0), tip, radius, bark, end_radius=radius * 0.8)
    for _ in range(int(b.rng.integers(0, 4))):
        at = tip * b.rng.uniform(0.4, 1)
        d = b.rng.normal(size=3) * (1, 1, 0.4) + np.array([0, 0, 0.3])
        b.tube(at, at + d * radius * 6, radius * 0.25, bark, end_radius=radius * 0.1)


def bush(b: Builder, size: float) -> None:
    """Dense or perforated bush about size metres wide."""
    rng = b.rng
    green = foliage_mat(b)
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.normal(0, 0.3, 2) * size
        radii = size * rng.uniform(0.3, 0.6, 3)
        if rng.random() < 0.5:
            b.ball(
                (x, y, radii[2] * 0.8),
                radii,
                green,
                bumps=rng.uniform(0.2, 0.4),
                waviness=rng.uniform(4, 9),
            )
        else:
            b.ball(
                (x, y, radii[2] * 0.8),
                radii,
                green,
                bumps=0.35,
                waviness=rng.uniform(7, 12),
            )
            leaves(b, np.array([x, y, radii[2] * 0.9]), radii, green, 3)


def hedge(b: Builder, length: float, height: float, depth: float) -> None:
    """Hedge along y."""
    green = foliage_mat(b, 0.05)
    if b.rng.random() < 0.5:
        b.box((0, 0, height / 2), (depth, length, height), green)
    else:
        for k in range(max(1, int(length / (depth * 2)))):
            y = -length / 2 + (k + 0.5) * depth * 2
            b.ball(
                (0, y, height * 0.5),
                (depth * 0.7, depth * 1.4, height * 0.6),
                green,
                bumps=0.3,
                waviness=6,
            )


def grass(b: Builder, spread: float, count: int, size: float = 0.4) -> None:
    """Tufts as cut-outs around the origin."""
    rng = b.rng
    g = rng.uniform(0.2, 0.5)
    m = b.mat("grass", (g * 0.9, g, g * 0.45), scale=1)
    for _ in range(count):
        x, y = rng.normal(0, 0.5, 2) * spread
        s = size * rng.uniform(0.5, 1.5)
        turn = rotation_from((0, 0, 1), rng.uniform(0, 3.14))
        b.quad(
            (x, y, s / 2),
            (s * rng.uniform(1, 2), s),
            m,
            normal="y",
            mask="grass",
            rotation=turn,
            casts=False,
        )


def flower(b: Builder, height: float) -> None:
    """A stem with leaves and a head that looks anywhere (sunflower, daisy, tulip)."""
    rng = b.rng
    green = b.mat("leaves", (0.2, rng.uniform(0.28, 0.45), 0.1), scale=0.5)
    petal = b.mat("flat", color(rng, 0.6, 0.98, 0.7))
    tip = np.array([*rng.normal(0, 0.08, 2) * height, height])
    b.tube((0, 0, 0), tip, height * 0.012, green)
    for _ in range(int(rng.integers(1, 5))):
        at = tip * rng.uniform(0.2, 0.85)
        turn = rotation_from(rng.normal(size=3), rng.uniform(0, 3))
        b.quad(
            at + rng.normal(0, 0.1, 3) * height,
            (height * 0.3, height * 0.3),
            green,
            rotation=turn,
            mask="shape",
        )
    d = rng.normal(size=3) + np.array([0, -0.8, 0.5])
    turn = rotation_from(np.cross((0, 0, 1), d) + 1e-3, np.arccos(d[2] / np.linalg.norm(d)))
    s = height * rng.uniform(0.15, 0.4)
    b.quad(tip, (s, s), petal, rotation=turn, mask="shape")
    b.ball(
        tip,
        (s * 0.2, s * 0.2, s * 0.1),
        b.mat("noise", color(rng, 0.05, 0.7, 0.4), scale=0.3),
        rotation=turn,
    )


def rock(b: Builder, size: float) -> None:
    """Boulder about size metres wide."""
    m = b.mat(
        str(b.rng.choice(["stones", "concrete", "noise", "gravel"])),
        color(b.rng, 0.25, 0.7, 0.08),
        scale=size * 2,
    )
    radii = size * b.rng.uniform(0.3, 0.7, 3)
    b.ball((0, 0, radii[2] * 0.5), radii, m, bumps=0.25, waviness=3)
