"""Stereo: what it learns from is geometry, what it delivers is metres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from leadline.errors import InputError  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.training import DataConfig, TrainConfig, train  # noqa: E402
from leadline.training.data.colours import change_gamma_alike  # noqa: E402
from leadline.training.data.stereo_pairs import (  # noqa: E402
    mirror_pair,
    open_stereo_pairs,
    pair_refs,
)
from leadline.training.data.world_shards import write_shard  # noqa: E402
from leadline.training.options import Rig  # noqa: E402
from leadline.training.recipes.stereo import BothViews, Stereo  # noqa: E402
from testing.planes import plane_pairs  # noqa: E402

SIZE = (32, 64)


def config(folder: Path, **changes: Any) -> TrainConfig:
    """The preset on eight pairs of walls."""
    if not (folder / "shard-00000.json").exists():
        pairs = plane_pairs(np.random.default_rng(0), SIZE, 8, rig=Rig())
        write_shard(folder, 0, pairs)
    settings = {
        "sizes": [SIZE],
        "batch": 4,
        "steps": 2,
        "render_workers": 0,
        "threads": 1,
        "validate_every": -1,
        "world.shards": 1,
        "world.shard": 8,
        "world.folder": str(folder),
    }
    return TrainConfig.from_toml("stereo").updated(settings | changes)


def batch_of(given: TrainConfig, folder: Path) -> Any:
    """The first batch."""
    with open_stereo_pairs(given, folder, 0) as source:
        return source.batch(0, range(given.batch))


class Known(torch.nn.Module):
    """Gives the true disparities, times a factor."""

    def __init__(self, batch: Any, rig: Rig, factor: float) -> None:
        super().__init__()
        share = rig.focal_share * rig.baseline_m
        self.maps = [factor * share / batch[f"{eye}_depth"] for eye in ("left", "right")]

    def forward(self, left: Any) -> Any:
        """Four scales of both."""
        return tuple(
            tuple(each[:, :: 2**s, :: 2**s].clone() for s in range(4)) for each in self.maps
        )


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_the_true_disparity_has_the_lowest_loss(tmp_path: Path, flip: float) -> None:
    """Mirrored pairs too: the eyes change sides and the right one is still the right one."""
    given = config(tmp_path, **{"augment.flip": flip})
    batch, recipe = batch_of(given, tmp_path), Stereo(given)
    losses = {
        factor: recipe.loss(Known(batch, given.options.rig, factor), batch, 0)[1]["appearance"]
        for factor in (0.6, 1.0, 1.5)
    }
    assert losses[1.0] < 0.7 * losses[0.6]
    assert losses[1.0] < 0.7 * losses[1.5]


def test_truth_at_the_true_depth_is_no_error(tmp_path: Path) -> None:
    given = config(tmp_path, **{"options.depth_weight": 1.0, "options.photometric_weight": 0.0})
    batch, recipe = batch_of(given, tmp_path), Stereo(given)
    right, parts = recipe.loss(Known(batch, given.options.rig, 1.0), batch, 0)
    wrong, _ = recipe.loss(Known(batch, given.options.rig, 1.1), batch, 0)
    assert set(parts) == {"depth"}
    assert right.item() < 1e-3
    assert wrong.item() == pytest.approx(2 * np.log(1.1), rel=1e-2)


def test_all_invalid_truth_gives_no_gradient_and_no_nan(tmp_path: Path) -> None:
    blind = {
        "options.depth_weight": 1.0,
        "options.photometric_weight": 0.0,
        "options.lidar_noise.blind_top": 1.0,
    }
    given = config(tmp_path, **blind)
    batch, recipe = batch_of(given, tmp_path), Stereo(given)
    module = recipe.build()
    loss, _ = recipe.loss(module, batch, 0)
    loss.backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert loss.item() == 0
    assert all(torch.isfinite(each).all() for each in gradients)


def test_samples_do_not_depend_on_what_ran_before(tmp_path: Path) -> None:
    given = config(tmp_path)
    with open_stereo_pairs(given, tmp_path, 0) as source:
        source.batch(3, [1])
        late = source.batch(5, [0, 2])
        assert source.origin(5, 2).startswith("world: shard 0")
    with open_stereo_pairs(given, tmp_path, 5) as source:
        whole = source.batch(5, range(4))
    for name, array in late.items():
        torch.testing.assert_close(array, whole[name][[0, 2]], rtol=0, atol=0)


def test_a_mirror_swaps_the_views() -> None:
    left, right = (np.arange(12).reshape(2, 6) + k for k in (0, 100))
    made = mirror_pair({"left": left, "right": right, "left_depth": left, "right_depth": right})
    np.testing.assert_array_equal(made["left"], right[:, ::-1])
    np.testing.assert_array_equal(made["right_depth"], left[:, ::-1])


def test_colours_change_alike_in_both_eyes() -> None:
    picture = torch.rand(3, 4, 5)
    rng = np.random.default_rng(1)
    left, right = change_gamma_alike((picture, picture), rng, share=1.0)
    torch.testing.assert_close(left, right)
    assert not torch.allclose(left, picture)


def test_delivers_metres_of_its_rig(tmp_path: Path) -> None:
    recipe = Stereo(config(tmp_path))
    module = recipe.build().eval()
    assert isinstance(module, BothViews)
    delivered = recipe.deliver(module)
    assert delivered.spec.kind is DepthKind.METRIC_DEPTH
    assert delivered.spec.preprocess.size == SIZE
    picture = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        disparity = module(picture)[0][0]
        depth = delivered.module(picture)
    rig = Rig()
    expected = rig.camera(SIZE).fx * rig.baseline_m / (disparity * SIZE[1])
    torch.testing.assert_close(depth, expected)


def test_a_network_of_one_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both views"):
        Stereo(config(tmp_path, model="lite", model_options={})).build()


def test_two_sources_are_refused(tmp_path: Path) -> None:
    given = config(tmp_path, data=[{"name": "world"}, {"name": "kitti-raw"}])
    with pytest.raises(InputError, match="one rig"):
        Stereo(given).build()


def test_a_run_delivers_a_folder_that_loads(tmp_path: Path) -> None:
    import leadline

    out = tmp_path / "run"
    train(config(tmp_path / "world"), out, report=lambda line: None)
    prediction = leadline.load(out).predict(np.zeros((*SIZE, 3), np.uint8))
    assert prediction.kind is DepthKind.METRIC_DEPTH
    assert prediction.values.shape == SIZE
    assert (prediction.values > 0).all()


@pytest.mark.slow
def test_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    given = config(tmp_path / "world", steps=4, checkpoint_every=2)
    whole = train(given, tmp_path / "whole", report=lambda line: None)
    train(given, tmp_path / "halves", stop_after=2, report=lambda line: None)
    halves = train(given, tmp_path / "halves", resume=True, report=lambda line: None)
    one, other = load_file(whole), load_file(halves)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_few_steps_bring_walls_to_their_distance(tmp_path: Path) -> None:
    """From pictures alone, in metres: the mean error falls to less than half."""
    given = config(tmp_path / "world", steps=120, batch=8, lr=1e-3, encoder_lr=1e-3, warmup=40)
    batch = batch_of(given, tmp_path)

    def error(module: Any) -> float:
        with torch.no_grad():
            depth = module.eval()(batch["left"])
        return float(((depth - batch["left_depth"]).abs() / batch["left_depth"]).mean())

    before = error(Stereo(given).build().network)
    train(given, tmp_path / "run", report=lambda line: None)
    import leadline

    after = Stereo(given).build().network
    leadline.models.load_weights(after, tmp_path / "run" / "model.safetensors")
    assert error(after) < 0.5 * before


def test_validation_is_on_held_out_scenes_in_metres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.training.recipes.stereo.render_pairs", plane_pairs)
    given = config(tmp_path, validate_frames=2)
    recipe = Stereo(given)
    module = recipe.build().eval()
    metrics = recipe.validate(module)
    assert metrics["abs_rel"] > 0
    sheet = recipe.pictures(module, batch_of(given, tmp_path))
    assert sheet is not None
    assert sheet.shape == (4 * SIZE[0], 3 * SIZE[1], 3)


def test_kitti_without_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="kitti-eigen=DIR"):
        pair_refs(DataConfig(name="kitti-eigen"), tmp_path)
