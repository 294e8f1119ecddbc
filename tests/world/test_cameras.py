"""Cameras of data sets: their lens and how they are held; and what rooms open into."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leadline import world
from leadline.errors import InputError, UnknownNameError
from leadline.world import rooms
from leadline.world.trace import trace


@pytest.mark.parametrize(("kind", "mount"), [("room", "nyu"), ("street", "kitti")])
def test_mounted_cameras_share_a_lens_and_are_held_alike(
    bank: world.TextureBank, kind: str, mount: str
) -> None:
    scene = world.sample_scene(5, kind, bank=bank)
    own = world.MOUNTS[mount]
    course = scene.views.get("course")
    for seed in range(8):
        camera = world.sample_camera(scene, np.random.default_rng(seed), (96, 320), mount)
        assert camera.fov_deg == pytest.approx(own.fov_deg, abs=0.5)
        pose = camera.world_from_camera
        assert pose is not None
        if course is None:  # roads rise and fall; floors do not
            assert own.height_m[0] <= pose[2, 3] <= own.height_m[1]
            pitch = math.degrees(math.asin(pose[2, 2]))
            assert abs(pitch - own.pitch_deg[0]) < 5 * own.pitch_deg[1]


def test_a_mount_that_does_not_fit_is_refused(bank: world.TextureBank) -> None:
    scene = world.sample_scene(5, "room", bank=bank)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="sees scenes of the kind 'street', not 'room'"):
        world.sample_camera(scene, rng, (48, 64), "kitti")
    with pytest.raises(UnknownNameError, match="kitti"):
        world.mounted_kinds("kity")
    assert world.mounted_kinds("nyu") == ("room",)
    assert world.mounted_kinds("", ("room", "street")) == ("room", "street")


def test_a_passage_leads_into_a_closed_room(bank: world.TextureBank) -> None:
    for seed in range(4):
        b = world.Builder(np.random.default_rng(seed), bank)
        wall = b.mat("flat")
        b.quad((0, 0, 0), (6, 6), wall)
        with b.at((0, 3, 0)):
            rooms._passage(b, 2.0, 2.2, wall, 0.8)
        b.quad((0, 3, 1.5), (6, 3), wall, normal="y", holes=[(-1 / 3, -7 / 15, 1 / 3, 1)])
        scene = b.finish("room", seed)
        pose = world.pose_from_angles(np.array([0.0, 0.0, 1.5]), 0.0, -0.3)
        depth, _ = trace(scene, pose, (40.0, 40.0, 31.5, 23.5), (48, 64), None, 2.5)
        ahead = depth[8:, 28:36]  # straight through the opening, and the floor before it
        assert np.isfinite(ahead).all()
        assert ahead.max() > 3.5  # behind the wall, at 3 m
