"""The statistical model behind the one door."""

import builtins
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")

import leadline
from leadline import catalog, hub
from leadline.errors import DeviceError, InputError, MissingDependencyError
from leadline.kinds import DepthKind
from leadline.runtime import choice, select
from leadline.runtime.superpixel import SuperpixelRuntime

NAMES = ("superpixel", "superpixel-prior")


@pytest.fixture(scope="module", params=NAMES)
def estimator(request: pytest.FixtureRequest) -> leadline.DepthEstimator:
    return leadline.load(request.param)


def picture(height: int = 90, width: int = 120) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = np.linspace(0, 200, height)[:, None, None]
    return np.clip(rows + rng.normal(20, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def test_both_names_load_and_predict(estimator):
    prediction = estimator.predict(picture())
    assert prediction.kind is DepthKind.AFFINE_DISPARITY
    assert prediction.size == (90, 120)
    assert prediction.confidence is not None
    assert np.isfinite(prediction.values).all()
    assert 0 <= prediction.confidence.min() <= prediction.confidence.max() <= 1
    assert estimator.runtime.name == "superpixel"
    assert prediction.values[80:].mean() > prediction.values[:10].mean()


def test_one_colour_and_tiny_pictures_give_finite_maps(estimator):
    for pixels in (np.full((40, 50, 3), 127, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        prediction = estimator.predict(pixels)
        assert np.isfinite(prediction.values).all()
        assert prediction.size == pixels.shape[:2]


def test_files_are_small_and_described():
    for name in NAMES:
        path = hub.locate(catalog.get(name).weights[0])
        assert path is not None
        assert path.stat().st_size < 500_000
    assert (hub.EMBEDDED_FOLDER / "superpixel.card.json").is_file()


def test_a_file_elsewhere_is_known_by_its_description(tmp_path: Path):
    for suffix in (".npz", ".json"):
        shutil.copy(hub.EMBEDDED_FOLDER / f"superpixel{suffix}", tmp_path / f"mine{suffix}")
    assert leadline.load(tmp_path / "mine.npz").spec.name == "superpixel"
    assert leadline.load("superpixel", weights=tmp_path / "mine.npz").runtime.device == "cpu"


def test_the_choice_says_why_and_other_runtimes_are_refused():
    chosen = select(Path("superpixel.npz"), only="superpixel")
    assert (chosen.runtime, chosen.device, chosen.precision) == ("superpixel", "cpu", "f32")
    assert "superpixels" in chosen.reason
    assert choice.READERS[".npz"] == ("torch",)  # by its suffix alone it would be another's
    with pytest.raises(DeviceError, match="superpixel does"):
        leadline.load("superpixel", runtime="openvino")
    with pytest.raises(DeviceError, match="cuda"):
        leadline.load("superpixel", device="cuda")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    found = choice.importlib.util.find_spec

    def without(name: str, *rest):
        return None if name == "skimage" else found(name, *rest)

    monkeypatch.setattr(choice.importlib.util, "find_spec", without)
    with pytest.raises(MissingDependencyError, match=r"'skimage'.*leadline\[classic\]"):
        leadline.load("superpixel")


def test_without_scikit_image_cutting_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    from leadline.superpixel import segment

    real = builtins.__import__

    def without(name: str, *rest):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="classic"):
        segment(picture())


def test_a_batch_is_its_pictures(estimator):
    runtime = estimator.runtime
    batch = np.random.default_rng(1).random((2, 3, 40, 56), dtype=np.float32)
    both = runtime.run({"image": batch})
    for number in range(2):
        alone = runtime.run({"image": batch[number : number + 1]})
        for name in ("depth", "confidence"):
            np.testing.assert_array_equal(both[name][number], alone[name][0])
    with pytest.raises(InputError, match="'image'"):
        runtime.run({"picture": batch})


def test_flipping_averages_both():
    assert isinstance(leadline.load("superpixel").runtime, SuperpixelRuntime)
    flipped = leadline.load("superpixel-prior", policy="flip").predict(picture())
    assert np.isfinite(flipped.values).all()
