"""The metric head on relative networks: ranges, routing, gradients, options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError  # noqa: E402
from leadline.losses import router_cross_entropy, silog  # noqa: E402
from leadline.models.metric import ENCODERS, Metric, relative_widths  # noqa: E402

QUICK = ("lite", "depth-anything-v2-vits", "midas-v21-small", "dpt-hybrid-384")


def build(encoder: str = "lite", **options: Any) -> Metric:
    torch.manual_seed(0)
    module = models.build("metric", encoder=encoder, **options)
    assert isinstance(module, Metric)
    return module


def pictures(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("head", ["bins", "sigmoid"])
def test_each_domain_keeps_its_range(head: str) -> None:
    module = build(head=head, domains=(("near", 2.0), ("far", 80.0, 20.0)))
    batch = 5 * pictures(2, 3, 64, 96)
    with torch.no_grad():
        out = module.forward_all(batch, domains=torch.tensor([0, 1]))
    assert out.depth.shape == out.relative.shape == (2, 64, 96)
    assert out.domain_logits is not None
    assert 0 < out.depth[0].min() < out.depth[0].max() < 2
    assert 20 < out.depth[1].min() < out.depth[1].max() < 80


@pytest.mark.parametrize("head", ["bins", "sigmoid"])
def test_a_batch_is_its_pictures_one_by_one(head: str) -> None:
    module, batch = build(head=head), pictures(4, 3, 64, 64)
    with torch.no_grad():
        logits = module.forward_all(batch).domain_logits
        assert logits is not None
        even = (logits[:, 0] - logits[:, 1]).sort().values[:2].mean()
        module.router.linear.bias[1] += even + math.log(80 / 10)
        balanced = module.forward_all(batch).domain_logits
        assert balanced is not None
        assert module.router.choose(balanced).unique().numel() == 2
        alone = torch.cat([module(x[None]) for x in batch])
        torch.testing.assert_close(module(batch), alone, rtol=1e-3, atol=1e-4)


def test_the_wider_range_has_to_be_the_more_certain_one() -> None:
    router = build(domains=(("indoor", 10.0), ("outdoor", 80.0))).router
    likely = torch.tensor([0.4, 0.6, 0.87, 0.9, 0.99])  # that it is a road
    chosen = router.choose(torch.stack([1 - likely, likely], dim=1).log())
    assert chosen.tolist() == [0, 0, 0, 1, 1]  # 7 (1 - p) = 0.875 p at 8 / 9


def test_domains_of_one_range_are_chosen_by_likelihood() -> None:
    router = build(domains=(("a", 10.0), ("b", 10.0), ("c", 10.0))).router
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 1.0, 3.0]])
    assert router.choose(logits).tolist() == [0, 1, 2]


@pytest.mark.parametrize("head", ["bins", "sigmoid"])
def test_weights_go_into_a_network_that_was_built_without_any(head: str, tmp_path: Path) -> None:
    module, batch = build(head=head).eval(), pictures(1, 3, 64, 96)
    save_file(module.state_dict(), tmp_path / "metric.safetensors")
    with torch.device("meta"):  # as the runtime does it
        empty = models.build("metric", encoder="lite", head=head)
    models.load_weights(empty, tmp_path / "metric.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(empty.to("cpu").eval()(batch), module(batch))


@pytest.mark.parametrize("head", ["bins", "sigmoid"])
def test_a_step_of_training_lowers_the_loss(head: str) -> None:
    module = build(head=head, width=16, n_bins=8).train()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()
    module.relative.requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=3e-3)
    batch, domains = pictures(2, 3, 64, 64), torch.tensor([0, 1])
    target = torch.stack([torch.full((64, 64), 3.0), torch.full((64, 64), 30.0)])
    losses = []
    for _ in range(12):
        out = module.forward_all(batch, domains)
        assert out.domain_logits is not None
        loss = silog(out.depth, target, target > 0)
        loss = loss + router_cross_entropy(out.domain_logits, domains)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    idle = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


def test_one_domain_has_no_choice() -> None:
    module = build(domains=(("indoor", 10.0),))
    with torch.no_grad():
        out = module.forward_all(pictures(1, 3, 64, 64))
    assert out.domain_logits is None
    assert out.depth.max() < 10


def test_the_relative_network_keeps_its_weights_and_map() -> None:
    module, relative = build(), models.build("lite")
    models.load_weights(module.relative, relative.state_dict())
    batch = pictures(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(module.forward_all(batch).relative, relative(batch))


@pytest.mark.parametrize(
    "encoder",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ENCODERS],
)
def test_every_relative_network_can_carry_it(encoder: str) -> None:
    with torch.device("meta"):
        module = models.build("metric", encoder=encoder)
        side = 4 * module.multiple_of
        assert module(torch.zeros(2, 3, side, side)).shape == (2, side, side)


def test_widths_are_those_of_the_inner_maps() -> None:
    assert relative_widths(models.build, "lite", {}) == (32, 384, (64, 64, 32, 32))
    assert relative_widths(models.build, "depth-anything-v2-vits", {}) == (32, 64, (64, 64, 64, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "linear"}, "one of bins, sigmoid"),
        ({"domains": ()}, "at least one"),
        ({"domains": (("a", 10.0), ("a", 20.0))}, "a name of its own"),
        ({"domains": (("a", -10.0),)}, "positive and increasing"),
        ({"n_attractors": (1, 2)}, "four positive counts"),
        ({"size": 3}, "no option 'size'; it takes encoder"),
        (
            {"encoder": "depth-anything-v2-vits", "encoder_options": {"max_depth": 20.0}},
            "metric already",
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("metric", **{"encoder": "lite", **options})


def test_a_metric_encoder_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="depth-anything-v2-vits"):
        models.build("metric", encoder="depth-anything-v2-metric-indoor-vits")
