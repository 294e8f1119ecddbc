"""Rendered pictures: geometry, determinism, ranges, cut-outs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadline import world
from leadline.camera import Camera
from leadline.errors import InputError, UnknownNameError

SIZE = (72, 96)


def builder(bank: world.TextureBank) -> world.Builder:
    return world.Builder(np.random.default_rng(0), bank)


def camera(position: tuple[float, float, float], yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    pose = world.pose_from_angles(np.array(position), yaw, pitch)
    return Camera(width=96, height=72, fx=80, fy=80, cx=47.5, cy=35.5, world_from_camera=pose)


def world_points(view: world.View) -> np.ndarray:
    c = view.camera
    v, u = np.mgrid[0 : c.height, 0 : c.width]
    z = view.depth
    z = np.where(np.isfinite(z), z, 0.0)
    points = np.stack([(u - c.cx) / c.fx * z, (v - c.cy) / c.fy * z, z], axis=-1)
    pose = c.world_from_camera
    assert pose is not None
    return points @ pose[:3, :3].T + pose[:3, 3]


def test_flat_wall_has_its_distance_and_normal(bank: world.TextureBank) -> None:
    b = builder(bank)
    b.quad((0, 4, 1), (20, 20), b.mat("flat"), normal="y")
    view = world.render(b.finish("room", 0), camera((0, 0, 1)))
    assert view.depth == pytest.approx(4.0, rel=1e-5)
    assert view.normals == pytest.approx(
        np.broadcast_to([0, 0, -1], (*view.depth.shape, 3)), abs=1e-5
    )


def test_camera_axes(bank: world.TextureBank) -> None:
    b = builder(bank)
    with b.at((1.0, 4.0, 1.0)):
        b.ball((0, 0, 0), (0.3, 0.3, 0.3), b.mat("flat"))
    with b.at((0.0, 4.0, 2.0)):
        b.ball((0, 0, 0), (0.3, 0.3, 0.3), b.mat("flat"))
    labels = world.render(b.finish("room", 0), camera((0, 0, 1))).labels
    rows, cols = np.nonzero(labels == 1)
    assert (cols.mean(), rows.mean()) == pytest.approx((47.5 + 20, 35.5), abs=0.6)
    rows, cols = np.nonzero(labels == 2)
    assert (cols.mean(), rows.mean()) == pytest.approx((47.5, 35.5 - 20), abs=0.6)


@pytest.mark.parametrize("kind", ["room", "street"])
def test_points_of_one_view_agree_with_another(bank: world.TextureBank, kind: str) -> None:
    scene = world.sample_scene(3, kind, bank=bank)
    first = world.sample_view(scene, 1, SIZE)
    pose = np.array(first.camera.world_from_camera)
    ahead = 0.2 * np.median(first.depth[np.isfinite(first.depth)])  # changes every depth
    pose[:3, 3] += pose[:3, 2] * ahead + pose[:3, 0] * 0.04
    second = world.render(scene, first.camera.moved(pose), SIZE, 0)
    points = world_points(first)
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    with np.errstate(invalid="ignore"):
        u = local[..., 0] / local[..., 2] * first.camera.fx + first.camera.cx
        v = local[..., 1] / local[..., 2] * first.camera.fy + first.camera.cy
    inside = (
        np.isfinite(first.depth)
        & (local[..., 2] > 0.1)
        & (u > 0)
        & (u < SIZE[1] - 1)
        & (v > 0)
        & (v < SIZE[0] - 1)
    )
    seen = second.depth[np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)]
    ratio = seen / local[..., 2][inside]
    agree = np.mean(np.abs(ratio - 1) < 0.06)
    assert agree > 0.78
    unmoved = first.depth[inside] / local[..., 2][inside]
    assert np.mean(np.abs(unmoved - 1) < 0.06) < agree / 2  # or the camera's way would not matter


def test_colour_filter_keeps_the_depth_at_pixel_centres(bank: world.TextureBank) -> None:
    scene = world.sample_scene(4, "room", bank=bank)
    view = world.sample_view(scene, 0, SIZE)
    coarse = world.render(scene, view.camera, SIZE, 0, factor=1)
    fine = world.render(scene, view.camera, SIZE, 0, factor=2)
    same = np.isclose(coarse.depth, fine.depth, rtol=1e-3)
    assert same.mean() > 0.96  # bumpy shapes and specks are refined by their size in pixels


@pytest.mark.parametrize("kind", world.KINDS)
def test_every_kind_renders_sound_pictures(bank: world.TextureBank, kind: str) -> None:
    for seed in range(3):
        view = world.sample_view(world.sample_scene(seed, kind, bank=bank), 0, SIZE)
        seen = np.isfinite(view.depth)
        assert view.rgb.shape == (*SIZE, 3)
        assert view.rgb.dtype == np.uint8
        assert view.rgb.std() > 3
        assert view.depth.dtype == np.float32
        assert not np.isnan(view.depth).any()
        assert view.depth[seen].min() >= 0.05
        assert view.depth[seen].max() < {"room": 45.0}.get(kind, 1000.0)
        assert np.linalg.norm(view.normals[seen], axis=-1) == pytest.approx(1.0, abs=1e-3)
        assert (view.labels[~seen] == -1).all()
        assert (view.labels[seen] >= 0).all()
        c = view.camera
        v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
        rays = np.stack([(u - c.cx) / c.fx, (v - c.cy) / c.fy, np.ones(SIZE)], axis=-1)
        assert ((view.normals * rays).sum(-1)[seen] <= 1e-4).all()


@pytest.mark.parametrize("kind", world.KINDS)
def test_seeds_decide_everything(bank: world.TextureBank, kind: str) -> None:
    first = world.sample_view(world.sample_scene(9, kind, bank=bank), 2, SIZE)
    again = world.sample_view(world.sample_scene(9, kind, bank=bank), 2, SIZE)
    other = world.sample_view(world.sample_scene(10, kind, bank=bank), 2, SIZE)
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.depth, again.depth)
    assert first.camera == again.camera
    assert not np.array_equal(first.depth, other.depth)


def test_cut_outs_show_what_is_behind(bank: world.TextureBank) -> None:
    b = builder(bank)
    b.quad((0, 6, 1), (30, 30), b.mat("flat"), normal="y")
    b.quad((0, 2, 1), (30, 30), b.mat("flat"), normal="y", mask="lattice", repeat=(20, 20))
    depth = world.render(b.finish("room", 0), camera((0, 0, 1)), factor=1).depth
    near, far = np.isclose(depth, 2.0), np.isclose(depth, 6.0)
    assert (near | far).all()
    assert 0.05 < near.mean() < 0.95


def test_holes_open_a_wall(bank: world.TextureBank) -> None:
    b = builder(bank)
    b.quad((0, 6, 1), (30, 30), b.mat("flat"), normal="y")
    b.quad((0, 2, 1), (8, 8), b.mat("flat"), normal="y", holes=[(-0.1, -0.1, 0.1, 0.1)])
    depth = world.render(b.finish("room", 0), camera((0, 0, 1)), factor=1).depth
    assert depth[36, 48] == pytest.approx(6.0)
    assert depth[2, 2] == pytest.approx(2.0)


def test_a_nearer_thing_wins_whatever_the_order(bank: world.TextureBank) -> None:
    for order in ((2.0, 3.0), (3.0, 2.0)):
        b = builder(bank)
        for distance in order:
            b.box((0, distance + 0.5, 1), (6, 1, 6), b.mat("flat"))
        depth = world.render(b.finish("room", 0), camera((0, 0, 1)), factor=1).depth
        assert depth[36, 48] == pytest.approx(2.0)


def test_another_size_keeps_the_field_of_view(bank: world.TextureBank) -> None:
    scene = world.sample_scene(5, "room", bank=bank)
    small = world.sample_view(scene, 0, (48, 64))
    large = world.render(scene, small.camera, (96, 128), 0)
    assert large.rgb.shape == (96, 128, 3)
    assert np.median(large.depth) == pytest.approx(np.median(small.depth), rel=0.05)


def test_mixture_draws_every_kind(bank: world.TextureBank) -> None:
    kinds = {world.sample_scene(seed, bank=bank).kind for seed in range(24)}
    assert kinds == set(world.KINDS)


def test_unknown_kind_names_the_known_ones(bank: world.TextureBank) -> None:
    with pytest.raises(UnknownNameError, match="room"):
        world.sample_scene(0, "moon", bank=bank)


def test_a_camera_without_pose_is_refused(bank: world.TextureBank) -> None:
    scene = world.sample_scene(0, "objects", bank=bank)
    with pytest.raises(InputError, match="world_from_camera"):
        world.render(scene, Camera(width=8, height=6, fx=5, fy=5, cx=3.5, cy=2.5), factor=1)


def test_loading_an_empty_folder_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"exr\.js"):
        world.TextureBank.load(tmp_path)


def test_bank_is_a_function_of_its_seed(bank: world.TextureBank) -> None:
    again = world.TextureBank.procedural(0, share=0.15)
    assert np.array_equal(bank.texels, again.texels)
    assert np.array_equal(bank.masks, again.masks)
    assert np.array_equal(bank.skies, again.skies)


def test_textures_interpolate_between_texels_and_repeat(bank: world.TextureBank) -> None:
    index = bank.categories["poster"][0]
    red = (bank.texels[index, : 256 * 256].reshape(256, 256) & 255).astype(float)
    tile, level = np.full(3, index, np.int32), np.zeros(3, np.int32)
    u = np.array([10.5, 11.0, 255.99], np.float32) / 256
    v = np.full(3, 40.5, np.float32) / 256
    expected = [red[40, 10], (red[40, 10] + red[40, 11]) / 2, (red[40, 255] + red[40, 0]) / 2]
    assert bank.sample(tile, u, v, level)[0] == pytest.approx(expected, abs=2.6)
    assert bank.sample(tile, u + 3, v - 2, level)[0] == pytest.approx(expected, abs=2.6)


def test_coarse_levels_average_the_fine_ones(bank: world.TextureBank) -> None:
    index = bank.categories["poster"][0]
    red = (bank.texels[index, : 256 * 256] & 255).astype(float)
    one = np.zeros(1, np.float32)
    top = bank.sample(np.array([index], np.int32), one, one, np.array([8], np.int32))[0]
    assert top[0] == pytest.approx(red.mean(), abs=1.5)
