"""Folding changes the operations, not the results."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from leadline.models.dinov2 import Block, DinoV2, EncoderConfig, LayerScale  # noqa: E402
from leadline.models.folding import folded  # noqa: E402


def encoder(*, swiglu: bool = False) -> DinoV2:
    """A small encoder whose gains are not one."""
    torch.manual_seed(3)
    module = DinoV2(EncoderConfig(width=32, depth=3, heads=2, swiglu=swiglu, grid=4)).eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, LayerScale):
                part.gamma.uniform_(-1, 2)
    return module


@pytest.mark.parametrize("spelled_out", [False, True])
@pytest.mark.parametrize("swiglu", [False, True])
def test_it_computes_the_same(swiglu: bool, spelled_out: bool) -> None:
    module = encoder(swiglu=swiglu)
    batch = torch.randn(2, 3, 56, 70)
    with torch.inference_mode():
        expected, given = (
            module(batch, (0, 2)),
            folded(module, spelled_out=spelled_out)(batch, (0, 2)),
        )
    for a, b in zip(expected, given, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_it_has_no_gain_left_and_leaves_the_original_alone() -> None:
    module = encoder()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    twin = folded(module)
    assert not any(isinstance(part, LayerScale) for part in twin.modules())
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_other_networks_come_back_as_they_are() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1))
    assert folded(module) is module
    assert not any(isinstance(part, Block) for part in module.modules())
