"""Monodepth2: depth learned from film alone, by predicting each frame from its neighbours.

Source: Godard, Mac Aodha, Firman, Brostow, Digging Into Self-Supervised Monocular Depth
Estimation, ICCV 2019.

A ResNet sees the picture; a decoder with reflection padding gives a sigmoid at four scales; a
second ResNet sees two frames and gives the camera's motion between them. The loss
(:mod:`leadline.losses.photometric`) takes, at each pixel, the neighbour that explains it best.

Input: RGB in [0, 1], sides multiples of 32, at least 64 pixels (the network normalises inside).
Output: the sigmoid at full size, a disparity: ``disp_to_depth`` makes depth of it, up to one scale
for models trained on one camera; ``unit=STEREO_SCALE_FACTOR`` gives metres for stereo ones.

Submodules and their tensor names are the authors': ``encoder`` (encoder.pth, with ResNet's unused
``fc``), ``decoder`` (depth.pth), ``pose_encoder`` and ``pose``. ``load_weights`` takes the folder
that holds these files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError, WeightsError
from leadline.models.base import DepthModule
from leadline.models.encoders import (
    SMALL_WIDTHS,
    imagenet_classifier,
    resnet_features,
    small_resnet,
)
from leadline.ops import rigid_transform

Pose = Literal["separate", "shared", "posecnn", "none"]
"""How motion is predicted: ``separate``: a ResNet of its own (the published models); ``shared``:
from the depth encoder's features; ``posecnn``: a plain CNN, as in SfMLearner; ``none``: stereo."""

STEREO_BASELINE = 0.1
"""What the training code calls the distance between the eyes, whatever it is in metres, so that the
depths that an untrained network gives move points by a part of the picture."""

STEREO_SCALE_FACTOR = 5.4
"""Metres per unit of depth for models trained with stereo: KITTI's baseline is 0.54 m, and the
training code calls it :data:`STEREO_BASELINE`."""

ENCODERS: dict[str, tuple[int, ...]] = {
    "resnet18": (64, 64, 128, 256, 512),
    "resnet34": (64, 64, 128, 256, 512),
    "resnet50": (64, 256, 512, 1024, 2048),
    "resnet101": (64, 256, 512, 1024, 2048),
    "resnet152": (64, 256, 512, 1024, 2048),
    "small": SMALL_WIDTHS,
}
"""Encoder -> channels at strides 2, 4, 8, 16 and 32. ``small`` is not the paper's; see
:func:`leadline.models.encoders.small_resnet`."""

_PARTS = {
    "encoder": "encoder.pth",
    "decoder": "depth.pth",
    "pose_encoder": "pose_encoder.pth",
    "pose": "pose.pth",
}


@dataclass(frozen=True, kw_only=True)
class Monodepth2Config:
    """One variant of the network.

    Attributes:
        encoder: key of :data:`ENCODERS`; the ``separate`` pose encoder is of the same depth, as in
            the authors' code.
        decoder_widths: channels of the decoder at full size, half, quarter ...
        scales: which scales have an output; scale s has 1 / 2**s of the picture's size.
        pose: see :data:`Pose`.
        min_depth, max_depth: what 1 and 0 of the sigmoid mean, in the network's own unit.
        unit: that unit in the unit of the result; depth and motion are multiplied by it. 1 for the
            published models of one camera, :data:`STEREO_SCALE_FACTOR` for metres of stereo ones.
        output: what calling the module gives: the sigmoid, or depth.
    """

    encoder: str = "resnet18"
    decoder_widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    scales: tuple[int, ...] = (0, 1, 2, 3)
    pose: Pose = "separate"
    min_depth: float = 0.1
    max_depth: float = 100.0
    unit: float = 1.0
    output: Literal["disparity", "depth"] = "disparity"

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder", self.encoder, ENCODERS)
        if len(self.decoder_widths) != 5 or min(self.decoder_widths) < 1:
            raise InputError(
                f"decoder_widths={self.decoder_widths}: five positive numbers of channels are "
                "needed."
            )
        if self.pose not in ("separate", "shared", "posecnn", "none"):
            raise InputError(
                f"pose={self.pose!r}: 'separate', 'shared', 'posecnn' or 'none' is needed."
            )
        if self.output not in ("disparity", "depth"):
            raise InputError(f"output={self.output!r}: 'disparity' or 'depth' is needed.")
        if 0 not in self.scales or not set(self.scales) <= {0, 1, 2, 3}:
            raise InputError(
                f"scales={self.scales}: some of 0, 1, 2, 3 are needed, 0 among them (it is the "
                "network's output)."
            )
        if not 0 < self.min_depth < self.max_depth:
            raise InputError(
                f"min_depth={self.min_depth}, max_depth={self.max_depth}: 0 < min_depth < "
                "max_depth is needed (0.1 and 100 in the published models)."
            )
        if not 0 < self.unit < math.inf:
            raise InputError(f"unit={self.unit}: a positive number is needed.")

    @property
    def depths(self) -> tuple[float, float]:
        """The least and largest depth of the result."""
        return self.min_depth * self.unit, self.max_depth * self.unit


