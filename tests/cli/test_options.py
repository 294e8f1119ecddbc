"""Every command that runs a model takes every option of how it is opened, and means the same."""

from __future__ import annotations

from dataclasses import fields

import pytest
import typer.main
from typer.testing import CliRunner

import leadline
from leadline.cli.app import app

COMMANDS = {
    *("predict", "label", "evaluate", "leaderboard", "export", "quantize", "benchmark"),
    *("triangulate", "views", "reproduce"),
}
GROUP = typer.main.get_command(app)


def options_of(name: str) -> dict[str, object]:
    return {parameter.name: parameter for parameter in GROUP.commands[name].params}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_takes_all_load_options(command):
    names = {field.name for field in fields(leadline.LoadOptions)}
    assert names | {"flip"} <= set(options_of(command))


def test_one_option_name_has_one_meaning():
    meanings: dict[str, set[tuple[object, ...]]] = {}
    for name in COMMANDS:
        for option in options_of(name).values():
            if option.name in {field.name for field in fields(leadline.LoadOptions)} - {"model"}:
                said = (option.help, tuple(option.opts), option.default)
                meanings.setdefault(option.name, set()).add(said)
    assert meanings
    assert {name: len(said) for name, said in meanings.items() if len(said) > 1} == {}


@pytest.mark.parametrize("command", ["export", "quantize", "benchmark"])
def test_files_keep_no_way_of_looking(command, tmp_path):
    words = {
        "export": ["-m", "lite", "-o", str(tmp_path / "x.onnx")],
        "quantize": ["lite", str(tmp_path), "-o", str(tmp_path / "x.xml")],
        "benchmark": [],
    }[command]
    done = CliRunner().invoke(app, [command, *words, "--flip"])
    assert isinstance(done.exception, leadline.InputError)
    assert "leadline predict" in str(done.exception)


def test_gpu_means_cuda():
    assert leadline.LoadOptions(device="gpu") == leadline.LoadOptions(device="cuda")


def test_an_estimator_is_pickled_by_its_options(tiny_model):
    import copy
    import pickle

    import numpy as np

    estimator = leadline.load(tiny_model, policy="flip", threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    wanted = estimator.predict(picture).values
    for made in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert (made.policy, made.spec) == ("flip", estimator.spec)
        np.testing.assert_array_equal(made.predict(picture).values, wanted)
    by_hand = leadline.DepthEstimator(estimator.runtime, estimator.spec)
    with pytest.raises(leadline.InputError, match=r"leadline\.load"):
        pickle.dumps(by_hand)
