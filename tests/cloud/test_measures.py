"""Distances, areas and angles with intervals."""

import json
from pathlib import Path

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.catalog import HELD_OUT, DepthError
from leadline.cloud import lift_pixels, measure_points
from leadline.errors import InputError, KindError, UnknownNameError
from leadline.metric_scale import floor_depth
from leadline.prediction import Prediction

CAMERA = Camera.from_focal(160, 120, focal_px=150.0)
ERROR = DepthError(scale=0.1, local=0.05, reach=0.1)


def wall(metres: float = 3.0) -> np.ndarray:
    return np.full((120, 160), metres)


def test_a_metre_on_a_wall() -> None:
    found = measure_points(wall(), CAMERA, [(50, 60), (100, 60)])
    assert found.value == pytest.approx(50 / 150 * 3)
    assert found.low is None
    assert found.unit == "m"


def test_a_way_over_three_points_and_the_area_and_angle_of_a_square() -> None:
    square = [(50, 40), (100, 40), (100, 90), (50, 90)]
    assert measure_points(wall(), CAMERA, square[:3]).value == pytest.approx(2)
    area = measure_points(wall(), CAMERA, square, quantity="area")
    assert area.value == pytest.approx(1)
    assert area.unit == "m²"
    angle = measure_points(wall(), CAMERA, square[:3], quantity="angle")
    assert angle.value == pytest.approx(90)


def test_depth_counts_along_the_axis() -> None:
    depth = wall(2.0)
    depth[:, 80:] = 5.0
    found = measure_points(depth, CAMERA, [(CAMERA.cx - 5, CAMERA.cy), (CAMERA.cx + 5, CAMERA.cy)])
    assert found.value == pytest.approx(np.hypot(3, 5 / 150 * 7))


@pytest.mark.parametrize("scale", [0.05, 0.2])
def test_an_error_of_the_scale_alone_scales_the_interval(scale: float) -> None:
    error = DepthError(scale=scale, local=0.0)
    found = measure_points(wall(), CAMERA, [(50, 60), (100, 60)], error=error)
    assert found.high == pytest.approx(found.value * np.exp(1.645 * scale), rel=0.03)
    assert found.low == pytest.approx(found.value * np.exp(-1.645 * scale), rel=0.03)
    area = [(50, 40), (100, 40), (100, 90)]
    twice = measure_points(wall(), CAMERA, area, quantity="area", error=error)
    assert twice.high == pytest.approx(twice.value * np.exp(2 * 1.645 * scale), rel=0.06)
    angle = measure_points(wall(), CAMERA, area, quantity="angle", error=error)
    assert angle.high - angle.low < 1e-3  # a scale turns nothing


def test_near_pixels_share_their_errors() -> None:
    def width(reach: float) -> float:
        error = DepthError(scale=0.0, local=0.1, reach=reach)
        found = measure_points(wall(), CAMERA, [(70, 60), (80, 60)], error=error)
        return found.high - found.low

    assert width(5.0) < 0.6 * width(0.001)


def test_a_rough_map_has_a_wider_interval() -> None:
    noise = wall() * np.exp(0.1 * np.random.default_rng(0).standard_normal((120, 160)))
    error = DepthError(scale=0.0, local=0.0)
    calm = measure_points(wall(), CAMERA, [(50, 60), (100, 60)], error=error)
    rough = measure_points(noise, CAMERA, [(50, 60), (100, 60)], error=error)
    assert calm.high - calm.low < 1e-3
    assert rough.high - rough.low > 0.1


def test_a_slanted_plane_is_not_rough() -> None:
    floor = floor_depth(CAMERA, 1.5, pitch_deg=30)
    error = DepthError(scale=0.0, local=0.0)
    found = measure_points(floor, CAMERA, [(50, 60), (100, 100)], error=error)
    assert found.high - found.low < 0.01 * found.value


def test_the_focal_length_counts_as_it_acts() -> None:
    points, error = [(50, 60), (100, 60)], DepthError(scale=0.0, local=0.0)
    free = measure_points(wall(), CAMERA, points, error=error, focal_error=0.1)
    assert free.high / free.low == pytest.approx(np.exp(2 * 1.645 * 0.1), rel=0.05)
    bound = measure_points(
        wall(), CAMERA, points, error=error, focal_error=0.1, depth_scales_with_focal=True
    )
    assert bound.high / bound.low == pytest.approx(1, abs=1e-3)  # across, both cancel
    guessed = Camera.from_focal(160, 120, focal_px=150.0, source="guess")
    assert measure_points(wall(), guessed, points, error=error).high > 1.3


