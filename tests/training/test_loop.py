"""The loop on a very small world: batches repeat, resume is exact, what it writes loads."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from leadline import models  # noqa: E402
from leadline.training import TrainConfig, train  # noqa: E402
from leadline.training.batches import disturb_colours, make_batch  # noqa: E402
from leadline.training.rendered import RenderedWorld, newest_shard, shard_size  # noqa: E402

SMALL = TrainConfig(
    imagenet=False,
    steps=6,
    batch=2,
    sizes=((32, 64), (64, 64)),
    shard=3,
    window=3,
    shard_steps=3,
    warmup=2,
    threads=1,
    checkpoint_every=3,
    log_every=2,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    rendered = RenderedWorld(config=SMALL, folder=tmp_path_factory.mktemp("world"))
    with rendered.rendering(0):
        yield rendered


def test_batch_is_a_function_of_the_step(world):
    first = make_batch(SMALL, 4, world, [])
    again = make_batch(SMALL, 4, world, [])
    other = make_batch(SMALL, 5, world, [])
    assert torch.equal(first.rgb, again.rgb)
    assert torch.equal(first.disparity, again.disparity)
    assert first.rgb.shape != other.rgb.shape or not torch.equal(first.rgb, other.rgb)


def test_batch_has_the_ranges_that_the_loss_expects(world):
    batch = make_batch(SMALL, 0, world, [])
    assert batch.rgb.shape[0] == SMALL.batch
    assert batch.rgb.shape[-2:] == batch.disparity.shape[-2:]
    assert batch.rgb.min() >= 0
    assert batch.rgb.max() <= 1
    assert (batch.disparity >= 0).all()
    assert batch.disparity.isfinite().all()


def test_unknown_disparity_is_not_valid(world):
    hole = np.full((60, 80), np.nan, np.float16)
    frame = (np.zeros((60, 80, 3), np.uint8), hole)
    config = SMALL.updated({"icl_share": 1.0})
    batch = make_batch(config, 0, world, [frame])
    assert not batch.valid.any()


def test_colours_stay_in_range_and_follow_the_generator():
    rgb = torch.rand(4, 3, 8, 8)
    one = disturb_colours(rgb, torch.Generator().manual_seed(3))
    two = disturb_colours(rgb, torch.Generator().manual_seed(3))
    assert torch.equal(one, two)
    assert one.min() >= 0
    assert one.max() <= 1


def test_the_window_moves_on():
    assert newest_shard(SMALL, 5) == newest_shard(SMALL, 0) + 1
    assert {shard_size(SMALL, k) for k in range(30)} == set(SMALL.sizes)


@pytest.mark.slow
def test_resume_is_exact(tmp_path):
    train(SMALL, tmp_path / "whole", report=lambda _: None)
    short = SMALL.updated({"steps": 6})
    train(short, tmp_path / "parts", report=lambda _: None, stop_after=3)
    train(short, tmp_path / "parts", resume=True, report=lambda _: None)
    whole = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    parts = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)
    for key, value in whole["module"].items():
        assert torch.equal(value, parts["module"][key]), key
    delivered = tmp_path / "parts" / "model.safetensors"
    models.load_weights(models.build("lite"), delivered)
    log = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == 6
