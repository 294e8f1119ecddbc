"""The numbers of README's table: what the benchmark scores, and what the embedded models give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import leadline
from benchmarks import lite_accuracy
from benchmarks.lite_accuracy import GroupScore, Score, macro_mean, score_group
from leadline.datasets import Frame, FrameRef
from leadline.errors import InputError
from leadline.evaluation.predictors import BASELINES
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def frame() -> Frame:
    depth = np.random.default_rng(0).uniform(1, 9, (20, 30)).astype(np.float32)
    depth[:5] = 0
    image = Image(pixels=np.zeros((20, 30, 3), np.uint8))
    return Frame(image=image, depth=depth, max_depth=10, group="g", name="n")


def disparity_of(frame: Frame) -> np.ndarray:
    return np.where(frame.valid, 1 / np.where(frame.valid, frame.depth, 1), 99)


def score_disparity(values: np.ndarray, frame: Frame) -> Score:
    pred = Prediction(values=values, kind=DepthKind.AFFINE_DISPARITY)
    return score_group(lambda _: pred, [FrameRef(name="n", read=lambda: frame)]).score


def test_the_truth_is_perfect_whatever_its_scale_and_shift(frame):
    score = score_disparity(3 * disparity_of(frame) - 7, frame)
    assert score.abs_rel < 1e-5
    assert (score.delta1, score.ordinal) == (1, 1)


def test_depth_in_place_of_disparity_is_punished(frame):
    score = score_disparity(frame.depth, frame)
    assert score.ordinal == 0  # the fit inverts the map, but its own order is wrong
    assert score.abs_rel > 0.1


def test_a_constant_guesses(frame):
    score = score_disparity(np.ones(frame.image.size), frame)
    assert score.ordinal == 0.5
    truth = frame.depth[frame.valid]
    expected = np.mean(np.abs(1 / np.mean(1 / truth) - truth) / truth)
    assert score.abs_rel == pytest.approx(expected, rel=1e-5)


def test_groups_count_once(frame):
    def perfect_disparity(frame: Frame) -> Prediction:
        return Prediction(values=disparity_of(frame), kind=DepthKind.AFFINE_DISPARITY)

    refs = [FrameRef(name=str(n), read=lambda: frame) for n in range(3)]
    perfect = score_group(perfect_disparity, refs, group="a")
    assert (perfect.group, perfect.frames) == ("a", 3)
    other = GroupScore(group="b", frames=1, score=Score(abs_rel=0.5, delta1=0.5, ordinal=0.5))
    mean = macro_mean([perfect, other])
    assert (mean.delta1, mean.ordinal) == (0.75, 0.75)
    assert mean.abs_rel == pytest.approx(0.25, abs=1e-5)
    with pytest.raises(InputError, match="no frames"):
        score_group(perfect_disparity, [])


@pytest.mark.slow
def test_baselines_on_real_frames():
    if not (DATA / "nyu").is_dir():
        pytest.skip("the real frames are not on this machine")
    groups = ["kitti_depth", "kitti_raw", "kitti_object", "nyu", "rgbd_kinect_5"]
    constant, ramp = (
        macro_mean(lite_accuracy.run(predict, DATA, groups)) for predict in BASELINES.values()
    )
    assert constant.ordinal == 0.5
    assert 0.3 < constant.abs_rel < 0.42
    assert ramp.ordinal > 0.7
    assert ramp.abs_rel < 0.32
    results = {"constant": lite_accuracy.run(BASELINES["constant"], DATA, ["nyu"])}
    table = lite_accuracy.table(results)
    assert "nyu" in table
    assert "mean over groups" in table


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real frames beside the repository")
@pytest.mark.parametrize(("group", "most"), [("nyu", 0.35), ("kitti_depth", 0.25)])
def test_the_embedded_metric_model_takes_rooms_for_rooms_and_roads_for_roads(group, most):
    estimator = leadline.load("lite-metric")
    errors = []
    for ref in lite_accuracy.open_group(DATA, group):
        frame = ref.read()
        pred = estimator.predict(frame.image)
        assert pred.kind is DepthKind.METRIC_DEPTH
        truth = frame.depth[frame.valid]
        errors.append(np.mean(np.abs(pred.values[frame.valid] - truth) / truth))
    assert np.mean(errors) < most  # in the wrong head: above 0.8
    unknown = replace(frame.image, camera=None)
    assert estimator.predict(unknown).kind is DepthKind.SCALED_DEPTH
