"""FastDepth: MobileNet and depthwise 5x5 up-projections, made for an embedded board.

Sources:
    Wofk et al., FastDepth: Fast Monocular Depth Estimation on Embedded Systems, ICRA 2019.
    Howard et al., MobileNets, 2017 (the encoder's first 14 layers).
    Yang et al., NetAdapt, ECCV 2018 (the pruning behind ``fastdepth-pruned``).

Every decoder stage halves the channels with a depthwise 5x5 and a pointwise convolution and then
doubles the size by repeating pixels: the convolution runs at the lower resolution, which is where
the speed comes from. Tensor names are the authors'.

Input: RGB in [0, 1], sides multiples of 32. Output: (b, h, w) metres. The last layer keeps its
BatchNorm and ReLU, as in the released models, so zeros are real outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule

Skips = Literal["add", "concat", "none"]

MOBILENET_WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels after each of the encoder's 14 layers. Source: MobileNets, table 1."""

PRUNED_WIDTHS = (16, 56, 88, 120, 144, 256, 408, 376, 272, 288, 296, 328, 480, 512)
"""The same after NetAdapt. Source: the released model's tuning log (dwofk/fast-depth)."""

_STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_SKIP_FROM = {2: 5, 3: 3, 4: 1}  # decoder stage -> encoder layer of the same size


@dataclass(frozen=True, kw_only=True)
class FastDepthConfig:
    """One variant of the network.

    Attributes:
        skips: how encoder features join the decoder; ``none`` names tensors as MobileNet-NNConv5.
        widths: channels after each of the 14 encoder layers.
        decoder_widths: channels after each of the 5 decoder stages.
    """

    skips: Skips = "add"
    widths: tuple[int, ...] = MOBILENET_WIDTHS
    decoder_widths: tuple[int, ...] = (512, 256, 128, 64, 32)

    def __post_init__(self) -> None:
        if self.skips not in ("add", "concat", "none"):
            raise InputError(f"skips={self.skips!r}: 'add', 'concat' or 'none' is needed.")
        both = (*self.widths, *self.decoder_widths)
        if len(self.widths) != 14 or len(self.decoder_widths) != 5 or min(both) < 1:
            raise InputError(
                f"widths={self.widths}, decoder_widths={self.decoder_widths}: 14 and 5 positive "
                "channel counts are needed."
            )
        for stage, layer in _SKIP_FROM.items():
            if self.skips == "add" and self.decoder_widths[stage - 1] != self.widths[layer]:
                raise InputError(
                    f"decoder_widths[{stage - 1}]={self.decoder_widths[stage - 1]} and "
                    f"widths[{layer}]={self.widths[layer]}: added skips need equal channels; "
                    "make them equal, or build 'fastdepth-concat'."
                )


CONFIGS: dict[str, FastDepthConfig] = {
    "fastdepth": FastDepthConfig(),
    "fastdepth-concat": FastDepthConfig(skips="concat"),
    "fastdepth-plain": FastDepthConfig(skips="none"),
    "fastdepth-pruned": FastDepthConfig(
        widths=PRUNED_WIDTHS, decoder_widths=(200, 256, 120, 56, 16)
    ),
}


class FastDepthOutputs(NamedTuple):
    """Everything the network gives.

    Attributes:
        depth: (b, h, w) metres.
    """

    depth: Tensor


