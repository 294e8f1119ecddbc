"""People and four-legged animals from round limbs."""

from __future__ import annotations

import numpy as np

from leadline.world.patterns import color
from leadline.world.scene import Builder, rotation_z


def _cloth(b: Builder) -> int:
    rng = b.rng
    category = str(rng.choice(["flat", "fabric", "noise", "carpet"], p=[0.55, 0.25, 0.1, 0.1]))
    return b.mat(category, color(rng, 0.04, 0.9, 0.45), scale=rng.uniform(0.3, 1.0))


def skin(b: Builder) -> int:
    """Material of a random skin tone."""
    tone = b.rng.uniform(0.3, 0.92)
    return b.mat("flat", (tone, tone * b.rng.uniform(0.68, 0.82), tone * b.rng.uniform(0.5, 0.7)))


def head(b: Builder, at: np.ndarray, size: float, tone: int) -> None:
    """A head of height ``size`` (m) about ``at``, facing -y: features, hair, at times more."""
    rng = b.rng
    s = size
    b.ball(at, (0.36 * s, 0.43 * s, 0.5 * s), tone)
    jaw = at + (0, -0.1 * s, -0.25 * s)
    b.ball(jaw, (rng.uniform(0.25, 0.31) * s, 0.29 * s, 0.25 * s), tone)
    tip = at + (0, -0.5 * s, -0.08 * s)
    b.limb(at + (0, -0.4 * s, 0.1 * s), tip, 0.045 * s, tone, 0.07 * s)
    white, dark = b.mat("flat", (0.9, 0.88, 0.85)), b.mat("flat", color(rng, 0.03, 0.35, 0.3))
    lips = b.mat("flat", (rng.uniform(0.4, 0.75), 0.3, 0.28))
    b.ball(at + (0, -0.37 * s, -0.26 * s), (0.12 * s, 0.05 * s, 0.03 * s), lips)
    hair = b.mat("noise", color(rng, 0.03, 0.5, 0.15), scale=s)
    for x in (-1, 1):
        eye = at + (x * 0.15 * s, -0.35 * s, 0.06 * s)
        b.ball(eye, (0.065 * s, 0.045 * s, 0.04 * s), white)
        b.ball(eye + (0, -0.035 * s, 0), (0.03 * s, 0.02 * s, 0.03 * s), dark)
        brow = eye + (0, -0.01 * s, 0.09 * s)
        b.limb(brow + (-0.08 * s, 0, 0), brow + (0.08 * s, 0, 0), 0.02 * s, hair)
        b.ball(at + (x * 0.37 * s, 0, 0), (0.04 * s, 0.08 * s, 0.13 * s), tone)
    style = rng.random()
    if style < 0.85:
        b.ball(
            at + (0, 0.07 * s, 0.13 * s),
            (0.4 * s, 0.44 * s, 0.44 * s),
            hair,
            bumps=rng.uniform(0.05, 0.15),
            waviness=8,
        )
    if style < 0.3:  # long hair
        for x in (-0.3, 0.0, 0.3):
            start = at + (x * s, 0.28 * s, 0.1 * s)
            b.limb(start, start + (x * 0.3 * s, 0.05 * s, -0.8 * s), 0.16 * s, hair, 0.1 * s)
    if rng.random() < 0.15:
        b.ball(jaw + (0, -0.05 * s, -0.06 * s), (0.27 * s, 0.28 * s, 0.2 * s), hair, bumps=0.12)
    if rng.random() < 0.15:
        cap = _cloth(b)
        b.ball(at + (0, 0.02 * s, 0.27 * s), (0.43 * s, 0.47 * s, 0.3 * s), cap)
        b.ball(at + (0, -0.42 * s, 0.24 * s), (0.3 * s, 0.25 * s, 0.03 * s), cap)


