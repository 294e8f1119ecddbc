"""Models as data: outputs by name, and descriptions that say everything."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from leadline import catalog
from leadline.errors import InputError, UnknownNameError
from leadline.kinds import DepthKind
from leadline.spec import OUTPUTS, ModelSpec, PreprocessSpec, Sidecar, name_outputs
from testing.decoding import MANY

SHARED = {field.name for field in fields(ModelSpec)} - {"weights", "advice", "summary", "paper"}


@pytest.mark.parametrize("spec", [*catalog.MODELS.values(), MANY], ids=lambda spec: spec.name)
def test_a_description_says_all_that_running_needs(spec):
    sidecar = Sidecar.from_json(Sidecar.of(spec).to_json())
    back = sidecar.to_spec("model.onnx")
    for name in SHARED - {"runtime"}:
        assert getattr(back, name) == getattr(spec, name), name


def test_ports_of_a_file_have_names_of_their_own():
    spec = catalog.get("depth-anything-v2-vits")
    sidecar = Sidecar.of(
        spec, inputs={"pixel_values": "image"}, outputs={"predicted_depth": "depth"}, digest="abc"
    )
    back = Sidecar.from_json(sidecar.to_json())
    assert (back.inputs, back.outputs) == ({"pixel_values": "image"}, {"predicted_depth": "depth"})
    assert back.to_spec("x.onnx").outputs == name_outputs("depth")
    assert (back.licence, back.digest) == (spec.weights[0].licence, "abc")


def test_descriptions_of_before_are_read():
    spec = replace(catalog.get("lite-metric"), outputs=name_outputs("depth", "confidence"))
    data = json.loads(Sidecar.of(spec).to_json())
    for name in ("decoder", "canonical_focal_px", "output_specs", "max_views"):
        del data[name]
    del data["horizontal_flip_safe"]
    data |= {"schema": 1}
    data["preprocess"] |= {"canonical_focal_px": 275.0, "in_widths": False}
    back = Sidecar.from_json(json.dumps(data)).to_spec("lite-metric.onnx", spec)
    assert (back.decoder, back.canonical_focal_px) == ("canonical_depth", 275.0)
    assert back.outputs == name_outputs("depth", "confidence")
    assert back.horizontal_flip_safe
    data["preprocess"] |= {"canonical_focal_px": None, "in_widths": True}
    for kind, decoder in (("pixel_disparity", "width_disparity"), ("metric_depth", "depth")):
        assert Sidecar.from_json(json.dumps(data | {"kind": kind})).decoder == decoder


@pytest.mark.parametrize(
    "broken",
    [
        "[]",
        "{",
        '{"name": "x"}',
        '{"name": "x", "kind": "metric_depth", "preprocess": []}',
        '{"name": "x", "kind": "metric_depth", "preprocess": {"size": [8, 8]}, "colour": 1}',
    ],
)
def test_other_texts_are_no_descriptions(broken):
    with pytest.raises(InputError, match="cannot be read as a model description"):
        Sidecar.from_json(broken)


def test_outputs_have_known_names():
    with pytest.raises(UnknownNameError, match="depth"):
        name_outputs("dept")
    spec = ModelSpec(name="x", kind=DepthKind.METRIC_DEPTH, preprocess=PreprocessSpec(size=(8, 8)))
    assert list(spec.outputs) == ["depth"]
    assert OUTPUTS["normal"].mirror == "mirror_negate_x"
