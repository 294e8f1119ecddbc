"""DINOv2's vision transformer, patch 14, without register tokens: the encoder of Depth Anything.

Sources:
    Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1.
    Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024.
    Touvron et al., Going deeper with Image Transformers, ICCV 2021, section 2 (LayerScale).
    Shazeer, GLU Variants Improve Transformer, 2020 (SwiGLU, in the giant size).

Module names are those of the published checkpoints, so their state dicts load as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError
from leadline.resample import cubic_far, cubic_near

Positional = Literal["scale", "size"]
"""How the positional grid meets another picture size: ``scale`` by (side + 0.1) / 37, as DINOv2
and Depth Anything do, or ``size`` by side / 37, as transformers does."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Size of a DINOv2 encoder.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        swiglu: gated feed-forward layers (giant) in place of GELU ones.
        patch: side of a patch, pixels.
        grid: side of the stored positional grid, patches.
        mask_token: hold the token of masked training, which no prediction uses, because the
            checkpoints hold it.
        registers: tokens between the class token and the patches, without positions.
        norm_eps: of the norms inside the blocks.
    """

    width: int
    depth: int
    heads: int
    swiglu: bool = False
    patch: int = 14
    grid: int = 37
    mask_token: bool = True
    registers: int = 0
    norm_eps: float = 1e-6


ENCODERS: dict[str, EncoderConfig] = {
    "vits": EncoderConfig(width=384, depth=12, heads=6),
    "vitb": EncoderConfig(width=768, depth=12, heads=12),
    "vitl": EncoderConfig(width=1024, depth=24, heads=16),
    "vitg": EncoderConfig(width=1536, depth=40, heads=24, swiglu=True),
}
"""The encoders that were published."""


def check_taps(encoder: str, taps: Sequence[int]) -> None:
    """Refuse an encoder that does not exist, and all but four increasing blocks of it.

    Raises:
        UnknownNameError: ``encoder`` is no key of :data:`ENCODERS`.
        InputError: ``taps`` are not four of its blocks.
    """
    if encoder not in ENCODERS:
        raise UnknownNameError("encoder", encoder, ENCODERS)
    depth = ENCODERS[encoder].depth
    if len(taps) != 4 or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < depth:
        raise InputError(
            f"taps={taps}: four increasing block numbers from 0 to {depth - 1} are needed for "
            f"{encoder}."
        )


class PatchEmbed(nn.Module):
    """Cuts a picture into patches and projects each to a token."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, n, c), row by row."""
        return self.proj(batch).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        return self.merge(attend(*self.split(x)))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project (b, n, c) to queries, keys and values (b, heads, n, c / heads)."""
        b, n, _ = x.shape
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.reshape(b, n, self.heads, -1).transpose(1, 2) for part in parts)
        return q, k, v

    def merge(self, x: Tensor) -> Tensor:
        """Project the heads' (b, heads, n, c / heads) to (b, n, c)."""
        return self.proj(x.transpose(1, 2).flatten(2))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention, (..., n, c) each, spelled out for exporters.

    Their runtimes recognise the three plain operations and fuse them; what exporters make of the
    fused call has two more transpositions per block.
    """
    if torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling():
        return torch.softmax(q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1), dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v)


class LayerScale(nn.Module):
    """A learned gain per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., c) -> (..., c)."""
        return x * self.gamma


class Mlp(nn.Module):
    """Feed-forward layers with an exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGLU(nn.Module):
    """Feed-forward layers with a SiLU gate; the hidden width is 2/3 of 4c, rounded up to 8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = (int(4 * width * 2 / 3) + 7) // 8 * 8
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class Block(nn.Module):
    """A pre-norm transformer block with LayerScale on both branches."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=config.norm_eps)
        self.attn = Attention(width, config.heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=config.norm_eps)
        self.mlp = SwiGLU(width) if config.swiglu else Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class DinoV2(nn.Module):
    """The encoder: tokens of the tapped blocks, each after the final norm.

    Args:
        config: its size.
        positional: see :data:`Positional`.
        final_eps: of the final norm.

    Raises:
        InputError: ``positional`` is neither.
    """

    def __init__(
        self,
        config: EncoderConfig,
        *,
        positional: Positional = "scale",
        final_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        if positional not in get_args(Positional):
            raise InputError(
                f"positional={positional!r}: needs to be one of {', '.join(get_args(Positional))}; "
                "'scale' is the original authors' rule, 'size' is transformers'."
            )
        self.config = config
        self.positional: Positional = positional
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.width))
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.zeros(1, config.width))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, config.width))
        self.patch_embed = PatchEmbed(config.width, config.patch)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=final_eps)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def embed_positions(self, height: int, width: int) -> Tensor:
        """The positional embedding for a grid of ``height`` x ``width`` patches.

        Returns:
            (1, 1 + height * width, c), the class token's first, in ``pos_embed``'s type.
        """
        g = self.config.grid
        if not torch.compiler.is_compiling() and height == g and width == g:
            return self.pos_embed
        stored = self.pos_embed[0].float()
        grid = resample_positions(
            stored[1:].reshape(g, g, -1), height, width, positional=self.positional
        )
        embedding = torch.cat([stored[:1], grid.flatten(0, 1)])
        return embedding.unsqueeze(0).to(self.pos_embed.dtype)

    def embed(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, 1 + n, c): class token and patches with positions added.

        Registers, where the encoder has them, stand after the class token.
        """
        b, _, h, w = batch.shape
        patches = self.patch_embed(batch)
        tokens = torch.cat([self.cls_token.expand(b, -1, -1), patches], dim=1)
        tokens = tokens + self.embed_positions(h // self.config.patch, w // self.config.patch)
        if not self.config.registers:
            return tokens
        registers = self.register_tokens.expand(b, -1, -1)
        return torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)

    def forward(self, batch: Tensor, taps: Collection[int]) -> list[Tensor]:
        """Tokens after the blocks ``taps``.

        Args:
            batch: (b, 3, h, w), sides multiples of the patch.
            taps: block numbers from 0, increasing. Blocks after the last are not run.

        Returns:
            One (b, 1 + n, c) tensor per tap, normalised; the class token is first.
        """
        return [self.norm(x) for x in self.run_blocks(batch, taps)]

    def run_blocks(self, batch: Tensor, taps: Collection[int]) -> list[Tensor]:
        """:meth:`forward` without the final norm."""
        return take_blocks(self.blocks, self.embed(batch), taps)


def take_blocks(blocks: nn.ModuleList, x: Tensor, taps: Collection[int]) -> list[Tensor]:
    """The tokens after the blocks ``taps``; blocks after the last are not run."""
    taken = []
    for index, block in enumerate(blocks[: max(taps) + 1]):
        x = block(x)
        if index in taps:
            taken.append(x)
    return taken


def resample_positions(
    grid: Tensor, height: int, width: int, *, positional: Positional = "scale"
) -> Tensor:
    """Bicubic (a = -0.75, no antialias) resampling of a square grid of embeddings.

    Equal to ``F.interpolate(mode="bicubic")`` by ``scale_factor=(side + 0.1) / g`` (``scale``) or
    by ``size`` (``size``), and to the grid itself at its own size. Written with gathers, so that
    it traces with dynamic sides and stays in float32 under autocast.

    Args:
        grid: (g, g, c).
        height: rows of the result.
        width: columns of the result.
        positional: see :data:`Positional`.

    Returns:
        (height, width, c).
    """
    g = grid.shape[0]
    rows = torch.arange(height, device=grid.device, dtype=grid.dtype)
    columns = torch.arange(width, device=grid.device, dtype=grid.dtype)
    sides = torch.ones_like(rows).sum(), torch.ones_like(columns).sum()
    offset = torch.zeros_like(sides[0])
    if positional == "scale":
        native = (sides[0] == g) & (sides[1] == g)
        offset = torch.where(native, 0.0, 0.1)
    grid = _resample_first_axis(grid.transpose(0, 1), columns, g / (sides[1] + offset))
    return _resample_first_axis(grid.transpose(0, 1), rows, g / (sides[0] + offset))


def _resample_first_axis(x: Tensor, positions: Tensor, step: Tensor) -> Tensor:
    """Resample (n, ...) at ``(positions + 0.5) * step - 0.5``, clamping beyond the ends."""
    centre = (positions + 0.5) * step - 0.5
    first = centre.floor()
    t = centre - first
    weights = (cubic_far(t + 1), cubic_near(t), cubic_near(1 - t), cubic_far(2 - t))
    total = torch.zeros_like(x[:1])
    for shift, weight in zip((-1, 0, 1, 2), weights, strict=True):
        index = (first + shift).clamp(0, x.shape[0] - 1).long()
        total = total + x.index_select(0, index) * weight[:, None, None]
    return total
