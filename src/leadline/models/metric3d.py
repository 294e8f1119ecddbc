"""Metric3D v2: depth of one canonical camera and normals, refined together by recurrent updates.

Sources:
    Hu et al., Metric3D v2: A Versatile Monocular Geometric Foundation Model for Zero-shot Metric
    Depth and Surface Normal Estimation, TPAMI 2024.
    Yin et al., Metric3D: Towards Zero-shot Metric 3D Prediction from A Single Image, ICCV 2023.
    Darcet et al., Vision Transformers Need Registers, ICLR 2024 (the encoder's extra tokens).

The network sees no intrinsics: it gives the depths that a camera of 1,000 pixels focal length would
have seen, and metres are depth * focal_px / 1000 with the focal length of the network's input.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError
from leadline.models.base import DepthModule
from leadline.models.dinov2 import ENCODERS, DinoV2
from leadline.models.dpt import ResidualConvUnit, Size, resize
from leadline.models.metric3d_updates import (
    ContextEncoder,
    Gates,
    UpdateBlock,
    normalise,
    size_of,
    upsample_convex,
)

CANONICAL_FOCAL_PX = 1000.0

_REGISTERS = 4
_MIN_DEPTH, _MAX_DEPTH = 0.1, 200.0  # metres of the canonical camera
_DEPTH_STEP = 100.0  # metres per unit of the recurrent state
_BINS = 256


@dataclass(frozen=True, kw_only=True)
class Metric3DConfig:
    """One variant of the network.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`; four registers are added.
        taps: the blocks whose raw tokens the head reads, fine to coarse; none: the final, normed
            tokens four times.
        features: channels of the three finer token maps, fine to coarse.
        decoder: channels of the fusion, fine to coarse.
        hidden: channels of the recurrent units.
        iterations: updates.
    """

    encoder: str
    taps: tuple[int, ...] = ()
    features: tuple[int, int, int]
    decoder: tuple[int, int, int, int]
    hidden: int
    iterations: int

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder", self.encoder, ENCODERS)
        for name, count in (("taps", 0), ("features", 3), ("decoder", 4)):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) not in ({0, 4} if name == "taps" else {count}):
                raise InputError(
                    f"{name}={values}: "
                    f"{'four block numbers, or none,' if name == 'taps' else f'{count} counts'} "
                    "are needed."
                )
        depth, width = ENCODERS[self.encoder].depth, ENCODERS[self.encoder].width
        if self.taps and (list(self.taps) != sorted(set(self.taps)) or self.taps[-1] >= depth):
            raise InputError(
                f"taps={self.taps}: increasing block numbers from 0 to {depth - 1} are needed."
            )
        if self.features[2] != width or self.decoder[3] != width:
            raise InputError(
                f"features={self.features}, decoder={self.decoder}: the last of each needs to be "
                f"the encoder's width, {width}."
            )
        if min(self.hidden, self.iterations) < 1:
            raise InputError(
                f"hidden={self.hidden}, iterations={self.iterations}: at least 1 is needed."
            )


CONFIGS: dict[str, Metric3DConfig] = {
    "metric3d-v2-vits": Metric3DConfig(
        encoder="vits",
        features=(96, 192, 384),
        decoder=(96, 192, 384, 384),
        hidden=48,
        iterations=4,
    ),
    "metric3d-v2-vitl": Metric3DConfig(
        encoder="vitl",
        features=(256, 512, 1024),
        decoder=(256, 512, 1024, 1024),
        hidden=128,
        iterations=8,
    ),
    "metric3d-v2-giant2": Metric3DConfig(
        encoder="vitg",
        taps=(9, 19, 29, 39),
        features=(384, 768, 1536),
        decoder=(384, 768, 1536, 1536),
        hidden=192,
        iterations=8,
    ),
}


# --- tokens to maps ------------------------------------------------------------------------------


class Readout(nn.Module):
    """Joins every patch token with the class token and the registers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_patch = nn.Linear(width, width)
        self.project_learn = nn.Linear((1 + _REGISTERS) * width, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, 5 + n, c) -> (b, n, c)."""
        learned = self.project_learn(tokens[:, : 1 + _REGISTERS].flatten(1))
        return F.gelu(self.project_patch(tokens[:, 1 + _REGISTERS :]) + learned.unsqueeze(1))


class TokenMap(nn.Module):
    """Reads tokens out and enlarges them to a map."""

    def __init__(self, width: int, sample: nn.Module | None = None) -> None:
        super().__init__()
        self.readoper = Readout(width)
        self.sample = nn.Identity() if sample is None else sample

    def forward(self, tokens: Tensor, grid: Size) -> Tensor:
        """(b, 5 + n, c) of a patch ``grid`` -> a map (b, c', h, w)."""
        return self.sample(self.readoper(tokens).transpose(1, 2).unflatten(2, grid))


class TokenPyramid(nn.Module):
    """``token2feature``: four maps at 1/14, 1/14, 1/7 and 1/4 of the picture, coarse to fine."""

    def __init__(self, width: int, features: Sequence[int]) -> None:
        super().__init__()
        fine, middle, _ = features
        self.read_3 = TokenMap(width)
        self.read_2 = TokenMap(width)
        self.read_1 = TokenMap(width, nn.ConvTranspose2d(width, middle, kernel_size=2, stride=2))
        # The convolution comes first here: a 1x1 one gives the same before and after.
        self.read_0 = TokenMap(
            width, nn.Sequential(nn.Conv2d(width, fine, 1), nn.Upsample(scale_factor=3.5))
        )

    def forward(self, tokens: Sequence[Tensor], grid: Size) -> list[Tensor]:
        """Four (b, 5 + n, c), fine to coarse -> four maps, coarse to fine."""
        readers = (self.read_3, self.read_2, self.read_1, self.read_0)
        return [read(x, grid) for read, x in zip(readers, reversed(tokens), strict=True)]


class FusionBlock(nn.Module):
    """Adds a refined skip to the path, refines the sum, enlarges it and projects it."""

    def __init__(self, channels: int, outputs: int, *, skip: bool = True) -> None:
        super().__init__()
        self.way_trunk = ResidualConvUnit(channels, residual_relu=True)
        if skip:
            self.way_branch = ResidualConvUnit(channels, residual_relu=True)
        self.out_conv = nn.Conv2d(channels, outputs, 1)

    def forward(self, path: Tensor, skip: Tensor | None = None, size: Size | None = None) -> Tensor:
        """(b, c, h, w), the same or None -> (b, outputs, *size)."""
        if skip is not None:
            path = path + self.way_branch(skip)
        path = self.way_trunk(path)
        return self.out_conv(path if size is None else resize(path, size))


class FusionStack(nn.Module):
    """``decoder_mono``: the pyramid -> one map at 1/4 of the picture."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.upconv_3 = FusionBlock(c4, c3, skip=False)
        self.upconv_2 = FusionBlock(c3, c2)
        self.upconv_1 = FusionBlock(c2, c1 + 2)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Four maps, coarse to fine -> (b, c + 2, h / 4, w / 4); the last two are confidences."""
        r3, r2, r1, r0 = pyramid
        path = self.upconv_2(self.upconv_3(r3), r2, size_of(r1))
        return self.upconv_1(path, r1, size_of(r0))


# --- the whole ---------------------------------------------------------------------------------


class Metric3DHead(nn.Module):
    """``decoder``: tokens -> the state after every update, at the picture's size."""

    def __init__(self, config: Metric3DConfig) -> None:
        super().__init__()
        channels, hidden = config.decoder[0], config.hidden
        self.iterations = config.iterations
        self.token2feature = TokenPyramid(ENCODERS[config.encoder].width, config.features)
        self.decoder_mono = FusionStack(config.decoder)
        self.depth_regressor = nn.Sequential(
            nn.Conv2d(channels, _BINS, 3, padding=1), nn.ReLU(), nn.Conv2d(_BINS, _BINS, 1)
        )
        self.normal_predictor = nn.Sequential(
            nn.Conv2d(channels, 128, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(128, 128, 1),
            nn.ReLU(),
            nn.Conv2d(128, 128, 1),
            nn.ReLU(),
            nn.Conv2d(128, 3, 1),
        )
        self.context_feature_encoder = ContextEncoder(config.features, hidden)
        self.context_zqr_convs = nn.ModuleList(
            nn.Conv2d(hidden, 3 * hidden, 3, padding=1) for _ in range(3)
        )
        self.update_block = UpdateBlock(hidden)

    def forward(self, tokens: Sequence[Tensor], grid: Size) -> list[Tensor]:
        """Four (b, 5 + n, c), fine to coarse -> states (b, 6, 14 rows, 14 columns).

        A state is depth as :meth:`first_state` scales it, its confidence, normal and kappa.
        """
        pyramid = self.token2feature(tokens, grid)
        state = self.first_state(self.decoder_mono(pyramid))
        _, r2, r1, r0 = pyramid
        # The fusion rectifies in place what it reads, and weights were trained so.
        hidden, contexts = self.context_feature_encoder([r0, F.relu(r1), F.relu(r2)])
        gates = [
            Gates(*conv(context).chunk(3, dim=1))
            for conv, context in zip(self.context_zqr_convs, contexts, strict=True)
        ]
        states = []
        for _ in range(self.iterations):
            hidden, state, weights = self.update_block(hidden, gates, state)
            states.append(upsample_convex(state, weights))
        return states

    def first_state(self, fused: Tensor) -> Tensor:
        """(b, c + 2, h, w) -> (b, 6, h, w): depth over log-spaced bins, normals, confidences."""
        features, depth_conf, kappa = fused[:, :-2], fused[:, -2:-1], fused[:, -1:]
        limits = math.log(_MIN_DEPTH), math.log(_MAX_DEPTH)
        bins = torch.linspace(*limits, _BINS, device=fused.device, dtype=fused.dtype).exp()
        shares = self.depth_regressor(features).softmax(dim=1)
        depth = (shares * bins[:, None, None]).sum(dim=1, keepdim=True)
        depth = (depth.clamp(_MIN_DEPTH, _MAX_DEPTH) - _MAX_DEPTH) / _DEPTH_STEP
        normal = normalise(torch.cat([self.normal_predictor(features), kappa], dim=1))
        return torch.cat([depth, depth_conf, normal], dim=1)


class Metric3D(DepthModule):
    """Metric3D v2: metres of a camera with a focal length of 1,000 pixels."""

    multiple_of: ClassVar[int] = 28

    def __init__(self, config: Metric3DConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = DinoV2(replace(ENCODERS[config.encoder], registers=_REGISTERS))
        self.decoder = Metric3DHead(config)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w), sides multiples of 28 -> (b, h, w)."""
        return self.outputs(batch)["depth"]

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """Depth, normals and how sure they are.

        Args:
            image: (b, 3, h, w) normalised, sides multiples of 28.

        Returns:
            ``depth`` (b, h, w) metres of the canonical camera, 0.1 to 200; ``depth_conf``
            (b, h, w), larger = surer; ``normal`` (b, 3, h, w) unit vectors, x right, y down,
            z forward; ``normal_conf`` (b, h, w), their concentration, larger = surer.
        """
        return self.describe(self.states(image)[-1])

    def states(self, image: Tensor) -> list[Tensor]:
        """The raw state (b, 6, h, w) after every update; see :class:`Metric3DHead`."""
        self.check_batch(image)
        h, w = image.shape[-2:]
        if self.config.taps:
            tokens = self.encoder.run_blocks(image, self.config.taps)
        else:
            tokens = self.encoder(image, (len(self.encoder.blocks) - 1,)) * 4
        return self.decoder(tokens, (h // 14, w // 14))

    def describe(self, state: Tensor) -> dict[str, Tensor]:
        """What a raw state (b, 6, h, w) means; see :meth:`outputs`."""
        depth = (state[:, 0] * _DEPTH_STEP + _MAX_DEPTH).clamp(_MIN_DEPTH, _MAX_DEPTH)
        normal = normalise(state[:, 2:])
        return {
            "depth": depth,
            "depth_conf": state[:, 1],
            "normal": normal[:, :3],
            "normal_conf": normal[:, 3],
        }

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the authors' tensors, which nest the blocks once more and hold one norm twice."""
        if not any(name.startswith("depth_model.") for name in state_dict):
            return state_dict
        return {
            re.sub(r"^encoder\.blocks\.0\.(\d+)\.", r"encoder.blocks.\1.", name): tensor
            for name, tensor in (
                (name.removeprefix("depth_model."), tensor) for name, tensor in state_dict.items()
            )
            if not re.fullmatch(r"decoder\.context_feature_encoder\..*\.norm3\.(weight|bias)", name)
        }
