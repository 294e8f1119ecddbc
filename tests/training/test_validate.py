"""Validation: what a run logs is what ``leadline evaluate`` would say."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

from leadline.camera import Camera
from leadline.catalog import get
from leadline.datasets import Frame, FrameRef
from leadline.estimator import DepthEstimator
from leadline.evaluation import evaluate, protocols
from leadline.evaluation.predictors import ModelPredictor
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.training import TrainConfig, validate

SIZE = (375, 1242)


class Fixed:
    """A runtime that always gives one map."""

    name, device, precision = "fixed", "cpu", "f32"

    def run(self, arrays):
        return {"depth": np.random.default_rng(0).uniform(2, 80, (1, 1, 24, 80))}


@pytest.fixture
def frame():
    depth = np.random.default_rng(1).uniform(4, 60, SIZE).astype(np.float32)
    camera = Camera.from_fov(SIZE[1], SIZE[0], fov_deg=80)
    image = Image(pixels=np.zeros((*SIZE, 3), np.uint8), camera=camera)
    return Frame(name="f", group="g", image=image, depth=depth, max_depth=80.0, baseline_m=0.54)


@pytest.mark.parametrize("name", ["kitti-eigen-garg-kbcrop", "kitti-eigen-garg"])
def test_a_run_measures_the_maps_that_evaluation_takes(frame, name):
    protocol = protocols.get(name)
    predict = ModelPredictor(DepthEstimator(Fixed(), get("zoedepth-k")))  # ty: ignore[invalid-argument-type]
    report = evaluate(predict, [FrameRef(name="f", read=lambda: frame)], protocol)
    found = validate.measure(predict, [frame], protocol)
    assert found == pytest.approx(report.scores.mean())


def test_metres_that_are_zero_or_no_number_count_as_a_millimetre(frame):
    frame = replace(frame, depth=np.full(SIZE, 10, np.float32))
    for value in (0.0, np.nan):
        pred = Prediction(values=np.full(SIZE, value), kind=DepthKind.METRIC_DEPTH)
        found = validate.measure(
            lambda _, pred=pred: pred, [frame], protocols.get("kitti-eigen-garg")
        )
        assert found["abs_rel"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("protocol", ["kitti-eigen-garg", "kitti-eigen-garg-kbcrop"])
def test_a_network_of_pixels_is_rehearsed_with_camera_and_baseline(frame, protocol, monkeypatch):
    monkeypatch.setattr(validate, "read_held_out", lambda config: (frame,))
    config = TrainConfig.from_dict({"recipe": "stereo", "model": "monodepth-vgg"})
    validate.rehearse(get("monodepth-vgg"), config, protocol)
