"""Exported networks of others: what a graph says is followed, what it leaves open is asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import leadline
from leadline.errors import InputError, UnknownNameError, WeightsError
from leadline.runtime import ModelFile, Runtime, fit_to_ports, read_ports
from leadline.runtime.openvino import OpenVinoRuntime
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec, sidecar_path

pytest.importorskip("onnx")
from onnx import helper

from testing.foreign import OUTPUTS, write_foreign_model, write_nodes
from testing.tiny import expected

SPEC = ModelSpec(name="x", kind="metric_depth", preprocess=PreprocessSpec(size=(64, 64)))
RUNTIMES = ["openvino", "onnxruntime"]


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return request.param


def open_graph(model: ModelFile, runtime: str) -> Runtime:
    if runtime == "openvino":
        return OpenVinoRuntime(model, threads=1)
    from leadline.runtime.onnxruntime import OnnxRuntime

    return OnnxRuntime(model, threads=1)


def open_file(path: Path, runtime: str) -> Runtime:
    spec, inputs, outputs = fit_to_ports(
        SPEC, {"image": "image"}, {"depth": "depth"}, read_ports(path)
    )
    model = ModelFile(path=path, inputs=inputs, outputs=outputs, output_specs=spec.outputs)
    return open_graph(model, runtime)


def picture(height: int = 50, width: int = 70) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("type_", ["float32", "float16", "uint8"])
@pytest.mark.parametrize(
    ("batch", "channels_last"),
    [("b", False), ("b", True), (1, False), (1, True), (None, True), (2, False)],
)
def test_every_form_gives_the_same_maps(
    runtime: str,
    tmp_path: Path,
    output: str,
    type_: str,
    batch: int | str | None,
    channels_last: bool,
) -> None:
    if output == "hw" and batch not in (1, None):
        pytest.skip("no batch fits into (h, w)")
    if batch is None and output != "hw":
        output = "b1hw"
    path = write_foreign_model(
        tmp_path / "x.onnx",
        type_=type_,
        batch=batch,
        channels_last=channels_last,
        output=output,
    )
    levels = np.random.default_rng(1).integers(0, 256, (3, 3, 24, 40)).astype(np.float32)
    image = levels if type_ == "uint8" else levels / 255
    given = open_file(path, runtime).run({"image": image})["depth"]
    assert given.dtype == np.float32
    close = 2e-3 if type_ == "float16" else 1e-5
    wanted = expected(image)
    error = np.abs(given.reshape(wanted.shape) - wanted).max()
    assert error < close * np.abs(wanted).max()
    assert output != "bhw1" or given.shape == (3, 1, 24, 40)


@pytest.mark.parametrize("policy", ["single", "flip"])
@pytest.mark.parametrize("batch", ["b", 1])
def test_kind_and_normalize_are_all_that_a_file_needs(
    runtime: str, tmp_path: Path, policy: str, batch: int | str
) -> None:
    path = write_foreign_model(tmp_path / "mine.onnx", batch=batch, sides=(32, 48), output="bhw1")
    estimator = leadline.load(
        path,
        kind="metric_depth",
        normalize="half",
        runtime=runtime,
        policy=policy,
        threads=1,
    )
    assert estimator.spec.name == "mine"
    prepared = estimator.prepare(picture())
    assert prepared.input_size == (32, 48)  # the file's, whatever the picture's aspect
    image = prepared.arrays["image"]
    assert -1.3 < image.min() < -0.9 < 0.9 < image.max() < 1.3
    wanted = expected(image)
    if policy == "flip":
        wanted = (wanted + expected(image[..., ::-1])[..., ::-1]) / 2
    own = estimator.predict_unresized(picture())
    np.testing.assert_allclose(own.values, wanted[0], rtol=1e-4, atol=1e-4)
    assert (own.kind, estimator.predict(picture()).size) == ("metric_depth", (50, 70))
    assert len(estimator.predict_batch([picture()] * 3)) == 3


def test_whole_grey_levels_are_normalised_inside(tmp_path: Path) -> None:
    path = write_foreign_model(
        tmp_path / "u8.onnx", type_="uint8", channels_last=True, batch=1, sides=(50, 70)
    )
    for options in (
        {"model": path, "kind": "affine_disparity"},
        {"model": "depth-anything-v2-vits", "weights": path},
    ):
        estimator = leadline.load(**options, threads=1)
        wanted = expected(np.moveaxis(picture(), 2, 0)[None].astype(np.float32))[0]
        np.testing.assert_allclose(estimator.predict(picture()).values, wanted, rtol=1e-4, atol=0.1)
    with pytest.raises(InputError, match="normalises them itself"):
        leadline.load(path, kind="affine_disparity", normalize="half")


def test_what_the_graph_leaves_open_is_asked_for(tmp_path: Path) -> None:
    path = write_foreign_model(tmp_path / "x.onnx")
    for options in ({}, {"kind": "metric_depth"}, {"normalize": "unit"}):
        with pytest.raises(WeightsError, match=r"no description.*--kind.*--normalize imagenet"):
            leadline.load(path, **options)
    with pytest.raises(UnknownNameError, match="affine_disparity"):
        leadline.load(path, kind="disparity", normalize="unit")
    with pytest.raises(UnknownNameError, match="imagenet, half, unit, none"):
        leadline.load(path, kind="metric_depth", normalize="zscore")


@pytest.mark.parametrize(("size", "multiple"), [(None, 14), (252, 28), (384, 32), (448, 224)])
def test_open_sides_are_multiples_that_the_size_allows(
    tmp_path: Path, size: int | None, multiple: int
) -> None:
    path = write_foreign_model(tmp_path / "x.onnx")
    estimator = leadline.load(path, kind="metric_depth", normalize="unit", size=size, threads=1)
    assert estimator.spec.preprocess.multiple_of == multiple
    assert min(estimator.spec.preprocess.size) == (size or 518)


def test_a_named_model_takes_its_export_by_others(tmp_path: Path) -> None:
    path = write_foreign_model(tmp_path / "x.onnx", names=("pixel_values", "predicted_depth"))
    options = leadline.LoadOptions(model="depth-anything-v2-vits", weights=path)
    found = options.identify()
    assert (dict(found.inputs), dict(found.outputs)) == (
        {"pixel_values": "image"},
        {"predicted_depth": "depth"},
    )
    assert found.spec.preprocess.size == (518, 518)
    inside = leadline.LoadOptions(
        model="depth-anything-v2-vits", weights=path, normalize="none"
    ).identify()
    assert (inside.spec.preprocess.mean, inside.spec.preprocess.std) == NORMALIZE["none"]


def test_options_that_contradict_a_description_are_refused(tiny_model: Path) -> None:
    assert leadline.load(tiny_model, kind="affine_disparity", normalize="imagenet")
    with pytest.raises(InputError, match=r"kind=metric_depth .* tiny\.json says affine_disparity"):
        leadline.load(tiny_model, kind="metric_depth")
    with pytest.raises(InputError, match="leave --normalize out"):
        leadline.load(tiny_model, normalize="half")


def test_a_size_that_the_file_fixes_is_not_changed(tmp_path: Path) -> None:
    path = write_foreign_model(tmp_path / "x.onnx", sides=(32, 64))
    options = {"kind": "metric_depth", "normalize": "unit", "threads": 1}
    assert leadline.load(path, size=32, **options).prepare(picture()).input_size == (32, 64)
    with pytest.raises(InputError, match="takes 32x64 alone"):
        leadline.load(path, size=64, **options)


def test_which_map_is_meant_is_asked(tmp_path: Path) -> None:
    path = write_foreign_model(tmp_path / "two.onnx", two_maps=True)
    options = {"kind": "metric_depth", "normalize": "unit", "threads": 1}
    with pytest.raises(WeightsError, match=r"outputs y \(\?, 1, \?, \?\).*again.*the sidecar"):
        leadline.load(path, **options)
    record = {"name": "two", "kind": "metric_depth", "preprocess": {"size": [28, 28]}}
    sidecar_path(path).write_text(json.dumps(record | {"outputs": {"again": "depth"}}))
    assert leadline.load(path, threads=1).predict(picture()).size == (50, 70)
    sidecar_path(path).write_text(json.dumps(record | {"outputs": {"third": "depth"}}))
    with pytest.raises(WeightsError, match="third"):
        leadline.load(path, threads=1)


def test_a_sidecar_by_hand_needs_three_keys(tmp_path: Path) -> None:
    path = write_foreign_model(tmp_path / "x.onnx", sides=(28, 42), batch=1, output="hw")
    record = {"name": "mine", "kind": "scaled_depth", "preprocess": {"size": [28, 28]}}
    sidecar_path(path).write_text(json.dumps(record))
    estimator = leadline.load(path, threads=1)
    assert (estimator.spec.name, estimator.spec.kind) == ("mine", "scaled_depth")
    assert estimator.prepare(picture()).input_size == (28, 42)


def test_a_grey_input_is_refused(tmp_path: Path) -> None:
    copy = helper.make_node("Identity", ["image"], ["depth"])
    path = write_nodes(tmp_path / "grey.onnx", copy, constants={}, channels=1)
    with pytest.raises(WeightsError, match="three channels"):
        leadline.load(path, kind="metric_depth", normalize="unit")


# --- what a runtime says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "constants", "said"),
    [
        (helper.make_node("NoSuchOp", ["image"], ["depth"]), {}, "NoSuchOp"),
        (
            helper.make_node("Add", ["image", "c"], ["depth"]),
            {"c": np.ones(1, np.float64)},
            "element type|double",
        ),
    ],
)
def test_a_network_that_a_runtime_does_not_run_is_said_to_be_so(
    runtime: str, tmp_path: Path, node: object, constants: dict[str, np.ndarray], said: str
) -> None:
    path = write_nodes(tmp_path / "odd.onnx", node, constants=constants)
    with pytest.raises(WeightsError, match=said) as caught:
        open_graph(ModelFile(path=path), runtime)
    message = str(caught.value)
    assert "truncated" not in message
    assert "\n" not in message
    assert "src/" not in message


def test_an_opset_of_the_future_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    relu = helper.make_node("Relu", ["image"], ["depth"])
    path = write_nodes(tmp_path / "new.onnx", relu, constants={}, opset=99)
    with pytest.raises(WeightsError, match="Opset 99"):
        open_graph(ModelFile(path=path), "onnxruntime")


_RUN_ODD = """
import sys
import numpy as np
from pathlib import Path
from leadline.errors import InputError
from leadline.runtime import ModelFile
from leadline.runtime.onnxruntime import OnnxRuntime
from leadline.runtime.openvino import OpenVinoRuntime

kind = OpenVinoRuntime if sys.argv[2] == "openvino" else OnnxRuntime
opened = kind(ModelFile(path=Path(sys.argv[1])), threads=1)
opened.run({"image": np.zeros((1, 3, 32, 32), np.float32)})
try:
    opened.run({"image": np.zeros((1, 3, 33, 33), np.float32)})
except InputError as error:
    print(error)
"""


def test_a_run_that_fails_says_why(runtime: str, tmp_path: Path) -> None:
    """Halves the input and doubles it again, which gives odd sides another size."""
    path = write_nodes(
        tmp_path / "even.onnx",
        helper.make_node("MaxPool", ["image"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["small", "", "twice"], ["large"], mode="nearest"),
        helper.make_node("Add", ["image", "large"], ["depth"]),
        constants={"twice": np.array([1, 1, 2, 2], np.float32)},
    )
    # In a process of its own: OpenVINO may harm its memory where layers do not fit one another.
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ODD, str(path), runtime],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.strip()
    assert re.search(r"(empty|32 by 33|inconsistent).*--size", said)
    assert "one size" not in said
    assert "\n" not in said
