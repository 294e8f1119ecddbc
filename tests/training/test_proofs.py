"""The proofs' harness: arms are runs that exist, the mean depth map is the training set's."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from benchmarks.harness import Arm, Settings, frames, mean_depth, mean_of, shared_world, steps_for
from benchmarks.recipe_supervised import DOMAINS
from leadline.training import TrainConfig


@pytest.mark.parametrize(
    ("where", "name"),
    [(where, name) for where, domain in DOMAINS.items() for name in domain.arms],
)
def test_arms_share_one_training_set(where, name):
    config = DOMAINS[where].config(name, Settings(pictures=200))
    assert config.recipe == "supervised"
    assert config.world == DOMAINS[where].config("fastdepth", Settings(pictures=200)).world
    assert config.world.shards * config.world.shard <= 200
    assert config.world.seed == 0


def test_steps_are_those_asked_for():
    assert steps_for(TrainConfig(), Settings(steps=7)) == 7


def test_mean_depth_is_of_what_is_known(tmp_path):
    settings = Settings(pictures=96)
    config = TrainConfig().updated(shared_world(settings, folder=str(tmp_path), size=[4, 6]))
    near = np.full((2, 4, 6), 0.5, np.float16)
    near[1] = 0.25
    near[1, 0] = 0  # sky
    np.save(tmp_path / "shard-00000.disparity.npy", near)
    (tmp_path / "shard-00000.json").write_text(json.dumps(["disparity"]))
    frame = type("F", (), {"image": type("I", (), {"size": (4, 6)})})
    found = mean_depth(config)(frame).values
    assert found[0] == pytest.approx(2)
    assert found[1:] == pytest.approx(3)


def test_means_are_over_seeds():
    arms = [
        Arm(name=name, seed=seed, steps=1, batch=1, seconds=0, held_out={"abs_rel": value})
        for name, seed, value in (("a", 0, 0.2), ("a", 1, 0.4), ("b", 0, 0.5))
    ]
    assert mean_of(arms) == {"a": pytest.approx(0.3), "b": 0.5}


@pytest.mark.slow
def test_held_out_frames_are_stored_as_they_were_rendered(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.harness.CACHE", tmp_path)
    first = frames("room", 2)
    again = frames("room", 2)
    assert [f.name for f in first] == ["room-000", "room-001"]
    assert np.array_equal(first[1].depth, again[1].depth)
    assert first[0].max_depth == 10
