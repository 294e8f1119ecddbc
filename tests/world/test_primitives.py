"""Intersections against closed forms, in numpy and (where installed) in torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from leadline.world import primitives as prim


def rays(points: list[tuple[float, float]]) -> Any:
    """Rays from an eye on -z towards +z with z = 1."""
    xy = np.array(points, np.float32)
    return xy[:, 0] + 1e-9, xy[:, 1] + 1e-9, np.ones(len(points), np.float32)


EYE = (0.0, 0.0, -5.0)


def test_quad_hits_its_plane_and_reports_where() -> None:
    t, x, y = prim.hit_quad(np, EYE, rays([(0, 0), (0.1, -0.15), (0.25, 0)]))
    assert t[:2] == pytest.approx(5.0)
    assert (x[1], y[1]) == pytest.approx((0.5, -0.75))
    assert t[2] == prim.FAR


def test_quad_behind_the_eye_is_not_seen() -> None:
    t, _, _ = prim.hit_quad(np, (0.0, 0.0, 5.0), rays([(0, 0)]))
    assert t[0] == prim.FAR


def test_box_is_entered_at_its_near_face() -> None:
    t = prim.hit_box(np, EYE, rays([(0, 0), (0.2, 0.2), (0.3, 0)]))
    assert t[:2] == pytest.approx(4.0)
    assert t[2] == prim.FAR


def test_ellipsoid_is_a_sphere_in_its_frame() -> None:
    slope = 0.1
    t = prim.hit_ellipsoid(np, EYE, rays([(0, 0), (slope, 0), (0.3, 0)]))
    a, b, c = 1 + slope**2, -5.0, 24.0
    assert t[0] == pytest.approx(4.0)
    assert t[1] == pytest.approx((-b - math.sqrt(b * b - a * c)) / a, rel=1e-5)
    assert t[2] == prim.FAR


def test_blob_without_waves_is_the_sphere() -> None:
    d = rays([(0, 0), (0.05, 0.1), (0.12, -0.1)])
    assert prim.hit_blob(np, EYE, d, []) == pytest.approx(prim.hit_ellipsoid(np, EYE, d), rel=1e-5)


def test_blob_points_lie_on_the_bumpy_radius() -> None:
    waves = [(3.0, 1.0, -2.0, 0.4, 0.05), (-1.0, 2.0, 4.0, 2.0, 0.04)]
    d = rays([(0, 0), (0.05, 0.05), (-0.1, 0.02)])
    t = prim.hit_blob(np, EYE, d, waves, 8)
    p = [EYE[k] + t * d[k] for k in range(3)]
    length = np.sqrt(sum(k * k for k in p))
    radius = prim.bump_radius(np, (p[0] / length, p[1] / length, p[2] / length), waves)
    assert length == pytest.approx(radius, abs=2e-3)


def test_blob_around_the_eye_is_not_seen() -> None:
    t = prim.hit_blob(np, (0.0, 0.0, -0.3), rays([(0, 0)]), [(1.0, 0.0, 0.0, 0.0, 0.1)])
    assert t[0] == prim.FAR


@pytest.mark.parametrize("closed", [True, False])
def test_cylinder_side_and_inside(closed: bool) -> None:
    side = (5.0, 0.0, 0.0)
    d = (np.array([-1.0], np.float32), np.array([1e-9], np.float32), np.array([0.1], np.float32))
    assert prim.hit_cone(np, side, d, (1.0, 0.0), closed)[0] == pytest.approx(4.0)
    down = (np.array([0.15], np.float32), np.array([1e-9], np.float32), np.array([1.0], np.float32))
    t = prim.hit_cone(np, EYE, down, (1.0, 0.0), closed)[0]
    assert t == pytest.approx(4.0) if closed else t == prim.FAR


def test_cone_narrows() -> None:
    d = (np.array([-1.0], np.float32), np.array([1e-9], np.float32), np.array([1e-9], np.float32))
    assert prim.hit_cone(np, (5.0, 0.0, 0.5), d, (0.5, -0.5), True)[0] == pytest.approx(4.75)


def test_capsule_side_and_end() -> None:
    d = (np.array([-1.0], np.float32), np.array([1e-9], np.float32), np.array([1e-9], np.float32))
    assert prim.hit_capsule(np, (5.0, 0.0, 0.0), d, 2.0, (1.0, 0.0))[0] == pytest.approx(4.0)
    ahead = rays([(0, 0)])
    assert prim.hit_capsule(np, (0.0, 0.0, -9.0), ahead, 2.0, (1.0, 0.0))[0] == pytest.approx(6.0)


@pytest.mark.parametrize("doublings", [1, 2, 3])
def test_cushion_points_satisfy_its_equation(doublings: int) -> None:
    d = rays([(0, 0), (0.08, 0.03), (0.12, 0.1)])
    t = prim.hit_cushion(np, EYE, d, doublings, 12)
    n = 2**doublings
    value = sum(np.abs(EYE[k] + t * d[k]) ** n for k in range(3))
    assert value == pytest.approx(1.0, abs=1e-3)


def test_rays_that_graze_a_cushion_hit_it_or_nothing() -> None:
    x = np.linspace(-0.4, 0.4, 160, dtype=np.float32)
    d = rays([(a, b) for a in x for b in x])
    for doublings in (2, 3, 4):
        t = prim.hit_cushion(np, EYE, d, doublings, 4)
        hit = t < prim.FAR
        assert 0.05 < hit.mean() < 0.95
        assert max(np.abs(EYE[k] + t * d[k])[hit].max() for k in range(3)) < 1.1


def test_the_same_functions_run_on_torch() -> None:
    torch = pytest.importorskip("torch")
    d = rays([(0, 0), (0.05, 0.1), (0.3, 0.3)])
    dt = tuple(torch.from_numpy(np.asarray(k)) for k in d)
    cases = [
        (prim.hit_box, ()),
        (prim.hit_ellipsoid, ()),
        (prim.hit_blob, ([(2.0, 1.0, 0.5, 0.3, 0.1)],)),
        (prim.hit_cone, ((0.6, 0.2), True)),
        (prim.hit_capsule, (0.7, (0.6, 0.1))),
        (prim.hit_cushion, (2,)),
    ]
    for function, extra in cases:
        expected = function(np, EYE, d, *extra)
        got = function(torch, EYE, dt, *extra).numpy()
        assert got == pytest.approx(expected, rel=1e-4), function.__name__
