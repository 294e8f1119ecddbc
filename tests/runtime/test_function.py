"""A Python function as a network: it gets what its ModelSpec names, and gives what it names."""

from __future__ import annotations

import doctest
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

import leadline
from leadline import load_options
from leadline.errors import InputError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec, name_outputs

SPEC = ModelSpec(
    name="red",
    kind=DepthKind.AFFINE_DISPARITY,
    preprocess=PreprocessSpec(
        size=(28, 28), multiple_of=14, mean=NORMALIZE["unit"][0], std=NORMALIZE["unit"][1]
    ),
)
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_the_example_in_the_docstring_is_true() -> None:
    test = doctest.DocTestFinder().find(leadline.wrap, "wrap", globs=vars(load_options).copy())[0]
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_examples_in_the_documents_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "bring-your-own-network.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    PilImage.fromarray(PIXELS).save("photo.jpg")
    names = {"my_network": lambda images: images[:, 0]}
    exec("\n".join(block for block in blocks if "ModelSpec(" in block), names)
    assert leadline.read_prediction("depth.npz").size == (60, 80)


def test_a_function_gets_pictures_and_gives_a_map() -> None:
    given: list[np.ndarray] = []

    def network(images: np.ndarray) -> np.ndarray:
        given.append(images)
        return images[:, 0]

    made = leadline.wrap(network, SPEC).predict(PIXELS)
    assert given[0].shape == (1, 3, 28, 42)
    assert given[0].dtype == np.float32
    assert given[0].min() > -0.2
    assert given[0].max() < 1.2
    assert made.size == (60, 80)
    assert (made.kind, made.model) == (DepthKind.AFFINE_DISPARITY, "red")
    assert np.corrcoef(made.values.ravel(), PIXELS[..., 0].ravel())[0, 1] > 0.3


def test_batches_mirrors_and_tiles() -> None:
    plain = leadline.wrap(lambda images: images[:, :1], SPEC)
    both = leadline.wrap(lambda images: images[:, :1], SPEC, policy="flip")
    values = plain.predict(PIXELS).values
    np.testing.assert_allclose(both.predict(PIXELS).values, values, atol=1e-5)
    for one in plain.predict_batch([PIXELS, PIXELS]):
        np.testing.assert_array_equal(one.values, values)
    sharper = leadline.wrap(lambda images: images[:, 0], SPEC, tiles=2).predict(PIXELS)
    assert np.abs(sharper.values - values).max() > 0.01


def test_a_function_with_more_inputs_and_outputs() -> None:
    spec = ModelSpec(
        name="lidar",
        kind=DepthKind.METRIC_DEPTH,
        preprocess=SPEC.preprocess,
        inputs=("image", "prompt_depth"),
        outputs=name_outputs("depth", "confidence"),
    )

    def network(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        depth = np.full_like(arrays["image"][:, 0], arrays["prompt_depth"].mean())
        return {"depth": depth, "confidence": depth / 10}

    prompt = np.full((6, 8), 4, np.float32)
    made = leadline.wrap(network, spec).predict(Image(pixels=PIXELS, prompt_depth=prompt))
    np.testing.assert_allclose(made.values, 4, rtol=1e-6)
    assert made.confidence is not None
    np.testing.assert_allclose(made.confidence, 0.4, rtol=1e-6)


def test_torch_functions_return_tensors() -> None:
    torch = pytest.importorskip("torch")
    made = leadline.wrap(lambda images: torch.from_numpy(images)[:, 0], SPEC).predict(PIXELS)
    np.testing.assert_array_equal(
        made.values, leadline.wrap(lambda images: images[:, 0], SPEC).predict(PIXELS).values
    )
    learning = torch.nn.Parameter(torch.ones(1, 28, 42))
    with pytest.raises(InputError, match="detach"):
        leadline.wrap(lambda _: learning, SPEC).predict(PIXELS)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"disparity": np.ones((1, 28, 42))}, r"\['disparity'\].*\['depth'\]"),
        (np.ones((3, 28, 42)), r"shape \(3, 28, 42\).*of 1 here"),
        (1.0, r"shape \(\)"),
        ("far", "does not become an array"),
        (np.ones((1, 3, 28, 42)), r"\(b, 1, h, w\)"),
    ],
)
def test_outputs_that_are_none(output: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        leadline.wrap(lambda _: output, SPEC).predict(PIXELS)


def test_one_array_for_several_outputs() -> None:
    spec = ModelSpec(
        name="two",
        kind=SPEC.kind,
        preprocess=SPEC.preprocess,
        outputs=name_outputs("depth", "confidence"),
    )
    with pytest.raises(InputError, match="return a dict"):
        leadline.wrap(lambda images: images[:, 0], spec).predict(PIXELS)


def test_errors_of_the_function_are_its_own_and_it_stays_here() -> None:
    def network(images: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("mine")

    estimator = leadline.wrap(network, SPEC)
    with pytest.raises(ZeroDivisionError, match="mine"):
        estimator.predict(PIXELS)
    with pytest.raises(InputError, match="by hand"):
        pickle.dumps(estimator)
    assert "function on its own device" in repr(estimator)
