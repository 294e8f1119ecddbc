"""Depth Anything 3's DPT heads: depth with rays, and depth with sky.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), section 3 (dual DPT head); Ranftl et
al., Vision Transformers for Dense Prediction, ICCV 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from leadline.models.dpt import (
    FeatureFusionBlock,
    FusionNeck,
    Reassembly,
    Size,
    resize,
    run_in_float32,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEVELS = 4
_WIDTH = 32  # channels before the last 1x1 convolution
_EMBEDDING_GAIN = 0.1
_BASE = 100.0


class DualMaps(NamedTuple):
    """What the dual head gives.

    Attributes:
        depth: (b, h, w), positive, up to one scale.
        depth_conf: (b, h, w), above 1.
        rays: (b, 6, 8 rows, 8 columns) of patches: direction, then origin, in the world's axes.
        ray_conf: (b, 8 rows, 8 columns), above 1.
    """

    depth: Tensor
    depth_conf: Tensor
    rays: Tensor
    ray_conf: Tensor


def uv_embedding(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sines and cosines of where a pixel lies in the picture, in half diagonals from its middle.

    Args:
        height: rows.
        width: columns.
        channels: a multiple of 4: half for the column, half for the row, each sines, then cosines.
        like: gives the type and the device.

    Returns:
        (channels, height, width), as it is added to features.
    """
    columns = torch.arange(width, device=like.device, dtype=torch.float32)
    rows = torch.arange(height, device=like.device, dtype=torch.float32)
    w, h = torch.ones_like(columns).sum(), torch.ones_like(rows).sum()  # tensors also in a trace
    diagonal = (w * w + h * h).sqrt()
    u, v = (2 * columns + 1 - w) / diagonal, (2 * rows + 1 - h) / diagonal
    waves = channels // 4
    exponents = torch.arange(waves, device=like.device, dtype=torch.float32) / waves
    frequencies = _BASE**-exponents

    def embed(places: Tensor) -> Tensor:
        angles = frequencies[:, None] * places  # (waves, n)
        return torch.cat([angles.sin(), angles.cos()])

    across = embed(u)[:, None, :].expand(-1, height, -1)
    down = embed(v)[:, :, None].expand(-1, -1, width)
    return (torch.cat([across, down]) * _EMBEDDING_GAIN).to(like.dtype)


def add_uv(x: Tensor) -> Tensor:
    """(b, c, h, w) with :func:`uv_embedding` added."""
    return x + uv_embedding(x.shape[-2], x.shape[-1], x.shape[1], x)


class DualScratch(FusionNeck):
    """The fusion stage with two chains over the same levels, and the output convolutions of both.

    Only the last of the four auxiliary outputs is used; the checkpoints hold all. Their norm is one
    module. The coarsest level has no skip, and the checkpoints no unit for it.
    """

    def __init__(self, in_channels: Sequence[int], features: int) -> None:
        super().__init__(in_channels, features)
        half = features // 2
        self.output_conv1 = nn.Conv2d(features, half, 3, padding=1)
        self.output_conv2 = _output_convs(half, 2)
        self.refinenet1_aux = FeatureFusionBlock(features)
        self.refinenet2_aux = FeatureFusionBlock(features)
        self.refinenet3_aux = FeatureFusionBlock(features)
        self.refinenet4_aux = FeatureFusionBlock(features)
        for block in (self.refinenet4, self.refinenet4_aux):
            block.add_module("resConfUnit1", nn.Identity())
        self.output_conv1_aux = nn.ModuleList(_narrow(features) for _ in range(_LEVELS))
        norm = nn.LayerNorm(_WIDTH, eps=1e-5)
        self.output_conv2_aux = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(half, _WIDTH, 3, padding=1),
                ChannelsLast(),
                norm,
                ChannelsFirst(),
                nn.ReLU(),
                nn.Conv2d(_WIDTH, 7, 1),
            )
            for _ in range(_LEVELS)
        )

    def predict_depth(self, path: Tensor, size: Size) -> Tensor:
        """The finest path -> logarithm of depth and of confidence - 1, (b, 2, *size)."""
        features = add_uv(resize(self.output_conv1(path), size))
        return run_in_float32(self.output_conv2, features)

    def predict_rays(self, levels: Sequence[Tensor]) -> Tensor:
        """The levels -> direction, origin, and logarithm of confidence - 1, (b, 7, h, w)."""
        fine, second, third, path = levels
        path = self.refinenet4_aux(path, None, third.shape[-2:])
        path = self.refinenet3_aux(path, third, second.shape[-2:])
        path = self.refinenet2_aux(path, second, fine.shape[-2:])
        path = self.refinenet1_aux(path, fine, (2 * fine.shape[-2], 2 * fine.shape[-1]))
        features = add_uv(self.output_conv1_aux[-1](path))
        return run_in_float32(self.output_conv2_aux[-1], features)


