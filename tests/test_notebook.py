"""Predictions in notebooks, and in the hands of those who come from transformers."""

from __future__ import annotations

import io
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.prediction import Prediction


def ramp(kind: DepthKind = DepthKind.METRIC_DEPTH, height: int = 30) -> Prediction:
    values = np.linspace(1, 5, height * 40, dtype=np.float32).reshape(height, 40)
    values[0, :4] = np.nan
    return Prediction(values=values, kind=kind, model="<ramp>")


def test_repr_is_one_short_line():
    assert repr(ramp()) == (
        "Prediction(40x30 metric_depth, 1.01 to 5 m, median 3.01 m, model='<ramp>')"
    )
    empty = Prediction(values=np.full((2, 3), np.nan), kind=DepthKind.AFFINE_DISPARITY)
    assert repr(empty) == "Prediction(3x2 affine_disparity, no known value, model='')"


def test_png_is_small_and_has_a_legend():
    picture = PilImage.open(io.BytesIO(ramp()._repr_png_()))
    assert picture.width > 40
    large = PilImage.open(io.BytesIO(ramp(height=3000)._repr_png_()))
    assert max(large.size) == 720


@pytest.mark.parametrize("kind", DepthKind)
def test_html_is_well_formed_and_says_what_the_map_is(kind: DepthKind):
    text = ramp(kind)._repr_html_()
    tree = ElementTree.fromstring(text)
    said = " ".join(tree.itertext())
    assert str(kind) in said
    assert "<ramp>" in said
    assert ("median 3.01 m" in said) == kind.is_metric
    heights = [int(bar.attrib["height"]) for bar in tree.iter("rect")]
    assert len(heights) == 48
    assert max(heights) == 60
    assert min(heights) > 50  # a ramp has as many of each
    assert "http" not in text


def test_a_map_without_values_shows_itself_too():
    empty = Prediction(values=np.full((2, 3), np.nan), kind=DepthKind.METRIC_DEPTH)
    assert "no known value" in empty._repr_html_()
    assert empty._repr_png_()


def test_show_opens_a_viewer(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(PilImage.Image, "show", lambda self, title: seen.append(self.size))
    ramp().show()
    assert seen
    assert seen[0][0] > 40


def test_to_hf_is_transformers_own_dict():
    torch = pytest.importorskip("torch")
    one = ramp()
    made = one.to_hf()
    assert list(made) == ["predicted_depth", "depth"]
    assert made["predicted_depth"].dtype == torch.float32
    np.testing.assert_array_equal(made["predicted_depth"].numpy(), one.values)
    assert np.asarray(made["depth"])[0, 0] == 0
    assert np.asarray(made["depth"])[-1, -1] == 255
    empty = Prediction(values=np.full((2, 3), np.nan), kind=DepthKind.METRIC_DEPTH)
    with pytest.raises(InputError, match="finite"):
        empty.to_hf()


@pytest.mark.slow  # transformers takes seconds to import
def test_to_hf_is_what_the_pipeline_makes_of_the_same_map():
    pipelines = pytest.importorskip("transformers.pipelines")
    values = np.random.default_rng(0).uniform(1, 9, (31, 17)).astype(np.float32)
    made = Prediction(values=values, kind=DepthKind.METRIC_DEPTH).to_hf()
    processor = SimpleNamespace(
        post_process_depth_estimation=lambda outputs, sizes: [
            {"predicted_depth": made["predicted_depth"]}
        ]
    )
    theirs = pipelines.DepthEstimationPipeline.postprocess(
        SimpleNamespace(image_processor=processor), {"target_size": (31, 17)}
    )
    assert list(theirs) == list(made)
    np.testing.assert_array_equal(np.asarray(theirs["depth"]), np.asarray(made["depth"]))
