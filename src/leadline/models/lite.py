"""Lite: the network that ships inside the package (affine disparity, 4 M parameters).

EfficientNet-Lite0 (Tan and Le 2019; no squeeze-and-excitation, ReLU6, made for CPUs) sees the
picture at strides 2..32. Two transformer blocks at stride 32 let every place see every other one,
because relative depth is a judgement about the whole picture. A top-down pyramid (Lin et al. 2017)
carries that judgement back to stride 2, where the finest features keep edges sharp.

Input: normalised (b, 3, h, w), both sides multiples of 32. Output: (b, h, w) affine disparity.

Source: Leadline's own design; training follows MiDaS (Ranftl et al. 2020, section 5) and Depth
Anything (Yang et al. 2024, section 3).
"""

from __future__ import annotations

from typing import ClassVar

import timm
import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from leadline.models.base import DepthModule
from leadline.models.dpt import DPTOutputs
from leadline.models.encoders import load_imagenet_lite0


class Lite(DepthModule):
    """EfficientNet-Lite0 encoder, global context at stride 32, pyramid decoder to stride 2."""

    multiple_of: ClassVar[int] = 32
    encoder_names: ClassVar[tuple[str, ...]] = ("encoder",)

    def __init__(
        self, *, width: int = 64, context_width: int = 192, context_blocks: int = 2
    ) -> None:
        super().__init__()
        self.encoder = timm.create_model("tf_efficientnet_lite0", features_only=True)
        _fix_padding(self.encoder)
        c2, c4, c8, c16, c32 = 16, 24, 40, 112, 320  # EfficientNet-Lite0's widths by stride
        self.context = Context(c32, context_width, blocks=context_blocks)
        self.lateral16 = nn.Conv2d(c16, width, 1)
        self.lateral8 = nn.Conv2d(c8, width, 1)
        self.lateral4 = nn.Conv2d(c4, width, 1)
        self.lateral2 = nn.Conv2d(c2, width // 2, 1)
        self.top = nn.Conv2d(context_width, width, 1)
        self.fuse16 = Fuse(width, width)
        self.fuse8 = Fuse(width, width)
        self.fuse4 = Fuse(width, width // 2)
        self.fuse2 = Fuse(width // 2, width // 2)
        self.head = nn.Conv2d(width // 2, 1, 3, padding=1)

    def start_from_imagenet(self) -> None:
        """See the base class."""
        load_imagenet_lite0(self.encoder)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) normalised RGB -> (b, h, w) affine disparity, larger = nearer."""
        return self.forward_all(batch).depth

    def forward_all(self, batch: Tensor) -> DPTOutputs:
        """The map together with inner maps, for a metric head.

        The coarsest are the encoder's and what became of them: the first tell rooms from roads,
        the second near from far.
        """
        self.check_size(batch.shape[-2], batch.shape[-1])
        f2, f4, f8, f16, f32 = self.encoder(batch)
        top = self.top(self.context(f32))  # (b, 64, h/32, w/32)
        p16 = self.fuse16(_double(top) + self.lateral16(f16))
        p8 = self.fuse8(_double(p16) + self.lateral8(f8))
        p4 = self.fuse4(_double(p8) + self.lateral4(f4))  # (b, 32, h/4, w/4)
        p2 = self.fuse2(_double(p4) + self.lateral2(f2))  # (b, 32, h/2, w/2)
        depth = _double(self.head(p2)).squeeze(1)  # (b, h, w)
        return DPTOutputs(depth, p2, torch.cat([f32, top], dim=1), (p16, p8, p4, p2))


class Context(nn.Module):
    """Transformer blocks over the coarsest features, which know where in the picture they are."""

    def __init__(self, channels: int, width: int, *, blocks: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels + 2, width, 1)
        self.blocks = nn.ModuleList(ContextBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, width, h, w)."""
        b, _, h, w = features.shape
        x = self.reduce(torch.cat([features, _coordinates(features)], dim=1))
        for block in self.blocks:
            x = block(x)
        tokens = self.norm(x.flatten(2).transpose(1, 2))  # (b, hw, width)
        return tokens.transpose(1, 2).reshape(b, -1, h, w)


class ContextBlock(nn.Module):
    """Pre-norm self-attention and MLP, after a depthwise convolution over the neighbours."""

    def __init__(self, width: int, *, heads: int = 6, expansion: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.local = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same shape."""
        b, c, h, w = x.shape
        x = x + self.local(x)
        tokens = x.flatten(2).transpose(1, 2)  # (b, n, c)
        qkv = self.qkv(self.norm1(tokens)).reshape(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (b, heads, n, c/heads)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        tokens = tokens + self.project(mixed)
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(b, c, h, w)


class Fuse(nn.Module):
    """Residual pair of 3x3 convolutions, then a change of width."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv1 = _conv_bn(width, width)
        self.conv2 = _conv_bn(width, width)
        self.out = nn.Conv2d(width, out, 1) if out != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> (b, out, h, w)."""
        residual = self.conv2(F.relu(self.conv1(F.relu(x))))
        return self.out(x + residual)


class FixedSameConv2d(nn.Conv2d):
    """TensorFlow's "SAME" convolution for sides that the stride divides: the padding is constant.

    timm computes it from the input's shape in every call, which neither exports nor fuses well.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 the base class names it so
        """(b, c, h, w) -> (b, out, h / stride, w / stride)."""
        total = self.kernel_size[0] - self.stride[0]
        before, after = total // 2, total - total // 2
        return super().forward(F.pad(input, (before, after, before, after)))


def _fix_padding(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, Conv2dSame):
            fixed = FixedSameConv2d(
                child.in_channels,
                child.out_channels,
                child.kernel_size,  # ty: ignore[invalid-argument-type]
                child.stride,  # ty: ignore[invalid-argument-type]
                groups=child.groups,
                bias=child.bias is not None,
            )
            fixed.load_state_dict(child.state_dict())
            setattr(module, name, fixed)
        else:
            _fix_padding(child)


def _conv_bn(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _coordinates(features: Tensor) -> Tensor:
    """(b, 2, h, w): row and column of every place in [-1, 1], as extra channels.

    Counted with sums over the tensor rather than from its shape, so that traced graphs hold no
    arithmetic on shapes.
    """
    ones = torch.ones_like(features[:, :1])
    axes = []
    for dim in (2, 3):
        index = ones.cumsum(dim) - 1
        axes.append(2 * index / index.amax(dim, keepdim=True).clamp(min=1) - 1)
    return torch.cat(axes, dim=1)
