"""MiDaS v2.1: affine disparity from a convolutional encoder under a fusion decoder.

Sources:
    Ranftl, Lasinger, Hafner, Schindler, Koltun, Towards Robust Monocular Depth Estimation: Mixing
    Datasets for Zero-shot Cross-dataset Transfer, TPAMI 2020.
    Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017 (ResNeXt).
    Tan and Le, EfficientNet, ICML 2019, and its "lite" variants (no gates, ReLU6).

Module names are those of the published checkpoints. Their large network rectifies in place inside
its residual units, so that each adds relu(x) in place of x; weights were trained so, and so it is
here (``residual_relu``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.dpt import DPTOutputs, MidasScratch

if TYPE_CHECKING:
    from collections.abc import Sequence

MidasEncoder = Literal["efficientnet-lite3", "resnext101"]

_LITE3 = (  # kernel, stride, expansion, channels, blocks of each stage
    (3, 1, 1, 24, 1),
    (3, 2, 6, 32, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 96, 5),
    (5, 1, 6, 136, 5),
    (5, 2, 6, 232, 6),
    (3, 1, 6, 384, 1),
)
_LITE3_CHANNELS = (32, 48, 136, 384)
_RESNEXT_BLOCKS = (3, 4, 23, 3)
_RESNEXT_CHANNELS = (256, 512, 1024, 2048)


@dataclass(frozen=True, kw_only=True)
class MidasConfig:
    """One variant of the network.

    Attributes:
        encoder: see ``MidasEncoder``.
        features: channels of the decoder; the small network doubles them from level to level.
        expand: double the channels from level to level, and halve them in each fusion block.
    """

    encoder: MidasEncoder
    features: int
    expand: bool

    def __post_init__(self) -> None:
        if self.encoder not in get_args(MidasEncoder):
            raise InputError(
                f"encoder={self.encoder!r}: needs to be one of {', '.join(get_args(MidasEncoder))}."
            )
        if self.features < 2:
            raise InputError(f"features={self.features}: at least 2 are needed.")


CONFIGS: dict[str, MidasConfig] = {
    "midas-v21-small": MidasConfig(encoder="efficientnet-lite3", features=64, expand=True),
    "midas-v21": MidasConfig(encoder="resnext101", features=256, expand=False),
}


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: unevenly where it halves an even side."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(b, c, h, w) -> (b, c', h / stride, w / stride); sides are multiples of the stride."""
        return F.conv2d(
            pad_same(input, self.kernel_size[0], self.stride[0]),
            self.weight,
            self.bias,
            self.stride,
            groups=self.groups,
        )


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """TensorFlow's SAME padding for sides that are multiples of ``stride``."""
    total = kernel - stride
    before = total // 2
    return F.pad(x, (before, total - before, before, total - before), value=value)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SeparableBlock(nn.Module):
    """A depthwise convolution and a pointwise one, without expansion."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = SameConv2d(inputs, inputs, kernel, groups=inputs, bias=False)
        self.bn1 = _norm(inputs)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h, w)."""
        return self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)))))


class InvertedResidual(nn.Module):
    """Expand, convolve each channel by itself, project; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv_pw = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = _norm(width)
        self.conv_dw = SameConv2d(width, width, kernel, stride, groups=width, bias=False)
        self.bn2 = _norm(width)
        self.conv_pwl = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h / stride, w / stride)."""
        out = F.relu6(self.bn1(self.conv_pw(x)))
        out = F.relu6(self.bn2(self.conv_dw(out)))
        out = self.bn3(self.conv_pwl(out))
        return out + x if self.residual else out


class Bottleneck(nn.Module):
    """ResNeXt's block: 32 groups of 8 channels per 64."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, groups: int = 32) -> None:
        super().__init__()
        width = outputs
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class ConvolutionalEncoder(nn.Module):
    """``pretrained``: four stages at strides 4, 8, 16 and 32."""

    def __init__(self, encoder: MidasEncoder) -> None:
        super().__init__()
        stages = _lite3_stages() if encoder == "efficientnet-lite3" else _resnext_stages()
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, batch: Tensor) -> list[Tensor]:
        """(b, 3, h, w), sides multiples of 32 -> four maps, fine to coarse."""
        c1 = self.layer1(batch)
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        return [c1, c2, c3, self.layer4(c3)]


def _lite3_stages() -> list[nn.Sequential]:
    stages: list[nn.Sequential] = []
    inputs = 32
    for kernel, stride, expansion, outputs, count in _LITE3:
        blocks: list[nn.Module] = []
        for index in range(count):
            first = stride if index == 0 else 1
            if expansion == 1:
                blocks.append(SeparableBlock(inputs, outputs, kernel))
            else:
                blocks.append(InvertedResidual(inputs, outputs, kernel, first, expansion))
            inputs = outputs
        stages.append(nn.Sequential(*blocks))
    stem = [SameConv2d(3, 32, 3, 2, bias=False), _norm(32), nn.ReLU6()]
    return [
        nn.Sequential(*stem, stages[0], stages[1]),
        nn.Sequential(stages[2]),
        nn.Sequential(stages[3], stages[4]),
        nn.Sequential(stages[5], stages[6]),
    ]


def _resnext_stages() -> list[nn.Sequential]:
    stages: list[nn.Sequential] = []
    inputs = 64
    for index, (count, outputs) in enumerate(zip(_RESNEXT_BLOCKS, _RESNEXT_CHANNELS, strict=True)):
        blocks = []
        for block in range(count):
            stride = 2 if index > 0 and block == 0 else 1
            blocks.append(Bottleneck(inputs, outputs, stride))
            inputs = outputs
        stages.append(nn.Sequential(*blocks))
    stem = [
        nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    ]
    return [nn.Sequential(*stem, stages[0]), *stages[1:]]


class Midas(DepthModule):
    """MiDaS v2.1, large or small: disparity up to a scale and a shift, larger = nearer."""

    multiple_of: ClassVar[int] = 32
    encoder_names: ClassVar[tuple[str, ...]] = ("pretrained",)

    def __init__(self, config: MidasConfig) -> None:
        super().__init__()
        self.config = config
        small = config.encoder == "efficientnet-lite3"
        channels = _LITE3_CHANNELS if small else _RESNEXT_CHANNELS
        f = config.features
        levels: Sequence[int] = (f, 2 * f, 4 * f, 8 * f) if config.expand else (f, f, f, f)
        self.pretrained = ConvolutionalEncoder(config.encoder)
        self.scratch = MidasScratch(
            channels, levels, align_corners=False, residual_relu=not small, project=small
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w), sides multiples of 32 -> (b, h, w)."""
        return self.forward_all(batch).depth

    def forward_all(self, batch: Tensor) -> DPTOutputs:
        """The map together with the decoder's inner maps."""
        self.check_batch(batch)
        return self.scratch.forward_all(self.pretrained(batch))
