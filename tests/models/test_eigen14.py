"""Eigen 2014: the paper's sizes, its layers by hand, and where the map lies in the picture."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.models.eigen14 import Eigen14  # noqa: E402
from testing.convolutional import outputs_of_layers  # noqa: E402

SIZES = {"eigen14-nyu": (228, 304), "eigen14-kitti": (172, 576)}
MAPS = {"eigen14-nyu": (55, 74), "eigen14-kitti": (27, 142)}


def build(name: str, **options: object) -> Eigen14:
    module = models.build(name, **options)
    assert isinstance(module, Eigen14)
    return module


@pytest.mark.parametrize(
    ("name", "shapes"),
    [  # the paper's figure 1, and the released layer table for what lies between
        (
            "eigen14-nyu",
            {
                "coarse.conv1": (96, 56, 75),
                "coarse.conv2": (256, 27, 37),
                "coarse.conv3": (384, 13, 18),
                "coarse.conv5": (256, 13, 18),
                "coarse.full1": (4096,),
                "coarse.full2": (55 * 74,),
                "fine.conv1": (64, 111, 149),
                "fine.conv2": (64, 55, 74),
                "fine.conv3": (1, 55, 74),
            },
        ),
        (
            "eigen14-kitti",
            {
                "coarse.conv2": (256, 20, 71),
                "coarse.conv3": (384, 9, 35),
                "coarse.full2": (27 * 142,),
                "fine.conv2": (64, 27, 142),
            },
        ),
    ],
)
def test_sizes_are_the_papers(name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    module = build(name)
    seen, output = outputs_of_layers(module, list(shapes), torch.rand(1, 3, *SIZES[name]))
    assert {n: tuple(t.shape[1:]) for n, t in seen.items()} == shapes
    assert tuple(output.shape) == (1, *MAPS[name])
    assert module.coarse.full1.in_features == {"eigen14-nyu": 12288, "eigen14-kitti": 17408}[name]


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [("eigen14-nyu", 70_877_415, 2.23), ("eigen14-kitti", 90_882_043, 2.91)],
)
def test_size(name: str, parameters: int, gmacs: float) -> None:
    """FastDepth's table has 2.06 GMAC for this network at 228x304; the layers above make 2.23."""
    with torch.device("meta"):
        module, batch = models.build(name), torch.empty(1, 3, *SIZES[name])
    assert sum(p.numel() for p in module.parameters()) == parameters
    with FlopCounterMode(display=False) as counter:
        module(batch)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, abs=0.01)


def by_hand(module: Eigen14, batch: torch.Tensor) -> torch.Tensor:
    """The forward pass written out again from the released layer table, for NYU."""
    c, f = module.coarse, module.fine

    def conv(x: torch.Tensor, layer: torch.nn.Conv2d, pad: int, stride: int = 1) -> torch.Tensor:
        return F.conv2d(F.pad(x, (pad, pad, pad, pad)), layer.weight, layer.bias, stride=stride)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)  # alpha over the window

    x = batch * 255 - 128
    x = norm(F.relu(F.max_pool2d(conv(x, c.conv1, 2, 4), 3, 2)))
    x = norm(F.relu(F.max_pool2d(conv(x, c.conv2, 2), 3, 2)))
    x = F.relu(conv(F.relu(conv(x, c.conv3, 1)), c.conv4, 1))
    x = F.relu(F.max_pool2d(conv(x, c.conv5, 1), 3, 2))
    x = F.relu(F.linear(x.flatten(1) * 0.01, c.full1.weight, c.full1.bias))
    coarse = F.linear(x, c.full2.weight, c.full2.bias).reshape(-1, 1, 55, 74)
    y = (batch * 255 - 109.31410628) / 76.18328376
    y = F.max_pool2d(F.relu(conv(y, f.conv1, 1, 2)), 3, 2)
    y = torch.cat([coarse, y[:, 1:]], dim=1)
    y = conv(F.relu(conv(y, f.conv2, 2)), f.conv3, 2)
    return (y.squeeze(1) * 0.45723134).exp()


def test_equals_the_layer_table_by_hand() -> None:
    torch.manual_seed(0)
    module, batch = build("eigen14-nyu"), torch.rand(2, 3, 228, 304)
    with torch.no_grad():
        for parameter in module.parameters():  # large enough that no term drowns
            parameter.add_(0.02 * torch.randn_like(parameter))
        torch.testing.assert_close(module(batch), by_hand(module, batch), rtol=1e-4, atol=1e-5)


def test_the_coarse_map_replaces_channel_zero() -> None:
    """The fine stack's own first channel reaches nothing; the coarse map reaches everything."""
    torch.manual_seed(0)
    module, batch = build("eigen14-nyu"), torch.rand(1, 3, 228, 304)
    with torch.no_grad():
        before = module(batch)
        module.fine.conv1.weight[0] += 1
        assert torch.equal(module(batch), before)
        module.coarse.full2.bias += 1
        assert not torch.equal(module(batch), before)


def test_an_untrained_network_predicts_the_mean_log_depth() -> None:
    torch.manual_seed(0)
    module = build("eigen14-nyu")
    with torch.no_grad():
        coarse = module.forward_all(torch.rand(1, 3, 228, 304)).coarse_log_depth
    assert coarse.mean() == pytest.approx(0.82473954, abs=0.02)


