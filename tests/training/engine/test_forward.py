"""How a module is called: float32 out, the same gradients from recomputed blocks."""

from collections import namedtuple

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from torch import nn  # noqa: E402

from leadline.training.engine.forward import (  # noqa: E402
    Forwarding,
    as_float32,
    checkpoint_activations,
    repeated_blocks,
)

Pair = namedtuple("Pair", "near far")


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.GELU()) for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def test_half_precision_comes_out_as_float32():
    half = torch.ones(2, dtype=torch.bfloat16)
    count = torch.ones(2, dtype=torch.int64)
    found = as_float32({"a": [half, count], "b": Pair(half, (half,))})
    assert found["a"][0].dtype == torch.float32
    assert found["a"][1].dtype == torch.int64
    assert isinstance(found["b"], Pair)
    assert found["b"].far[0].dtype == torch.float32


def test_bf16_computes_in_bf16_and_gives_float32():
    module, seen = Blocks(), []
    module.blocks[0].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    out = Forwarding(module, "bf16", torch.device("cpu"))(torch.rand(2, 4))
    assert seen == [torch.bfloat16]
    assert out.dtype == torch.float32


def test_recomputed_blocks_give_the_same_gradients():
    plain, recomputed, x = Blocks(), Blocks(), torch.rand(2, 4)
    checkpoint_activations(recomputed)
    runs = []
    recomputed.blocks[1][0].register_forward_hook(lambda m, i, out: runs.append(1))
    plain(x).sum().backward()
    recomputed.train()(x).sum().backward()
    assert len(runs) == 2
    for one, two in zip(plain.parameters(), recomputed.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)
    assert plain.state_dict().keys() == recomputed.state_dict().keys()


def test_blocks_are_found_inside_encoders():
    assert len(repeated_blocks(nn.ModuleDict({"encoder": Blocks()}))) == 3


@pytest.mark.parametrize(("clip", "largest"), [(0.5, 0.5), (0.0, None)])
def test_gradient_is_clipped_to_its_norm(clip, largest):
    module = nn.Linear(4, 1)
    forward = Forwarding(module, "off", torch.device("cpu"))
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    before = [p.detach().clone() for p in module.parameters()]
    forward.backward(100 * forward(torch.ones(1, 4)).sum())
    norm = forward.finish(optimizer, clip)
    moved = torch.cat(
        [(p - b).flatten() for p, b in zip(module.parameters(), before, strict=True)]
    ).norm()
    assert norm > 100
    assert moved.item() == pytest.approx(largest or norm.item(), rel=1e-4)


def test_not_finite_gradient_changes_no_weight():
    module = nn.Linear(4, 1)
    forward = Forwarding(module, "off", torch.device("cpu"))
    before = module.weight.detach().clone()
    forward.backward(forward(torch.full((1, 4), torch.nan)).sum())
    norm = forward.finish(torch.optim.SGD(module.parameters(), lr=1.0), 1.0)
    assert not norm.isfinite()
    assert torch.equal(module.weight, before)
