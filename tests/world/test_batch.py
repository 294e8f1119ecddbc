"""Pictures by torch, many at once, against those by numpy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from leadline import world
from leadline.camera import Camera
from leadline.errors import DeviceError, InputError
from leadline.world.render import radiance
from leadline.world.scene import Scene
from leadline.world.shading import pose_of

torch = pytest.importorskip("torch")

SIZE = (72, 96)


@pytest.fixture(scope="module")
def pictures(bank: world.TextureBank) -> tuple[list[Scene], list[Camera], list[int]]:
    """Two views of a scene of every kind, and one of another; the second view has four samples."""
    scenes, cameras, factors = [], [], []
    for kind in world.KINDS:
        first, other = (world.sample_scene(seed, kind, bank=bank) for seed in (1, 2))
        for scene, seed, factor in ((first, 0, 1), (first, 1, 2), (other, 0, 1)):
            rng = np.random.default_rng(seed)
            scenes.append(scene)
            cameras.append(world.sample_camera(scene, rng, SIZE))
            factors.append(factor)
    return scenes, cameras, factors


def test_pictures_of_a_batch_are_those_of_numpy(pictures, device, monkeypatch) -> None:
    from leadline.world.batch import linear_views

    # How many pixels of a bumpy shape are in sight, each counts in its own order of work.
    monkeypatch.setattr("leadline.world.trace.refinement", lambda kind, large: 4)
    for scene in pictures[0]:
        scene.shadow_cache.clear()
    scenes, cameras, factors = pictures
    found = {n: (linear, truth) for n, linear, truth in linear_views(*pictures, device)}
    assert len(found) == len(scenes)
    for n, (scene, camera, factor) in enumerate(zip(scenes, cameras, factors, strict=True)):
        expected, depth, ids, normals = radiance(scene, camera, factor)
        linear, (z, turned, labels) = found[n]
        assert linear.dtype == z.dtype == turned.dtype == np.float32
        assert labels.dtype == np.int16
        same = np.abs(z - depth) <= 1e-3 * depth
        same &= labels == np.where(ids >= 0, scene.labels[ids], -1)
        colors = np.abs(linear - expected).max(axis=-1) <= 2e-2
        assert (same & colors).mean() >= 0.995, (scene.kind, factor)
        pose = pose_of(camera)[:3, :3].astype(np.float32)
        faces = np.abs(turned - normals @ pose).max(axis=-1) < 1e-2
        assert faces.mean() > 0.98, (scene.kind, factor)  # creases: which face, decides rounding


def test_a_batch_draws_as_single_pictures_do(bank: world.TextureBank, device: str) -> None:
    scenes = [world.sample_scene(seed, "objects", bank=bank) for seed in (3, 3, 4)]
    batch = world.sample_views(scenes, [0, 1, 2], SIZE, device=device)
    for scene, seed, view in zip(scenes, (0, 1, 2), batch, strict=True):
        alone = world.sample_view(scene, seed, SIZE)
        assert view.camera == alone.camera
        assert view.kind == alone.kind
        assert (view.labels == alone.labels).mean() >= 0.995
        assert np.array_equal(np.isinf(view.depth), view.labels < 0)
        near = np.abs(view.rgb.astype(int) - alone.rgb).max(axis=-1) <= 8
        assert near.mean() > 0.97


def test_masks_and_holes_open_walls_in_a_batch(bank: world.TextureBank, device: str) -> None:
    b = world.Builder(np.random.default_rng(0), bank)
    b.quad((0, 6, 1), (30, 30), b.mat("flat"), normal="y")
    b.quad((-5, 2, 1), (10, 30), b.mat("flat"), normal="y", mask="lattice", repeat=(20, 20))
    b.quad((5, 2, 1), (10, 30), b.mat("flat"), normal="y", holes=[(-0.9, -0.1, -0.5, 0.1)])
    pose = world.pose_from_angles(np.array([0, 0, 1.0]), 0.0, 0.0)
    camera = Camera(width=96, height=72, fx=80, fy=80, cx=47.5, cy=35.5, world_from_camera=pose)
    scene = b.finish("room", 0)
    expected = world.render(scene, camera, factor=1)
    (view,) = world.render_batch([scene], [camera], device=device, factor=1)
    assert view.depth == pytest.approx(expected.depth, rel=1e-5)
    assert set(np.rint(view.depth).ravel().astype(int).tolist()) == {2, 6}


def test_nothing_in_sight_is_sky(bank: world.TextureBank, device: str) -> None:
    b = world.Builder(np.random.default_rng(0), bank)
    b.box((0, -9, 0), (1, 1, 1), b.mat("flat"))
    pose = world.pose_from_angles(np.array([0, 0, 1.0]), 0.0, 0.0)
    camera = Camera(width=32, height=24, fx=30, fy=30, cx=15.5, cy=11.5, world_from_camera=pose)
    (view,) = world.render_batch([b.finish("objects", 0)], [camera], device=device)
    assert np.isinf(view.depth).all()
    assert (view.labels == -1).all()


def test_a_device_that_is_not_here_is_named(bank: world.TextureBank) -> None:
    scene = world.sample_scene(0, "objects", bank=bank)
    for device in ("abacus", "cuda:97"):
        with pytest.raises(DeviceError, match=device):
            world.sample_views([scene], [0], SIZE, device=device)


def test_batches_that_do_not_fit_together_are_refused(bank: world.TextureBank) -> None:
    scene = world.sample_scene(0, "objects", bank=bank)
    other = world.sample_scene(0, "objects", bank=world.TextureBank.procedural(1, share=0.01))
    with pytest.raises(InputError, match="cameras"):
        world.render_batch([scene], [], device="cpu")
    with pytest.raises(InputError, match="bank"):
        world.sample_views([scene, other], [0, 0], SIZE, device="cpu")
    assert world.render_batch([], [], device="cpu") == []


def test_the_world_imports_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from leadline import world\n"
        "from leadline.errors import MissingDependencyError\n"
        "try: world.render_batch([], [], device='cpu')\n"
        "except MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "leadline[torch]" in done.stdout
