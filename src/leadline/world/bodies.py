"""People and four-legged animals from round limbs."""

from __future__ import annotations

import numpy as np

from leadline.world.patterns import color
from leadline.world.scene import Builder


def _cloth(b: Builder) -> int:
    rng = b.rng
    category = str(rng.choice(["flat", "fabric", "noise", "carpet"], p=[0.55, 0.25, 0.1, 0.1]))
    return b.mat(category, color(rng, 0.04, 0.9, 0.45), scale=rng.uniform(0.3, 1.0))


def skin(b: Builder) -> int:
    """Material of a random skin tone."""
    tone = b.rng.uniform(0.3, 0.92)
    return b.mat("flat", (tone, tone * b.rng.uniform(0.68, 0.82), tone * b.rng.uniform(0.5, 0.7)))


def person(b: Builder, height: float | None = None, *, seated: bool | None = None) -> None:
    """A person who stands, walks or sits, facing -y, feet at the origin."""
    rng = b.rng
    h = rng.uniform(1.5, 1.9) if height is None else height
    sit = rng.random() < 0.2 if seated is None else seated
    top, legs, face = _cloth(b), _cloth(b), skin(b)
    hair = b.mat("noise", color(rng, 0.03, 0.45, 0.15), scale=0.2)
    shoe = b.mat("flat", color(rng, 0.03, 0.6, 0.2))
    hip = 0.28 * h if sit else 0.5 * h
    lean = rng.normal(0, 0.05, 2) * h
    chest = np.array([lean[0], lean[1], hip + 0.24 * h])
    wide = rng.uniform(0.085, 0.12) * h
    b.limb((0, 0, hip), chest, 0.085 * h, top, 0.1 * h)
    b.ball(
        (chest + np.array([0, 0, hip])) / 2 + (0, 0, 0.02 * h),
        (wide * 1.15, 0.075 * h, 0.17 * h),
        top,
        bumps=0.05,
    )
    b.limb(
        chest + np.array([-wide, 0, 0.03 * h]),
        chest + np.array([wide, 0, 0.03 * h]),
        0.045 * h,
        top,
    )
    head = chest + np.array([rng.normal(0, 0.01) * h, -0.02 * h, 0.16 * h])
    b.limb(chest, head, 0.03 * h, face)
    b.ball(head, (0.046 * h, 0.055 * h, 0.068 * h), face)
    b.ball(
        head + np.array([0, 0.015 * h, 0.02 * h]), (0.052 * h, 0.055 * h, 0.06 * h), hair, bumps=0.1
    )
    stride = rng.normal(0, 0.12) * h
    for side in (-1, 1):
        hip_at = np.array([side * 0.05 * h, 0, hip])
        if sit:
            knee = hip_at + np.array([side * 0.03 * h, -0.24 * h, 0.0])
            foot = np.array([knee[0], knee[1] + rng.normal(0, 0.05) * h, 0.03 * h])
        else:
            foot = np.array([side * 0.06 * h, side * stride, 0.03 * h])
            knee = (hip_at + foot) / 2 + (0, -abs(stride) * 0.3, 0)
        b.limb(hip_at, knee, 0.058 * h, legs, 0.042 * h)
        b.limb(knee, foot, 0.042 * h, legs, 0.03 * h)
        b.limb(foot, foot + np.array([0, -0.08 * h, 0]), 0.025 * h, shoe)
        shoulder = chest + np.array([side * wide * 1.1, 0, 0.03 * h])
        elbow = shoulder + rng.normal(0, 0.05, 3) * h + (side * 0.03 * h, 0, -0.16 * h)
        hand = elbow + rng.normal(0, 0.07, 3) * h + (0, -0.06 * h, -0.1 * h)
        b.limb(shoulder, elbow, 0.035 * h, top, 0.03 * h)
        b.limb(elbow, hand, 0.028 * h, top if rng.random() < 0.6 else face, 0.022 * h)
        b.ball(hand, [0.028 * h] * 3, face)
    if rng.random() < 0.25:
        b.cushion(
            chest + np.array([0, 0.13 * h, -0.08 * h]),
            (0.17 * h, 0.1 * h, 0.26 * h),
            _cloth(b),
            doublings=2,
        )


def animal(b: Builder, length: float | None = None) -> None:
    """Dog, cat, horse or cow along x (head at +x), feet on the ground."""
    rng = b.rng
    size = rng.choice([0.4, 0.7, 1.6]) * rng.uniform(0.8, 1.2) if length is None else length
    fur = b.mat(
        str(rng.choice(["noise", "flat", "carpet", "patches" if False else "fabric"])),
        color(rng, 0.05, 0.9, 0.2) * np.array([1.0, 0.85, 0.7]),
        scale=size * 0.6,
    )
    tall = size * rng.uniform(0.35, 0.75)
    girth = size * rng.uniform(0.15, 0.22)
    z = tall + girth * 0.5
    b.limb((-size * 0.38, 0, z), (size * 0.35, 0, z + size * 0.03), girth, fur, girth * 1.1)
    if rng.random() < 0.5:
        b.ball(
            (0, 0, z - girth * 0.1),
            (size * 0.5, girth * 1.1, girth * 1.2),
            fur,
            bumps=0.12,
            waviness=7,
        )
    head = np.array(
        [
            size * rng.uniform(0.55, 0.75),
            rng.normal(0, 0.1) * size,
            z + size * rng.uniform(0.0, 0.4),
        ]
    )
    b.limb((size * 0.38, 0, z + girth * 0.4), head, girth * 0.7, fur, girth * 0.5)
    b.limb(head, head + np.array([size * 0.17, 0, -size * 0.07]), girth * 0.62, fur, girth * 0.35)
    for side in (-1, 1):
        ear = head + np.array([-0.02 * size, side * girth * 0.4, girth * 0.3])
        b.limb(
            ear,
            ear + np.array([0, side * girth * 0.2, girth * 0.5]),
            girth * 0.15,
            fur,
            0.02 * size,
        )
        for x in (-0.36, 0.33):
            foot = (x * size + rng.normal(0, 0.05) * size, side * girth * 0.6, 0.02 * size)
            b.limb((x * size, side * girth * 0.55, z), foot, girth * 0.4, fur, girth * 0.18)
    b.limb(
        (-size * 0.45, 0, z + girth * 0.3),
        (
            -size * rng.uniform(0.6, 0.85),
            rng.normal(0, 0.1) * size,
            z + size * rng.uniform(-0.3, 0.3),
        ),
        girth * 0.2,
        fur,
        girth * 0.08,
    )
