"""Normals of noisy maps, smoothed."""

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.cloud import Surface, estimate_normals, smooth_normals
from leadline.metrics import compare_normals
from leadline.prediction import Prediction

CAMERA = Camera.from_focal(320, 240, focal_px=300.0)


def noisy_step() -> np.ndarray:
    """A wall at 2 m beside one at 4 m, drawn with waves."""
    rng = np.random.default_rng(0)
    depth = np.where(np.arange(320) < 160, 2.0, 4.0) * np.ones((240, 1))
    return depth * (1 + 0.002 * rng.standard_normal((240, 320)))


def test_noise_goes_and_walls_stay() -> None:
    depth = noisy_step()
    raw = estimate_normals(Surface(depth=depth, camera=CAMERA))
    smooth = smooth_normals(raw, depth)
    truth = np.array([0, 0, -1.0]) * np.ones((240, 320, 1))
    before, after = compare_normals(raw, truth), compare_normals(smooth, truth)
    assert after["mean_deg"] < 0.6 * before["mean_deg"]
    known = np.isfinite(smooth).all(axis=2)
    assert np.allclose(np.linalg.norm(smooth[known], axis=1), 1, atol=1e-4)


def test_edges_and_holes_stay_where_they_are() -> None:
    depth = np.where(np.arange(320) < 160, 2.0, 4.0) * np.ones((240, 1))
    left = np.array([0, 0, -1.0])
    right = np.array([-0.6, 0, -0.8])
    normals = np.where((np.arange(320) < 160)[None, :, None], left, right) * np.ones((240, 1, 1))
    normals[100, 100] = np.nan
    smooth = smooth_normals(normals, depth)
    assert np.isnan(smooth[100, 100]).all()
    np.testing.assert_allclose(smooth[50, 159], left, atol=0.01)
    np.testing.assert_allclose(smooth[50, 160], right, atol=0.01)


@pytest.mark.parametrize("model", ["", "lite-metric"])
def test_maps_of_models_are_smoothed_and_truth_is_not(model: str) -> None:
    depth = noisy_step()
    one = Prediction(values=depth, kind="metric_depth", camera=CAMERA, model=model)
    raw = estimate_normals(Surface(depth=one.values, camera=CAMERA))
    same = np.array_equal(one.surface_normals(), raw, equal_nan=True)
    assert same is (model == "")
