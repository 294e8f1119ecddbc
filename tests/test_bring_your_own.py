"""The page about networks of others: its examples run, and its tables are the code's."""

import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import leadline
from leadline.spec import PreprocessSpec, Sidecar, sidecar_path

pytest.importorskip("onnx")
from testing.foreign import write_foreign_model
from testing.tiny import expected

PAGE = (Path(__file__).parents[1] / "docs" / "bring-your-own-onnx.md").read_text()
EXAMPLES = {
    record["name"]: record
    for record in map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
}
RGB = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)


def named_in(table: str) -> set[str]:
    """Words in the first column."""
    rows = table.split("\n|-|-|-|\n")[1].split("\n\n")[0].splitlines()
    return {word for row in rows for word in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_tables_are_the_keys() -> None:
    _, keys, preprocess = re.split(r"\n\| key", PAGE)
    assert named_in(keys) == {field.name for field in fields(Sidecar)}
    assert named_in(preprocess) == {field.name for field in fields(PreprocessSpec)}


def load(path: Path, name: str) -> leadline.DepthEstimator:
    sidecar_path(path).write_text(json.dumps(EXAMPLES[name]))
    return leadline.load(path, threads=1)


def test_depth_anything_by_others(tmp_path: Path) -> None:
    path = write_foreign_model(
        tmp_path / "vits.onnx", batch=1, output="bhw", names=("pixel_values", "predicted_depth")
    )
    estimator = load(path, "depth-anything-v2-vits")
    assert estimator.prepare(RGB).input_size == (518, 686)
    assert (estimator.spec.kind, estimator.predict(RGB).size) == ("affine_disparity", (96, 128))
    named = leadline.load("depth-anything-v2-vits", weights=path, threads=1)
    np.testing.assert_array_equal(named.predict(RGB).values, estimator.predict(RGB).values)


@pytest.mark.parametrize("policy", ["single", "flip"])
def test_ultralytics_depth_task(tmp_path: Path, policy: str) -> None:
    """The letterbox's own pixels, by hand: 768 x 576 of the picture, 96 rows of grey around."""
    path = write_foreign_model(
        tmp_path / "yolo.onnx", batch=1, sides=(768, 768), names=("images", "output0")
    )
    sidecar_path(path).write_text(json.dumps(EXAMPLES["yolo26n-depth"]))
    estimator = leadline.load(path, threads=1, policy=policy)
    image = estimator.prepare(RGB).arrays["image"]
    grey = np.concatenate([image[0, :, :96], image[0, :, 672:]], axis=1)
    np.testing.assert_allclose(grey, 114 / 255, rtol=1e-6)
    assert 0 <= image.min() < image.max() <= 1
    own = expected(image)[0]
    if policy == "flip":
        own = (own + expected(image[..., ::-1])[0][:, ::-1]) / 2
    from leadline.resample import resize

    prediction = estimator.predict(RGB)
    np.testing.assert_allclose(
        prediction.values, resize(own[96:672], (96, 128)), rtol=1e-4, atol=1e-4
    )
    assert (prediction.kind, prediction.size) == ("metric_depth", (96, 128))


def test_a_zoo_of_fixed_sizes(tmp_path: Path) -> None:
    path = write_foreign_model(
        tmp_path / "midas.onnx",
        batch=1,
        sides=(256, 256),
        channels_last=True,
        output="bhw1",
        two_maps=True,
    )
    estimator = load(path, "midas-zoo")
    prepared = estimator.prepare(RGB)
    assert prepared.input_size == (256, 256)
    own = estimator.predict_unresized(RGB).values
    np.testing.assert_allclose(own, expected(prepared.arrays["image"])[0], rtol=1e-4, atol=1e-4)
    assert estimator.predict(RGB).size == (96, 128)


def test_an_export_of_a_foreign_file_describes_it(tmp_path: Path) -> None:
    from leadline.export import export

    path = write_foreign_model(tmp_path / "mine.onnx", type_="uint8", channels_last=True, batch=1)
    options = leadline.LoadOptions(model=path, kind="metric_depth", threads=1)
    made = export(options, tmp_path / "made.xml")
    np.testing.assert_allclose(
        leadline.load(made.path, threads=1).predict(RGB).values,
        options.open().predict(RGB).values,
        rtol=1e-5,
    )
