"""MoGe-1: a point map that is known up to scale and a shift in depth, and its mask.

Source: Wang et al., MoGe: Unlocking Accurate Monocular Geometry Estimation for Open-Domain Images
with Optimal Training Supervision, CVPR 2025.

The network takes pictures of any size as RGB in [0, 1]: it reduces them to about ``num_tokens``
patches and normalises them itself, and its maps have the picture's size. The camera and the shift
come from the points afterwards (:mod:`leadline.point_map`). The layers are shared with
:mod:`leadline.models.moge2`; module names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from zipfile import is_zipfile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError, WeightsError
from leadline.models.base import DepthModule
from leadline.models.dinov2 import ENCODERS, DinoV2
from leadline.models.variant import with_options
from leadline.models.weights import read_torch, unwrap
from leadline.ops import resize_antialiased

PointRemap = Literal["exp", "linear", "sinh", "sinh_exp"]
"""From a head's three channels to a point: ``exp`` (x e^z, y e^z, e^z), ``linear`` as they are,
``sinh`` of all three, ``sinh_exp`` (sinh x, sinh y, e^z)."""

PATCH = 14
_FINEST_LEVEL = 9
_PICTURE_MEAN = (0.485, 0.456, 0.406)
_PICTURE_STD = (0.229, 0.224, 0.225)

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """How many patches a picture becomes. Abstract: the part that MoGe's configs share.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`.
        remap_output: see :data:`PointRemap`.
        num_tokens_range: patches at resolution levels 0 and 9.
        resolution_level: 0 to 9, coarse to fine.
        num_tokens: patches; None: as ``resolution_level`` says.
    """

    encoder: str
    remap_output: PointRemap = "exp"
    num_tokens_range: tuple[int, int]
    resolution_level: int = _FINEST_LEVEL
    num_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder", self.encoder, ENCODERS)
        if self.remap_output not in get_args(PointRemap):
            raise UnknownNameError("remap_output", self.remap_output, get_args(PointRemap))
        object.__setattr__(self, "num_tokens_range", tuple(self.num_tokens_range))
        low, high = self.num_tokens_range
        if not 0 < low <= high or not 0 <= self.resolution_level <= _FINEST_LEVEL:
            raise InputError(
                f"num_tokens_range={self.num_tokens_range}, resolution_level="
                f"{self.resolution_level}: positive, increasing counts and a level from 0 to "
                f"{_FINEST_LEVEL} are needed."
            )
        if self.num_tokens is not None and self.num_tokens < 1:
            raise InputError(f"num_tokens={self.num_tokens}: at least 1 patch is needed, or None.")

    @property
    def layers(self) -> str:
        """The layers, in words: what state dicts differ in."""
        raise NotImplementedError

    @property
    def tokens(self) -> int:
        """Patches that a picture becomes, about."""
        low, high = self.num_tokens_range
        of_level = int(low + self.resolution_level / _FINEST_LEVEL * (high - low))
        return self.num_tokens or of_level


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


Config = TypeVar("Config", bound=TokenCount)


def token_grid(height: int, width: int, num_tokens: int) -> Size:
    """(rows, columns) of about ``num_tokens`` patches for a ``height`` x ``width`` picture.

    At least one of each; the originals can round a short side to 0.
    """
    rows, columns = sqrt(num_tokens * height / width), sqrt(num_tokens * width / height)
    return max(1, round(rows)), max(1, round(columns))


def with_view_plane(x: Tensor, aspect: float) -> Tensor:
    """(b, c, h, w) -> (b, c + 2, h, w): the places of :func:`view_plane` appended."""
    h, w = x.shape[-2:]
    return torch.cat([x, view_plane(h, w, aspect, like=x).expand(x.shape[0], -1, -1, -1)], dim=1)


def view_plane(height: int, width: int, aspect: float, *, like: Tensor) -> Tensor:
    """Places of a grid's cells on the view plane, as (1, 2, height, width).

    Args:
        height: rows.
        width: columns.
        aspect: width over height of the picture, which the grid's may differ from.
        like: its dtype and device are taken.

    See :func:`leadline.point_map.view_plane_uv`.
    """
    diagonal = sqrt(1 + aspect**2)
    u = torch.arange(width, dtype=torch.float32, device=like.device) * 2 + (1 - width)
    v = torch.arange(height, dtype=torch.float32, device=like.device) * 2 + (1 - height)
    u = (u * (aspect / diagonal / width)).expand(height, width)
    v = (v * (1 / diagonal / height)).unsqueeze(1).expand(height, width)
    return torch.stack([u, v]).unsqueeze(0).to(like.dtype)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that repeats the border."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def doubling(inputs: int, outputs: int) -> nn.Sequential:
    """A transposed convolution that doubles the sides, and a 3x3 one."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2), conv3x3(outputs, outputs)
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
            conv3x3(channels, hidden),
            nn.GroupNorm(hidden // 32, hidden) if norm else nn.Identity(),
            nn.ReLU(),
            conv3x3(hidden, channels),
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


def picture_statistics() -> tuple[Tensor, Tensor]:
    """ImageNet's mean and deviation as (1, 3, 1, 1), which the checkpoints hold too."""
    mean, std = torch.tensor(_PICTURE_MEAN), torch.tensor(_PICTURE_STD)
    return mean.view(1, 3, 1, 1), std.view(1, 3, 1, 1)


def read_published(
    path: Path, config: Config, describe: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> tuple[dict[str, Tensor], Config] | None:
    """Read the authors' ``model.pt``, which holds the configuration beside the tensors.

    Args:
        path: the file, or its folder.
        config: of the module that is to be filled.
        describe: from the file's ``model_config`` to fields of ``config``.

    Returns:
        The tensors, and ``config`` with what no tensor says as the file has it (which blocks are
        read, the range of patches); None for a file without a configuration.

    Raises:
        WeightsError: the file is of a network with other layers.
    """
    path = path / "model.pt" if path.is_dir() else path
    if not path.is_file() or not is_zipfile(path):
        return None
    raw = read_torch(path)
    if not isinstance(raw.get("model_config"), Mapping):
        return None
    described = replace(config, **describe(raw["model_config"]))
    tensors = unwrap(raw, label=path.name)
    if config.layers != described.layers:
        changed = ", ".join(
            f"{name}={value!r}"
            for name, value in vars(described).items()
            if value != getattr(config, name)
        )
        raise WeightsError(
            f"{path.name} holds a network of {described.layers}; the one that was built has "
            f"{config.layers}. Build the published name that fits, or pass {changed}."
        )
    return tensors, described


def encoder_of(backbone: str) -> str:
    """``vits`` of ``dinov2_vits14``."""
    return backbone.removeprefix("dinov2_").removesuffix(str(PATCH))


def refuse_newer(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state dict itself, unless it is of MoGe-3.

    Raises:
        WeightsError: it has a refiner, so it is of MoGe-3.
    """
    if any(name.startswith("refiner.") for name in state_dict):
        raise WeightsError(
            "this state dict has a refiner, so it is of MoGe-3, which Leadline does not have. "
            "MoGe-1 and MoGe-2 load: see leadline.models.names()."
        )
    return state_dict


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
                doubling(inputs + 2, outputs),
                *(
                    ResidualBlock(outputs, config.dim_times_res_block_hidden * outputs, norm=True)
                    for _ in range(config.num_res_blocks)
                ),
            )
            for inputs, outputs in pairwise(channels)
        )
        last = config.last_conv_channels
        self.output_block = nn.ModuleList(
            nn.Sequential(conv3x3(channels[-1] + 2, last), nn.ReLU(), nn.Conv2d(last, count, 1))
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
            x = block(with_view_plane(x, aspect))
        x = with_view_plane(resize(x, size), aspect)
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
        mean, std = picture_statistics()
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
        described["encoder"] = encoder_of(described["encoder"])
    return described


def build_moge(name: str, **options: Any) -> Moge:
    """The variant ``name`` of :data:`CONFIGS`, some fields of its config replaced by ``options``.

    Raises:
        InputError: an option that :class:`MogeConfig` does not have, or a bad value.
    """
    return Moge(with_options(name, CONFIGS[name], options))
