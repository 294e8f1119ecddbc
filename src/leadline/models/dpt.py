"""DPT: dense prediction from transformer tokens: reassemble, fuse from coarse to fine, predict.

Sources:
    Ranftl, Bochkovskiy, Koltun, Vision Transformers for Dense Prediction, ICCV 2021, section 3.
    Lin et al., RefineNet, CVPR 2017, section 3.2 (residual convolution units, fusion).
    Yang et al., Depth Anything, CVPR 2024 (the head without readout tokens).

Module names are those of the published MiDaS, DPT and Depth Anything checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]


class Pyramid(NamedTuple):
    """What the fusion stage gives, for the heads that build on it.

    Attributes:
        levels: ``layer{1..4}_rn``, fine to coarse.
        paths: ``refinenet4`` to ``refinenet1``, coarse to fine.
    """

    levels: tuple[Tensor, ...]
    paths: tuple[Tensor, ...]


class DPTOutputs(NamedTuple):
    """A relative map and what a metric head reads beside it (ZoeDepth).

    Attributes:
        depth: (b, h, w) the network's output.
        features: (b, 32, h, w) before the last 1x1 convolution.
        bottleneck: ``layer4_rn``, the coarsest level.
        paths: ``refinenet4`` to ``refinenet1``, coarse to fine.

    Networks that are no DPT (lite, MiDaS 2.1) give what plays that part in them.
    """

    depth: Tensor
    features: Tensor
    bottleneck: Tensor
    paths: tuple[Tensor, ...]


def resize(x: Tensor, size: Size) -> Tensor:
    """Bilinear, corner pixels onto corner pixels. (b, c, h, w) -> (b, c, *size)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class ResidualConvUnit(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input.

    Args:
        channels: in and out.
        residual_relu: add to relu(x) in place of x, which is what the in-place ReLU of MiDaS v2.1
            computes.
    """

    def __init__(self, channels: int, *, residual_relu: bool = False) -> None:
        super().__init__()
        self.residual_relu = residual_relu
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        rectified = F.relu(x)
        out = self.conv2(F.relu(self.conv1(rectified)))
        return out + (rectified if self.residual_relu else x)


class FeatureFusionBlock(nn.Module):
    """Adds a refined skip to the path, refines the sum, and enlarges it.

    The 1x1 ``out_conv`` runs before the enlargement, where the originals run it after. Both orders
    give the same map, since bilinear weights sum to one, and this one has 4 times fewer
    multiplications.

    Args:
        channels: of the path and of the skip.
        out_channels: of the result; ``channels`` when None.
        residual_relu: see :class:`ResidualConvUnit`.
        project: whether there is an ``out_conv``; MiDaS v2.1 has none.
        prompted: add a branch that reads a prompt map (Prompt Depth Anything).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        *,
        residual_relu: bool = False,
        project: bool = True,
        prompted: bool = False,
    ) -> None:
        super().__init__()
        out_channels = out_channels or channels
        self.out_conv = nn.Conv2d(channels, out_channels, 1) if project else nn.Identity()
        self.resConfUnit1 = ResidualConvUnit(channels, residual_relu=residual_relu)
        self.resConfUnit2 = ResidualConvUnit(channels, residual_relu=residual_relu)
        if prompted:
            self.resConfUnit_depth = _prompt_branch(channels)

    def forward(
        self, path: Tensor, skip: Tensor | None, size: Size, prompt: Tensor | None = None
    ) -> Tensor:
        """Fuse one level.

        Args:
            path: (b, c, h, w).
            skip: of the same shape, or None at the coarsest level.
            size: (height, width) of the result.
            prompt: (b, 1, h', w') that the prompt branch adds at the path's size, or None.

        Returns:
            (b, out_channels, *size).
        """
        if skip is not None:
            path = path + self.resConfUnit1(skip)
        path = self.resConfUnit2(path)
        if prompt is not None:
            prompt = F.interpolate(prompt, size=size_of(path), mode="bilinear")
            path = path + self.resConfUnit_depth(prompt)
        return resize(self.out_conv(path), size)