def test_intervals_hold_nine_of_ten() -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(200):
        z = rng.uniform(2, 6, 2)
        depth = wall()
        depth[:, :80], depth[:, 80:] = z
        true = lift_pixels(depth, CAMERA, [(40, 30), (120, 90)])
        both = 0.05 * np.exp(-np.hypot(80, 60) / np.hypot(160, 120) / 0.1)
        local = rng.standard_normal(2) * np.sqrt(0.05**2 - both**2)
        wrong = depth.copy()
        factor = np.exp(0.1 * rng.standard_normal() + local)
        wrong[:, :80] *= factor[0]
        wrong[:, 80:] *= factor[1]
        found = measure_points(wrong, CAMERA, [(40, 30), (120, 90)], error=ERROR)
        hits += found.low <= np.linalg.norm(true[1] - true[0]) <= found.high
    assert 0.84 <= hits / 200 <= 0.96


def test_points_on_a_plane_need_no_depth_of_their_own() -> None:
    floor = floor_depth(CAMERA, 1.5, pitch_deg=30)
    thing = floor.copy()
    thing[70:90, 40:60] = 1.0  # something stands on the floor
    corners = [(10, 50), (150, 50), (80, 115)]
    points = [(50, 80), (110, 80)]
    true = measure_points(floor, CAMERA, points).value
    assert measure_points(thing, CAMERA, points).value != pytest.approx(true, rel=0.1)
    found = measure_points(thing, CAMERA, points, plane=corners, error=ERROR)
    assert found.value == pytest.approx(true, rel=0.01)
    assert found.low < true < found.high


def test_what_cannot_be_measured_is_refused() -> None:
    points = [(50, 60), (100, 60)]
    with pytest.raises(InputError, match="1 points for distance: 2 or more"):
        measure_points(wall(), CAMERA, points[:1])
    with pytest.raises(InputError, match="outside of the picture of 160x120"):
        measure_points(wall(), CAMERA, [(50, 60), (160, 60)])
    with pytest.raises(InputError, match="has no depth"):
        measure_points(np.full((120, 160), np.nan), CAMERA, points)
    floor = floor_depth(CAMERA, 1.5)
    ground = [(9, 80), (99, 80), (50, 110)]
    with pytest.raises(InputError, match="beyond the horizon"):
        measure_points(floor, CAMERA, [(10, 10), (90, 110)], plane=ground)
    with pytest.raises(InputError, match="the same"):
        measure_points(wall(), CAMERA, [(1, 1), (1, 1), (2, 2)], quantity="angle")
    with pytest.raises(UnknownNameError, match="distance"):
        measure_points(wall(), CAMERA, points, quantity="volume")
    with pytest.raises(InputError, match="shares"):
        DepthError(scale=-1, local=0)


def test_a_prediction_measures_with_its_models_error() -> None:
    metric = Prediction(values=wall(), kind="metric_depth", camera=CAMERA, model="lite-metric")
    points = [(50, 60), (100, 60)]
    found = metric.measure(points)
    assert found.low < found.value < found.high
    assert metric.measure(points, error=DepthError(scale=0.01, local=0.01)).high < found.high
    unknown = Prediction(values=wall(), kind="metric_depth", camera=CAMERA, model="mine")
    assert unknown.measure(points).low is None


@pytest.mark.parametrize("kind", ["affine_disparity", "scaled_depth", "scaled_disparity"])
def test_relative_maps_are_refused_with_the_repair(kind: str) -> None:
    relative = Prediction(values=wall(), kind=kind, camera=CAMERA)
    with pytest.raises(KindError, match="lite-metric with --fov"):
        relative.measure([(50, 60), (100, 60)])


def test_angles_need_no_scale_and_metres_need_a_camera() -> None:
    scaled = Prediction(values=wall(), kind="scaled_depth", camera=CAMERA)
    found = scaled.measure([(50, 40), (100, 40), (100, 90)], quantity="angle")
    assert found.value == pytest.approx(90)
    with pytest.raises(InputError, match="needs a camera"):
        Prediction(values=wall(), kind="metric_depth").measure([(5, 6), (10, 6)])
    bare = Prediction(values=wall(), kind="scaled_depth", model="lite-metric")
    with pytest.raises(KindError, match="lite-metric gives them with a focal length"):
        bare.measure([(5, 6), (10, 6)])


def test_the_table_of_errors_is_the_committed_result() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "measure_errors.json"
    record = json.loads(path.read_text())
    stated = DepthError(**{name: record[name] for name in ("scale", "local", "reach")})
    assert HELD_OUT[record["model"]] == stated
    assert record["coverage_90"] > 0.85
