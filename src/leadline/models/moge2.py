"""MoGe-2: a point map up to a shift in depth, its mask, normals, and the scale to metres.

Source: Wang et al., MoGe-2: Accurate Monocular Geometry with Metric Scale and Sharp Details, 2025.

As MoGe-1, whose layers it shares (:mod:`leadline.models.moge`), it takes RGB in [0, 1] of any size
and gives maps of that size. A pyramid of five levels, from the patch grid to 16 times it, feeds one
head per map; the class token gives one factor per picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.dinov2 import ENCODERS, DinoV2
from leadline.models.moge import (
    ResidualBlock,
    Size,
    choose_token_grid,
    make_convolution,
    make_doubling,
    make_picture_statistics,
    make_view_plane,
    remap_points,
    resize,
)
from leadline.models.moge_config import (
    PATCH,
    TokenCount,
    read_encoder_name,
    read_published,
    refuse_newer,
)
from leadline.ops import resize_antialiased

_FINER_WIDTHS = (256, 128, 64, 32)


@dataclass(frozen=True, kw_only=True)
class Moge2Config(TokenCount):
    """One variant of MoGe-2; see also :class:`~leadline.models.moge_config.TokenCount`.

    Attributes:
        taps: blocks whose tokens are projected and summed, from 0, increasing.
        neck_blocks: residual blocks at each of the pyramid's three middle levels.
        head_blocks: the same of each head.
        normal: whether there is a head for normals.
        onnx_mode: as the authors' ONNX files compute: the picture is reduced without antialiasing,
            and positions by the other rule (:data:`leadline.models.dinov2.Positional`). Other
            numbers.
    """

    num_tokens_range: tuple[int, int] = (1200, 3600)
    taps: tuple[int, ...]
    neck_blocks: int
    head_blocks: int = 1
    normal: bool = False
    onnx_mode: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        depth, taps = ENCODERS[self.encoder].depth, tuple(self.taps)
        object.__setattr__(self, "taps", taps)
        if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < depth:
            raise InputError(
                f"taps={self.taps}: increasing block numbers from 0 to {depth - 1} are needed for "
                f"{self.encoder}."
            )
        if min(self.neck_blocks, self.head_blocks) < 0:
            raise InputError(
                f"neck_blocks={self.neck_blocks}, head_blocks={self.head_blocks}: counts from 0 "
                "are needed."
            )

    @property
    def layers(self) -> str:
        """The layers, in words."""
        return (
            f"{self.encoder} with {len(self.taps)} taps, {self.neck_blocks} residual blocks in the "
            f"neck and {self.head_blocks} in a head, {'with' if self.normal else 'without'} normals"
        )


_SMALL = Moge2Config(encoder="vits", taps=(5, 11), neck_blocks=1)
_BASE = replace(_SMALL, encoder="vitb")
_LARGE = Moge2Config(encoder="vitl", taps=(5, 11, 17, 23), neck_blocks=2)

CONFIGS: dict[str, Moge2Config] = {
    "moge-2-vits": _SMALL,
    "moge-2-vitb": _BASE,
    "moge-2-vitl": _LARGE,
    "moge-2-vits-normal": replace(_SMALL, normal=True),
    "moge-2-vitb-normal": replace(_BASE, normal=True),
    "moge-2-vitl-normal": replace(_LARGE, normal=True),
}


class Moge2Encoder(nn.Module):
    """``encoder``: normalises and reduces the picture, and sums projected tokens."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: Moge2Config) -> None:
        super().__init__()
        width = ENCODERS[config.encoder].width
        self.backbone = DinoV2(
            ENCODERS[config.encoder], positional="size" if config.onnx_mode else "scale"
        )
        self.output_projections = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in config.taps)
        mean, std = make_picture_statistics()
        self.register_buffer("image_mean", mean)
        self.register_buffer("image_std", std)

    def forward(
        self, image: Tensor, grid: Size, taps: Sequence[int], *, antialias: bool
    ) -> tuple[Tensor, Tensor]:
        """(b, 3, h, w) RGB in [0, 1] -> (b, c, *grid), and the last tap's class token (b, c)."""
        size = grid[0] * PATCH, grid[1] * PATCH
        reduce = resize_antialiased if antialias else resize
        batch = (image - self.image_mean) / self.image_std  # before: see resize_antialiased
        tokens = self.backbone(reduce(batch, size), taps)
        maps = [
            project(x[:, 1:].transpose(1, 2).unflatten(2, grid))
            for project, x in zip(self.output_projections, tokens, strict=True)
        ]
        return torch.stack(maps).sum(dim=0), tokens[-1][:, 0]


