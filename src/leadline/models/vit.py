"""The plain vision transformer, patch 16, and its hybrid with a ResNet: DPT's first encoders.

Sources:
    Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1.
    Kolesnikov et al., Big Transfer (BiT), ECCV 2020 (group norm, weight standardisation).
    Qiao et al., Weight Standardization, 2019.

Module names are those of the published checkpoints, so their state dicts load as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dinov2 import Attention, Mlp, PatchEmbed, take_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASSES = 1000  # of the classifier that the checkpoints still hold
_STANDARDISE_EPS = 1e-8


@dataclass(frozen=True, kw_only=True)
class VitConfig:
    """Size of a vision transformer.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        grid: side of the stored positional grid, patches.
        patch: side of a patch, pixels.
        stages: blocks of the ResNet's stages that make the patches; none for a plain transformer.
    """

    width: int
    depth: int
    heads: int
    grid: int = 24
    patch: int = 16
    stages: tuple[int, ...] = ()


class Taken(NamedTuple):
    """What a decoder reads from an encoder.

    Attributes:
        maps: (b, c, h, w) of the ResNet's first two stages; none without a ResNet.
        tokens: (b, 1 + n, c) after each tapped block, the class token first.
    """

    maps: tuple[Tensor, ...]
    tokens: tuple[Tensor, ...]


class VitBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, c) -> (b, n, c)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """The encoder: tokens of the tapped blocks, not normalised, as DPT reads them.

    ``norm`` and ``head`` are held because checkpoints hold them; no depth depends on them.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, width))
        self.patch_embed: PatchEmbed | HybridEmbed = (
            HybridEmbed(width, config.stages) if config.stages else PatchEmbed(width, config.patch)
        )
        self.blocks = nn.ModuleList(VitBlock(width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, _CLASSES)
        nn.init.normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def embed_positions(self, height: int, width: int) -> Tensor:
        """The positional embedding, bilinear, for a grid of ``height`` x ``width`` patches.

        Returns:
            (1, 1 + height * width, c), the class token's first.
        """
        g = self.config.grid
        if not torch.compiler.is_compiling() and (height, width) == (g, g):
            return self.pos_embed
        stored = self.pos_embed[:, 1:].unflatten(1, (g, g)).permute(0, 3, 1, 2)
        resized = F.interpolate(stored.float(), size=(height, width), mode="bilinear")
        grid = resized.to(stored.dtype).flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], grid], dim=1)

    def forward(self, batch: Tensor, taps: Sequence[int]) -> Taken:
        """(b, 3, h, w), sides multiples of the patch -> what the blocks ``taps`` give."""
        b, _, h, w = batch.shape
        maps: tuple[Tensor, ...] = ()
        if isinstance(self.patch_embed, HybridEmbed):
            maps, patches = self.patch_embed(batch)
        else:
            patches = self.patch_embed(batch)
        x = torch.cat([self.cls_token.expand(b, -1, -1), patches], dim=1)
        x = x + self.embed_positions(h // self.config.patch, w // self.config.patch)
        return Taken(maps, tuple(take_blocks(self.blocks, x, taps)))


# --- the hybrid's ResNet -------------------------------------------------------------------------


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1, padded as TensorFlow pads.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side.
        stride: 1, or 2 for even sides.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(b, c, h, w) -> (b, c', h / stride, w / stride)."""
        filters = self.weight.flatten(1)  # (c', c * k * k)
        variance, mean = torch.var_mean(filters, dim=1, correction=0, keepdim=True)
        filters = (filters - mean) * torch.rsqrt(variance + _STANDARDISE_EPS)
        padded = _pad_same(input, self.kernel_size[0], self.stride[0])
        return F.conv2d(padded, filters.view_as(self.weight), None, self.stride)


class PreActivation(nn.GroupNorm):
    """Group normalisation with 32 groups, rectified when ``rectify``."""

    def __init__(self, channels: int, *, rectify: bool = True) -> None:
        super().__init__(32, channels)
        self.rectify = rectify

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(b, c, h, w) -> (b, c, h, w)."""
        out = super().forward(input)
        return F.relu(out) if self.rectify else out


class Downsample(nn.Module):
    """The shortcut of a stage's first block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = StandardisedConv2d(inputs, outputs, 1, stride)
        self.norm = PreActivation(outputs, rectify=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h / stride, w / stride)."""
        return self.norm(self.conv(x))


class ResNetBlock(nn.Module):
    """A bottleneck block with group norms."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        width = outputs // 4
        self.downsample = (
            Downsample(inputs, outputs, stride) if inputs != outputs else nn.Identity()
        )
        self.conv1 = StandardisedConv2d(inputs, width, 1)
        self.norm1 = PreActivation(width)
        self.conv2 = StandardisedConv2d(width, width, 3, stride)
        self.norm2 = PreActivation(width)
        self.conv3 = StandardisedConv2d(width, outputs, 1)
        self.norm3 = PreActivation(outputs, rectify=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h / stride, w / stride)."""
        out = self.norm1(self.conv1(x))
        out = self.norm2(self.conv2(out))
        return F.relu(self.norm3(self.conv3(out)) + self.downsample(x))


class ResNetStage(nn.Module):
    """Blocks at one resolution; the first may halve it."""

    def __init__(self, inputs: int, outputs: int, count: int, stride: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                ResNetBlock(outputs if i else inputs, outputs, 1 if i else stride)
                for i in range(count)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h / stride, w / stride)."""
        return self.blocks(x)


class Stem(nn.Module):
    """7x7 and pooling: to a quarter of the sides."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = StandardisedConv2d(3, outputs, 7, 2)
        self.norm = PreActivation(outputs)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, c, h / 4, w / 4)."""
        x = _pad_same(self.norm(self.conv(batch)), 3, 2, value=-torch.inf)
        return F.max_pool2d(x, 3, 2)


class ResNet(nn.Module):
    """The hybrid's ``backbone``: stages at strides 4, 8 and 16 with 256, 512 and 1024 channels."""

    def __init__(self, counts: Sequence[int]) -> None:
        super().__init__()
        channels = [64, *(256 * 2**i for i in range(len(counts)))]
        self.stem = Stem(64)
        self.stages = nn.ModuleList(
            ResNetStage(channels[i], channels[i + 1], count, 2 if i else 1)
            for i, count in enumerate(counts)
        )

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        """(b, 3, h, w) -> the map of each stage, fine to coarse."""
        x = self.stem(batch)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class HybridEmbed(nn.Module):
    """Patches of 16 pixels as a ResNet sees them."""

    def __init__(self, width: int, counts: Sequence[int]) -> None:
        super().__init__()
        self.backbone = ResNet(counts)
        self.proj = nn.Conv2d(256 * 2 ** (len(counts) - 1), width, 1)

    def forward(self, batch: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """(b, 3, h, w) -> the first two stages' maps, and tokens (b, n, c)."""
        *fine, last = self.backbone(batch)
        return tuple(fine), self.proj(last).flatten(2).transpose(1, 2)


def _pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    total = max(kernel - stride, 0)
    if total == 0:
        return x
    before = total // 2
    return F.pad(x, (before, total - before, before, total - before), value=value)
