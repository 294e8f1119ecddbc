"""MoGe-1: a point map that is known up to scale and a shift in depth, and its mask.

Source: Wang et al., MoGe: Unlocking Accurate Monocular Geometry Estimation for Open-Domain Images
with Optimal Training Supervision, CVPR 2025.

The network takes pictures of any size as RGB in [0, 1]: it reduces them to about ``num_tokens``
patches and normalises them itself, and its maps have the picture's size. The camera and the shift
come from the points afterwards (:mod:`leadline.point_map`). The layers are shared with
:mod:`leadline.models.moge2`; module names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.dinov2 import ENCODERS, DinoV2
from leadline.models.moge_config import (
    PATCH,
    PointRemap,
    TokenCount,
    read_encoder_name,
    read_published,
    refuse_newer,
)
from leadline.ops import resize_antialiased

_PICTURE_MEAN = (0.485, 0.456, 0.406)
_PICTURE_STD = (0.229, 0.224, 0.225)

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MogeConfig(TokenCount):
    """One variant of MoGe-1; see also :class:`TokenCount`.

    Attributes:
        intermediate_layers: the last blocks whose tokens are projected and summed.
        dim_proj: channels of the sum.
        dim_upsample: channels of the three doublings.
        num_res_blocks: residual blocks after each doubling.
        dim_times_res_block_hidden: channels inside a residual block, over those outside.
        last_conv_channels: of the output heads.
    """

    num_tokens_range: tuple[int, int] = (1200, 2500)
    intermediate_layers: int = 4
    dim_proj: int = 512
    dim_upsample: tuple[int, int, int] = (256, 128, 64)
    num_res_blocks: int = 2
    dim_times_res_block_hidden: int = 2
    last_conv_channels: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dim_upsample", tuple(self.dim_upsample))
        depth, hidden = ENCODERS[self.encoder].depth, self.dim_times_res_block_hidden
        if not 1 <= self.intermediate_layers <= depth:
            raise InputError(
                f"intermediate_layers={self.intermediate_layers}: 1 to {depth} of the last blocks "
                f"are needed for {self.encoder}."
            )
        if len(self.dim_upsample) != 3 or any(d < 1 or d * hidden % 32 for d in self.dim_upsample):
            raise InputError(
                f"dim_upsample={self.dim_upsample}, dim_times_res_block_hidden={hidden}: three "
                "channel counts are needed whose products with it are multiples of 32."
            )

    @property
    def layers(self) -> str:
        """The layers, in words."""
        return (
            f"{self.encoder} with its last {self.intermediate_layers} blocks, {self.dim_proj} and "
            f"{self.dim_upsample} channels, {self.num_res_blocks} residual blocks of "
            f"{self.dim_times_res_block_hidden} times the width and outputs of "
            f"{self.last_conv_channels}"
        )


CONFIGS: dict[str, MogeConfig] = {"moge-1-vitl": MogeConfig(encoder="vitl")}


# --- shared with MoGe-2 --------------------------------------------------------------------------


def choose_token_grid(height: int, width: int, num_tokens: int) -> Size:
    """(rows, columns) of about ``num_tokens`` patches for a ``height`` x ``width`` picture.

    At least one of each; the originals can round a short side to 0.
    """
    aspect = width / height
    return max(1, round(sqrt(num_tokens / aspect))), max(1, round(sqrt(num_tokens * aspect)))


def append_view_plane(x: Tensor, aspect: float) -> Tensor:
    """(b, c, h, w) -> (b, c + 2, h, w): the places of :func:`make_view_plane` appended."""
    h, w = x.shape[-2:]
    return torch.cat(
        [x, make_view_plane(h, w, aspect, like=x).expand(x.shape[0], -1, -1, -1)], dim=1
    )


def make_view_plane(height: int, width: int, aspect: float, *, like: Tensor) -> Tensor:
    """Places of a grid's cells on the view plane, as (1, 2, height, width).

    Args:
        height: rows.
        width: columns.
        aspect: width over height of the picture, which the grid's may differ from.
        like: its dtype and device are taken.

    See :func:`leadline.point_map.make_view_plane_uv`.
    """
    diagonal = sqrt(1 + aspect**2)
    u = torch.arange(width, dtype=torch.float32, device=like.device) * 2 + (1 - width)
    v = torch.arange(height, dtype=torch.float32, device=like.device) * 2 + (1 - height)
    u = (u * (aspect / diagonal / width)).expand(height, width)
    v = (v * (1 / diagonal / height)).unsqueeze(1).expand(height, width)
    return torch.stack([u, v]).unsqueeze(0).to(like.dtype)


def make_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that repeats the border."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def make_doubling(inputs: int, outputs: int) -> nn.Sequential:
    """A transposed convolution that doubles the sides, and a 3x3 one."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2),
        make_convolution(outputs, outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input.

    Args:
        channels: in and out.
        hidden: channels in between.
        norm: group norms before the ReLUs: one group, then groups of 32 channels.
    """

    def __init__(self, channels: int, hidden: int, *, norm: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(1, channels) if norm else nn.Identity(),
            nn.ReLU(),
            make_convolution(channels, hidden),
            nn.GroupNorm(hidden // 32, hidden) if norm else nn.Identity(),
            nn.ReLU(),
            make_convolution(hidden, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        return x + self.layers(x)


def remap_points(raw: Tensor, remap: PointRemap) -> Tensor:
    """(b, 3, h, w) of a head -> points; see :data:`PointRemap`."""
    if remap == "linear":
        return raw
    if remap == "sinh":
        return torch.sinh(raw)
    xy, z = raw[:, :2], torch.exp(raw[:, 2:])
    return torch.cat([xy * z if remap == "exp" else torch.sinh(xy), z], dim=1)


def resize(x: Tensor, size: Size) -> Tensor:
    """(b, c, h, w) -> (b, c, *size), bilinear, pixel areas onto pixel areas."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def make_picture_statistics() -> tuple[Tensor, Tensor]:
    """ImageNet's mean and deviation as (1, 3, 1, 1), which the checkpoints hold too."""
    mean, std = torch.tensor(_PICTURE_MEAN), torch.tensor(_PICTURE_STD)
    return mean.view(1, 3, 1, 1), std.view(1, 3, 1, 1)


# --- MoGe-1 --------------------------------------------------------------------------------------


class MogeHead(nn.Module):
    """``head``: tokens of the last blocks -> points before their remap, and the mask."""

    def __init__(self, config: MogeConfig) -> None:
        super().__init__()
        width = ENCODERS[config.encoder].width
        self.projects = nn.ModuleList(
            nn.Conv2d(width, config.dim_proj, 1) for _ in range(config.intermediate_layers)
        )
        channels = (config.dim_proj, *config.dim_upsample)
        self.upsample_blocks = nn.ModuleList(
            nn.Sequential(
                make_doubling(inputs + 2, outputs),
                *(
                    ResidualBlock(outputs, config.dim_times_res_block_hidden * outputs, norm=True)
                    for _ in range(config.num_res_blocks)
                ),
            )
            for inputs, outputs in pairwise(channels)
        )
        last = config.last_conv_channels
        self.output_block = nn.ModuleList(
            nn.Sequential(
                make_convolution(channels[-1] + 2, last), nn.ReLU(), nn.Conv2d(last, count, 1)
            )
            for count in (3, 1)
        )

    def forward(self, tokens: list[Tensor], grid: Size, size: Size) -> list[Tensor]:
        """Tokens (b, 1 + n, c) of a patch ``grid`` -> (b, 3, *size) and (b, 1, *size)."""
        maps = [
            project(x[:, 1:].transpose(1, 2).unflatten(2, grid))
            for project, x in zip(self.projects, tokens, strict=True)
        ]
        aspect = size[1] / size[0]
        x = torch.stack(maps).sum(dim=0)  # (b, c, rows, columns)
        for block in self.upsample_blocks:
            x = block(append_view_plane(x, aspect))
        x = append_view_plane(resize(x, size), aspect)
        return [block(x) for block in self.output_block]


class Moge(DepthModule):
    """MoGe-1.

    ``forward`` gives the points' z, which is depth up to a scale and a shift.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: MogeConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = DinoV2(ENCODERS[config.encoder])
        self.head = MogeHead(config)
        mean, std = make_picture_statistics()
        self.register_buffer("image_mean", mean)
        self.register_buffer("image_std", std)

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
        """Points and mask.

        Args:
            image: (b, 3, h, w) RGB in [0, 1].

        Returns:
            ``points`` (b, 3, h, w), x right, y down, z forward, up to a scale and a shift of z;
            ``mask`` (b, h, w), above 0.5 where the points mean something.
        """
        self.check_batch(image)
        h, w = image.shape[-2:]
        enlarge = sqrt(self.config.tokens * PATCH**2 / (h * w))
        inner = max(PATCH, int(h * enlarge)), max(PATCH, int(w * enlarge))
        batch = (image - self.image_mean) / self.image_std  # before: see resize_antialiased
        batch = resize_antialiased(batch, inner, "bicubic")
        grid = inner[0] // PATCH, inner[1] // PATCH
        batch = resize_antialiased(batch, (grid[0] * PATCH, grid[1] * PATCH))
        depth = len(self.backbone.blocks)
        tokens = self.backbone(batch, range(depth - self.config.intermediate_layers, depth))
        points, mask = (resize(x, (h, w)) for x in self.head(tokens, grid, inner))
        return {"points": remap_points(points, self.config.remap_output), "mask": mask.squeeze(1)}


def _describe(model_config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of :class:`MogeConfig` in a published ``model_config``, which has the same names."""
    known = {field.name for field in fields(MogeConfig)}
    described = {name: value for name, value in model_config.items() if name in known}
    if "encoder" in described:
        described["encoder"] = read_encoder_name(described["encoder"])
    return described
