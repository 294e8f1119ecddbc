"""Metres from motion: a network's affine map, taken to metres by what a moving camera sees."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2")

from leadline.camera import Camera
from leadline.errors import DegenerateError, InputError, KindError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.sequence import MotionConfig, metres_from_motion, motion_fit
from testing.dense_scene import camera, pose, view

LENS = camera(200, 150, 190)
PLACES = [pose(0.12 * i, 0.02 * i, 0.03 * i, 0.5 * i) for i in range(4)]
VIEWS = [view(place, LENS) for place in PLACES]
FRAMES = [replace(image, name=f"frame{i}.png") for i, (image, _) in enumerate(VIEWS)]
DEPTHS = {frame.name: depth for frame, (_, depth) in zip(FRAMES, VIEWS, strict=True)}
TURNING = [
    replace(view(pose(0, 0.15 * i, 0, 6 * i), LENS)[0], name=FRAMES[i].name) for i in range(2)
]
CONFIG = MotionConfig(keyframe_parallax_deg=1.0, features=400)


def network(
    image: Image, kind: DepthKind = DepthKind.AFFINE_DISPARITY, noise: float = 0.05
) -> Prediction:
    """An affine map of the true depth, with errors that neighbouring pixels share."""
    depth = DEPTHS[image.name]
    h, w = depth.shape
    wave = np.sin(np.arange(w) / 9)[None] * np.cos(np.arange(h) / 7)[:, None]
    value = 1 / depth if kind.larger_is_nearer else depth
    value = value * (1 + noise * wave)
    shifted = value if kind.startswith("scaled") else value + 0.4
    return Prediction(values=7 * shifted, kind=kind, camera=image.camera, model="fake")


def error(found: Sequence[Prediction]) -> float:
    pairs = zip(found, DEPTHS.values(), strict=True)
    return float(np.mean([np.abs(p.values - depth) / depth for p, depth in pairs]))


@pytest.mark.parametrize(
    "kind", [DepthKind.AFFINE_DISPARITY, DepthKind.SCALED_DEPTH, DepthKind.SCALED_DISPARITY]
)
def test_an_unknown_scale_and_shift_are_found(kind: DepthKind) -> None:
    found = metres_from_motion(FRAMES, lambda image: network(image, kind), config=CONFIG)
    assert {p.kind for p in found} == {DepthKind.METRIC_DEPTH}
    assert error(found) < 0.06


def test_the_line_is_that_of_the_network() -> None:
    fit = motion_fit(FRAMES, lambda image: network(image, noise=0.0), config=CONFIG)
    assert len(fit.alignments) == len(FRAMES)
    for line in fit.alignments:  # 7 (1/z + .4) -> 1/z
        assert line.scale == pytest.approx(1 / 7, rel=0.06)
        assert line.shift == pytest.approx(-0.4, abs=0.04)
    assert all(key.points >= 12 and key.error < 0.03 for key in fit.keyframes)


def test_a_network_that_is_asked_for_keyframes_only() -> None:
    asked: list[str] = []

    def predict(image: Image) -> Prediction:
        asked.append(image.name)
        return network(image)

    config = replace(CONFIG, keyframe_parallax_deg=4.0)
    fit = motion_fit(iter(FRAMES), predict, config=config)
    assert [key.frame for key in fit.keyframes] == [
        FRAMES.index(f) for f in FRAMES if f.name in asked
    ]
    assert len(asked) < len(FRAMES) == len(fit.alignments)


def moved(image: Image, place: np.ndarray | None) -> Image:
    assert image.camera is not None
    return replace(image, camera=image.camera.moved(place))


def lensed(image: Image, lens: Camera) -> Image:
    assert image.camera is not None
    return replace(image, camera=replace(lens, world_from_camera=image.camera.world_from_camera))


@pytest.mark.parametrize(
    ("frames", "fault", "message"),
    [
        ([replace(FRAMES[0], camera=None), *FRAMES[1:]], InputError, "has no camera"),
        ([FRAMES[0], moved(FRAMES[1], None)], InputError, "has no pose"),
        ([FRAMES[0], view(PLACES[1])[0]], InputError, "one size"),
        (FRAMES[:1], DegenerateError, "1 frames"),
        ([FRAMES[0]] * 3, DegenerateError, "turning the camera"),
        (
            [moved(f, pose(0.05 * i, 0.3, 0, 20 * i)) for i, f in enumerate(FRAMES)],
            InputError,
            "poses or the intrinsics are wrong",
        ),
        (
            [lensed(frame, replace(LENS, fx=500.0, fy=500.0)) for frame in TURNING],
            InputError,
            "poses or the intrinsics are wrong",
        ),
    ],
)
def test_frames_that_tell_no_metres_are_refused(
    frames: list[Image], fault: type[Exception], message: str
) -> None:
    with pytest.raises(fault, match=message):
        motion_fit(frames, network, config=CONFIG)


def test_a_camera_that_rests_a_while_is_no_error() -> None:
    rested = [FRAMES[0], *[FRAMES[1]] * 3, FRAMES[2], FRAMES[3]]
    fit = motion_fit(rested, network, config=replace(CONFIG, keyframe_gap=1))
    assert len(fit.keyframes) == len(rested)
    found = [fit.alignments[i].scale for i in (1, 2, 3)]
    assert np.ptp(found) < 0.05 * found[0]


def test_a_network_that_says_the_contrary_is_refused() -> None:
    def turned(image: Image) -> Prediction:
        found = network(image)
        return replace(found, values=-found.values)

    with pytest.raises(InputError):
        motion_fit(FRAMES, turned, config=CONFIG)


def test_metres_are_refused() -> None:
    with pytest.raises(KindError, match="metric_depth"):
        motion_fit(FRAMES, lambda i: network(i, DepthKind.METRIC_DEPTH), config=CONFIG)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="positive"):
        MotionConfig(scale_drift=0)
