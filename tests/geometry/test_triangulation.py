"""Triangulation: exact data, noise, covariance, filters, and input that cannot be used."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.camera import Camera
from leadline.errors import DegenerateError, InputError, UnknownNameError
from leadline.geometry import triangulate
from testing.two_views import Scene, rotation, two_views

METHODS = ("linear", "midpoint", "optimal")


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS))
def test_projecting_and_triangulating_is_a_round_trip(seed: int, method: str) -> None:
    scene = two_views(seed, points=40)
    points = triangulate(scene.pixels, scene.cameras, method=method)
    scale = np.abs(scene.world).max()
    assert np.allclose(points.world, scene.world, atol=1e-6 * scale)
    assert points.error_px.max() < 1e-6
    assert np.allclose(points.depths[0], scene.depths(0), rtol=1e-6)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), factor=st.floats(1e-3, 1e3))
def test_a_larger_baseline_gives_a_larger_world(seed: int, factor: float) -> None:
    scene = two_views(seed, points=20, noise_px=0.3)
    grown = [c.moved(scaled(c, factor)) for c in scene.cameras]
    one = triangulate(scene.pixels, scene.cameras, covariance=True)
    two = triangulate(scene.pixels, grown, covariance=True)
    assert np.allclose(two.world, one.world * factor, rtol=1e-6, atol=1e-6 * factor)
    assert np.allclose(two.covariance, one.covariance * factor**2, rtol=1e-4)
    assert np.array_equal(one.keep, two.keep)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_where_the_world_lies_does_not_matter(seed: int) -> None:
    scene = two_views(seed, points=20, noise_px=0.3)
    move = np.eye(4)
    move[:3, :3] = rotation([0.3, -1.0, 0.5])
    move[:3, 3] = [100, -50, 20]
    moved = [c.moved(move @ c.world_from_camera) for c in scene.cameras]
    one, two = triangulate(scene.pixels, scene.cameras), triangulate(scene.pixels, moved)
    assert np.allclose(two.world, one.world @ move[:3, :3].T + move[:3, 3], atol=1e-5)


def test_optimal_has_the_smallest_error() -> None:
    scene = two_views(3, points=500, noise_px=1.0)
    errors = {m: triangulate(scene.pixels, scene.cameras, method=m).error_px for m in METHODS}
    assert (errors["optimal"] <= errors["linear"] + 1e-9).all()
    assert (errors["optimal"] <= errors["midpoint"] + 1e-9).all()


def test_the_closed_form_for_two_views_is_the_minimum() -> None:
    scene = two_views(4, points=200, noise_px=1.5)
    two = triangulate(scene.pixels, scene.cameras)
    unseen = [np.full_like(scene.pixels[0], np.nan)]  # a third view makes it Gauss-Newton
    three = triangulate([*scene.pixels, *unseen], [*scene.cameras, scene.cameras[0]])
    assert np.allclose(two.error_px, three.error_px, atol=1e-5)
    assert np.allclose(two.world, three.world, rtol=1e-3, atol=1e-3)


def test_more_views_are_better() -> None:
    scene = two_views(5, points=400, noise_px=1.0, views=6)
    two = triangulate(scene.pixels[:2], scene.cameras[:2])
    six = triangulate(scene.pixels, scene.cameras)
    assert error(six.world, scene) < 0.8 * error(two.world, scene)


@pytest.mark.parametrize("views", [2, 4])
def test_covariance_is_the_spread_of_the_errors(views: int) -> None:
    scene = two_views(6, points=4000, noise_px=0.5, views=views)
    points = triangulate(scene.pixels, scene.cameras, covariance=True, sigma_px=0.5)
    clear = points.parallax_deg > 3
    off = (points.world - scene.world)[clear]
    squared = np.einsum("ni,nij,nj->n", off, np.linalg.inv(points.covariance[clear]), off)
    assert np.median(squared) == pytest.approx(2.366, rel=0.1)  # chi-squared with 3 freedoms
    depth_off = (points.depths[0] - scene.depths(0)) / points.depth_sigma(scene.cameras[0])
    assert np.std(depth_off[clear]) == pytest.approx(1, rel=0.1)


def test_points_behind_the_cameras_and_wrong_pairs_are_not_kept() -> None:
    scene = two_views(7, points=100)
    swapped = triangulate(scene.pixels[::-1], scene.cameras)
    assert swapped.keep.mean() < 0.1
    wrong = [scene.pixels[0], np.roll(scene.pixels[1], 1, axis=0)]
    assert triangulate(wrong, scene.cameras).keep.mean() < 0.1


def test_far_points_without_parallax_are_not_kept() -> None:
    scene = two_views(8, points=100, near=1000, far=2000)
    points = triangulate(scene.pixels, scene.cameras)
    assert not points.keep.any()
    assert triangulate(scene.pixels, scene.cameras, min_parallax_deg=0).keep.all()


def test_a_view_that_does_not_see_a_point_is_left_out() -> None:
    scene = two_views(9, points=50, views=3)
    pixels = [p.copy() for p in scene.pixels]
    pixels[2][::2] = np.nan
    pixels[1][0] = np.nan  # seen once only
    points = triangulate(pixels, scene.cameras)
    assert np.isnan(points.world[0]).all()
    assert not points.keep[0]
    assert np.allclose(points.world[1:], scene.world[1:], atol=1e-6)
    assert np.isnan(points.depths[2, 2])


def test_no_points_are_no_error() -> None:
    scene = two_views(1, points=5)
    empty = np.zeros((0, 2))
    assert len(triangulate([empty, empty], scene.cameras)) == 0


def test_input_that_cannot_be_used_is_told() -> None:
    scene = two_views(1, points=5)
    one, two = scene.cameras
    with pytest.raises(DegenerateError, match="one place"):
        triangulate(scene.pixels, [one, one])
    with pytest.raises(InputError, match="has no pose"):
        triangulate(scene.pixels, [one, two.moved(None)])
    with pytest.raises(InputError, match="two or more views"):
        triangulate(scene.pixels[:1], [one])
    with pytest.raises(InputError, match="shapes"):
        triangulate([scene.pixels[0], scene.pixels[1][:-1]], scene.cameras)
    with pytest.raises(UnknownNameError, match="midpoint"):
        triangulate(scene.pixels, scene.cameras, method="middle")
    with pytest.raises(InputError, match="covariance=True"):
        triangulate(scene.pixels, scene.cameras).depth_sigma(one)


def scaled(camera: Camera, factor: float) -> np.ndarray:
    pose = camera.world_from_camera.copy()
    pose[:3, 3] *= factor
    return pose


def error(world: np.ndarray, scene: Scene) -> float:
    return float(np.median(np.linalg.norm(world - scene.world, axis=1)))