def _prompt_branch(channels: int) -> nn.Sequential:
    """(b, 1, h, w) -> (b, channels, h, w); zero at first, so that training starts without it."""
    last = nn.Conv2d(channels, channels, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
        last,
    )


class FusionNeck(nn.Module):
    """``scratch`` without its output convolutions, which a subclass adds. Abstract.

    Args:
        in_channels: of the four maps, fine to coarse.
        features: channels of every level, or of the four, fine to coarse.
        residual_relu: see :class:`ResidualConvUnit`.
        project: see :class:`FeatureFusionBlock`.
        prompted: see :class:`FeatureFusionBlock`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        features: int | Sequence[int],
        *,
        residual_relu: bool = False,
        project: bool = True,
        prompted: bool = False,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4 = in_channels
        f1, f2, f3, f4 = (features,) * 4 if isinstance(features, int) else features
        self.layer1_rn = nn.Conv2d(c1, f1, 3, padding=1, bias=False)
        self.layer2_rn = nn.Conv2d(c2, f2, 3, padding=1, bias=False)
        self.layer3_rn = nn.Conv2d(c3, f3, 3, padding=1, bias=False)
        self.layer4_rn = nn.Conv2d(c4, f4, 3, padding=1, bias=False)
        kind = {"residual_relu": residual_relu, "project": project, "prompted": prompted}
        self.refinenet1 = FeatureFusionBlock(f1, f1, **kind)
        self.refinenet2 = FeatureFusionBlock(f2, f1, **kind)
        self.refinenet3 = FeatureFusionBlock(f3, f2, **kind)
        self.refinenet4 = FeatureFusionBlock(f4, f3, **kind)

    def fuse(self, maps: Sequence[Tensor], prompt: Tensor | None = None) -> Pyramid:
        """Four maps (b, c_i, h_i, w_i), fine to coarse -> the pyramid; last path = 2x map 1.

        A ``prompt`` (b, 1, h, w) goes to every block; see :class:`FeatureFusionBlock`.
        """
        l1 = self.layer1_rn(maps[0])
        l2 = self.layer2_rn(maps[1])
        l3 = self.layer3_rn(maps[2])
        l4 = self.layer4_rn(maps[3])
        r4 = self.refinenet4(l4, None, size_of(l3), prompt)
        r3 = self.refinenet3(r4, l3, size_of(l2), prompt)
        return Pyramid((l1, l2, l3, l4), (r4, r3, *self.fuse_fine(r3, l2, l1, prompt)))

    def fuse_fine(
        self, path: Tensor, level2: Tensor, level1: Tensor, prompt: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``refinenet3``'s path and two levels -> the last two paths, at 1 and 2 times level 1."""
        r2 = self.refinenet2(path, level2, size_of(level1), prompt)
        size = 2 * level1.shape[-2], 2 * level1.shape[-1]
        return r2, self.refinenet1(r2, level1, size, prompt)


class DepthAnythingScratch(FusionNeck):
    """Depth Anything's ``scratch``: the fusion stage and the three output convolutions.

    Args:
        in_channels: of the four maps, fine to coarse.
        features: channels of every path.
        bounded: end in a sigmoid (metric models) in place of a ReLU.
        prompted: see :class:`FeatureFusionBlock`.
    """

    def __init__(
        self, in_channels: Sequence[int], features: int, *, bounded: bool, prompted: bool = False
    ) -> None:
        super().__init__(in_channels, features, prompted=prompted)
        self.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
            nn.Sigmoid() if bounded else nn.ReLU(),
        )

    def last_features(self, x: Tensor, size: Size) -> Tensor:
        """``output_conv1`` of the finest path, (b, features / 2, h, w) -> (b, 32, *size)."""
        conv, relu = self.output_conv2[0], self.output_conv2[1]
        x = resize(x, size)  # the smaller map's memory is free now
        return relu(conv(x))

    def predict(self, features: Tensor) -> Tensor:
        """(b, 32, h, w) -> (b, 1, h, w); in float32 under autocast, so that maps do not band."""
        return run_in_float32(self.output_conv2[2:], features)