CONFIGS: dict[str, Monodepth2Config] = {
    "monodepth2-r18": Monodepth2Config(),
    "monodepth2-r50": Monodepth2Config(encoder="resnet50"),
}


class Monodepth2Outputs(NamedTuple):
    """Everything that the depth network gives.

    Attributes:
        disparities: the sigmoid at each of the config's scales, (b, h / 2**s, w / 2**s), fine to
            coarse.
        depth: (b, h, w), :func:`disp_to_depth` of the finest.
    """

    disparities: tuple[Tensor, ...]
    depth: Tensor


class Motion(NamedTuple):
    """How the camera moved between two frames.

    Attributes:
        axis_angle: (b, 3) radians.
        translation: (b, 3), in the unit of the predicted depth.
    """

    axis_angle: Tensor
    translation: Tensor


class Monodepth2(DepthModule):
    """Depth network and, unless trained on stereo alone, pose network."""

    multiple_of: ClassVar[int] = 32

    def __init__(self, config: Monodepth2Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = ResnetEncoder(config.encoder)
        self.decoder = DepthDecoder(
            ENCODERS[config.encoder], config.scales, widths=tuple(config.decoder_widths)
        )
        if config.pose == "separate":
            self.pose_encoder = ResnetEncoder(config.encoder, pictures=2)
            self.pose = PoseDecoder(ENCODERS[config.encoder][-1], inputs=1, motions=2)
        elif config.pose == "shared":
            self.pose = PoseDecoder(ENCODERS[config.encoder][-1], inputs=2, motions=1)
        elif config.pose == "posecnn":
            self.pose = PoseCNN(pictures=2)

    def encoder_parts(self) -> tuple[nn.Module, ...]:
        """See the base class: depth's, and the pose network's where it has one of its own."""
        own_pose = self.config.pose == "separate"
        return (self.encoder, self.pose_encoder) if own_pose else (self.encoder,)

    def start_from_imagenet(self) -> None:
        """See the base class: torchvision's ResNet, for depth and for a pose encoder of its own."""
        if self.config.encoder == "small":
            super().start_from_imagenet()
        state = imagenet_classifier(self.config.encoder, self.encoder.encoder)
        self.encoder.load_imagenet(state)
        if self.config.pose == "separate":
            self.pose_encoder.load_imagenet(state)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1] -> (b, h, w): the sigmoid, or depth if the config says so."""
        outputs = self.forward_all(batch)
        return outputs.depth if self.config.output == "depth" else outputs.disparities[0]

    def forward_all(self, batch: Tensor) -> Monodepth2Outputs:
        """The map at every scale, and depth."""
        self.check_batch(batch)
        outputs = self.decoder(self.encoder(batch))
        disparities = tuple(outputs["disp", s].squeeze(1) for s in sorted(self.config.scales))
        _, depth = disp_to_depth(disparities[0], *self.config.depths)
        return Monodepth2Outputs(disparities, depth)

    def motion(self, earlier: Tensor, later: Tensor) -> Motion:
        """Camera motion between two frames, always given in the order of time.

        Returns:
            The transform ``later_from_earlier`` as a vector; :meth:`source_from_target` makes the
            matrix that a loss wants.

        Raises:
            InputError: the module was built with ``pose="none"``.
        """
        if self.config.pose == "separate":
            features = self.pose_encoder(torch.cat([earlier, later], dim=1))
            axis_angle, translation = self.pose([features])
        elif self.config.pose == "shared":
            axis_angle, translation = self.pose([self.encoder(earlier), self.encoder(later)])
        elif self.config.pose == "posecnn":
            axis_angle, translation = self.pose(torch.cat([earlier, later], dim=1))
        else:
            raise InputError(
                "this Monodepth2 was built with pose='none' and cannot tell motion; build it with "
                "pose='separate', or give the rig's transform to the loss."
            )
        return Motion(axis_angle[:, 0, 0], translation[:, 0, 0] * self.config.unit)

    def source_from_target(self, target: Tensor, source: Tensor, *, later: bool) -> Tensor:
        """(b, 4, 4): takes points of the target's camera to the source's.

        Args:
            target: (b, 3, h, w) frame whose depth is predicted.
            source: (b, 3, h, w) frame that the target is made from.
            later: the source was taken after the target.
        """
        if later:
            return rigid_transform(*self.motion(target, source))
        return rigid_transform(*self.motion(source, target), inverse=True)

    def check_size(self, height: int, width: int) -> None:
        """Sides are multiples of 32 and at least 64: reflection needs two pixels at stride 32."""
        super().check_size(height, width)
        if min(height, width) < 64:
            raise InputError(
                f"Monodepth2 was given pictures of {height}x{width} pixels (height x width); both "
                "sides need to be at least 64. Resize, or use the model's own preprocessing."
            )

    def read_foreign(self, path: Path) -> Mapping[str, Tensor] | None:
        """The authors' folder: encoder.pth, depth.pth and, unless stereo, the two of the pose."""
        from leadline.models.weights import read_torch

        path = path.parent if path.name == "encoder.pth" else path
        if not (path / "encoder.pth").is_file():
            return None
        tensors: dict[str, Tensor] = {}
        for part, _ in self.named_children():
            file = path / _PARTS[part]
            if not file.is_file():
                raise WeightsError(
                    f"{path.name} holds no {file.name}. Models trained on stereo alone have no "
                    f"pose network: for them, build {self.name!r} with pose='none'; otherwise "
                    "download the folder again."
                )
            stored = read_torch(file)  # encoder.pth also holds height, width and use_stereo
            tensors |= {f"{part}.{k}": v for k, v in stored.items() if isinstance(v, Tensor)}
        return tensors


