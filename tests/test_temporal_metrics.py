"""TAE, OPW and change over time, on films whose numbers are known."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.metrics import mean_change, temporal_alignment_error, warping_error


def _cameras(count: int, step_m: float) -> list[Camera]:
    camera = Camera(width=40, height=30, fx=40, fy=40, cx=19.5, cy=14.5)
    poses = [np.eye(4) for _ in range(count)]
    for number, pose in enumerate(poses):
        pose[2, 3] = number * step_m  # forward
    return [camera.moved(pose) for pose in poses]


def test_tae_of_a_wall_that_comes_nearer() -> None:
    cameras = _cameras(3, 0.5)
    depths = [np.full((30, 40), 5 - 0.5 * n) for n in range(3)]
    assert temporal_alignment_error(depths, cameras, max_depth=10) == pytest.approx(0, abs=1e-9)
    still = [np.full((30, 40), 5.0)] * 3
    # forward 4.5 is seen where 5 is said, back 5.5: both 10 %
    assert temporal_alignment_error(still, cameras, max_depth=10) == pytest.approx(10)


def test_tae_needs_poses_and_two_frames() -> None:
    cameras = [replace(camera, world_from_camera=None) for camera in _cameras(2, 1)]
    with pytest.raises(InputError, match="pose"):
        temporal_alignment_error([np.ones((30, 40))] * 2, cameras, max_depth=10)
    with pytest.raises(InputError, match="two or more"):
        temporal_alignment_error([np.ones((30, 40))], cameras[:1], max_depth=10)


def test_opw_of_what_moves_with_its_flow() -> None:
    rng = np.random.default_rng(0)
    near = rng.uniform(1, 2, (20, 32)).astype(np.float32)
    picture = rng.integers(0, 255, (20, 32, 3), dtype=np.uint8)
    moved = np.roll(near, 3, axis=1), np.roll(picture, 3, axis=1)
    flow = np.zeros((20, 32, 2), np.float32)
    flow[..., 0] = 3
    inside = slice(None), slice(0, 29)
    with_flow = warping_error((near, moved[0]), (picture, moved[1]), flow)
    without = warping_error((near, moved[0]), (picture, moved[1]), 0 * flow)
    assert with_flow < without
    # where nothing differs in colour each channel weighs 1: 10 * 3 * |difference|
    grey = np.full((20, 32, 3), 90, np.uint8)
    other = near.copy()
    other[0, 0] += 1
    error = warping_error((near, near), (grey, grey), 0 * flow)
    assert error == 0
    assert warping_error((near[inside], near[inside]), (grey[inside],) * 2, 0 * flow[inside]) == 0
    both = (near, other)
    normal = [(m - np.median(m)) / np.abs(m - np.median(m)).mean() for m in both]
    expected = 30 * np.abs(normal[1] - normal[0]).mean()
    assert warping_error(both, (grey, grey), 0 * flow) == pytest.approx(expected, rel=1e-4)


def test_change_counts_known_pixels() -> None:
    before, now = np.ones((4, 4)), np.full((4, 4), 1.5)
    now[0] = np.nan
    assert mean_change(before, now) == pytest.approx(0.5)
