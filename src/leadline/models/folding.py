"""Folding: the same network with fewer operations, for files that only predict.

What a training network keeps apart and a predicting one need not, as exact algebra on the weights
of DINOv2's blocks:

- the gain of LayerScale becomes part of the linear layer before it;
- the attention's factor 1 / sqrt(c / heads) becomes part of the query's weights.

Source: Touvron et al., Going deeper with Image Transformers, ICCV 2021, section 2 (LayerScale);
Vaswani et al., Attention Is All You Need, 2017, section 3.2.1 (the factor).
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dinov2 import Attention, Block, Mlp

Module = TypeVar("Module", bound=nn.Module)


class FoldedAttention(nn.Module):
    """Multi-head self-attention whose queries are already scaled.

    Args:
        source: the attention that this one equals.
        gain: (c,) factor of the result, LayerScale's.
        spelled_out: as three plain operations in place of one call.
    """

    def __init__(self, source: Attention, gain: Tensor, *, spelled_out: bool) -> None:
        super().__init__()
        self.spelled_out = spelled_out
        width = source.proj.in_features
        factor = torch.ones(3 * width)
        factor[:width] = (width // source.heads) ** -0.5
        self.heads = source.heads
        self.qkv = _scaled(source.qkv, factor)
        self.proj = _scaled(source.proj, gain)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        b, n, c = x.shape
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.reshape(b, n, self.heads, -1).transpose(1, 2) for part in parts)
        if self.spelled_out:
            x = torch.softmax(q @ k.transpose(-2, -1), dim=-1) @ v  # (b, heads, n, c / heads)
        else:
            x = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


def folded(module: Module, *, spelled_out: bool = False) -> Module:
    """A copy of ``module`` that computes the same with fewer operations.

    Args:
        module: any network.
        spelled_out: write attention as two products and a softmax, which runtimes recognise in
            ONNX; OpenVINO's own format has one operation for it.

    A module without DINOv2 blocks is returned as it is, and so are blocks of subclasses, whose
    attention does more (Depth Anything 3's rotary one). The copy has other tensor names, so it is
    for running and exporting, not for saving.
    """
    if not any(type(part) is Block for part in module.modules()):
        return module
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for part in [part for part in twin.modules() if type(part) is Block]:
            _fold(part, spelled_out=spelled_out)
    return twin


def _fold(block: Block, *, spelled_out: bool) -> None:
    last = "fc2" if isinstance(block.mlp, Mlp) else "w3"
    setattr(block.mlp, last, _scaled(getattr(block.mlp, last), block.ls2.gamma))
    folds: dict[str, nn.Module] = {
        "attn": FoldedAttention(block.attn, block.ls1.gamma, spelled_out=spelled_out),
        "ls1": nn.Identity(),
        "ls2": nn.Identity(),
    }
    for name, part in folds.items():
        setattr(block, name, part)


def _scaled(layer: nn.Linear, gain: Tensor) -> nn.Linear:
    return _linear(layer.weight * gain[:, None], layer.bias * gain)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    return layer
