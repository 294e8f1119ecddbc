"""The protocol for surface normals."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.datasets import Frame, Options, open_dataset
from leadline.errors import InputError, KindError
from leadline.evaluation import evaluate, protocols
from leadline.metric_scale import floor_depth
from leadline.prediction import Prediction

PROTOCOL = protocols.get("surface-normals")


def test_normals_of_a_floor() -> None:
    camera = Camera.from_focal(80, 60, focal_px=70.0)
    depth = floor_depth(camera, 1.5, pitch_deg=40)
    up = np.array([0, -np.cos(np.radians(40)), -np.sin(np.radians(40))])
    target = np.where(np.isfinite(depth)[..., None], up, 0)
    found = PROTOCOL.measure(Prediction(values=depth, kind="metric_depth", camera=camera), target)
    assert found.metrics["mean_deg"] < 0.5
    assert found.metrics["within_11"] > 0.99
    assert found.coverage > 0.99
    leaning = np.array([np.sin(0.5), -np.cos(0.5), 0]) * np.ones((60, 80, 1))
    assert PROTOCOL.score(leaning, np.array([0, -1, 0]) * np.ones((60, 80, 1)))[
        "median_deg"
    ] == pytest.approx(np.degrees(0.5))


def test_a_models_own_normals_come_first() -> None:
    own = np.array([0, 0, -1.0]) * np.ones((4, 5, 1))
    one = Prediction(values=np.ones((4, 5)), kind="affine_disparity", normals=own)
    assert PROTOCOL.measure(one, own).metrics["mean_deg"] == 0
    with pytest.raises(KindError):
        PROTOCOL.measure(replace(one, normals=None), own)


@pytest.mark.slow
def test_rendered_truth_is_right_to_a_degree_and_needs_normals() -> None:
    def predict(frame: Frame) -> Prediction:
        return Prediction(values=frame.depth, kind="metric_depth", camera=frame.image.camera)

    refs = open_dataset("world-rooms", None, Options(normals=True))[:1]
    found = evaluate(predict, refs, PROTOCOL, ahead=0).to_dict()
    assert found["mean"]["median_deg"] < 1
    assert found["mean"]["within_30"] > 0.9
    assert found["pooled"]["mean_deg"] == pytest.approx(found["mean"]["mean_deg"])
    bare = open_dataset("world-rooms", None, Options())[:1]
    with pytest.raises(InputError, match="has no normals"):
        evaluate(predict, bare, PROTOCOL, ahead=0)
