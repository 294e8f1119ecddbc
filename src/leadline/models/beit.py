"""BEiT's vision transformer, patch 16: the encoder of MiDaS 3.1's best networks and of ZoeDepth.

It has no positional embedding. Each block adds to its attention a learned bias that depends on
where one patch lies relative to the other; for another picture size the table of biases is
resampled bilinearly, as MiDaS 3.1 does.

Sources:
    Bao, Dong, Piao, Wei, BEiT: BERT Pre-Training of Image Transformers, ICLR 2022.
    Birkl, Wofk, Müller, MiDaS v3.1, 2023, section 3 (other picture sizes).
    Liu et al., Swin Transformer, ICCV 2021, section 3.2 (relative position bias).

Module names are those of the published checkpoints, so their state dicts load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dinov2 import Mlp, PatchEmbed
from leadline.models.vit import Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASSES = 1000  # of the classifier that the checkpoints still hold
_SPECIAL = 3  # biases class -> patch, patch -> class, class -> class


@dataclass(frozen=True, kw_only=True)
class BeitConfig:
    """Size of a BEiT.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        init_scale: the layer scale at the start of training.
        grid: side of the grid that the table of biases was made for, patches.
        patch: side of a patch, pixels.
    """

    width: int
    depth: int
    heads: int
    init_scale: float
    grid: int = 24
    patch: int = 16


class BeitAttention(nn.Module):
    """Multi-head self-attention with relative position biases; keys have no bias."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, grid: int) -> None:
        super().__init__()
        self.heads = heads
        self.grid = grid
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros((2 * grid - 1) ** 2 + _SPECIAL, heads)
        )
        self.register_buffer("relative_position_index", relative_positions(grid, grid))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, size: tuple[int, int], index: Tensor) -> Tensor:
        """(b, 1 + n, c) -> (b, 1 + n, c).

        Args:
            x: tokens, the class token first.
            size: rows and columns of the patches.
            index: :func:`relative_positions` of that size.
        """
        b, n, c = x.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).reshape(b, n, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (b, heads, n, c / heads)
        mask = self.position_bias(size)[:, index].unsqueeze(0).to(q.dtype)  # (1, heads, n, n)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(x.transpose(1, 2).reshape(b, n, c))

    def position_bias(self, size: tuple[int, int]) -> Tensor:
        """The table of biases for patches in ``size`` rows and columns: (heads, entries)."""
        side = 2 * self.grid - 1
        table = self.relative_position_bias_table.float().t()  # (heads, entries)
        offsets = table[:, :-_SPECIAL].unflatten(1, (side, side)).unsqueeze(0)
        new = (2 * size[0] - 1, 2 * size[1] - 1)
        offsets = F.interpolate(offsets, size=new, mode="bilinear")
        return torch.cat([offsets[0].flatten(1), table[:, -_SPECIAL:]], dim=1)


class BeitBlock(nn.Module):
    """A pre-norm transformer block with layer scale."""

    def __init__(self, config: BeitConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = BeitAttention(width, config.heads, config.grid)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.gamma_1 = nn.Parameter(torch.full((width,), config.init_scale))
        self.gamma_2 = nn.Parameter(torch.full((width,), config.init_scale))

    def forward(self, x: Tensor, size: tuple[int, int], index: Tensor) -> Tensor:
        """(b, 1 + n, c) -> (b, 1 + n, c); see :meth:`BeitAttention.forward`."""
        x = x + self.gamma_1 * self.attn(self.norm1(x), size, index)
        return x + self.gamma_2 * self.mlp(self.norm2(x))


class Beit(nn.Module):
    """The encoder: tokens of the tapped blocks, not normalised, as DPT reads them.

    ``fc_norm`` and ``head`` are held because checkpoints hold them; no depth depends on them.
    """

    def __init__(self, config: BeitConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.patch_embed = PatchEmbed(config.width, config.patch)
        self.blocks = nn.ModuleList(BeitBlock(config) for _ in range(config.depth))
        self.fc_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, _CLASSES)
        nn.init.normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, batch: Tensor, taps: Sequence[int]) -> Taken:
        """(b, 3, h, w), sides multiples of the patch -> what the blocks ``taps`` give."""
        b, _, h, w = batch.shape
        size = (h // self.config.patch, w // self.config.patch)
        index = relative_positions(*size, device=batch.device)
        x = torch.cat([self.cls_token.expand(b, -1, -1), self.patch_embed(batch)], dim=1)
        taken = []
        for number, block in enumerate(self.blocks):
            if number > max(taps):
                break
            x = block(x, size, index)
            if number in taps:
                taken.append(x)
        return Taken((), tuple(taken))


def relative_positions(
    height: int, width: int, *, device: torch.device | str | None = None
) -> Tensor:
    """Which bias a pair of tokens takes, for patches in ``height`` rows and ``width`` columns.

    Returns:
        (1 + n, 1 + n) int64 with n = height * width. Entries below (2 height - 1)(2 width - 1)
        count offsets row by row; the next three are class to patch, patch to class, class to class.
    """
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    dy = rows[:, None] - rows + height - 1  # (h, h)
    dx = columns[:, None] - columns + width - 1  # (w, w)
    pairs = dy[:, None, :, None] * (2 * width - 1) + dx[None, :, None, :]  # (h, w, h, w)
    pairs = pairs.reshape(height * width, height * width)
    count = (2 * height - 1) * (2 * width - 1)
    left = torch.full_like(pairs[:, :1], 0) + count + 1
    top = torch.cat([left[:1] + 1, torch.full_like(pairs[:1], 0) + count], dim=1)
    return torch.cat([top, torch.cat([left, pairs], dim=1)])
