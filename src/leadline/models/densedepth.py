"""DenseDepth: a DenseNet-169 pretrained on ImageNet, and a plain decoder.

Source: Alhashim and Wonka, High Quality Monocular Depth Estimation via Transfer Learning,
arXiv:1812.11941, 2018.

The paper's point is that a good pretrained encoder makes a simple decoder enough: bilinear
doubling, concatenation with the encoder's features, two 3x3 convolutions. The network does not
predict depth but ``10 m / depth``, between 1 (far) and 100 (near), so that errors far away weigh
less; it works at half the picture's size.

Input: RGB in [0, 1], without ImageNet normalisation, sides multiples of 32. Output:
(b, h/2, w/2): ``10 m / depth``, or metres with ``output="depth"``.

The original is Keras; ``load_weights`` takes its ``.h5`` file. The PyTorch port inside the authors'
repository is another network (no activation between a stage's two convolutions, a ReLU before the
decoder, corners aligned): ``variant="pytorch-port"`` is that one, with its tensor names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.encoders import imagenet_classifier

NEAREST, FARTHEST = 100.0, 1.0
"""Bounds of the target ``max_depth / depth``: depth is clipped to [max_depth / 100, max_depth]."""

_SKIPS = (256, 128, 64, 64)  # transition2, transition1, pool0, norm0: strides 16, 8, 4, 2
_ENCODER_WIDTH = 1664


@dataclass(frozen=True, kw_only=True)
class DenseDepthConfig:
    """One variant of the network.

    Attributes:
        width: channels at the decoder's start; each stage halves them.
        variant: ``keras`` as published, or ``pytorch-port`` with that port's differences.
        align_corners: how maps are doubled. The authors' current code does not align corners
            (the default here); the port does.
        max_depth: metres that a prediction of 1 stands for.
        output: what calling the module gives: ``max_depth / depth`` as predicted, or metres.
    """

    width: int = _ENCODER_WIDTH
    variant: Literal["keras", "pytorch-port"] = "keras"
    align_corners: bool | None = None
    max_depth: float = 10.0
    output: Literal["inverse", "depth"] = "inverse"

    def __post_init__(self) -> None:
        if self.variant not in ("keras", "pytorch-port"):
            raise InputError(f"variant={self.variant!r}: 'keras' or 'pytorch-port' is needed.")
        if self.output not in ("inverse", "depth"):
            raise InputError(f"output={self.output!r}: 'inverse' or 'depth' is needed.")
        if self.width < 16 or self.width % 16:
            raise InputError(
                f"width={self.width}: a multiple of 16 is needed, because four stages halve it "
                "(1664 in the paper, 832 in densedepth-half)."
            )
        if not self.max_depth > 0:
            raise InputError(
                f"max_depth={self.max_depth}: positive metres are needed (10 indoors)."
            )


CONFIGS: dict[str, DenseDepthConfig] = {
    "densedepth": DenseDepthConfig(),
    "densedepth-half": DenseDepthConfig(width=832),
}


class DenseDepthOutputs(NamedTuple):
    """Everything the network gives.

    Attributes:
        inverse: (b, h/2, w/2), ``max_depth / depth`` as predicted, unbounded.
        depth: (b, h/2, w/2) metres in [max_depth / 100, max_depth].
    """

    inverse: Tensor
    depth: Tensor


class DenseDepth(DepthModule):
    """DenseNet-169 and four doublings."""

    multiple_of: ClassVar[int] = 32
    encoder_names: ClassVar[tuple[str, ...]] = ("encoder",)

    def __init__(self, config: DenseDepthConfig) -> None:
        super().__init__()
        self.config = config
        port = config.variant == "pytorch-port"
        self.encoder = Encoder(classifier=port, epsilon=1e-5 if port else 1.001e-5)
        align = port if config.align_corners is None else config.align_corners
        self.decoder = Decoder(config.width, port=port, align_corners=align)

    def start_from_imagenet(self) -> None:
        """See the base class: torchvision's DenseNet-169."""
        net = self.encoder.original_model
        state = imagenet_classifier("densenet169", net)
        net.load_state_dict({name: state[name] for name in net.state_dict()}, strict=True)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1] -> (b, h/2, w/2)."""
        outputs = self.forward_all(batch)
        return outputs.depth if self.config.output == "depth" else outputs.inverse

    def forward_all(self, batch: Tensor) -> DenseDepthOutputs:
        """What the network predicts, and the metres that it means."""
        self.check_batch(batch)
        inverse = self.decoder(self.encoder(batch)).squeeze(1)
        return DenseDepthOutputs(inverse, inverse_to_depth(inverse, self.config.max_depth))

    def read_foreign(self, path: Path) -> Mapping[str, Tensor] | None:
        """The authors' Keras file (``.h5``)."""
        from leadline.models.keras_h5 import read_h5

        arrays = read_h5(path)
        if arrays is None:
            return None
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Keras's names (``conv2_block1_0_bn/gamma:0``) and layout to ours."""
        if not any(name.startswith("conv2_block1_0_bn/") for name in state_dict):
            return state_dict
        ours: dict[str, Tensor] = {}
        for name, tensor in state_dict.items():
            layer, _, leaf = name.removesuffix(":0").rpartition("/")
            ours[f"{_our_layer(layer)}.{_LEAVES.get(leaf, leaf)}"] = (
                tensor.permute(3, 2, 0, 1).contiguous() if leaf == "kernel" else tensor
            )
        return ours