def bust(b: Builder, size: float) -> None:
    """Head and shoulders, about ``size`` metres high, facing -y."""
    rng = b.rng
    s, tone, top = size * 0.45, skin(b), _cloth(b)
    at = np.array([0.0, 0.0, size * 0.72])
    b.limb((0, 0.05 * s, size * 0.1), at, 0.24 * s, tone)
    b.cushion((0, 0.05 * s, size * 0.12), (s * 2.0, s * 0.9, size * 0.5), top, doublings=2)
    for x in (-1, 1):
        shoulder = np.array([x * 0.85 * s, 0.05 * s, size * 0.22])
        b.limb(shoulder, shoulder + (x * 0.2 * s, 0, -size * 0.4), 0.3 * s, top)
        if rng.random() < 0.3:  # a hand raised to the face or held out
            hand = at + rng.normal(0, 0.25, 3) * s + (x * 0.5 * s, -0.8 * s, -0.3 * s)
            b.limb(shoulder + (x * 0.2 * s, -0.3 * s, -0.2 * s), hand, 0.16 * s, top, 0.12 * s)
            b.ball(hand, [0.17 * s] * 3, tone)
            for k in range(4):
                b.limb(hand, hand + (0.1 * (k - 1.5) * s, -0.12 * s, 0.3 * s), 0.045 * s, tone)
    with b.at(at, rng.normal(0, 0.35)):
        head(b, np.zeros(3), s, tone)


def person(b: Builder, height: float | None = None, *, seated: bool | None = None) -> None:
    """A person who stands, walks or sits, facing -y, feet at the origin."""
    rng = b.rng
    h = rng.uniform(1.5, 1.9) if height is None else height
    sit = rng.random() < 0.2 if seated is None else seated
    top, legs, face = _cloth(b), _cloth(b), skin(b)
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
    neck = chest + np.array([rng.normal(0, 0.01) * h, -0.02 * h, 0.16 * h])
    b.limb(chest, neck, 0.03 * h, face)
    with b.at(neck, rng.normal(0, 0.4)):
        head(b, np.zeros(3), 0.135 * h, face)
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
        str(rng.choice(["noise", "flat", "carpet", "fabric"])),
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
    snout = np.array(
        [
            size * rng.uniform(0.55, 0.75),
            rng.normal(0, 0.1) * size,
            z + size * rng.uniform(0.0, 0.4),
        ]
    )
    b.limb((size * 0.38, 0, z + girth * 0.4), snout, girth * 0.7, fur, girth * 0.5)
    b.ball(snout, [girth * rng.uniform(0.6, 0.85)] * 3, fur)
    nose = snout + np.array([size * rng.uniform(0.06, 0.18), 0, -size * 0.05])
    b.limb(snout, nose, girth * 0.5, fur, girth * 0.3)
    dark = b.mat("flat", (0.04, 0.03, 0.03), shine=0.6)
    b.ball(nose + (girth * 0.28, 0, girth * 0.05), [girth * 0.12] * 3, dark)
    iris = b.mat("flat", color(rng, 0.05, 0.6, 0.5), shine=0.6)
    for side in (-1, 1):
        eye = snout + np.array([girth * 0.5, side * girth * 0.3, girth * 0.25])
        b.ball(eye, [girth * 0.13] * 3, iris)
        b.ball(eye + (girth * 0.09, 0, 0), [girth * 0.06] * 3, dark)
    if rng.random() < 0.5:  # long hair
        for _ in range(10):
            x = rng.uniform(-0.45, 0.6) * size
            turn = rotation_z(rng.uniform(0, 3.14))
            at = (x, rng.normal(0, 0.6) * girth, z + rng.uniform(-0.3, 1.0) * girth)
            wide = girth * rng.uniform(1.5, 2.6)
            b.quad(at, (wide, wide), fur, normal="y", mask="grass", rotation=turn)
    for side in (-1, 1):
        ear = snout + np.array([-0.02 * size, side * girth * 0.4, girth * 0.3])
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