class ChannelsLast(nn.Module):
    """(b, c, h, w) -> (b, h, w, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x.permute(0, 2, 3, 1)


class ChannelsFirst(nn.Module):
    """(b, h, w, c) -> (b, c, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x.permute(0, 3, 1, 2)


class DualDPT(Reassembly):
    """Tokens of four blocks -> depth and rays.

    Args:
        width: channels of a token.
        features: channels of the fusion paths.
        out_channels: channels of the four reassembled maps, fine to coarse.
    """

    def __init__(self, width: int, *, features: int, out_channels: Sequence[int]) -> None:
        super().__init__(width, out_channels)
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.scratch = DualScratch(out_channels, features)

    def place(self, patches: Tensor) -> Tensor:
        """Add where a patch lies. (b, c, rows, columns)."""
        return add_uv(patches)

    def forward(self, tokens: Sequence[Tensor], size: Size, patch: int) -> DualMaps:
        """Four (b, 1 + n, c) of pictures of ``size`` -> the maps."""
        grid = size[0] // patch, size[1] // patch
        maps = self.reassemble([self.norm(x) for x in tokens], grid)
        pyramid = self.scratch.fuse(maps)
        depth = self.scratch.predict_depth(pyramid.paths[-1], size)
        rays = self.scratch.predict_rays(pyramid.levels)
        return DualMaps(depth[:, 0].exp(), 1 + depth[:, 1].exp(), rays[:, :6], 1 + rays[:, 6].exp())


class SkyScratch(FusionNeck):
    """The fusion stage and the output convolutions of depth and of sky."""

    def __init__(self, in_channels: Sequence[int], features: int) -> None:
        super().__init__(in_channels, features)
        half = features // 2
        self.refinenet4.add_module("resConfUnit1", nn.Identity())
        self.output_conv1 = nn.Conv2d(features, half, 3, padding=1)
        self.output_conv2 = _output_convs(half, 1)
        self.sky_output_conv2 = _output_convs(half, 1)


class SkyDPT(Reassembly):
    """Tokens of four blocks -> depth and sky.

    Args:
        width: channels of a token.
        features: channels of the fusion paths.
        out_channels: channels of the four reassembled maps, fine to coarse.
    """

    def __init__(self, width: int, *, features: int, out_channels: Sequence[int]) -> None:
        super().__init__(width, out_channels)
        self.scratch = SkyScratch(out_channels, features)

    def forward(self, tokens: Sequence[Tensor], size: Size, patch: int) -> tuple[Tensor, Tensor]:
        """Four (b, 1 + n, c) of pictures of ``size`` -> depth and sky, (b, *size).

        Depth is positive; sky is 0 or more and about 1 where there is sky.
        """
        grid = size[0] // patch, size[1] // patch
        path = self.scratch.fuse(self.reassemble(tokens, grid)).paths[-1]
        features = resize(self.scratch.output_conv1(path), size)
        depth = run_in_float32(self.scratch.output_conv2, features).squeeze(1).exp()
        sky = run_in_float32(self.scratch.sky_output_conv2, features).squeeze(1).relu()
        return depth, sky


def _output_convs(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, _WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(_WIDTH, outputs, 1)
    )


def _narrow(features: int) -> nn.Sequential:
    """Five convolutions, with nothing between, that halve the channels and give them back."""
    half = features // 2
    pairs = [(features, half), (half, features)] * 2 + [(features, half)]
    return nn.Sequential(*(nn.Conv2d(i, o, 3, padding=1) for i, o in pairs))