class Encoder(nn.Module):
    """timm's DenseNet-169, whose names are torchvision's, read at five strides."""

    def __init__(self, *, classifier: bool, epsilon: float) -> None:
        super().__init__()
        self.original_model = timm.create_model("densenet169", num_classes=1000 * classifier)
        for layer in self.original_model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = epsilon

    def forward(self, batch: Tensor) -> list[Tensor]:
        """(b, 3, h, w) -> 64, 64, 128, 256, 1664 channels at strides 2, 4, 8, 16, 32."""
        net: Any = self.original_model.features
        half = net.norm0(net.conv0(batch))  # timm's norms end in their ReLU
        quarter = net.pool0(half)
        eighth = net.transition1(net.denseblock1(quarter))
        sixteenth = net.transition2(net.denseblock2(eighth))
        last = net.norm5(net.denseblock4(net.transition3(net.denseblock3(sixteenth))))
        return [half, quarter, eighth, sixteenth, last]


class Decoder(nn.Module):
    """1x1 convolution, four stages, 3x3 convolution to one map."""

    def __init__(self, width: int, *, port: bool, align_corners: bool) -> None:
        super().__init__()
        self.conv2 = nn.Conv2d(_ENCODER_WIDTH, width, 1)
        self.up1 = Up(width + _SKIPS[0], width // 2, port=port, align_corners=align_corners)
        self.up2 = Up(width // 2 + _SKIPS[1], width // 4, port=port, align_corners=align_corners)
        self.up3 = Up(width // 4 + _SKIPS[2], width // 8, port=port, align_corners=align_corners)
        self.up4 = Up(width // 8 + _SKIPS[3], width // 16, port=port, align_corners=align_corners)
        self.conv3 = nn.Conv2d(width // 16, 1, 3, padding=1)
        for name, parameter in self.named_parameters():  # Keras's start
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Encoder features -> (b, 1, h/2, w/2)."""
        half, quarter, eighth, sixteenth, last = features
        x = self.conv2(last)
        x = self.up1(x, sixteenth)
        x = self.up2(x, eighth)
        x = self.up3(x, quarter)
        return self.conv3(self.up4(x, half))


class Up(nn.Module):
    """Double, concatenate, two 3x3 convolutions with a leaky ReLU after each."""

    def __init__(self, inputs: int, outputs: int, *, port: bool, align_corners: bool) -> None:
        super().__init__()
        self.convA = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.convB = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.first_slope = 1.0 if port else 0.2  # the port forgets the first activation
        self.align_corners = align_corners

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(b, c, h, w) and (b, s, 2h, 2w) -> (b, outputs, 2h, 2w)."""
        x = F.interpolate(
            x, size=skip.shape[-2:], mode="bilinear", align_corners=self.align_corners
        )
        x = F.leaky_relu(self.convA(torch.cat([x, skip], dim=1)), self.first_slope)
        return F.leaky_relu(self.convB(x), 0.2)


def depth_to_inverse(depth: Tensor, max_depth: float = 10.0) -> Tensor:
    """The network's target ``max_depth / depth``, in [1, 100].

    Args:
        depth: metres; clipped to [max_depth / 100, max_depth] as in the authors' data loader.
        max_depth: metres.
    """
    return max_depth / depth.clamp(max_depth / NEAREST, max_depth / FARTHEST)


def inverse_to_depth(inverse: Tensor, max_depth: float = 10.0) -> Tensor:
    """Metres in [max_depth / 100, max_depth] from the network's prediction.

    A prediction below 1 means ``max_depth``. The authors' code differs for predictions below 0,
    which it takes for the nearest depth instead of the farthest.
    """
    return max_depth / inverse.clamp(FARTHEST, NEAREST)


_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_FEATURES = "encoder.original_model.features."
_LAYER_RULES = (
    (r"conv1/conv", _FEATURES + "conv0"),
    (r"conv1/bn", _FEATURES + "norm0"),
    (r"conv(?P<b>\d)_block(?P<l>\d+)_0_bn", _FEATURES + "denseblock{b}.denselayer{l}.norm1"),
    (r"conv(?P<b>\d)_block(?P<l>\d+)_1_conv", _FEATURES + "denseblock{b}.denselayer{l}.conv1"),
    (r"conv(?P<b>\d)_block(?P<l>\d+)_1_bn", _FEATURES + "denseblock{b}.denselayer{l}.norm2"),
    (r"conv(?P<b>\d)_block(?P<l>\d+)_2_conv", _FEATURES + "denseblock{b}.denselayer{l}.conv2"),
    (r"pool(?P<b>\d)_bn", _FEATURES + "transition{b}.norm"),
    (r"pool(?P<b>\d)_conv", _FEATURES + "transition{b}.conv"),
    (r"bn", _FEATURES + "norm5"),
    (r"up(?P<l>\d)_conv(?P<b>[AB])", "decoder.up{l}.conv{b}"),
    (r"(?P<l>conv[23])", "decoder.{l}"),
)


def _our_layer(keras: str) -> str:
    """Our name of a Keras layer; an unknown one comes back unchanged, for the strict load."""
    for pattern, ours in _LAYER_RULES:
        found = re.fullmatch(pattern, keras)
        if found:
            parts = found.groupdict()
            if parts.get("b", "").isdigit():  # Keras counts stages from 2, torchvision from 1
                parts["b"] = str(int(parts["b"]) - 1)
            return ours.format(**parts)
    return keras
