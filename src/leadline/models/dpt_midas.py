"""DPT as MiDaS 3 and 3.1 publish it: affine disparity from a transformer under a fusion decoder.

Sources:
    Ranftl, Bochkovskiy, Koltun, Vision Transformers for Dense Prediction, ICCV 2021.
    Birkl, Wofk, Müller, MiDaS v3.1: A Model Zoo for Robust Monocular Relative Depth Estimation,
    2023 (BEiT encoders).

Module names are those of the published checkpoints. Tokens become maps by the readout "project":
the class token is joined to every patch token and both go through one linear layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError
from leadline.models.base import DepthModule
from leadline.models.beit import Beit, BeitConfig
from leadline.models.dpt import DPTOutputs, MidasScratch, Size
from leadline.models.dpt_midas_names import complete, from_transformers
from leadline.models.vit import Taken, VisionTransformer, VitConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

ENCODERS: dict[str, VitConfig | BeitConfig] = {
    "vitl": VitConfig(width=1024, depth=24, heads=16),
    "vitb-resnet50": VitConfig(width=768, depth=12, heads=12, stages=(3, 4, 9)),
    "beitb": BeitConfig(width=768, depth=12, heads=12, init_scale=0.1),
    "beitl": BeitConfig(width=1024, depth=24, heads=16, init_scale=1e-5),
}
"""The encoders that were published."""


@dataclass(frozen=True, kw_only=True)
class DPTConfig:
    """One variant of the network.

    Attributes:
        encoder: key of :data:`ENCODERS`.
        taps: the blocks that the decoder reads, from 0: four, or two under a ResNet, whose first
            two stages are the finer maps.
        out_channels: channels of the four reassembled maps, fine to coarse.
        features: channels of the fusion paths.
    """

    encoder: str
    taps: tuple[int, ...]
    out_channels: tuple[int, int, int, int]
    features: int = 256

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder", self.encoder, ENCODERS)
        encoder = ENCODERS[self.encoder]
        count = 2 if isinstance(encoder, VitConfig) and encoder.stages else 4
        taps, depth = list(self.taps), encoder.depth
        if len(taps) != count or taps != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < depth:
            raise InputError(
                f"taps={self.taps}: {count} increasing block numbers from 0 to {depth - 1} are "
                f"needed for {self.encoder}."
            )
        if len(self.out_channels) != 4 or min(self.out_channels) < 1 or self.features < 2:
            raise InputError(
                f"features={self.features}, out_channels={self.out_channels}: at least 2 features "
                "and four positive channel counts are needed."
            )


CONFIGS: dict[str, DPTConfig] = {
    "dpt-large-384": DPTConfig(
        encoder="vitl", taps=(5, 11, 17, 23), out_channels=(256, 512, 1024, 1024)
    ),
    "dpt-hybrid-384": DPTConfig(
        encoder="vitb-resnet50", taps=(8, 11), out_channels=(256, 512, 768, 768)
    ),
    "dpt-beit-base-384": DPTConfig(
        encoder="beitb", taps=(2, 5, 8, 11), out_channels=(96, 192, 384, 768)
    ),
    "dpt-beit-large-384": DPTConfig(
        encoder="beitl", taps=(5, 11, 17, 23), out_channels=(256, 512, 1024, 1024)
    ),
}


class Readout(nn.Module):
    """Joins the class token to every patch token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(2 * width, width), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, 1 + n, c) -> (b, n, c)."""
        patches = tokens[:, 1:]
        return self.project(torch.cat([patches, tokens[:, :1].expand_as(patches)], dim=-1))


class Reassemble(nn.ModuleDict):
    """From tokens to a map: readout (``0``), 1x1 convolution (``3``), resampling (``4``)."""

    def __init__(self, width: int, channels: int, resample: nn.Module | None) -> None:
        layers: dict[str, nn.Module] = {"0": Readout(width), "3": nn.Conv2d(width, channels, 1)}
        if resample is not None:
            layers["4"] = resample
        super().__init__(layers)

    def forward(self, tokens: Tensor, grid: Size) -> Tensor:
        """(b, 1 + n, c) -> (b, channels, h, w)."""
        x = self["0"](tokens).transpose(1, 2).unflatten(2, grid)
        x = self["3"](x)
        return self["4"](x) if "4" in self else x


class DPTEncoder(nn.Module):
    """``pretrained``: the transformer and the layers that make four maps of it."""

    def __init__(self, config: DPTConfig) -> None:
        super().__init__()
        encoder = ENCODERS[config.encoder]
        width = encoder.width
        c1, c2, c3, c4 = config.out_channels
        self.taps = config.taps
        self.patch = encoder.patch
        self.model = (
            Beit(encoder) if isinstance(encoder, BeitConfig) else VisionTransformer(encoder)
        )
        if isinstance(encoder, VitConfig) and encoder.stages:
            self.act_postprocess1: nn.Module = nn.Sequential(nn.Identity())
            self.act_postprocess2: nn.Module = nn.Sequential(nn.Identity())
        else:
            self.act_postprocess1 = Reassemble(width, c1, nn.ConvTranspose2d(c1, c1, 4, 4))
            self.act_postprocess2 = Reassemble(width, c2, nn.ConvTranspose2d(c2, c2, 2, 2))
        self.act_postprocess3 = Reassemble(width, c3, None)
        self.act_postprocess4 = Reassemble(width, c4, nn.Conv2d(c4, c4, 3, 2, padding=1))

    def forward(self, batch: Tensor) -> list[Tensor]:
        """(b, 3, h, w) -> maps at 1/4, 1/8, 1/16 and 1/32 of the sides."""
        grid = (batch.shape[2] // self.patch, batch.shape[3] // self.patch)
        taken: Taken = self.model(batch, self.taps)
        stages = (
            self.act_postprocess1,
            self.act_postprocess2,
            self.act_postprocess3,
            self.act_postprocess4,
        )
        direct = len(taken.maps)
        return [stages[i](taken.maps[i]) for i in range(direct)] + [
            stage(tokens, grid) for stage, tokens in zip(stages[direct:], taken.tokens, strict=True)
        ]


class DPT(DepthModule):
    """DPT with a ViT, a hybrid or a BEiT: disparity up to a scale and a shift, larger = nearer."""

    multiple_of: ClassVar[int] = 16
    encoder_names: ClassVar[tuple[str, ...]] = ("pretrained",)

    def __init__(self, config: DPTConfig) -> None:
        super().__init__()
        self.config = config
        self.pretrained = DPTEncoder(config)
        self.scratch = MidasScratch(config.out_channels, config.features, align_corners=True)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w), sides multiples of 16 -> (b, h, w)."""
        return self.forward_all(batch).depth

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors; add what newer timm versions no longer save."""
        needed = self.state_dict()
        return complete(from_transformers(state_dict, needed), needed)

    def forward_all(self, batch: Tensor) -> DPTOutputs:
        """The map together with the decoder's inner maps."""
        self.check_batch(batch)
        return self.scratch.forward_all(self.pretrained(batch))
