"""Training: what an example holds, that it learns, that a run resumes, and no torch."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")

import leadline
from leadline.errors import InputError, UnknownNameError
from leadline.superpixel import SuperpixelModel
from leadline.superpixel.examples import Example, log_depth_target, make_example
from leadline.superpixel.model import Parameters
from leadline.superpixel.training import SuperpixelTraining, train
from tests.superpixel.conftest import toy


def test_an_example_knows_its_truth(tmp_path):
    rgb, depth, ground = toy(0)
    example = make_example(rgb, depth, ground=ground, horizon=-0.1)
    rows, columns = example.features.grid
    assert np.isinf(example.depth.reshape(rows, columns)[0, -1])
    assert example.ground.reshape(rows, columns)[-1].mean() > 0.7
    assert set(np.unique(example.together)) == {0.0, 1.0}
    example.save(tmp_path / "one.npz")
    again = Example.load(tmp_path / "one.npz")
    np.testing.assert_array_equal(again.depth, example.depth)
    np.testing.assert_array_equal(again.segments.labels, example.segments.labels)
    assert again.horizon == -0.1


def test_a_surface_ends_where_depth_jumps():
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:, 32:64], rgb[:, 64:] = 120, 240
    depth = np.ones((64, 96))
    depth[:, 64:] = 3
    example = make_example(rgb, depth)
    names = [tuple(pair) for pair in example.segments.touching[0].tolist()]
    goes_on = dict(zip(names, example.together.tolist(), strict=True))
    labels = example.segments.labels[30]
    assert goes_on.pop((int(labels[63]), int(labels[64]))) == 0
    assert set(goes_on.values()) == {1.0}
    unknown = make_example(rgb, np.full((64, 96), np.nan))
    assert np.isnan(unknown.together).all()
    assert np.isnan(unknown.depth).all()
    assert np.isnan(unknown.ground).all()


def test_the_target_knows_no_scale_and_no_shift():
    depth = np.random.default_rng(1).uniform(1, 9, 200)
    target = log_depth_target(depth)
    np.testing.assert_allclose(log_depth_target(7 * depth), target, atol=1e-9)
    np.testing.assert_allclose(log_depth_target(1 / (1 / depth + 0.3)), target, atol=1e-9)
    assert np.exp(target).min() >= 0.5
    with_sky = log_depth_target(np.r_[depth, np.inf])
    assert with_sky[-1] == with_sky.max() > with_sky[:-1].max()
    assert np.isnan(log_depth_target(np.full(200, np.nan))).all()


def test_it_learns_more_than_the_mean(toy_parameters: Path):
    model = SuperpixelModel(Parameters.load(toy_parameters))
    errors, spreads = [], []
    for seed in (200, 201, 202):
        rgb, depth, _ = toy(seed)
        stages = model.explain(rgb.astype(np.float32) / 255)
        truth = log_depth_target(make_example(rgb, depth).depth)
        errors.append(np.abs(stages.log_depth.ravel() - truth).mean())
        spreads.append(np.abs(np.median(truth) - truth).mean())
    assert np.mean(errors) < 0.6 * np.mean(spreads)


def test_settings_are_given_as_text():
    changed = SuperpixelTraining().updated({"views": "7", "penalty": "0.5", "icl": "folder"})
    assert (changed.views, changed.penalty, changed.icl) == (7, 0.5, "folder")
    with pytest.raises(UnknownNameError, match="views"):
        SuperpixelTraining().updated({"veiws": "7"})
    with pytest.raises(InputError, match="views=many"):
        SuperpixelTraining().updated({"views": "many"})
    with pytest.raises(InputError, match="at least 1"):
        SuperpixelTraining(views=0)


@pytest.mark.slow
def test_a_run_delivers_resumes_and_repeats(tmp_path):
    pytest.importorskip("cv2")
    config = SuperpixelTraining(views=10, height=64, cells=60)
    said: list[str] = []
    file = train(config, tmp_path / "run", report=said.append)
    assert any("borders" in line for line in said)
    before = file.read_bytes()
    with pytest.raises(InputError, match="--resume"):
        train(config, tmp_path / "run", report=said.append)
    with pytest.raises(InputError, match="other settings"):
        train(replace(config, penalty=9.0), tmp_path / "run", resume=True, report=said.append)
    (tmp_path / "run" / "examples" / "world-00003.npz").unlink()
    train(config, tmp_path / "run", resume=True, report=said.append)
    with np.load(file) as now:
        (tmp_path / "old.npz").write_bytes(before)
        with np.load(tmp_path / "old.npz") as old:
            for name in old.files:
                np.testing.assert_array_equal(now[name], old[name])
    card = json.loads((tmp_path / "run" / "superpixel.card.json").read_text())
    assert card["fit"]["pictures"] == 10
    estimator = leadline.load(file)
    assert estimator.spec.name == "superpixel"
    assert estimator.predict(toy(5)[0]).confidence is not None


def test_training_and_predicting_import_no_torch():
    code = (
        "import sys, leadline.superpixel.training, leadline.runtime.superpixel\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
