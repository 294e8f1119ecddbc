"""Rates over a run, groups of parameters, freezing."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from torch import nn  # noqa: E402

from leadline import models  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.models.base import DepthModule  # noqa: E402
from leadline.training import TrainConfig  # noqa: E402
from leadline.training.engine.optimise import (  # noqa: E402
    freeze,
    make_optimizer,
    rate_factor,
    set_rates,
)
from leadline.training.network import group_parameters  # noqa: E402


def factors(**changes):
    config = TrainConfig().updated({"steps": 100, "warmup": 10, **changes})
    return [rate_factor(config, step) for step in range(100)]


def test_cosine_warms_up_and_ends_near_zero():
    found = factors(schedule="cosine")
    assert found[0] == pytest.approx(0.1)
    assert found[10] == pytest.approx(1.0)
    assert found[55] == pytest.approx(0.5)
    assert found[-1] < 0.001


def test_poly_follows_its_power():
    assert factors(schedule="poly", power=2.0)[55] == pytest.approx(0.25)


def test_step_drops_at_its_milestones():
    found = factors(schedule="step", milestones=[0.5, 0.8], factor=0.1)
    assert found[49] == pytest.approx(1)
    assert found[50] == pytest.approx(0.1)
    assert found[80] == pytest.approx(0.01)


def test_constant_stays():
    assert set(factors(schedule="constant")[10:]) == {1.0}


@pytest.mark.parametrize(("pct_start", "rise_from"), [(0.3, 1 / 25), (0.7, 1.0)])
def test_one_cycle_is_pytorchs(pct_start, rise_from):
    config = TrainConfig().updated(
        {
            "steps": 1001,
            "schedule": "one-cycle",
            "pct_start": pct_start,
            "rise_from": rise_from,
            "momentum_cycle": [0.85, 0.95],
        }
    )
    ours, theirs = (
        torch.optim.AdamW([{"params": [nn.Parameter(torch.zeros(1))], "peak": 1.0}], lr=1.0)
        for _ in range(2)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        theirs, 1.0, total_steps=1001, pct_start=pct_start, div_factor=1 / rise_from
    )
    for step in range(1001):
        set_rates(ours, config, step)
        mine, group = ours.param_groups[0], theirs.param_groups[0]
        assert mine["lr"] == pytest.approx(group["lr"], rel=1e-9, abs=1e-12)
        assert mine["betas"][0] == pytest.approx(group["betas"][0], rel=1e-9)
        theirs.step()
        schedule.step()


class Net(DepthModule):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.decoder = nn.Conv2d(4, 1, 3)

    def encoder_parts(self):
        return (self.encoder,)


def test_groups_have_the_encoders_rate_and_spare_vectors():
    config = TrainConfig().updated({"lr": 1.0, "encoder_lr": 0.1, "weight_decay": 0.3})
    net = Net()
    rates = {}
    for group in group_parameters(net, config):
        for parameter in group["params"]:
            rates[id(parameter)] = (group["lr"], group["weight_decay"])
    assert rates[id(net.encoder[0].weight)] == (0.1, 0.3)
    assert rates[id(net.encoder[1].weight)] == (0.1, 0.0)
    assert rates[id(net.decoder.weight)] == (1.0, 0.3)
    assert rates[id(net.decoder.bias)] == (1.0, 0.0)


@pytest.mark.parametrize("name", ["fastdepth", "fastdepth-plain"])
def test_fastdepths_encoder_has_the_encoders_rate(name):
    config = TrainConfig().updated({"lr": 1.0, "encoder_lr": 0.1})
    with torch.device("meta"):
        network = models.build(name)
    groups = group_parameters(network, config)
    rates = {p: group["lr"] for group in groups for p in group["params"]}
    first = network.mobilenet[0] if name == "fastdepth-plain" else network.conv0
    last = network.decoder.conv6 if name == "fastdepth-plain" else network.decode_conv6
    assert {rates[p] for p in first.parameters()} == {0.1}
    assert {rates[p] for p in last.parameters()} == {1.0}


def test_rates_scale_every_groups_peak():
    config = TrainConfig().updated({"steps": 10, "warmup": 4, "lr": 1.0, "encoder_lr": 0.1})
    optimizer = make_optimizer(group_parameters(Net(), config), config)
    set_rates(optimizer, config, 1)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.05, 0.5])


def test_frozen_part_keeps_weights_and_statistics():
    net = Net().train()
    freeze(net, ("encoder",), frozen=True)
    assert not net.encoder[0].weight.requires_grad
    assert not net.encoder[1].training
    assert net.decoder.weight.requires_grad
    freeze(net, ("encoder",), frozen=False)
    assert net.encoder[0].weight.requires_grad
    assert net.encoder[1].training


def test_freezing_what_is_not_there_lists_what_is():
    with pytest.raises(InputError, match="decoder, encoder"):
        freeze(Net(), ("backbone",), frozen=True)


def test_nothing_left_to_learn_is_refused():
    with pytest.raises(InputError, match="frozen"):
        make_optimizer([{"params": [], "lr": 1.0}], TrainConfig())


def test_amsgrad_is_adam_with_the_largest_moment():
    config = TrainConfig().updated({"optimizer": "amsgrad"})
    optimizer = make_optimizer(group_parameters(Net(), config), config)
    assert type(optimizer) is torch.optim.Adam
    assert all(group["amsgrad"] for group in optimizer.param_groups)