class MidasScratch(FusionNeck):
    """MiDaS' and DPT's ``scratch``: the fusion stage and ``output_conv``, which doubles the sides.

    Args:
        in_channels: of the four maps, fine to coarse.
        features: channels of every level, or of the four, fine to coarse.
        align_corners: of the last doubling; DPT does, the convolutional MiDaS does not.
        residual_relu: see :class:`ResidualConvUnit`.
        project: see :class:`FeatureFusionBlock`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        features: int | Sequence[int],
        *,
        align_corners: bool,
        residual_relu: bool = False,
        project: bool = True,
    ) -> None:
        super().__init__(in_channels, features, residual_relu=residual_relu, project=project)
        width = features if isinstance(features, int) else features[0]
        self.output_conv = nn.Sequential(
            nn.Conv2d(width, width // 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align_corners),
            nn.Conv2d(width // 2, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
            nn.ReLU(),
        )

    def forward_all(self, maps: Sequence[Tensor]) -> DPTOutputs:
        """Four maps (b, c_i, h_i, w_i), fine to coarse -> the map at 4 times the finest one."""
        pyramid = self.fuse(maps)
        features = self.output_conv[:4](pyramid.paths[-1])
        depth = run_in_float32(self.output_conv[4:], features).squeeze(1)
        return DPTOutputs(depth, features, pyramid.levels[-1], pyramid.paths)


class Reassembly(nn.Module):
    """The first half of a DPT head: tokens of four blocks -> four maps. Abstract: add ``scratch``.

    Args:
        width: channels of a token.
        out_channels: channels of the four maps, fine to coarse.
    """

    def __init__(self, width: int, out_channels: Sequence[int]) -> None:
        super().__init__()
        c1, c2, _, c4 = out_channels
        self.projects = nn.ModuleList(nn.Conv2d(width, c, 1) for c in out_channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(c1, c1, kernel_size=4, stride=4),
                nn.ConvTranspose2d(c2, c2, kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(c4, c4, kernel_size=3, stride=2, padding=1),
            ]
        )

    def reassemble(self, tokens: Sequence[Tensor], grid: Size) -> list[Tensor]:
        """Four (b, 1 + n, c) -> four maps at 4, 2, 1 and 1/2 times the patch grid."""
        maps = []
        for x, project, rescale in zip(tokens, self.projects, self.resize_layers, strict=True):
            patches = x[:, 1:].transpose(1, 2).unflatten(2, grid)  # (b, c, rows, columns)
            maps.append(rescale(self.place(project(patches))))
        return maps

    def place(self, patches: Tensor) -> Tensor:
        """Add what says where a patch lies, (b, c, rows, columns); by default nothing."""
        return patches


class DPTHead(Reassembly):
    """Depth Anything's head: tokens of four blocks -> pyramid -> map.

    Args:
        width: channels of a token.
        features: channels of the fusion paths.
        out_channels: channels of the four reassembled maps, fine to coarse.
        bounded: end in a sigmoid in place of a ReLU.
        prompted: see :class:`FeatureFusionBlock`.
    """

    def __init__(
        self,
        width: int,
        *,
        features: int,
        out_channels: Sequence[int],
        bounded: bool,
        prompted: bool = False,
    ) -> None:
        super().__init__(width, out_channels)
        self.scratch = DepthAnythingScratch(
            out_channels, features, bounded=bounded, prompted=prompted
        )


def run_in_float32(layers: nn.Module, x: Tensor) -> Tensor:
    """``layers(x)``, in float32 under autocast: in bfloat16 a map of depths would band."""
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return layers(x.float())
    return layers(x)


def size_of(x: Tensor) -> Size:
    """Height and width of a map (..., h, w)."""
    return x.shape[-2], x.shape[-1]
