"""Monodepth: depth from one picture, learned from stereo pairs without any depth.

Source: Godard, Mac Aodha, Brostow, Unsupervised Monocular Depth Estimation with Left-Right
Consistency, CVPR 2017.

From the left picture alone the network predicts the disparities of both eyes. A one-dimensional
spatial transformer (:func:`leadline.ops.sample_along_rows`) makes each view from the other, and the
loss (:mod:`leadline.losses.left_right`) compares. Near things have large disparities: a point at
depth Z moves by f * b / Z pixels between the eyes.

Input: RGB in [0, 1]; sides multiples of 128 (VGG), 64 (ResNet-50) or 32 (small). Output: the left
eye's disparity in fractions of the picture's width, 0 to 0.3; times the width it is in pixels, and
:func:`disparity_to_depth` makes metres of it (``output="depth"`` does so inside the network).

The original is TensorFlow 1; ``load_weights`` takes its checkpoints (``model_kitti.index`` beside
``.data-...``) and maps the names. Facts of the released code that the paper does not tell, and
that old weights need: no normalisation layers; zero padding, also before the max-pooling; in the
ResNet, stride 2 in the *last* unit of every block, and a projection in *every* unit's shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.encoders import SMALL_WIDTHS, resnet_features, small_resnet
from leadline.ops import average_mirrored

MAX_DISPARITY = 0.3
"""Largest disparity, in fractions of the width."""

KITTI_BASELINE_M = 0.54
"""Between the two colour cameras."""

KITTI_FOCAL_PX = {1242: 721.5377, 1241: 718.856, 1224: 707.0493, 1238: 718.3351}
"""Focal length in pixels by width of the picture, as the authors' evaluation takes it."""


@dataclass(frozen=True, kw_only=True)
class MonodepthConfig:
    """One variant of the network.

    Attributes:
        encoder: ``vgg`` (31.6 M parameters with its decoder), ``resnet50`` (58.4 M), or
            ``small`` (1.1 M), which is not the paper's: a ResNet with normalisation, and half the
            decoder's width, that learn on a processor in minutes.
        output: what calling the module gives: disparity in fractions of the width, or depth in
            metres by the two numbers below.
        focal_share: focal length as a share of the picture's width; of the rig learnt from.
        baseline_m: metres between its eyes. The defaults are KITTI's.
    """

    encoder: Literal["vgg", "resnet50", "small"] = "vgg"
    output: Literal["disparity", "depth"] = "disparity"
    focal_share: float = KITTI_FOCAL_PX[1242] / 1242
    baseline_m: float = KITTI_BASELINE_M

    def __post_init__(self) -> None:
        if self.encoder not in ("vgg", "resnet50", "small"):
            raise InputError(f"encoder={self.encoder!r}: 'vgg', 'resnet50' or 'small' is needed.")
        if self.output not in ("disparity", "depth"):
            raise InputError(f"output={self.output!r}: 'disparity' or 'depth' is needed.")
        if not self.focal_share > 0 or not self.baseline_m > 0:
            raise InputError(
                f"focal_share={self.focal_share}, baseline_m={self.baseline_m}: both need to be "
                "positive."
            )


CONFIGS: dict[str, MonodepthConfig] = {
    "monodepth-vgg": MonodepthConfig(),
    "monodepth-resnet50": MonodepthConfig(encoder="resnet50"),
}


class MonodepthOutputs(NamedTuple):
    """Disparities of both eyes in fractions of the width, four scales from fine to coarse.

    Attributes:
        left: of the left picture: its point (x, y) is seen at x - d in the right one. Four maps,
            (b, h / 2**s, w / 2**s).
        right: of the right picture: its point is seen at x + d in the left one.
    """

    left: tuple[Tensor, ...]
    right: tuple[Tensor, ...]


