"""Bundle adjustment: the minimum, against SciPy's; what stays, stays."""

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.geometry.epipolar import inverse_rigid
from leadline.geometry.motion_fit import rotation_by
from leadline.sequence.bundle_adjustment import (
    Observations,
    adjust_bundle,
    place_camera,
    residuals,
)
from testing.two_views import two_views


def problem(noise_px: float = 0.5, points: int = 40) -> tuple[np.ndarray, np.ndarray, Observations]:
    """True poses, true points, and noisy observations of four views."""
    scene = two_views(1, points=points, views=4, noise_px=noise_px)
    c = scene.cameras[0]
    slopes = [(p - [c.cx, c.cy]) / [c.fx, c.fy] for p in scene.pixels]
    seen = Observations(
        pose=np.repeat(np.arange(4), points),
        point=np.tile(np.arange(points), 4),
        slopes=np.concatenate(slopes),
        focals=np.tile([c.fx, c.fy], (4 * points, 1)),
    )
    poses = np.array([inverse_rigid(np.array(c.world_from_camera)) for c in scene.cameras])
    return poses, scene.world, seen


def shaken(poses: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    poses = poses.copy()
    for pose in poses[2:]:
        pose[:3, :3] = rotation_by(0.01 * rng.normal(size=3)) @ pose[:3, :3]
        pose[:3, 3] += 0.05 * rng.normal(size=3)
    return poses, points + 0.2 * rng.normal(size=points.shape)


def test_the_minimum_is_scipys() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    poses, points, seen = problem(points=14)
    fixed = np.arange(4) < 2
    ours = adjust_bundle(*shaken(poses, points), seen, fixed, steps=60)

    def unpacked(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = poses.copy()
        for i in (2, 3):
            step = x[6 * (i - 2) : 6 * (i - 2) + 6]
            moved[i, :3, :3] = rotation_by(step[:3]) @ poses[i, :3, :3]
            moved[i, :3, 3] = poses[i, :3, 3] + step[3:]
        return moved, points + x[12:].reshape(-1, 3)

    def cost(x: np.ndarray) -> np.ndarray:  # the root of the Cauchy cost of every observation
        squared = (residuals(*unpacked(x), seen) ** 2).sum(1)
        return np.sqrt(np.log1p(squared))

    theirs = optimize.least_squares(cost, np.zeros(12 + points.size), max_nfev=40)
    assert ours.cost_after <= 2 * theirs.cost * (1 + 1e-4)
    assert np.allclose(ours.poses[:2], poses[:2])
    assert ours.cost_after < ours.cost_before


def test_exact_observations_give_the_exact_scene() -> None:
    poses, points, seen = problem(noise_px=0)
    found = adjust_bundle(*shaken(poses, points), seen, np.arange(4) < 2, steps=60)
    assert np.allclose(found.poses, poses, atol=1e-5)
    assert np.allclose(found.points, points, rtol=1e-3, atol=1e-3)
    assert found.error_px.max() < 1e-2


def test_wrong_observations_do_not_bend_the_poses() -> None:
    poses, points, seen = problem(noise_px=0.2)
    seen.slopes[::9] += 0.3
    found = adjust_bundle(*shaken(poses, points), seen, np.arange(4) < 2, steps=60)
    assert np.allclose(found.poses[:, :3, 3], poses[:, :3, 3], atol=0.05)
    assert (found.error_px[::9] > 20).mean() > 0.9


def test_a_camera_is_placed_by_known_points() -> None:
    poses, points, seen = problem(noise_px=0)
    mine = seen.pose == 3
    own = Observations(
        pose=np.zeros(40, int),
        point=seen.point[mine],
        slopes=seen.slopes[mine],
        focals=seen.focals[mine],
    )
    assert np.allclose(place_camera(poses[0], points, own), poses[3], atol=1e-6)


def test_a_world_without_a_fixed_pose_is_refused() -> None:
    poses, points, seen = problem()
    with pytest.raises(InputError, match="fixed"):
        adjust_bundle(poses, points, seen, np.zeros(4, bool))
