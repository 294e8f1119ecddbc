"""Dense depth from several views: right on scenes with exact depth, and refused elsewhere."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from leadline.camera import Camera
from leadline.errors import (
    DegenerateError,
    InputError,
    MissingDependencyError,
    UnknownNameError,
)
from leadline.geometry import (
    CONFIDENT,
    StereoConfig,
    SweepConfig,
    check_poses,
    depth_from_pair,
    detect,
    fill,
    plane_sweep,
    rectify,
    refine_poses,
    sparse_depth,
    stereo_disparity,
)
from leadline.geometry.filling import spread_along_edges
from leadline.geometry.semi_global import aggregate, census, differing_bits, subpixel
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from testing.dense_scene import camera, pose, view

SIDEWAYS = [pose(-0.2), pose(0.2), pose(0, 0.2)]
FORWARD = [pose(0.08, 0, 0.3), pose(0, 0.08, -0.3)]


def relative(found: Prediction, depth: np.ndarray, keep: np.ndarray | None = None) -> float:
    known = found.known if keep is None else found.known & keep
    return float((np.abs(found.values - depth) / depth)[known].mean())


def sure(found: Prediction) -> np.ndarray:
    assert found.confidence is not None
    return found.confidence >= CONFIDENT


# --- aggregation --------------------------------------------------------------------------------


def test_aggregation_outvotes_a_wrong_pixel() -> None:
    cost = np.full((9, 9, 6), 100, np.int16)
    cost[..., 2] = 0
    cost[4, 4] = 100
    cost[4, 4, 5] = 60
    total = aggregate(cost, np.zeros((9, 9), np.uint8), small=10, large=60)
    assert (total.argmin(axis=2) == 2).all()


def test_aggregation_gives_way_at_an_edge_of_the_picture() -> None:
    cost = np.full((20, 20, 8), 40, np.int16)
    cost[:, :10, 1], cost[:, 10:, 6] = 0, 0
    cost[:, 9:12] = 40  # nothing is known beside the edge
    grey = np.zeros((20, 20), np.uint8)
    grey[:, 10:] = 200
    index = aggregate(cost, grey, small=10, large=60).argmin(axis=2)
    assert (index[:, :10] == 1).all()
    assert (index[:, 10:] == 6).all()


def test_paths_are_symmetric() -> None:
    rng = np.random.default_rng(0)
    cost = rng.integers(0, 255, (12, 15, 5)).astype(np.int16)
    grey = rng.integers(0, 255, (12, 15)).astype(np.uint8)
    plain = aggregate(cost, grey, small=10, large=60)
    turned = aggregate(cost[::-1, ::-1].copy(), grey[::-1, ::-1].copy(), small=10, large=60)
    across = aggregate(cost.swapaxes(0, 1).copy(), np.ascontiguousarray(grey.T), small=10, large=60)
    np.testing.assert_array_equal(plain, turned[::-1, ::-1])
    np.testing.assert_array_equal(plain, across.swapaxes(0, 1))


def test_the_minimum_between_two_steps_is_found() -> None:
    at = 2.3
    cost = ((np.arange(6) - at) ** 2 * 100).astype(np.int16)[None, None]
    assert subpixel(cost, cost.argmin(axis=2))[0, 0] == pytest.approx(at, abs=0.02)


def test_census_ignores_brightness_and_counts_bits() -> None:
    grey = np.random.default_rng(0).integers(0, 100, (20, 20)).astype(np.uint8)
    code = census(grey)
    np.testing.assert_array_equal(code, census(grey + 50))
    other = census(grey[::-1].copy())
    expected = [bin(int(a) ^ int(b)).count("1") for a, b in zip(code.flat, other.flat, strict=True)]
    np.testing.assert_array_equal(differing_bits(code, other).ravel(), expected)


# --- stereo -------------------------------------------------------------------------------------


def test_stereo_finds_the_disparity_of_every_pixel() -> None:
    left, depth = view(pose(-0.15))
    right, _ = view(pose(0.15))
    truth = camera().fx * 0.3 / depth
    found = stereo_disparity(left, right)
    assert found.kind is DepthKind.PIXEL_DISPARITY
    error = np.abs(found.values - truth)
    assert np.isfinite(found.values).all()
    assert (error > 1)[sure(found)].mean() < 0.02
    assert (error > 2).mean() < 0.06
    assert sure(found).mean() > 0.7
    metres = found.to_depth(baseline_m=0.3)
    assert relative(metres, depth, sure(found)) < 0.02


@pytest.mark.parametrize("fill_it", [True, False])
def test_large_pairs_are_matched_at_a_smaller_size(fill_it: bool) -> None:
    lens = camera(240, 192, 220)
    left, depth = view(pose(-0.15), lens)
    right, _ = view(pose(0.15), lens)
    config = StereoConfig(most_cells=300_000)
    found = stereo_disparity(left, right, fill=fill_it, config=config)
    assert found.size == (192, 240)
    assert found.camera == left.camera
    assert (found.valid is None) == fill_it
    error = np.abs(found.values - lens.fx * 0.3 / depth)
    assert (error > 2)[sure(found) & found.known].mean() < 0.05


def test_unfilled_stereo_leaves_out_what_one_eye_sees() -> None:
    left, _ = view(pose(-0.15))
    right, _ = view(pose(0.15))
    found = stereo_disparity(left, right, fill=False)
    assert found.valid is not None
    assert not found.valid[:, :8].any()  # the right eye's picture ends there
    assert np.isnan(found.values[~found.valid]).all()


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (view(pose(0.15), camera(130))[0], "one size"),
        (view(pose(-0.45))[0], "swap"),
        (view(pose(0.15, 0.4))[0], "not rectified"),
    ],
)
def test_pairs_that_are_none_are_refused(right: Image, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stereo_disparity(view(pose(-0.15))[0], right)


@pytest.mark.parametrize("most", [1, 120])
def test_impossible_disparities_are_refused(most: int) -> None:
    left, right = view(pose(-0.15))[0], view(pose(0.15))[0]
    with pytest.raises(InputError, match="max_disparity"):
        stereo_disparity(left, right, max_disparity=most)


# --- rectification ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "second", [pose(0.3), pose(-0.3), pose(0, 0.25), pose(0.3, 0, 0.05, 4), pose(0, -0.25, 0, -3)]
)
def test_pairs_in_any_sideways_direction_give_the_depth_of_the_first(second: np.ndarray) -> None:
    first, depth = view(pose())
    found = depth_from_pair(first, view(second)[0])
    assert found.kind is DepthKind.METRIC_DEPTH
    assert sure(found).mean() > 0.5
    assert relative(found, depth, sure(found)) < 0.03
    assert depth_from_pair(first, view(second)[0], metric=False).kind is DepthKind.SCALED_DEPTH


@settings(max_examples=20)
@given(
    side=st.floats(0.1, 0.6),
    turn=st.floats(-180, 180),
    ahead=st.floats(-0.1, 0.1),
    yaw=st.floats(-8, 8),
)
def test_rectified_rows_belong_together(side: float, turn: float, ahead: float, yaw: float) -> None:
    angle = np.radians(turn)
    place = pose(side * np.cos(angle), side * np.sin(angle), side * ahead, yaw)
    first, second = (
        Image(pixels=np.zeros((96, 120, 3), np.uint8), camera=camera().moved(p))
        for p in (pose(), place)
    )
    pair = rectify(first, second)
    left, right = pair.left.camera, pair.right.camera
    assert left is not None
    assert right is not None
    world = np.array([[0.3, -0.2, 3.0, 1], [-0.4, 0.3, 2.5, 1]]).T
    seen = [
        (c.matrix @ (np.linalg.inv(np.asarray(c.world_from_camera)) @ world)[:3]).T
        for c in (left, right)
    ]
    seen = [s[:, :2] / s[:, 2:] for s in seen]
    np.testing.assert_allclose(seen[0][:, 1], seen[1][:, 1], atol=1e-9)
    depth = (np.linalg.inv(np.asarray(left.world_from_camera)) @ world)[2]
    disparity = seen[0][:, 0] - seen[1][:, 0]
    np.testing.assert_allclose(left.fx * pair.baseline / disparity, depth, rtol=1e-9)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (pose(0, 0, 0.4), "forward motion"),
        (pose(), "one place"),
        (pose(0.3, 0, 0, 80), "degrees"),
    ],
)
def test_motion_that_cannot_be_rectified_is_refused(second: np.ndarray, message: str) -> None:
    with pytest.raises(DegenerateError, match=message):
        rectify(view(pose())[0], view(second)[0])


# --- plane sweep --------------------------------------------------------------------------------


@pytest.mark.parametrize("likeness", ["ssim", "census"])
def test_a_sweep_finds_depth_whatever_the_motion(likeness: str) -> None:
    first, depth = view(pose())
    config = SweepConfig(likeness=likeness)  # ty: ignore[invalid-argument-type]
    poses = FORWARD + SIDEWAYS[1:] if likeness == "ssim" else [pose(-0.4), pose(0.4)]
    found = plane_sweep(
        first, [view(p)[0] for p in poses], near=1.2, far=6, refine=False, config=config
    )
    assert found.kind is DepthKind.METRIC_DEPTH
    assert sure(found).mean() > 0.4
    assert relative(found, depth, sure(found)) < 0.03


def test_confidence_ranks_errors() -> None:
    first, depth = view(pose())
    found = plane_sweep(first, [view(p)[0] for p in SIDEWAYS], near=1.2, far=6, refine=False)
    assert found.confidence is not None
    error = (np.abs(found.values - depth) / depth)[found.known]
    order = np.argsort(-found.confidence[found.known])
    half = len(order) // 2
    assert error[order[:half]].mean() < 0.5 * error[order[half:]].mean()


def test_missing_opencv_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = view(pose())[0], view(pose(0.2))[0]
    monkeypatch.setitem(sys.modules, "cv2", None)
    for run in (
        lambda: plane_sweep(first, [other], near=1, far=6),
        lambda: stereo_disparity(first, other),
        lambda: rectify(first, other),
    ):
        with pytest.raises(MissingDependencyError, match=r"leadline\[geometry\]"):
            run()


def test_sparse_depths_scale_with_the_poses() -> None:
    lens = camera(240, 180, 225)
    images = [view(p, lens)[0] for p in (pose(), pose(0.25), pose(-0.2, 0.1))]
    features = [detect(image, limit=300) for image in images]
    cameras = [image.camera for image in images if image.camera is not None]
    doubled = []
    for one in cameras:
        placed = np.array(one.world_from_camera)
        placed[:3, 3] *= 2
        doubled.append(one.moved(placed))
    plain, twice = sparse_depth(features, cameras), sparse_depth(features, doubled)
    np.testing.assert_array_equal(plain.rows, twice.rows)
    np.testing.assert_allclose(plain.inverse, 2 * twice.inverse, rtol=1e-6)
    rows, columns = np.rint(plain.points[:, ::-1]).astype(int).T
    truth = view(pose(), lens)[1][rows, columns]
    assert np.median(np.abs(1 / plain.inverse - truth) / truth) < 0.01


def test_scaled_poses_give_scaled_depth() -> None:
    def half(image: Image) -> Image:
        lens = image.camera
        assert lens is not None
        placed = np.array(lens.world_from_camera)
        placed[:3, 3] *= 0.5
        return replace(image, camera=lens.moved(placed))

    first, depth = view(pose())
    sources = [half(view(p)[0]) for p in SIDEWAYS[:2]]
    found = plane_sweep(half(first), sources, near=0.6, far=3, metric=False, refine=False)
    assert found.kind is DepthKind.SCALED_DEPTH
    assert relative(found, depth / 2, sure(found)) < 0.03


def test_large_pictures_come_back_at_their_size() -> None:
    lens = camera(240, 192, 220)
    first, depth = view(pose(), lens)
    config = SweepConfig(long_side=120, planes=32)
    found = plane_sweep(
        first, [view(SIDEWAYS[1], lens)[0]], near=1.2, far=6, refine=False, config=config
    )
    assert found.size == (192, 240)
    assert relative(found, depth, sure(found)) < 0.04


def test_refined_poses_bring_the_pictures_together() -> None:
    lens = camera(240, 180, 225)
    first, _ = view(pose(), lens)
    true = [view(p, lens)[0] for p in SIDEWAYS[:2]]
    wrong = []
    for image, yaw in zip(true, (0.4, -0.3), strict=True):
        assert image.camera is not None
        turned = np.asarray(image.camera.world_from_camera) @ pose(yaw_deg=yaw)
        wrong.append(replace(image, camera=image.camera.moved(turned)))
    refined = refine_poses(first, wrong)
    for before, after, right in zip(wrong, refined, true, strict=True):
        ends = [
            np.asarray(i.camera.world_from_camera)[:3, 2]
            for i in (before, after, right)
            if i.camera
        ]
        off = [float(np.degrees(np.arccos(np.clip(e @ ends[2], -1, 1)))) for e in ends[:2]]
        assert off[1] < 0.25 * off[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda first, other: (first, []), "no sources"),
        (lambda first, other: (replace(first, camera=None), [other]), "has no camera"),
        (
            lambda first, other: (first, [replace(other, camera=other.camera.moved(None))]),
            "has no pose",
        ),
        (lambda first, other: (first, [view(pose(0.2), camera(130))[0]]), "one size"),
        (lambda first, other: (first, [view(pose(yaw_deg=3))[0]]), "no parallax"),
        (lambda first, other: (first, [view(pose(0.002))[0]]), "no parallax"),
    ],
)
def test_inputs_that_tell_no_depth_are_refused(change, message: str) -> None:
    first, sources = change(view(pose())[0], view(pose(0.2))[0])
    with pytest.raises(InputError, match=message):
        plane_sweep(first, sources, near=1.2, far=6)


@pytest.mark.parametrize(("near", "far"), [(0, 5), (5, 2), (1, np.inf), (-1, 2)])
def test_impossible_depths_are_refused(near: float, far: float) -> None:
    with pytest.raises(InputError, match="near"):
        plane_sweep(view(pose())[0], [view(pose(0.2))[0]], near=near, far=far)


@pytest.mark.parametrize("fault", ["poses in another order", "camera_from_world", "focal length"])
def test_poses_and_intrinsics_that_the_pictures_contradict_are_refused(fault: str) -> None:
    lens = camera(240, 180, 225)
    first, other = view(pose(), lens)[0], view(pose(0.3, 0.1, 0.3, 12), lens)[0]
    assert other.camera is not None
    wrong: Camera = {
        "poses in another order": other.camera.moved(pose(0.1, -0.4, 0, -8)),
        "camera_from_world": other.camera.moved(np.linalg.inv(pose(0.3, 0.1, 0.3, 12))),
        "focal length": replace(other.camera, fx=900.0, fy=900.0),
    }[fault]
    with pytest.raises(InputError, match="wrong"):
        plane_sweep(first, [replace(other, camera=wrong)], near=1.2, far=6)


@pytest.mark.parametrize("refine", [False, True])
def test_a_pose_two_degrees_off_is_refused_and_the_error_is_told_in_pixels(refine: bool) -> None:
    lens = camera(240, 180, 225)
    first, other = view(pose(), lens)[0], view(pose(0.3), lens)[0]
    assert other.camera is not None
    tilt = np.radians(2)
    wrong = np.asarray(other.camera.world_from_camera).copy()
    wrong[:3, :3] @= np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    tilted = replace(other, camera=other.camera.moved(wrong))
    check_poses(first, other)
    with pytest.raises(InputError, match=r"2\.4 or less") as refused:
        refine_poses(first, [tilted]) if refine else check_poses(first, tilted)
    # Both points share the 225 tan(2 deg) = 7.9 rows between them.
    told = float(str(refused.value).split(" pixels from")[0].split()[-1])
    assert told == pytest.approx(7.9 / np.sqrt(2), rel=0.1)


def test_unknown_likeness_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="census"):
        SweepConfig(likeness="sad")  # ty: ignore[invalid-argument-type]


# --- filling ------------------------------------------------------------------------------------


def test_filling_follows_the_edges_of_the_picture() -> None:
    grey = np.zeros((40, 60), np.uint8)
    grey[:, 30:] = 200
    true = np.where(grey > 0, 2.0, 5.0).astype(np.float32)
    confidence = (np.random.default_rng(0).random(true.shape) < 0.03).astype(np.float32)
    values = np.where(confidence > 0, true, 77.0)
    image = Image(pixels=np.repeat(grey[..., None], 3, 2))
    found = fill(
        Prediction(values=values, kind=DepthKind.METRIC_DEPTH, confidence=confidence), image
    )
    assert np.abs(found.values - true).max() < 0.1
    np.testing.assert_array_equal(found.values[confidence > 0], true[confidence > 0])
    assert found.confidence is not None
    assert (found.confidence[confidence == 0] < CONFIDENT).all()


def test_spreading_keeps_a_constant() -> None:
    rng = np.random.default_rng(0)
    guide = rng.integers(0, 255, (20, 30)).astype(np.uint8)
    weights = (rng.random((20, 30)) < 0.2).astype(np.float64)
    spread = spread_along_edges(np.full((20, 30), 3.0), weights, guide, 10, 6)
    np.testing.assert_allclose(spread, 3.0, rtol=1e-9)


def test_filling_needs_something_to_start_from() -> None:
    nothing = Prediction(
        values=np.ones((20, 20)), kind=DepthKind.METRIC_DEPTH, confidence=np.zeros((20, 20))
    )
    with pytest.raises(InputError, match="no picture"):
        fill(nothing)
    with pytest.raises(InputError, match="nothing can spread"):
        fill(nothing, Image(pixels=np.zeros((20, 20, 3), np.uint8)))