def test_outputs_agree() -> None:
    torch.manual_seed(0)
    metres = build("eigen14-nyu")
    logs = build("eigen14-nyu", output="log_depth")
    logs.load_state_dict(metres.state_dict())
    x = torch.rand(1, 3, 228, 304)
    with torch.no_grad():
        torch.testing.assert_close(logs(x).exp(), metres(x))
        torch.testing.assert_close(metres.forward_all(x).depth, metres(x))


@pytest.mark.parametrize("name", ["eigen14-nyu", "eigen14-kitti"])
def test_fine_cell_i_looks_at_pixel_4i_plus_5(name: str) -> None:
    """The gradient of one cell of the first fine layer is centred there, as the targets are."""
    module = build(name)
    torch.nn.init.constant_(module.fine.conv1.weight, 1.0)
    x = torch.rand(1, 3, *SIZES[name], requires_grad=True)
    cell = F.avg_pool2d(module.fine.conv1(x), 3, 2)[0, 0, 20, 30]
    (gradient,) = torch.autograd.grad(cell, x)
    rows, columns = gradient[0, 0].abs().sum(1), gradient[0, 0].abs().sum(0)
    centre_y = (rows * torch.arange(rows.numel())).sum() / rows.sum()
    centre_x = (columns * torch.arange(columns.numel())).sum() / columns.sum()
    assert centre_y == pytest.approx(4 * 20 + 5, abs=1e-2)
    assert centre_x == pytest.approx(4 * 30 + 5, abs=1e-2)


def test_kittis_rows_are_the_evaluation_crop() -> None:
    """Rows 13 to 40 of 41, placed in the halved frame of 184 rows, are the published crop."""
    module = build("eigen14-kitti")
    first, past = module.rows.start, module.rows.stop
    assert (first, past) == (13, 40)
    margin = (184 - 172) // 2
    top, bottom = margin + 4 * first + 3.5, margin + 4 * past + 3.5  # the cells' outer edges
    assert top / 184 == pytest.approx(0.3324324, abs=0.01)
    assert bottom / 184 == pytest.approx(0.91351351, abs=0.01)
    left, right = (612 - 576) / 2 + 3.5, (612 - 576) / 2 + 4 * 142 + 3.5
    assert left / 612 == pytest.approx(0.03594771, abs=0.005)
    assert right / 612 == pytest.approx(0.96405229, abs=0.005)


@pytest.mark.parametrize("name", ["eigen14-nyu", "eigen14-kitti"])
def test_the_whole_frame_has_the_map_where_it_belongs(name: str) -> None:
    module = build(name, full_frame=True)
    (height, width), (h, w) = SIZES[name], MAPS[name]
    pixel_y = 4 * (torch.arange(h) + module.rows.start) + 5.0
    values = pixel_y[:, None] + 1000 * (4 * torch.arange(w) + 5.0)  # each cell says its pixel
    spread = module._over_whole_frame(values[None])[0]
    assert spread.shape == (height // 4, width // 4)
    y = 4 * torch.arange(height // 4) + 1.5
    x = 4 * torch.arange(width // 4) + 1.5
    expected = y.clamp(pixel_y[0], pixel_y[-1])[:, None] + 1000 * x.clamp(5, 4 * w + 1)
    known = spread.isfinite()
    torch.testing.assert_close(spread[known], expected[known], rtol=1e-5, atol=0.1)
    rows = known.any(1).nonzero().flatten()
    assert rows[0] * 4 == pytest.approx(pixel_y[0] - 5, abs=4)
    assert known.float().mean() > {"eigen14-nyu": 0.95, "eigen14-kitti": 0.6}[name]


def test_second_stage_freezes_the_coarse_stack() -> None:
    module = build("eigen14-nyu").train()
    module.freeze_coarse()
    module(torch.rand(1, 3, 228, 304)).mean().backward()
    assert all(p.grad is None for p in module.coarse.parameters())
    assert all(p.grad is not None for p in module.fine.parameters())
    assert not module.coarse.training  # its dropout is off
    module.freeze_coarse(False)
    assert module.coarse.training
    assert all(p.requires_grad for p in module.coarse.parameters())


def test_parameter_groups_hold_everything_once() -> None:
    module = build("eigen14-nyu")
    groups = module.parameter_groups(0.5)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters())
    assert [group["lr"] for group in groups] == [0.0005, 0.05, 0.0005, 0.005]


@pytest.mark.parametrize("name", ["eigen14-nyu", "eigen14-kitti"])
def test_another_size_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="x".join(map(str, SIZES[name]))):
        build(name)(torch.rand(1, 3, 240, 320))


def test_bad_options_say_what_is_needed() -> None:
    with pytest.raises(InputError, match="rows within 0 to 41"):
        build("eigen14-kitti", fine_rows=(20, 50))
    with pytest.raises(InputError, match="log_depth_std"):
        build("eigen14-nyu", log_depth_std=0.0)
    with pytest.raises(InputError, match="at least 128"):
        build("eigen14-nyu", size=(64, 64))


def test_another_input_size_can_be_built() -> None:
    module = build("eigen14-nyu", size=(172, 228))
    with torch.no_grad():
        depth = module(torch.rand(1, 3, 172, 228))
    assert depth.shape == (1, 41, 55)
    assert math.isfinite(depth.sum())
