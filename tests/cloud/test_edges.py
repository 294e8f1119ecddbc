"""Edges are cut where planes do not explain the jump, and nowhere else."""

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.cloud import Surface, clean, link_pixels
from leadline.errors import InputError, UnknownNameError


def surface(depth, fov_deg=60):
    height, width = depth.shape
    return Surface(depth=depth, camera=Camera.from_fov(width, height, fov_deg=fov_deg))


def floor(height, width, *, horizon=0.25):
    """A level floor 1.5 m below the camera up to one row below the horizon; inf above."""
    camera = Camera.from_fov(width, height, fov_deg=60)
    below = np.arange(height) - (round(horizon * height) - 0.5)
    depth = np.where(below > 0, 1.5 * camera.fy / np.where(below > 0, below, 1), np.inf)
    return Surface(depth=np.repeat(depth[:, None], width, 1).astype(np.float32), camera=camera)


@pytest.mark.parametrize("height", [120, 480])
def test_a_floor_to_the_horizon_loses_no_row(height):
    one = floor(height, height * 4 // 3)
    cleaned, links = clean(one)
    np.testing.assert_array_equal(cleaned.known, one.known)
    assert links.down[one.known[1:] & one.known[:-1]].all()
    assert links.right[one.known[:, 1:] & one.known[:, :-1]].all()


def test_the_relative_rule_loses_rows_of_a_floor_by_its_name():
    one = floor(240, 320)
    lost = ~clean(one, edges="relative-3x3")[0].known & one.known
    assert 20 < lost.any(axis=1).sum() < 80
    assert link_pixels(one, "keep").down[one.known[1:] & one.known[:-1]].all()


def test_a_step_is_cut_and_keeps_every_pixel():
    depth = np.full((60, 80), 4.0)
    depth[:, :40] = 2.0
    cleaned, links = clean(surface(depth))
    assert not links.right[:, 39].any()
    assert np.delete(links.right, 39, axis=1).all()
    assert links.down.all()
    assert cleaned.known.all()


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_thin_post_stays_and_hangs_on_nothing(width):
    one = floor(120, 160)
    depth = one.depth.copy()
    depth[20:80, 60 : 60 + width] = 2.0
    one = Surface(depth=depth, camera=one.camera)
    cleaned, links = clean(one)
    assert cleaned.known[20:80, 60 : 60 + width].all()
    assert not links.right[35:80, 59].any()
    assert not links.right[35:80, 59 + width].any()
    assert links.down[20:79, 60 : 60 + width].all()


@pytest.mark.parametrize("soft", [2, 3, 6, 12])
def test_soft_edges_of_networks_are_cut_and_what_floats_goes(soft):
    x = np.arange(960)
    near = np.clip((x - 480) / soft, 0, 1)
    depth = np.repeat((2 + 2 * near)[None], 120, 0)
    depth *= 1 + 5e-4 * np.random.default_rng(0).standard_normal(depth.shape)
    cleaned, links = clean(surface(depth))
    ramp = slice(480, 480 + soft)
    assert (~links.right[:, ramp]).mean() > 0.9
    assert cleaned.known[:, 481 : 480 + soft].mean() < 0.25
    assert cleaned.known[:, :470].mean() > 0.99
    assert cleaned.known[:, 510:].mean() > 0.99


def test_creases_spheres_and_stairs_are_whole():
    camera = Camera.from_fov(320, 240, fov_deg=60)
    y = np.arange(240)[:, None] - camera.cy
    ground = 1.5 * camera.fy / np.maximum(y, 1e-3)
    corner = np.minimum(ground, 6.0) + np.zeros((1, 320))
    assert link_pixels(Surface(depth=corner, camera=camera)).down.all()
    steps = [np.minimum(ground * (1 - 0.12 * k), 3 + 0.3 * k) for k in range(5)]
    stairs = np.minimum.reduce(steps) + np.zeros((1, 320))
    assert (~link_pixels(Surface(depth=stairs, camera=camera)).down).mean() < 0.02
    rays = np.stack(
        [
            *np.meshgrid((np.arange(320) - camera.cx) / camera.fx, y[:, 0] / camera.fy),
            1 + 0 * corner,
        ]
    )
    b, c = 3 * rays[2], 8.0  # a ball of 1 m, 3 m away
    square = b**2 - c * (rays**2).sum(0)
    ball = square > 0
    near = (b - np.sqrt(np.where(ball, square, 0))) / (rays**2).sum(0)
    links = link_pixels(Surface(depth=np.where(ball, near, 5.0), camera=camera))
    inside = ball[:, 1:] & ball[:, :-1]
    assert links.right[inside].mean() > 0.985
    assert not links.right[ball[:, 1:] != ball[:, :-1]].any()


def test_sky_and_a_far_plane_go_but_not_a_wall():
    one = floor(120, 160)
    depth = np.where(np.isinf(one.depth), 500.0, one.depth)
    sheet = Surface(depth=depth, camera=one.camera)
    cleaned, _ = clean(sheet)
    np.testing.assert_array_equal(cleaned.known, one.known)
    assert clean(sheet, cut_sky=False)[0].known.all()
    sky = np.zeros((120, 160), bool)
    sky[:30] = True
    wall = surface(np.full((120, 160), 3.0))
    assert clean(wall)[0].known.all()
    np.testing.assert_array_equal(clean(wall, sky)[0].known, ~sky)
    with pytest.raises(InputError, match="sky"):
        clean(wall, np.ones((120, 160), bool))


def test_islands_and_holes():
    depth = np.full((40, 50), 3.0)
    depth[10, 10] = 1.0
    depth[20, 20:22] = 8.0
    depth[30, 30] = np.nan
    cleaned, _ = clean(surface(depth))
    gone = np.argwhere(~cleaned.known).tolist()
    assert gone == [[10, 10], [20, 20], [20, 21], [30, 30]]
    with pytest.raises(InputError, match="no positive depth"):
        clean(surface(np.full((4, 5), np.nan)))
    with pytest.raises(UnknownNameError, match="cut, keep"):
        link_pixels(surface(depth), "blur")


def test_a_picture_of_one_pixel_has_no_links():
    one = surface(np.full((1, 1), 2.0))
    assert clean(one, edges="keep")[0].known.all()
    links = link_pixels(one)
    assert links.right.shape == (1, 0)
    assert links.down.shape == (0, 1)
