"""Maps with poses as one mesh."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError, KindError
from leadline.geometry import fusion
from leadline.image import Image
from leadline.prediction import Prediction
from testing.dense_scene import BOX_M, WALL_M, pose, view

skimage = pytest.importorskip("skimage")


def maps(count: int = 4, step_m: float = 0.15) -> list[Prediction]:
    """A wall with a box before it, seen from places beside each other."""
    made = []
    for number in range(count):
        image, depth = view(pose((number - count / 2) * step_m))
        made.append(Prediction(values=depth, kind="metric_depth", camera=image.camera, image=image))
    return made


@pytest.fixture(scope="module")
def mesh() -> object:
    return fusion.fuse(maps(), voxel=0.03)


def test_vertices_lie_on_the_surfaces(mesh) -> None:
    x, y, z = mesh.points.T
    inside = np.maximum(np.abs(x), np.abs(y)) < 0.4
    away = np.maximum(np.abs(x), np.abs(y)) > 0.55
    assert np.abs(z[inside] - BOX_M).max() < 0.02
    assert np.abs(z[away] - WALL_M).max() < 0.02
    assert inside.sum() > 300
    assert away.sum() > 1000
    assert mesh.faces.max() < len(mesh.points)
    assert mesh.unit == "m"


def test_faces_and_normals_look_at_the_cameras(mesh) -> None:
    corners = mesh.points[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    on_wall = (np.abs(corners[..., 2] - WALL_M) < 0.02).all(axis=1)
    assert (across[on_wall, 2] < 0).mean() > 0.99
    wall = np.abs(mesh.points[:, 2] - WALL_M) < 0.01
    assert (mesh.normals[wall, 2] < -0.9).mean() > 0.95


def test_colours_are_those_of_the_pictures(mesh) -> None:
    camera = maps()[2].camera
    image = maps()[2].image
    place = mesh.points - np.asarray(camera.world_from_camera)[:3, 3]
    on_wall = (
        (np.abs(place[:, 2] - WALL_M) < 0.02) & (np.abs(place[:, 0]) < 1) & (place[:, 0] > 0.8)
    )
    u = np.rint(camera.fx * place[on_wall, 0] / place[on_wall, 2] + camera.cx).astype(int)
    v = np.rint(camera.fy * place[on_wall, 1] / place[on_wall, 2] + camera.cy).astype(int)
    inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    difference = mesh.colors[on_wall][inside].astype(int) - image.pixels[v[inside], u[inside]]
    assert np.abs(difference).mean() < 12


def test_noise_is_averaged() -> None:
    rng = np.random.default_rng(0)

    def noisy(one: Prediction) -> Prediction:
        return replace(one, values=one.values + 0.02 * rng.standard_normal(one.size))

    def spread(some: list[Prediction]) -> float:
        box = fusion.Box(low=np.array([-0.3, -0.3, 1.8]), shape=(21, 21, 15), voxel=0.03)
        volume = fusion.Volume(box)
        for one in some:
            volume.add(one)
        return float(volume.mesh().points[:, 2].std())

    assert spread([noisy(one) for one in maps(12, 0.02)]) < 0.5 * spread([noisy(maps(1)[0])])


def test_surfaces_that_few_saw_may_be_left_out() -> None:
    every, agreed = (fusion.fuse(maps(), voxel=0.05, least=least) for least in (1, 4))
    assert 0 < len(agreed.points) < len(every.points)


def test_what_cannot_be_fused_is_refused() -> None:
    one = maps(1)[0]
    with pytest.raises(InputError, match="no map to fuse"):
        fusion.fuse([])
    with pytest.raises(KindError, match="own scale and shift"):
        fusion.fuse([replace(one, kind="affine_disparity")])
    with pytest.raises(KindError, match="no scale in common"):
        fusion.fuse([one, replace(one, kind="scaled_depth")])
    with pytest.raises(InputError, match="without pose"):
        fusion.fuse([replace(one, camera=one.camera.moved(None))])
    with pytest.raises(InputError, match="without camera"):
        fusion.fuse([replace(one, camera=None)])
    with pytest.raises(InputError, match="million are the most"):
        fusion.fuse([one], voxel=1e-4)
    with pytest.raises(InputError, match="voxel=0"):
        fusion.fuse([one], voxel=0)
    with pytest.raises(InputError, match="no point"):
        fusion.fuse([replace(one, values=np.full(one.size, np.nan))])


def test_maps_that_meet_nowhere_say_so() -> None:
    camera = Camera.from_focal(40, 30, focal_px=40.0).moved(np.eye(4))
    away = fusion.Box(low=np.array([0, 0, -9.0]), shape=(9, 9, 9), voxel=0.1)
    volume = fusion.Volume(away)
    flat = Image(pixels=np.zeros((30, 40, 3), np.uint8))
    volume.add(Prediction(values=np.ones((30, 40)), kind="metric_depth", camera=camera, image=flat))
    with pytest.raises(InputError, match="meet nowhere"):
        volume.mesh()