class Monodepth(DepthModule):
    """Encoder-decoder that sees the left picture and tells both eyes' disparities."""

    encoder_names: ClassVar[tuple[str, ...]] = ("encoder",)

    def __init__(self, config: MonodepthConfig) -> None:
        super().__init__()
        self.config = config
        deepest = {"vgg": 128, "resnet50": 64, "small": 32}[config.encoder]
        self.multiple_of = deepest  # ty: ignore[invalid-attribute-access]
        if config.encoder == "vgg":
            self.encoder = VGGEncoder()
            self.decoder = Decoder((32, 64, 128, 256, 512, 512), 512)
        elif config.encoder == "small":
            self.encoder = SmallEncoder()
            self.decoder = Decoder(SMALL_WIDTHS[:-1], SMALL_WIDTHS[-1], finest=8)
        else:
            self.encoder = ResNet50Encoder()
            self.decoder = Decoder((64, 64, 256, 512, 1024), 2048)
        for layer in self.modules():  # tf.contrib.slim's start
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1] -> (b, h, w): left disparity, or depth if so configured."""
        disparity = self.forward_all(batch).left[0]
        if self.config.output == "disparity":
            return disparity
        return self.config.focal_share * self.config.baseline_m / disparity

    def forward_all(self, batch: Tensor) -> MonodepthOutputs:
        """Both eyes at four scales."""
        self.check_batch(batch)
        maps = self.decoder(self.encoder(batch))  # four of (b, 2, h / 2**s, w / 2**s)
        return MonodepthOutputs(
            left=tuple(m[:, 0] for m in maps), right=tuple(m[:, 1] for m in maps)
        )

    def post_processed(self, batch: Tensor) -> Tensor:
        """Output averaged with the mirrored picture's, without the ramps at the sides.

        Returns:
            (b, h, w). Each picture is seen twice, so this takes twice the time.

        Source: the paper, section 4 ("Post-processing"); the mirrored picture's disparities are
        wrong at the opposite side, where its other eye cannot see.
        """
        both = self(torch.cat([batch, batch.flip(-1)]))
        straight, mirrored = both.chunk(2)
        return average_mirrored(straight, mirrored.flip(-1))

    def read_foreign(self, path: Path) -> Mapping[str, Tensor] | None:
        """A TensorFlow checkpoint, or an ``.npz`` with its names."""
        from leadline.models.tf_checkpoint import read_checkpoint, read_npz

        arrays = read_npz(path) if path.suffix == ".npz" else read_checkpoint(path)
        if arrays is None:
            return None
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """TensorFlow's names (``model/encoder/Conv_3/weights``) and layout to ours."""
        found = {name.removesuffix(":0"): t for name, t in state_dict.items()}
        if "model/encoder/Conv/weights" not in found and "model/encoder/Conv/weight" not in found:
            return state_dict
        ours: dict[str, Tensor] = {}
        for name, theirs in self.tensorflow_names().items():
            for kernel, bias in (("weights", "biases"), ("weight", "bias")):
                if f"{theirs}/{kernel}" in found:
                    tensor = found.pop(f"{theirs}/{kernel}")
                    height_first = kernel == "weights"  # (h, w, in, out) in TensorFlow
                    tensor = tensor.permute(3, 2, 0, 1).contiguous() if height_first else tensor
                    ours[f"{name}.weight"] = tensor
                if f"{theirs}/{bias}" in found:
                    ours[f"{name}.bias"] = found.pop(f"{theirs}/{bias}")
        return {**ours, **{n: t for n, t in found.items() if not _training_state(n)}}

    def tensorflow_names(self) -> dict[str, str]:
        """Our convolution -> the original's: numbered per scope in the order of their making."""
        pairs: dict[str, str] = {}
        for scope in ("encoder", "decoder"):
            layers = self.get_submodule(scope).named_modules()
            convolutions = [name for name, layer in layers if isinstance(layer, nn.Conv2d)]
            for i, name in enumerate(convolutions):
                pairs[f"{scope}.{name}"] = f"model/{scope}/Conv{f'_{i}' if i else ''}"
        return pairs


