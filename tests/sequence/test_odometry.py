"""A camera followed through a textured box: its way, the points, and metres."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.errors import DegenerateError, InputError
from leadline.geometry.epipolar import inverse_rigid
from leadline.image import Image
from leadline.sequence import (
    Trajectory,
    dense_map,
    scale_by_baseline,
    scale_by_height,
    sources_for,
    sparse_map,
    track,
    triangulate_posed,
)
from testing.room import HALF, view, walk


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return walk(5)


@pytest.fixture(scope="module")
def found(images: list[Image]) -> Trajectory:
    return track(without_poses(images))


def without_poses(images: list[Image]) -> list[Image]:
    return [replace(image, camera=image.camera.moved(None)) for image in images]


def true_positions(images: list[Image]) -> np.ndarray:
    start = inverse_rigid(images[0].camera.world_from_camera)
    return np.array([(start @ i.camera.world_from_camera)[:3, 3] for i in images])


def test_the_way_is_found_up_to_one_scale(found: Trajectory, images: list[Image]) -> None:
    truth = true_positions(images)
    ours = found.positions()
    assert not found.metric
    scale = np.linalg.norm(truth[-1]) / np.linalg.norm(ours[-1])
    assert np.linalg.norm(ours * scale - truth, axis=1).max() < 0.02 * np.linalg.norm(truth[-1])
    assert np.linalg.norm(ours[found.keyframes[1]]) == pytest.approx(1, rel=0.05)


def test_points_lie_on_the_walls(found: Trajectory, images: list[Image]) -> None:
    length = np.linalg.norm(true_positions(images)[1])
    metric = scale_by_baseline(found, float(length))
    start = images[0].camera.world_from_camera
    world = metric.points @ start[:3, :3].T + start[:3, 3]
    off = np.abs(np.abs(world) - HALF).min(axis=1)
    assert metric.metric
    assert len(world) > 200
    assert np.median(off) < 0.06
    assert found.colors.dtype == np.uint8
    assert len(found.colors) == len(found.points) == len(found.error_px)


def test_the_ground_gives_metres(found: Trajectory, images: list[Image]) -> None:
    metric = scale_by_height(found, lambda number: images[number], HALF[1])
    ours = np.linalg.norm(np.diff(metric.positions(), axis=0), axis=1)
    truth = np.linalg.norm(np.diff(true_positions(images), axis=0), axis=1)
    assert np.abs(ours / truth - 1).max() < 0.04


def test_known_poses_give_points_in_metres(images: list[Image]) -> None:
    found = triangulate_posed(images)
    off = np.abs(np.abs(found.points) - HALF).min(axis=1)
    assert found.metric
    assert np.median(off) < 0.06
    sparse = sparse_map(found, images[2], 2)
    _, depth = view(images[2].camera)
    error = np.abs(sparse.values - depth)[sparse.known] / depth[sparse.known]
    assert sparse.kind == "metric_depth"
    assert sparse.known.sum() > 100
    assert np.median(error) < 0.03


def test_maps_are_made_from_frames_a_tenth_of_the_depth_away(images: list[Image]) -> None:
    found = triangulate_posed(images, keyframe_parallax_deg=0.1)
    assert found.keyframes == [0, 1, 2, 3, 4]
    order = sources_for(found, 0)
    depths = sparse_map(found, images[0], 0)
    wanted = 0.1 * np.median(depths.values[depths.known])
    away = np.linalg.norm(found.positions()[order] - found.positions()[0], axis=1)
    assert abs(away[0] - wanted) <= abs(away - wanted).min() + 0.15
    assert 0 not in order


@pytest.mark.slow
def test_a_dense_map_is_right_where_it_has_values(found: Trajectory, images: list[Image]) -> None:
    metric = scale_by_baseline(found, float(np.linalg.norm(true_positions(images)[1])))
    dense = dense_map(metric, images, 2)
    _, depth = view(images[2].camera)
    error = np.abs(dense.values - depth)[dense.known] / depth[dense.known]
    assert dense.kind == "metric_depth"
    assert dense.known.mean() > 0.4
    assert np.median(error) < 0.03


def test_pictures_that_do_not_move_are_degenerate(images: list[Image]) -> None:
    with pytest.raises(DegenerateError, match="no parallax"):
        track([images[0], images[0]])
    with pytest.raises(DegenerateError, match="one place"):
        triangulate_posed([images[0], images[0]])


def test_input_that_cannot_be_used_is_told(images: list[Image]) -> None:
    small = walk(1, size=160)[0]
    with pytest.raises(InputError, match="one size"):
        track([images[0], small])
    with pytest.raises(InputError, match="one size"):
        triangulate_posed([images[0], small])
    with pytest.raises(InputError, match="two or more"):
        track(images[:1])
    with pytest.raises(InputError, match="no camera"):
        track([replace(images[0], camera=None)])
    with pytest.raises(InputError, match="has no pose"):
        triangulate_posed(without_poses(images[:2]))
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    with pytest.raises(InputError):
        track([images[0], replace(images[0], pixels=noise)])


def test_metres_need_sensible_numbers(found: Trajectory, images: list[Image]) -> None:
    with pytest.raises(InputError, match="positive"):
        scale_by_baseline(found, -1)
    with pytest.raises(InputError, match="positive"):
        scale_by_height(found, lambda number: images[number], 0)
    blank = Image(pixels=np.full((240, 320, 3), 90, np.uint8))
    with pytest.raises(InputError, match="ground was found in 0"):
        scale_by_height(found, lambda number: blank, 1.5)
