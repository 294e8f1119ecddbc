"""Metres by the user's own means: what is fitted, what is outvoted, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError, KindError
from leadline.kinds import DepthKind
from leadline.metric_scale import floor_depth
from leadline.prediction import Prediction

H, W = 40, 60
CAMERA = Camera.from_focal(W, H, focal_px=50.0)


def room() -> np.ndarray:
    """A slanted wall 2 to 8 m away."""
    return np.linspace(2, 8, W)[None, :] + np.linspace(0, 0.5, H)[:, None]


def relative(kind: str, scale: float = 0.7, shift: float = -0.03) -> Prediction:
    """A map of the room that is wrong by a scale and, for affine kinds, a shift."""
    depth = room()
    if kind == "scaled_depth":
        values = scale * depth
    else:
        values = ((1 / depth if kind == "affine_disparity" else depth) - shift) / scale
    return Prediction(values=values, kind=DepthKind(kind), camera=CAMERA)


def known_points(*places: tuple[int, int]) -> list[tuple[float, float, float]]:
    return [(x, y, float(room()[y, x])) for x, y in places]


KINDS = ("affine_disparity", "affine_depth", "scaled_depth")


@pytest.mark.parametrize("kind", KINDS)
def test_two_points_bring_the_map_to_metres(kind: str) -> None:
    metric = relative(kind).to_metric(known_points((3, 5), (50, 30)))
    assert metric.kind is DepthKind.METRIC_DEPTH
    assert metric.valid is None
    np.testing.assert_allclose(metric.values, room(), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_point_is_outvoted(kind: str) -> None:
    points = known_points((3, 5), (50, 30), (20, 20), (33, 8), (58, 39))
    points[2] = (20, 20, 40.0)
    np.testing.assert_allclose(relative(kind).to_metric(points).values, room(), rtol=1e-3)


def test_known_numbers_are_applied_in_the_maps_own_space() -> None:
    for kind in KINDS[:2]:
        metric = relative(kind).to_metric(scale=0.7, shift=-0.03)
        np.testing.assert_allclose(metric.values, room(), rtol=1e-4)
    scaled = relative("scaled_depth", scale=0.5).to_metric(scale=2.0)
    np.testing.assert_allclose(scaled.values, room(), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pitch", [0.0, 12.0])
def test_a_camera_height_does_it_too(kind: str, pitch: float) -> None:
    depth = floor_depth(CAMERA, 1.5, pitch_deg=pitch)
    depth = np.where(np.isfinite(depth), depth, 30.0).clip(max=30.0)
    depth[30:36, 20:28] = 1.2  # something stands on the floor
    values = {"affine_disparity": (1 / depth + 0.1) / 3, "affine_depth": (depth - 2) / 3}
    prediction = Prediction(values=values.get(kind, depth / 3), kind=kind, camera=CAMERA)
    metric = prediction.to_metric(camera_height_m=1.5, pitch_deg=pitch)
    near = depth < 10
    np.testing.assert_allclose(metric.values[near], depth[near], rtol=1e-3)


def test_the_floor_of_a_level_camera_is_its_height_over_the_slope() -> None:
    depth = floor_depth(CAMERA, 1.5)
    assert np.isnan(depth[: H // 2]).all()
    row = H - 1
    expected = 1.5 * CAMERA.fy / (row - CAMERA.cy)
    np.testing.assert_allclose(depth[row], expected)
    leaning = floor_depth(CAMERA, 1.5, roll_deg=10)
    assert leaning[row, W - 1] < leaning[row, 0]


def test_a_camera_that_looks_straight_down_sees_its_height() -> None:
    assert floor_depth(CAMERA, 2.0, pitch_deg=90)[H // 2, W // 2] == pytest.approx(2.0)


def test_pixels_without_a_positive_depth_are_not_valid() -> None:
    values = np.array([[1.0, 0.5, 0.1]])
    metric = Prediction(values=values, kind="affine_disparity").to_metric(scale=1.0, shift=-0.2)
    assert metric.valid is not None
    assert metric.valid.tolist() == [[True, True, False]]
    bounded = Prediction(values=values, kind="affine_disparity")
    bounded = bounded.to_metric(scale=1.0, shift=-0.2, max_depth=80)
    assert bounded.values[0, 2] == 80
    depth = Prediction(values=values, kind="affine_depth").to_metric(scale=1.0, shift=-0.2)
    assert depth.valid is not None
    assert depth.valid.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "given nothing: exactly one of points, scale, camera_height_m"),
        ({"points": [(1, 1, 2.0), (2, 2, 3.0)], "scale": 1.0}, "points and scale: exactly one"),
        ({"points": [(1, 1, 2.0)]}, "at least 2 are needed"),
        ({"points": [(1, 1, 2.0), (60, 1, 3.0)]}, "outside the picture; x from 0 to 59"),
        ({"points": [(1, 1, 2.0), (2, 2, -3.0)]}, "positive depth"),
        ({"points": [(1, 1, 2.0), (2, 2)]}, "(x, y, metres) is needed"),
        ({"points": [(1, 1, 3.0), (50, 30, 3.0)]}, "both need to differ"),
        ({"points": [(1, 1, 8.0), (55, 1, 2.0)]}, "contradict the map"),
        ({"scale": -1.0, "shift": 0.0}, "positive number"),
        ({"scale": 1.0}, "needs both"),
        ({"camera_height_m": -1.0}, "positive metres"),
        ({"camera_height_m": 1.5, "pitch_deg": -80.0}, "nowhere where the map has values"),
        ({"camera_height_m": 1.5, "floor": np.ones((2, 2), bool)}, "the same is needed"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        relative("affine_disparity").to_metric(**arguments)


def test_pixels_between_eyes_of_unknown_distance_become_metres() -> None:
    depth = room()
    stereo = Prediction(values=37 / depth, kind="pixel_disparity")
    points = [(x, y, float(depth[y, x])) for y in (0, 5, -1) for x in (0, 3)]
    points = [(x, y % len(depth), metres) for x, y, metres in points]
    for found in (stereo.to_metric(points), stereo.to_metric(scale=1 / 37, shift=0.0)):
        assert found.kind is DepthKind.METRIC_DEPTH
        np.testing.assert_allclose(found.values, depth, rtol=1e-4)


def test_maps_with_their_own_way_to_metres_are_refused() -> None:
    metric = Prediction(values=room(), kind="metric_depth")
    with pytest.raises(KindError, match="in metres already"):
        metric.to_metric([(1, 1, 2.0)])
    with pytest.raises(InputError, match="give scale alone"):
        relative("scaled_depth").to_metric(scale=2.0, shift=1.0)
    with pytest.raises(InputError, match="needs a camera"):
        Prediction(values=room(), kind="affine_depth").to_metric(camera_height_m=1.0)


def test_a_point_without_a_value_is_refused() -> None:
    values = room()
    values[5, 3] = np.nan
    with pytest.raises(InputError, match="no value there"):
        Prediction(values=values, kind="scaled_depth").to_metric([(3, 5, 2.0)])
