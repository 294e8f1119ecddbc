"""Metric fine-tuning: rates by layer, domains by scene and by source, the canonical camera."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from leadline import world
from leadline.errors import InputError, UnknownNameError
from leadline.kinds import DepthKind
from leadline.losses import silog
from leadline.training import TrainConfig
from leadline.training.recipes.metric import Metric, start_from_relative


def _recipe(**changes: object) -> Metric:
    settings = {"recipe": "metric", "model": "metric", "model_options": {"encoder": "lite"}}
    return Metric(TrainConfig.from_dict({**settings, **changes}))


def _batch(count: int = 2) -> dict[str, torch.Tensor]:
    depth = torch.rand(count, 32, 32) * 8 + 1
    return {
        "rgb": torch.rand(count, 3, 32, 32),
        "depth": depth,
        "valid": torch.ones_like(depth, dtype=torch.bool),
        "focal_px": torch.full((count,), 40.0),
        "kind": torch.tensor([world.KINDS.index("room"), world.KINDS.index("street")])[:count],
        "source": torch.zeros(count, dtype=torch.int64),
    }


@pytest.fixture(scope="module")
def built() -> tuple[Metric, torch.nn.Module]:
    """The recipe with its network of two domains on lite."""
    recipe = _recipe()
    return recipe, recipe.build()


def test_rates_by_layer(built: tuple[Metric, torch.nn.Module]) -> None:
    recipe, module = built
    rates = {
        id(parameter): group["lr"]
        for group in recipe.parameter_groups(module)
        for parameter in group["params"]
    }
    named = dict(module.named_parameters())
    assert len(rates) == len(named)
    lr = recipe.config.lr
    encoder = next(p for n, p in named.items() if n.startswith("network.relative.encoder"))
    assert rates[id(encoder)] == pytest.approx(lr / 10)
    assert rates[id(named["network.relative.head.weight"])] == pytest.approx(lr)
    assert rates[id(named["network.router.linear.weight"])] == pytest.approx(10 * lr)


def test_the_loss_is_silog_and_the_router_learns_the_scene(
    built: tuple[Metric, torch.nn.Module],
) -> None:
    recipe, module = built
    batch = _batch()
    seen = {}

    def forward(rgb: torch.Tensor, domains: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen["domains"] = domains
        depth, logits = module(rgb, domains)
        seen["depth"], seen["logits"] = depth, logits
        return depth, logits

    total, parts = recipe.loss(forward, batch, 0)
    assert seen["domains"].tolist() == [0, 1]  # the room, the street
    expected = silog(seen["depth"], batch["depth"], batch["valid"], form="zoedepth")
    assert parts["silog"].item() == pytest.approx(expected.item())
    assert total.item() == pytest.approx((parts["silog"] + 100 * parts["router"]).item())
    total.backward()
    assert all(
        p.grad is not None for n, p in module.named_parameters() if n.startswith("network.router")
    )
    assert recipe.deliver(module).spec.max_depth == 80
    assert recipe.deliver(module).spec.preprocess.mean == (0.5, 0.5, 0.5)  # lite's own


def test_the_canonical_camera_scales_the_target(built: tuple[Metric, torch.nn.Module]) -> None:
    recipe = _recipe(options={"canonical_focal_px": 80.0, "max_depth": 10.0})
    network: Any = built[1].network
    recipe._numbers(network)
    batch = _batch()
    total, _ = recipe.loss(lambda rgb, domains: (2 * batch["depth"], None), batch, 0)
    assert total.item() < 1e-3  # at twice the focal length the same picture is twice as far
    assert recipe.deliver(built[1]).spec.kind is DepthKind.SCALED_DEPTH
    assert recipe.deliver(built[1]).spec.canonical_focal_px == 80.0


def test_nothing_is_learned_where_a_network_s_map_ends() -> None:
    recipe, batch = _recipe(model="eigen14-nyu", model_options={}), _batch()
    recipe._count = 1
    depth = (2 * batch["depth"]).requires_grad_()
    right, _ = recipe.loss(lambda rgb, domains: (depth[:, 4:], None), _cut(batch, 4), 0)
    ended = torch.cat([torch.full_like(depth[:, :4], torch.nan), depth[:, 4:]], dim=1)
    total, _ = recipe.loss(lambda rgb, domains: (ended, None), batch, 0)
    assert total.item() == pytest.approx(right.item())
    total.backward()
    assert depth.grad is not None
    assert depth.grad.isfinite().all()
    nothing = torch.full_like(depth, torch.nan)
    assert recipe.loss(lambda rgb, domains: (nothing, None), batch, 0)[0].isnan()


def _cut(batch: dict[str, torch.Tensor], rows: int) -> dict[str, torch.Tensor]:
    return {**batch, **{name: batch[name][:, rows:] for name in ("depth", "valid")}}


@pytest.mark.slow
def test_a_canonical_network_is_measured_in_metres(built: tuple[Metric, torch.nn.Module]) -> None:
    recipe = _recipe(options={"canonical_focal_px": 80.0}, sizes=[[64, 64]], validate_frames=1)
    module = built[1].eval()
    with torch.no_grad():
        found = recipe.validate(module)
    assert 0 < found["abs_rel"] < 100


def test_sources_say_their_domain(built: tuple[Metric, torch.nn.Module]) -> None:
    network: Any = built[1].network
    data = [{"name": "nyu-sync", "root": "a"}, {"name": "kitti-eigen", "root": "b"}]
    recipe = _recipe(data=data, options={"domains": ["outdoor", "indoor"]})
    recipe._numbers(network)
    batch = {**_batch(), "source": torch.tensor([0, 1])}
    assert recipe._domains(batch).tolist() == [1, 0]
    with pytest.raises(UnknownNameError, match="indoor"):
        _recipe(data=data, options={"domains": ["attic", "indoor"]})._numbers(network)
    with pytest.raises(InputError, match="each"):
        _recipe(data=data, options={"domains": ["indoor"]})._numbers(network)
    with pytest.raises(InputError, match="which source"):
        _recipe(data=data)._numbers(network)


def test_relative_weights_go_into_the_relative_part(
    built: tuple[Metric, torch.nn.Module], tmp_path: Path
) -> None:
    network: Any = built[1].network
    wanted = {name: torch.rand_like(v) for name, v in network.relative.named_parameters()}
    buffers = dict(network.relative.named_buffers())
    save_file({**wanted, **buffers}, tmp_path / "lite.safetensors")
    start_from_relative(network, tmp_path / "lite.safetensors")
    found = dict(network.relative.named_parameters())
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    with pytest.raises(InputError, match="no relative part"):
        start_from_relative(torch.nn.Identity(), tmp_path / "lite.safetensors")