class ConvStack(nn.Module):
    """Five levels from coarse to fine, each twice the one before: the neck, or a head.

    Args:
        inputs: channels that come in at each level.
        width: channels of the coarsest level.
        num_res_blocks: residual blocks at each of the three middle levels.
        outputs: channels of a last 1x1 convolution at the finest level; None for no such thing.
    """

    def __init__(
        self, inputs: Sequence[int], width: int, num_res_blocks: int, outputs: int | None
    ) -> None:
        super().__init__()
        widths = (width, *_FINER_WIDTHS)
        self.input_blocks = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(inputs, widths, strict=True)
        )
        self.resamplers = nn.ModuleList(
            [
                *(make_doubling(widths[i], widths[i + 1]) for i in range(3)),
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
                    make_convolution(widths[3], widths[4]),
                ),
            ]
        )
        self.res_blocks = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(c, c, norm=False) for _ in range(count)))
            for c, count in zip(widths, (0, *(num_res_blocks,) * 3, 0), strict=True)
        )
        last = nn.Identity() if outputs is None else nn.Conv2d(widths[4], outputs, 1)
        self.output_blocks = nn.ModuleList([*(nn.Identity() for _ in range(4)), last])

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Five maps (b, inputs_i, rows 2^i, columns 2^i) -> five of the stack's channels."""
        x, maps = self.input_blocks[0](levels[0]), []
        for i in range(5):
            if i:
                x = self.resamplers[i - 1](x) + self.input_blocks[i](levels[i])
            x = self.res_blocks[i](x)
            maps.append(self.output_blocks[i](x))
        return maps


class Moge2(DepthModule):
    """MoGe-2.

    ``forward`` gives the points' z, which is depth up to a scale and a shift.
    """

    def __init__(self, config: Moge2Config) -> None:
        super().__init__()
        self.config = config
        width = ENCODERS[config.encoder].width
        self.encoder = Moge2Encoder(config)
        self.neck = ConvStack((width + 2, 2, 2, 2, 2), width, config.neck_blocks, None)

        def make_head(outputs: int) -> ConvStack:
            return ConvStack((width, *_FINER_WIDTHS), width, config.head_blocks, outputs)

        self.points_head = make_head(3)
        self.normal_head = make_head(3) if config.normal else None
        self.mask_head = make_head(1)
        self.scale_head = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1] -> (b, h, w)."""
        return self.outputs(batch)["points"][:, 2]

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Refuse MoGe-3's tensors; there is one layout."""
        return refuse_newer(state_dict)

    def read_foreign(self, path: Path) -> Mapping[str, Tensor] | None:
        """Read the authors' ``model.pt`` and take over its configuration."""
        found = read_published(path, self.config, _describe)
        if found is None:
            return None
        tensors, self.config = found
        return tensors

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """Points, mask, scale, and normals where the network has them.

        Args:
            image: (b, 3, h, w) RGB in [0, 1].

        Returns:
            ``points`` (b, 3, h, w), x right, y down, z forward, up to a scale and a shift of z;
            ``mask`` (b, h, w), the probability that the points mean something; ``metric_scale``
            (b,), metres per unit of the points once shifted; ``normal`` (b, 3, h, w), unit vectors
            that face the camera.
        """
        self.check_batch(image)
        h, w = image.shape[-2:]
        grid = choose_token_grid(h, w, self.config.tokens)
        features, cls = self.encoder(
            image, grid, self.config.taps, antialias=not self.config.onnx_mode
        )
        pyramid = self.neck(self._levels(features, w / h))
        points = resize(self.points_head(pyramid)[-1], (h, w))
        mask = resize(self.mask_head(pyramid)[-1], (h, w))
        found = {
            "points": remap_points(points, self.config.remap_output),
            "mask": torch.sigmoid(mask.squeeze(1)),
            "metric_scale": torch.exp(self.scale_head(cls).squeeze(1)),
        }
        if self.normal_head is not None:
            normal = resize(self.normal_head(pyramid)[-1], (h, w))
            found["normal"] = F.normalize(normal, dim=1)
        return found

    def _levels(self, features: Tensor, aspect: float) -> list[Tensor]:
        """What the neck reads: places at every level, joined with the features at the first."""
        b, _, rows, columns = features.shape
        places = [
            make_view_plane(rows << i, columns << i, aspect, like=features).expand(b, -1, -1, -1)
            for i in range(5)
        ]
        return [torch.cat([features, places[0]], dim=1), *places[1:]]


def _describe(model_config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of :class:`Moge2Config` in a published ``model_config``."""
    encoder = model_config["encoder"]
    taps, name = encoder["intermediate_layers"], read_encoder_name(encoder["backbone"])
    if isinstance(taps, int):  # the last ones
        depth = ENCODERS[name].depth
        taps = range(depth - taps, depth)
    return {
        "encoder": name,
        "taps": tuple(taps),
        "neck_blocks": model_config["neck"]["num_res_blocks"][1],
        "head_blocks": model_config["points_head"]["num_res_blocks"][1],
        "normal": "normal_head" in model_config,
        "remap_output": model_config["remap_output"],
        "num_tokens_range": tuple(model_config["num_tokens_range"]),
    }
