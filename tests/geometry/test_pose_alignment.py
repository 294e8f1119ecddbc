"""Poses of two worlds: the original's numbers, and similarities that are known."""

from __future__ import annotations

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.geometry.pose_alignment import Similarity, fit_similarity, normalise_poses
from testing.goldens import Golden, load_golden


@pytest.fixture(scope="module", params=[True, False], ids=["extract", "full"])
def golden(request: pytest.FixtureRequest) -> Golden:
    return load_golden("da3_geom", extract=request.param)


def world_from_camera(extrinsics: np.ndarray) -> np.ndarray:
    """(n, 4, 4) of the original's (n, 3 or 4, 4) camera_from_world."""
    whole = np.tile(np.eye(4), (len(extrinsics), 1, 1))
    whole[:, :3] = extrinsics[:, :3]
    return np.linalg.inv(whole)


def rotations(count: int, seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    return q * np.sign(np.linalg.det(q))[:, None, None]


def cameras(count: int, seed: int = 0) -> np.ndarray:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = rotations(count, seed)
    poses[:, :3, 3] = np.random.default_rng(seed).standard_normal((count, 3))
    return poses


KNOWN = Similarity(scale=2.5, rotation=rotations(1, 9)[0], translation=np.array([1.0, -2.0, 0.5]))


@pytest.mark.parametrize("views", [1, 2, 4, 5])
def test_poses_are_normalised_as_in_the_original(golden: Golden, views: int) -> None:
    case = f"normalize_extrinsics/norm{views}"
    ours = normalise_poses(world_from_camera(golden.arrays[f"{case}/in_w2c"][0]))
    error = golden.relative_error(f"{case}/out_w2c", np.linalg.inv(ours)[None])
    assert error < 1e-6


@pytest.mark.parametrize("views", [3, 5, 12])
def test_given_poses_are_aligned_as_in_the_original(golden: Golden, views: int) -> None:
    """From ten views on with some of them wrong."""
    case = f"align/{views}_"
    predicted = world_from_camera(golden.arrays[f"{case}True/in_pred_w2c"])
    given = world_from_camera(golden.arrays[f"{case}True/in_given_w2c"])
    similarity = fit_similarity(given, predicted)
    factor = np.array([1 / similarity.scale])
    assert golden.relative_error(f"{case}True/out_depth_factor", factor) < 1e-6
    moved = np.linalg.inv(similarity.move_poses(given))
    assert golden.relative_error(f"{case}False/out_extrinsics", moved) < 1e-6


@pytest.mark.parametrize("views", [2, 3, 7, 30])
def test_a_known_similarity_is_found(views: int) -> None:
    given = cameras(views)
    moved = KNOWN.move_poses(given)
    found = fit_similarity(given, moved)
    assert found.scale == pytest.approx(2.5)
    np.testing.assert_allclose(found.rotation, KNOWN.rotation, atol=1e-9)
    np.testing.assert_allclose(found.move_poses(given), moved, atol=1e-9)


def test_centres_on_one_line_are_decided_by_the_rotations() -> None:
    given = cameras(4)
    given[:, :3, 3] = np.arange(4)[:, None] * [0.2, 0.1, -0.3]
    found = fit_similarity(given, KNOWN.move_poses(given))
    np.testing.assert_allclose(found.rotation, KNOWN.rotation, atol=1e-9)
    assert found.scale == pytest.approx(2.5)


def test_one_view_or_one_place_keeps_the_scale() -> None:
    given = cameras(1)
    moved = KNOWN.move_poses(given)
    for count in (1, 3):
        found = fit_similarity(np.repeat(given, count, axis=0), np.repeat(moved, count, axis=0))
        assert found.scale == 1
        np.testing.assert_allclose(found.move_poses(given), moved, atol=1e-9)


def test_some_wrong_poses_are_found_out() -> None:
    given = cameras(20)
    moved = KNOWN.move_poses(given)
    moved[[3, 11], :3, 3] += 40
    assert fit_similarity(given, moved).scale == pytest.approx(2.5)


def test_a_mirror_is_no_rotation() -> None:
    given = cameras(6)
    mirrored = given.copy()
    mirrored[:, 0, 3] *= -1
    assert np.linalg.det(fit_similarity(given, mirrored).rotation) == pytest.approx(1)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (cameras(3), cameras(2), "3 and 2 poses.*in one order"),
        (np.eye(4), np.eye(4), r"shape \(4, 4\)"),
        (cameras(0), cameras(0), "one a view"),
        (cameras(2) * np.nan, cameras(2), "not finite"),
    ],
)
def test_other_poses_are_refused(source: np.ndarray, target: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_similarity(source, target)
