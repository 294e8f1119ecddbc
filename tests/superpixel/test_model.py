"""The model as a whole: every stage there, bad pictures survived, files read back."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")

from leadline import catalog, hub
from leadline.errors import WeightsError
from leadline.superpixel import HeightPrior, SuperpixelModel, open_model
from leadline.superpixel.model import Parameters, read_arrays
from tests.superpixel.conftest import toy


@pytest.fixture(scope="module")
def model(toy_parameters: Path) -> SuperpixelModel:
    return SuperpixelModel(Parameters.load(toy_parameters))


def floats(seed: int) -> np.ndarray:
    return toy(seed)[0].astype(np.float32) / 255


def test_the_floor_comes_nearer_and_the_sky_is_far(model):
    disparity, confidence = model.predict(floats(100))
    assert disparity.shape == confidence.shape == (96, 128)
    assert disparity.dtype == confidence.dtype == np.float32
    rows = disparity.mean(axis=1)
    assert rows[88:].mean() > 1.5 * rows[:20].mean()
    assert 0 < confidence.min() <= confidence.max() <= 1


def test_every_stage_can_be_looked_at(model):
    stages = model.explain(floats(101))
    rows, columns = stages.features.grid
    for cells in (stages.sky, stages.ground, stages.log_depth, stages.error):
        assert cells.shape == (rows, columns)
    assert stages.sky[0].mean() > 0.5 > stages.sky[-1].mean()
    assert stages.ground[-1].mean() > 0.5 > stages.ground[0].mean()
    assert stages.solution.converged
    assert len(stages.together) == len(stages.segments.touching[0])
    assert -1 < stages.horizon < 0.4


BAD = {
    "black": np.zeros((60, 80, 3)),
    "white": np.ones((60, 80, 3)),
    "one pixel": np.full((1, 1, 3), 0.5),
    "a row": np.full((1, 30, 3), 0.5),
    "a column": np.full((30, 1, 3), 0.5),
    "two pixels": np.array([[[0.0, 0, 0]], [[1.0, 1, 1]]]),
    "noise": np.random.default_rng(8).random((50, 50, 3)),
    "stripes": np.tile(np.arange(40)[:, None, None] % 2, (1, 60, 3)).astype(float),
    "very wide": np.random.default_rng(9).random((16, 200, 3)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_get_a_finite_map(model, name):
    picture = BAD[name].astype(np.float32)
    for predict in (model.predict, HeightPrior().predict):
        disparity, confidence = predict(picture)
        assert disparity.shape == picture.shape[:2]
        assert np.isfinite(disparity).all()
        assert np.isfinite(confidence).all()


def test_the_same_picture_gives_the_same_map(model):
    first, second = (model.predict(floats(102))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_parameters_come_back_from_their_file(toy_parameters, tmp_path):
    read = Parameters.load(toy_parameters)
    read.save(tmp_path / "again.npz")
    again = Parameters.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.depth, read.depth)
    assert again.segments == read.segments
    assert again.planes == read.planes


def test_damaged_and_foreign_files_are_told(toy_parameters, tmp_path):
    cut = tmp_path / "cut.npz"
    cut.write_bytes(toy_parameters.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"cut\.npz"):
        open_model(cut)
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, a=np.zeros(3))
    with pytest.raises(WeightsError, match="leadline train superpixel"):
        open_model(foreign)
    arrays, _ = read_arrays(toy_parameters)
    with np.load(toy_parameters) as file:
        arrays["settings"] = file["settings"]
    del arrays["sky"]
    partial = tmp_path / "partial.npz"
    np.savez(partial, **arrays)
    with pytest.raises(WeightsError, match="sky"):
        open_model(partial)


def test_a_file_without_weights_is_the_prior():
    file = hub.fetch(catalog.get("superpixel-prior").weights[0])
    assert isinstance(open_model(file), HeightPrior)
