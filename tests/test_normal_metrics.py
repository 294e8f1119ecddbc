"""Angles between normals."""

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.metrics import angular_errors, compare_normals


def turned(degrees: float) -> np.ndarray:
    """A vector that leans so far from the optical axis."""
    return np.array([np.sin(np.radians(degrees)), 0, -np.cos(np.radians(degrees))])


def test_angles_are_those_between_the_vectors() -> None:
    target = np.broadcast_to(turned(0), (2, 3, 3))
    pred = np.stack([[turned(a) for a in (0, 1e-4, 11)], [turned(a) for a in (12, 25, 180)]])
    assert angular_errors(pred, target) == pytest.approx([0, 1e-4, 11, 12, 25, 180])
    found = compare_normals(5 * pred, target)  # lengths do not matter
    assert found["mean_deg"] == pytest.approx((11 + 12 + 25 + 180 + 1e-4) / 6)
    assert found["median_deg"] == pytest.approx(11.5)
    assert found["within_11"] == pytest.approx(3 / 6)
    assert found["within_22"] == pytest.approx(4 / 6)
    assert found["within_30"] == pytest.approx(5 / 6)


def test_unknown_pixels_do_not_count() -> None:
    target = np.broadcast_to(turned(0), (1, 4, 3)).copy()
    pred = np.stack([[turned(a) for a in (90, 90, 90, 10)]])
    pred[0, 0] = np.nan
    target[0, 1] = 0
    valid = np.array([[True, True, False, True]])
    assert angular_errors(pred, target, valid) == pytest.approx([10])
    with pytest.raises(InputError, match="no pixel has both"):
        angular_errors(pred, target, ~valid & False)
    with pytest.raises(InputError, match="each is needed"):
        angular_errors(pred, target[:, :2])