class FastDepth(DepthModule):
    """MobileNet encoder, depthwise decoder, additive or concatenated skips at 1/2, 1/4 and 1/8."""

    multiple_of: ClassVar[int] = 32
    encoder_names: ClassVar[tuple[str, ...]] = tuple(f"conv{i}" for i in range(14))

    def __init__(self, config: FastDepthConfig) -> None:
        super().__init__()
        self.config = config
        for i, layer in enumerate(_encoder_layers(config.widths)):
            self.add_module(f"conv{i}", layer)
        for i, (inputs, outputs) in enumerate(_decoder_channels(config), start=1):
            self.add_module(f"decode_conv{i}", _up_layer(inputs, outputs))
        self.decode_conv6 = _pointwise(config.decoder_widths[-1], 1, nn.ReLU)
        _initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1], sides multiples of 32 -> (b, h, w) metres."""
        self.check_batch(batch)
        x, features = batch, []
        for i in range(14):
            x = self.get_submodule(f"conv{i}")(x)
            features.append(x)  # conv1 /2, conv3 /4, conv5 /8, conv11 /16, conv13 /32
        for stage in range(1, 6):
            x = _double(self.get_submodule(f"decode_conv{stage}")(x))
            if stage in _SKIP_FROM:
                skip = features[_SKIP_FROM[stage]]
                x = x + skip if self.config.skips == "add" else torch.cat([x, skip], dim=1)
        return self.decode_conv6(x).squeeze(1)  # (b, h, w)

    def forward_all(self, batch: Tensor) -> FastDepthOutputs:
        """The map as a named tuple; the network has one output."""
        return FastDepthOutputs(self(batch))


class FastDepthPlain(DepthModule):
    """MobileNet encoder and depthwise decoder without skips: the paper's MobileNet-NNConv5."""

    multiple_of: ClassVar[int] = 32
    encoder_names: ClassVar[tuple[str, ...]] = ("mobilenet",)

    def __init__(self, config: FastDepthConfig) -> None:
        super().__init__()
        self.config = config
        self.mobilenet = nn.Sequential(*_encoder_layers(config.widths))
        self.decoder = NNConv5(config.widths[-1], config.decoder_widths)
        _initialise(self)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1], sides multiples of 32 -> (b, h, w) metres."""
        self.check_batch(batch)
        return self.decoder(self.mobilenet(batch)).squeeze(1)

    def forward_all(self, batch: Tensor) -> FastDepthOutputs:
        """The map as a named tuple; the network has one output."""
        return FastDepthOutputs(self(batch))


class NNConv5(nn.Module):
    """Five depthwise-separable 5x5 stages, each followed by nearest upsampling."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        for i, (inputs, outputs) in enumerate(
            zip((channels, *widths[:-1]), widths, strict=True), start=1
        ):
            self.add_module(f"conv{i}", _up_layer(inputs, outputs))
        self.conv6 = _pointwise(widths[-1], 1, nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h/32, w/32) -> (b, 1, h, w)."""
        for stage in range(1, 6):
            x = _double(self.get_submodule(f"conv{stage}")(x))
        return self.conv6(x)


def _encoder_layers(widths: tuple[int, ...]) -> list[nn.Sequential]:
    first = nn.Sequential(
        nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU6(inplace=True),
    )
    rest = [
        nn.Sequential(
            *_depthwise(widths[i - 1], 3, nn.ReLU6, stride=_STRIDES[i]),
            *_pointwise(widths[i - 1], widths[i], nn.ReLU6),
        )
        for i in range(1, 14)
    ]
    return [first, *rest]


def _decoder_channels(config: FastDepthConfig) -> list[tuple[int, int]]:
    """(in, out) of the five decoder stages."""
    pairs, inputs = [], config.widths[-1]
    for stage, outputs in enumerate(config.decoder_widths, start=1):
        pairs.append((inputs, outputs))
        inputs = outputs
        if config.skips == "concat" and stage in _SKIP_FROM:
            inputs += config.widths[_SKIP_FROM[stage]]
    return pairs


def _up_layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_depthwise(inputs, 5, nn.ReLU), _pointwise(inputs, outputs, nn.ReLU))


def _depthwise(
    channels: int, kernel: int, activation: type[nn.Module], *, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False
        ),
        nn.BatchNorm2d(channels),
        activation(),
    )


def _pointwise(inputs: int, outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), activation()
    )


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _initialise(module: nn.Module) -> None:
    """He's normal start over the outputs, as the authors start what is not pretrained."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels * math.prod(layer.kernel_size)
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
