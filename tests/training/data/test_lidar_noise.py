"""Scans: each error does what it says, and the same to the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.training.data.lidar_noise import simulate_scan
from leadline.training.options import LidarNoise


def step(near: float = 2.0, far: float = 10.0) -> np.ndarray:
    """A near thing on the left, a far wall on the right."""
    depth = np.full((20, 30), far, np.float32)
    depth[:, :15] = near
    return depth


def test_no_errors_change_nothing() -> None:
    depth = step()
    depth[0] = 0
    np.testing.assert_array_equal(
        simulate_scan(depth, LidarNoise(), np.random.default_rng(0)), depth
    )


def test_points_see_through_at_the_near_side_of_edges_only() -> None:
    errors = LidarNoise(see_through=1.0, reach_px=2)
    made = simulate_scan(step(), errors, np.random.default_rng(0))
    assert (made[:, 13:15] == 10).all()
    assert (made[:, :13] == 2).all()
    assert (made[:, 15:] == 10).all()


def test_rows_and_the_top_stay_unmeasured() -> None:
    errors = LidarNoise(every_row=4, blind_top=0.5, share=0.5)
    made = simulate_scan(step(), errors, np.random.default_rng(0))
    assert (made[:10] == 0).all()
    rows = np.nonzero(made.any(axis=1))[0]
    assert set(rows) <= {10, 14, 18}
    assert 0.3 < (made[rows] > 0).mean() < 0.7


def test_shift_moves_points_and_leaves_a_gap() -> None:
    made = simulate_scan(step(), LidarNoise(shift_px=(3, 0)), np.random.default_rng(0))
    assert (made[:, :3] == 0).all()
    assert (made[:, 3:18] == 2).all()


def test_noise_is_relative() -> None:
    made = simulate_scan(step(), LidarNoise(noise=0.05), np.random.default_rng(0))
    assert np.std(made[:, :15] / 2) == pytest.approx(0.05, rel=0.3)
    assert np.std(made[:, 15:] / 10) == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("wrong", [{"share": 1.2}, {"every_row": 0}, {"noise": -1.0}])
def test_impossible_errors_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        LidarNoise(**wrong)  # ty: ignore[invalid-argument-type]
