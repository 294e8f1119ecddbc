"""Ray intersections with unit shapes.

Every primitive lives in its own local frame, where it is a shape near the unit cube; a local ray is
``o + t * d`` with ``t`` equal to the z depth of the camera, because camera rays have z = 1.
The functions use only what numpy and torch share, and take the module as ``xp``. The camera's
centre ``o`` and the numbers of a shape are floats (one primitive), or tensors that broadcast with
the rays (many): single ones for the centre, double ones for the shape. Large terms without a ray in
them, which nearly cancel far from a small shape (the sun's shadow map), are summed in double
precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

QUAD, BOX, ELLIPSOID, BLOB, CONE, CAPSULE, CUSHION = range(7)
"""Shape codes: rectangle, cube, sphere, bumpy sphere, cut cone, round cone, rounded cube."""

NEAR = 0.05
"""Nearest depth in metres at which a surface is seen."""

FAR = 1e9
"""Depth value that stands for "no hit"."""

Vector = tuple[Any, Any, Any]
Rays = tuple[Any, Any, Any]
Solid = Callable[[Any, Any], Any]
"""Alpha mask: local coordinates to True where there is something."""


_NUMBERS = (float, int)


def _double(x: Any) -> Any:
    return x if isinstance(x, _NUMBERS) else x.double()


def _single(x: Any) -> Any:
    return x if isinstance(x, _NUMBERS) else x.float()


def hit_quad(xp: ModuleType, o: Vector, d: Rays) -> tuple[Any, Any, Any]:
    """Rectangle |x| <= 1, |y| <= 1 in the plane z = 0. Returns depth and the local x and y."""
    t = -o[2] / d[2]
    x = o[0] + t * d[0]
    y = o[1] + t * d[1]
    inside = (xp.abs(x) <= 1.0) & (xp.abs(y) <= 1.0) & (t > NEAR)
    return xp.where(inside, t, FAR), x, y


def hit_cut_quad(
    xp: ModuleType, o: Vector, d: Rays, solid: Solid | None, holes: Iterable[tuple[Any, ...]]
) -> Any:
    """Rectangle with an alpha mask or with rectangular holes (x0, y0, x1, y1)."""
    t, x, y = hit_quad(xp, o, d)
    if solid is not None:
        hit = t < FAR
        t = xp.where(solid(xp.where(hit, x, 0.0), xp.where(hit, y, 0.0)), t, FAR)
    for x0, y0, x1, y1 in holes:
        t = xp.where((x > x0) & (x < x1) & (y > y0) & (y < y1), FAR, t)
    return t


def hit_box(xp: ModuleType, o: Vector, d: Rays) -> Any:
    """Cube |x|, |y|, |z| <= 1 by slabs."""
    enter: Any = None
    leave: Any = None
    for axis in range(3):
        inverse = 1.0 / d[axis]
        middle = -o[axis] * inverse
        half = xp.abs(inverse)
        near = middle - half
        far = middle + half
        enter = near if enter is None else xp.maximum(enter, near)
        leave = far if leave is None else xp.minimum(leave, far)
    return xp.where((enter <= leave) & (enter > NEAR), enter, FAR)


def sphere_roots(xp: ModuleType, o: Vector, d: Rays) -> tuple[Any, Any, Any]:
    """Middle depth, half chord (0 where missed) and miss mask for the unit sphere."""
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    x, y, z = _double(o[0]), _double(o[1]), _double(o[2])
    c = _single(x * x + y * y + z * z - 1.0)
    disc = b * b - a * c
    missed = disc < 0.0
    half = xp.sqrt(xp.where(missed, 0.0, disc)) / a
    return -b / a, half, missed


def hit_ellipsoid(xp: ModuleType, o: Vector, d: Rays) -> Any:
    """Unit sphere (scaled by the local frame), seen from outside."""
    middle, half, missed = sphere_roots(xp, o, d)
    t = middle - half
    return xp.where(missed | (t <= NEAR), FAR, t)


def hit_leafy(xp: ModuleType, o: Vector, d: Rays, solid: Solid) -> Any:
    """Ellipsoid shell with an alpha mask: what the front lets through may stop at the back."""
    middle, half, missed = sphere_roots(xp, o, d)
    best: Any = None
    for t in (middle + half, middle - half):
        x, y, z = (o[k] + t * d[k] for k in range(3))
        there = solid(x + 0.6 * z, y - 0.5 * z + 0.3 * x) & ~missed & (t > NEAR)
        best = xp.where(there, t, FAR if best is None else best)
    return best


def bump_radius(xp: ModuleType, p: Rays, waves: list[tuple[Any, ...]]) -> Any:
    """Radius of a bumpy sphere in the direction of p (unit): base + sum of a sin(k . p + phase)."""
    radius: Any = 1.0 - sum(wave[4] for wave in waves)
    for kx, ky, kz, phase, amplitude in waves:
        radius = radius + amplitude * xp.sin(kx * p[0] + ky * p[1] + kz * p[2] + phase)
    return radius


def hit_blob(
    xp: ModuleType, o: Vector, d: Rays, waves: list[tuple[Any, ...]], steps: int = 3
) -> Any:
    """Bumpy sphere inside the unit sphere: fixed-point iterations on the radius."""
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    x, y, z = _double(o[0]), _double(o[1]), _double(o[2])
    c = x * x + y * y + z * z
    around = c < 1.0  # the camera is within the bounding ball: nothing sensible to see
    bb = b * b
    inverse = 1.0 / a
    disc = bb - a * _single(c - 1.0)
    c = _single(c)
    t = (-b - xp.sqrt(xp.where(disc < 0.0, 0.0, disc))) * inverse
    radius: Any = None
    for _ in range(steps):
        px = o[0] + t * d[0]
        py = o[1] + t * d[1]
        pz = o[2] + t * d[2]
        inv = 1.0 / xp.sqrt(px * px + py * py + pz * pz + 1e-9)
        radius = bump_radius(xp, (px * inv, py * inv, pz * inv), waves)
        disc = bb - a * (c - radius * radius)
        t = (-b - xp.sqrt(xp.where(disc < 0.0, 0.0, disc))) * inverse
    return xp.where((disc < 0.0) | (t <= NEAR) | around, FAR, t)


def hit_cone(xp: ModuleType, o: Vector, d: Rays, slope: tuple[Any, Any], closed: bool) -> Any:
    """Cut cone along z in [-1, 1] with radius slope[0] + slope[1] z; lids when closed."""
    base, rise = slope
    x, y = _double(o[0]), _double(o[1])
    k = base + rise * o[2]
    m = _single(rise) * d[2]
    a = d[0] * d[0] + d[1] * d[1] - m * m
    b = o[0] * d[0] + o[1] * d[1] - _single(k) * m
    c = _single(x * x + y * y - k * k)
    disc = b * b - a * c
    missed = disc < 0.0
    root = xp.sqrt(xp.where(missed, 0.0, disc))
    inverse = 1.0 / a
    t = (-b - root) * inverse
    z = o[2] + t * d[2]
    t = xp.where(missed | (xp.abs(z) > 1.0) | (t <= NEAR), FAR, t)
    if not closed:
        back = (-b + root) * inverse
        z = o[2] + back * d[2]
        back = xp.where(missed | (xp.abs(z) > 1.0) | (back <= NEAR), FAR, back)
        return xp.minimum(t, back)
    above = abs(o[2]) > 1.0
    if above is False:  # one primitive, and its lids face away from the camera
        return t
    side = (o[2] > 0.0) * 2.0 - 1.0
    lid = (side - o[2]) / d[2]
    x = o[0] + lid * d[0]
    y = o[1] + lid * d[1]
    radius = base + rise * side
    inside = (x * x + y * y <= radius * radius) & (lid > NEAR) & above
    return xp.minimum(t, xp.where(inside, lid, FAR))


def hit_capsule(
    xp: ModuleType, o: Vector, d: Rays, half_length: Any, slope: tuple[Any, Any]
) -> Any:
    """Round cone along z: cone side for |z| <= half_length and a ball at each end."""
    base, rise = slope
    x, y, z = _double(o[0]), _double(o[1]), _double(o[2])
    k = base + rise * z
    m = _single(rise) * d[2]
    flat = d[0] * d[0] + d[1] * d[1]
    a = flat - m * m
    cross = o[0] * d[0] + o[1] * d[1]
    b = cross - _single(k) * m
    c = x * x + y * y
    disc = b * b - a * _single(c - k * k)
    missed = disc < 0.0
    t = (-b - xp.sqrt(xp.where(missed, 0.0, disc))) / a
    height = o[2] + t * d[2]
    t = xp.where(missed | (xp.abs(height) > half_length) | (t <= NEAR), FAR, t)
    a = flat + d[2] * d[2]
    for side in (-half_length, half_length):
        radius = base + rise * side
        offset = z - side
        b = cross + _single(offset) * d[2]
        disc = b * b - a * _single(c + offset * offset - radius * radius)
        missed = disc < 0.0
        ball = (-b - xp.sqrt(xp.where(missed, 0.0, disc))) / a
        t = xp.minimum(t, xp.where(missed | (ball <= NEAR), FAR, ball))
    return t


def hit_cushion(xp: ModuleType, o: Vector, d: Rays, doublings: int, steps: int = 6) -> Any:
    """Rounded cube |x|^n + |y|^n + |z|^n = 1, n = 2 ** doublings, by Newton from the cube."""
    start = hit_box(xp, o, d)
    missed = start >= FAR
    t = xp.where(missed, 0.0, start)
    n = 2**doublings
    value: Any = None
    for _ in range(steps):
        value = -1.0
        rate: Any = 0.0
        for axis in range(3):
            p = o[axis] + t * d[axis]
            power = p * p
            for _ in range(doublings - 1):
                power = power * power
            value = value + power
            rate = rate + power * d[axis] / xp.where(xp.abs(p) < 1e-4, 1e-4, p)
        # The surface is convex: outside of it, a ray that no longer comes nearer never will.
        step = xp.where((rate < -1e-3) & (value > 0.0), -value / (rate * n), 0.0)
        t = t + xp.where(step > 4.0, 4.0, step)
    for axis in range(3):  # a ray that grazes may have left with its last step
        missed = missed | (xp.abs(o[axis] + t * d[axis]) > 1.1)
    return xp.where(missed | (value > 0.15) | (t <= NEAR), FAR, t)
