"""MiDaS v2.1: equal to the original, every inner map; the large network's shape and quirk."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.models.dpt import FeatureFusionBlock, ResidualConvUnit  # noqa: E402
from leadline.models.midas import CONFIGS, Midas, pad_same  # noqa: E402
from testing.goldens import filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402


@pytest.fixture(scope="module")
def small() -> Midas:
    golden = load_golden("midas_small", extract=True)
    module = models.build("midas-v21-small")
    models.load_weights(module, golden.weights(module))
    assert isinstance(module, Midas)
    return module


@pytest.mark.parametrize("extract", [True, False])
@pytest.mark.parametrize("case", ["a", "b", "train256"])
def test_every_inner_map_equals_the_original(small: Midas, case: str, extract: bool) -> None:
    golden = load_golden("midas_small", extract=extract)
    batch = torch.from_numpy(golden.input(case))
    output, maps = watch(small, lambda: small(batch))
    maps["output"] = output
    for what in golden.keys(case):
        assert golden.relative_error(f"{case}/{what}", maps[what].numpy()) < 1e-5, what


def test_names_shapes_and_types_match_the_originals(small: Midas) -> None:
    stored = load_golden("midas_small").meta["models"]["model"]["state_dict"]
    ours = {
        name: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
        for name, tensor in small.state_dict().items()
    }
    assert ours == stored


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [("midas-v21-small", 482, 21_320_545), ("midas-v21", 666, 105_362_945)],
)
def test_counts_are_the_published_ones(name: str, tensors: int, parameters: int) -> None:
    with torch.device("meta"):
        module = models.build(name)
    assert len(module.state_dict()) == tensors
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert module(torch.zeros(2, 3, 64, 96, device="meta")).shape == (2, 64, 96)


def test_the_large_networks_names_are_the_published_ones() -> None:
    with torch.device("meta"):
        state = models.build("midas-v21").state_dict()
    assert state["pretrained.layer1.0.weight"].shape == (64, 3, 7, 7)
    assert state["pretrained.layer1.4.0.conv2.weight"].shape == (256, 8, 3, 3)
    assert state["pretrained.layer3.22.conv3.weight"].shape == (1024, 1024, 1, 1)
    assert state["pretrained.layer4.0.downsample.1.running_mean"].shape == (2048,)
    assert state["scratch.output_conv.0.weight"].shape == (128, 256, 3, 3)
    assert not any("out_conv" in name for name in state)


def test_a_meta_module_takes_weights_and_moves() -> None:
    with torch.device("meta"):
        module = models.build("midas-v21-small")
    state = filled(models.build("midas-v21-small"))
    counters = {name for name in state if name.endswith("num_batches_tracked")}
    models.load_weights(module, {k: v for k, v in state.items() if k not in counters})
    module.to("cpu", torch.float64)
    assert not any(tensor.is_meta for tensor in module.state_dict().values())


def test_the_large_networks_residual_adds_the_rectified_input() -> None:
    unit = ResidualConvUnit(4, residual_relu=True)
    for parameter in unit.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(unit(x), x.relu())
    block = FeatureFusionBlock(4, residual_relu=True, project=False)
    assert not any("out_conv" in name for name in block.state_dict())
    with torch.device("meta"):
        large, small = models.build("midas-v21"), models.build("midas-v21-small")
    for module, expected in ((large, True), (small, False)):
        units = [m for m in module.modules() if isinstance(m, ResidualConvUnit)]
        assert [m.residual_relu for m in units] == [expected] * 8


def test_same_padding_is_tensorflows() -> None:
    x = torch.ones(1, 1, 4, 4)
    assert pad_same(x, 3, 2).shape == (1, 1, 5, 5)
    assert pad_same(x, 3, 2)[0, 0, 0, 0] == 1  # nothing before, one after
    assert pad_same(x, 5, 2)[0, 0, 0, 0] == 0  # one before, two after
    assert pad_same(x, 3, 1).shape == (1, 1, 6, 6)


def test_other_sizes_and_options_are_refused(small: Midas) -> None:
    with pytest.raises(InputError, match="multiples of 32"):
        small(torch.zeros(1, 3, 64, 48))
    with pytest.raises(InputError, match="no option 'feature'"):
        models.build("midas-v21-small", feature=3)
    with pytest.raises(InputError, match="efficientnet-lite3, resnext101"):
        models.build("midas-v21-small", encoder="resnet")


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {name for name in models.names() if name.startswith("midas-")} == set(CONFIGS)


def test_gradients_reach_every_used_weight(small: Midas) -> None:
    module = models.build("midas-v21-small").train()
    models.load_weights(module, small.state_dict())
    module(torch.randn(2, 3, 64, 64)).square().mean().backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None}
    assert {name.rsplit(".", 2)[0] for name in idle} == {"scratch.refinenet4.resConfUnit1"}