class ResnetEncoder(nn.Module):
    """ResNet of one picture, or of several stacked on the channels.

    It is timm's, which has torchvision's names and the classifier ``fc`` that the authors' files
    keep although nothing reads it.
    """

    def __init__(self, name: str, *, pictures: int = 1) -> None:
        super().__init__()
        if name == "small":
            self.encoder: nn.Module = small_resnet(3 * pictures)
        else:
            self.encoder = timm.create_model(name, in_chans=3 * pictures, zero_init_last=False)
        self.pictures = pictures

    def forward(self, batch: Tensor) -> list[Tensor]:
        """(b, 3 * pictures, h, w) in [0, 1] -> features at strides 2, 4, 8, 16 and 32."""
        return resnet_features(self.encoder, batch)

    def load_imagenet(self, state_dict: Mapping[str, Tensor]) -> None:
        """Start from a classifier: with several pictures, each gets the first layer's share.

        Args:
            state_dict: of torchvision's or timm's ResNet of the same depth.
        """
        first = state_dict["conv1.weight"]
        tiled = torch.cat([first] * self.pictures, dim=1) / self.pictures
        self.encoder.load_state_dict({**state_dict, "conv1.weight": tiled}, strict=True)


class DepthDecoder(nn.Module):
    """Five doublings with skips; a sigmoid at the chosen scales."""

    def __init__(
        self, encoder_widths: Sequence[int], scales: Sequence[int], *, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        layers: list[nn.Module] = []
        for i in range(4, -1, -1):
            above = encoder_widths[4] if i == 4 else widths[i + 1]
            skip = encoder_widths[i - 1] if i > 0 else 0
            layers.append(ConvBlock(above, widths[i]))
            layers.append(ConvBlock(widths[i] + skip, widths[i]))
        layers += [Conv3x3(widths[s], 1) for s in self.scales]
        self.decoder = nn.ModuleList(layers)

    def forward(self, features: Sequence[Tensor]) -> dict[tuple[str, int], Tensor]:
        """Five encoder features -> ``{("disp", s): (b, 1, h / 2**s, w / 2**s)}`` in (0, 1)."""
        outputs: dict[tuple[str, int], Tensor] = {}
        x = features[4]
        for i in range(4, -1, -1):
            x = self.decoder[2 * (4 - i)](x)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            if i > 0:
                x = torch.cat([x, features[i - 1]], dim=1)
            x = self.decoder[2 * (4 - i) + 1](x)  # (b, widths[i], h / 2**i, w / 2**i)
            if i in self.scales:
                outputs["disp", i] = self.decoder[10 + self.scales.index(i)](x).sigmoid()
        return outputs


class ConvBlock(nn.Module):
    """3x3 convolution and ELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, outputs, h, w)."""
        return F.elu(self.conv(x))


class Conv3x3(nn.Module):
    """3x3 convolution over a border that mirrors the picture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, outputs, h, w)."""
        return self.conv(F.pad(x, (1, 1, 1, 1), mode="reflect"))


class PoseDecoder(nn.Module):
    """Motions from the coarsest features of one encoder pass, or of one pass per frame."""

    def __init__(self, width: int, *, inputs: int, motions: int) -> None:
        super().__init__()
        self.motions = motions
        self.net = nn.ModuleList(
            [
                nn.Conv2d(width, 256, 1),
                nn.Conv2d(inputs * 256, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
                nn.Conv2d(256, 6 * motions, 1),
            ]
        )

    def forward(self, features: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
        """Encoder features, per pass -> axis-angle and translation, each (b, motions, 1, 3)."""
        x = torch.cat([F.relu(self.net[0](each[-1])) for each in features], dim=1)
        x = self.net[3](F.relu(self.net[2](F.relu(self.net[1](x)))))
        return _small_motions(x, self.motions)


class PoseCNN(nn.Module):
    """Motion from two frames by seven plain convolutions (SfMLearner's pose network)."""

    def __init__(self, *, pictures: int = 2) -> None:
        super().__init__()
        self.motions = pictures - 1
        self.pose_conv = nn.Conv2d(256, 6 * self.motions, 1)
        widths, kernels = (3 * pictures, 16, 32, 64, 128, 256, 256, 256), (7, 5, 3, 3, 3, 3, 3)
        self.net = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], k, stride=2, padding=k // 2)
            for i, k in enumerate(kernels)
        )

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(b, 3 * pictures, h, w) -> axis-angle and translation, each (b, motions, 1, 3)."""
        x = batch
        for layer in self.net:
            x = F.relu(layer(x))
        return _small_motions(self.pose_conv(x), self.motions)


def disp_to_depth(disp: Tensor, min_depth: float, max_depth: float) -> tuple[Tensor, Tensor]:
    """Inverse depth and depth for the network's sigmoid.

    Args:
        disp: in [0, 1]; 0 is ``max_depth`` and 1 is ``min_depth``.
        min_depth: smallest depth, in the unit of the result.
        max_depth: largest depth.

    Returns:
        ``1 / depth``, linear in ``disp``; and ``depth``.

    Source: Monodepth2, section 4.1 of the paper (sigmoid to depth).
    """
    nearest, farthest = 1 / min_depth, 1 / max_depth
    inverse_depth = farthest + (nearest - farthest) * disp
    return inverse_depth, 1 / inverse_depth


def _small_motions(x: Tensor, motions: int) -> tuple[Tensor, Tensor]:
    """Spatial mean, times 0.01 so that an untrained network begins near standing still."""
    vectors = 0.01 * x.mean(dim=(2, 3)).reshape(-1, motions, 1, 6)
    return vectors[..., :3], vectors[..., 3:]