class VGGEncoder(nn.Module):
    """Seven pairs of convolutions, each ending in a stride of 2."""

    def __init__(self) -> None:
        super().__init__()
        widths, kernels = (3, 32, 64, 128, 256, 512, 512, 512), (7, 5, 3, 3, 3, 3, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                Conv(widths[i], widths[i + 1], k), Conv(widths[i + 1], widths[i + 1], k, stride=2)
            )
            for i, k in enumerate(kernels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(b, 3, h, w) -> features at strides 2, 4 ... 128."""
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features


class SmallEncoder(nn.Module):
    """A small ResNet, for minutes on a processor; not the paper's."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = small_resnet()

    def forward(self, x: Tensor) -> list[Tensor]:
        """(b, 3, h, w) in [0, 1] -> features at strides 2, 4, 8, 16 and 32."""
        return resnet_features(self.resnet, x)


class ResNet50Encoder(nn.Module):
    """ResNet-50 as this paper's code has it; not torchvision's, see the file's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(3, 64, 7, stride=2)
        self.block2 = _block(64, 64, units=3)
        self.block3 = _block(256, 128, units=4)
        self.block4 = _block(512, 256, units=6)
        self.block5 = _block(1024, 512, units=3)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(b, 3, h, w) -> features at strides 2, 4 ... 64."""
        features = [self.conv1(x)]
        features.append(_pool_over_zeros(features[0]))
        for block in (self.block2, self.block3, self.block4, self.block5):
            features.append(block(features[-1]))
        return features


class Unit(nn.Module):
    """Bottleneck: 1x1, 3x3, 1x1 to four times the width, plus a projection of the input."""

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv(inputs, width, 1)
        self.conv2 = Conv(width, width, 3, stride=stride)
        self.conv3 = nn.Conv2d(width, 4 * width, 1)
        self.shortcut = nn.Conv2d(inputs, 4 * width, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, 4 * width, h / stride, w / stride)."""
        return F.elu(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))


class Decoder(nn.Module):
    """Doublings with skips; disparities of both eyes at the last four, each fed to the next."""

    def __init__(self, skips: tuple[int, ...], deepest: int, *, finest: int = 16) -> None:
        super().__init__()
        self.levels = len(skips) + 1  # the last has no skip
        inputs = deepest
        for level in range(self.levels, 0, -1):
            width = min(512, finest * 2 ** (level - 1))  # 512 512 256 128 64 32 16
            skip = skips[level - 2] if level > 1 else 0
            finer = 2 if level < 4 else 0  # the coarser scale's two disparities
            self.add_module(f"upconv{level}", Conv(inputs, width, 3))
            self.add_module(f"iconv{level}", Conv(width + skip + finer, width, 3))
            if level <= 4:
                self.add_module(f"disp{level}", nn.Conv2d(width, 2, 3, padding=1))
            inputs = width

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Encoder features -> (b, 2, h / 2**s, w / 2**s) in (0, 0.3), fine to coarse."""
        x, maps = features[-1], []
        for level in range(self.levels, 0, -1):
            x = self.get_submodule(f"upconv{level}")(_double(x))
            parts = [x]
            if level > 1:
                parts.append(features[level - 2])
            if maps:
                parts.append(_double(maps[0]))
            x = self.get_submodule(f"iconv{level}")(torch.cat(parts, dim=1))
            if level <= 4:
                raw = self.get_submodule(f"disp{level}")(x)
                maps.insert(0, MAX_DISPARITY * raw.sigmoid())
        return maps


class Conv(nn.Conv2d):
    """Convolution over a zero border, and ELU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Conv2d's name)
        """(b, inputs, h, w) -> (b, outputs, h / stride, w / stride)."""
        return F.elu(super().forward(input))


def disparity_to_depth(
    disparity: Tensor, *, width_px: float, focal_px: float, baseline_m: float
) -> Tensor:
    """Metres from a disparity: Z = f * b / d. Large disparities are near.

    Args:
        disparity: any shape, in fractions of the picture's width.
        width_px: width of the picture to which ``focal_px`` belongs.
        focal_px: horizontal focal length in pixels of that picture.
        baseline_m: distance between the cameras. KITTI: :data:`KITTI_BASELINE_M`; Cityscapes:
            0.22 m with 2262 px at a width of 2048.

    Returns:
        Metres along the optical axis; infinite where the disparity is 0.
    """
    return focal_px * baseline_m / (disparity * width_px)


def _block(inputs: int, width: int, *, units: int) -> nn.Sequential:
    """Units of one width; the last one halves the size."""
    return nn.Sequential(
        *(
            Unit(inputs if i == 0 else 4 * width, width, stride=2 if i == units - 1 else 1)
            for i in range(units)
        )
    )


def _pool_over_zeros(x: Tensor) -> Tensor:
    """3x3 max-pooling, stride 2, of an even-sided map inside a border of zeros.

    After ELU a zero is not the same as no border. Windows reach only the top and the left border.
    It is joined on, not padded: ONNX Runtime merges a padding of zeros into the pooling, which
    then pads with minus infinity, and the exported network is wrong by some percent.
    """
    x = torch.cat([torch.zeros_like(x[:, :, :1]), x], dim=2)
    x = torch.cat([torch.zeros_like(x[..., :1]), x], dim=3)
    return F.max_pool2d(x, 3, stride=2)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _training_state(name: str) -> bool:
    """Whether a checkpoint's entry is the optimiser's or the step counter."""
    leaf = name.rsplit("/", 1)[-1]
    return leaf in ("Adam", "Adam_1", "global_step", "beta1_power", "beta2_power", "Variable")
