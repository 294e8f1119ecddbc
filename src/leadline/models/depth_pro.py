"""Depth Pro: sharp inverse depth and the field of view of one picture.

Source: Bochkovskii et al., Depth Pro: Sharp Monocular Metric Depth in Less Than a Second, ICLR
2025, section 3 and figure 3.

One vision transformer reads 35 overlapping windows of a three-level pyramid, a second one the
whole picture at the coarsest level; a convolutional decoder fuses five maps. A third transformer
and a few convolutions estimate the camera. Module names are those of the published checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.depth_pro_names import from_transformers
from leadline.models.dinov2 import DinoV2, EncoderConfig
from leadline.models.dpt import run_in_float32

_PATCH = 16  # side in pixels


@dataclass(frozen=True, kw_only=True)
class DepthProConfig:
    """One variant of the network; the defaults are the published model.

    Attributes:
        width: channels of a token, in all three transformers.
        depth: their blocks.
        heads: their attention heads.
        grid: patches along a side of a window; a multiple of 8. The input has 64 times as many
            pixels along a side.
        hook_block_ids: the two blocks whose tokens become the finest maps, from 0.
        dims_encoder: channels of the encoder's maps, fine to coarse, all but the finest.
        decoder_features: channels of the finest map and of the decoder.
        head_features: channels before the last convolution.
        use_fov_head: estimate the field of view; without it the focal length has to be given.
        use_fov_encoder: whether the field of view has a transformer of its own, or is read from
            the decoder's coarsest map alone.
    """

    width: int = 1024
    depth: int = 24
    heads: int = 16
    grid: int = 24
    hook_block_ids: tuple[int, int] = (5, 11)
    dims_encoder: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    decoder_features: int = 256
    head_features: int = 32
    use_fov_head: bool = True
    use_fov_encoder: bool = True

    def __post_init__(self) -> None:
        hooks = tuple(self.hook_block_ids)
        if len(hooks) != 2 or not 0 <= hooks[0] < hooks[1] < self.depth:
            raise InputError(
                f"hook_block_ids={self.hook_block_ids}: two increasing block numbers from 0 to "
                f"{self.depth - 1} are needed."
            )
        if self.grid < 8 or self.grid % 8:
            raise InputError(
                f"grid={self.grid}: a multiple of 8 is needed, since windows overlap by quarters "
                "and lose an eighth of their sides when they are joined."
            )
        if self.width < 1 or self.heads < 1 or self.width % self.heads:
            raise InputError(
                f"width={self.width}, heads={self.heads}: a width that the heads divide is needed."
            )
        if len(self.dims_encoder) != 4 or min(*self.dims_encoder, self.head_features) < 1:
            raise InputError(
                f"dims_encoder={self.dims_encoder}, head_features={self.head_features}: four "
                "positive channel counts, and one, are needed."
            )
        if self.decoder_features < 8 or self.decoder_features % 8:
            raise InputError(
                f"decoder_features={self.decoder_features}: a multiple of 8 is needed, which the "
                "heads halve up to three times."
            )

    @property
    def side(self) -> int:
        """Height and width of the input, pixels."""
        return 4 * _PATCH * self.grid

    @property
    def transformer(self) -> EncoderConfig:
        """Size of each transformer."""
        return EncoderConfig(
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            patch=_PATCH,
            grid=self.grid,
            mask_token=False,
        )


def cut_windows(batch: Tensor, side: int, step: int) -> Tensor:
    """Square windows of a square batch, row by row; picture after picture within each place.

    Args:
        batch: (b, c, s, s).
        side: of a window.
        step: from one window to the next; it divides s - side.

    Returns:
        (n * b, c, side, side); window k of picture i is at k * b + i.
    """
    starts = range(0, batch.shape[-1] - side + 1, step)
    return torch.cat([batch[..., y : y + side, x : x + side] for y in starts for x in starts])


def join_windows(maps: Tensor, windows: int, trim: int) -> Tensor:
    """The inverse of :func:`cut_windows`, for maps of the windows.

    Args:
        maps: (windows * windows * b, c, g, g).
        windows: along a side.
        trim: rows and columns that every window loses where it meets another.

    Returns:
        (b, c, s, s) with s = windows * g - 2 * (windows - 1) * trim.
    """
    g = maps.shape[-1]
    spans = [
        slice(trim if i > 0 else 0, g - trim if i < windows - 1 else g) for i in range(windows)
    ]
    pieces = iter(maps.unflatten(0, (windows * windows, -1)))
    rows = [torch.cat([next(pieces)[..., y, x] for x in spans], dim=-1) for y in spans]
    return torch.cat(rows, dim=-2)


def _enlarge(inputs: int, outputs: int, times: int, *, between: int | None = None) -> nn.Sequential:
    """A 1x1 projection, then ``times`` doublings. (b, inputs, h, w) -> (b, outputs, h', w')."""
    between = between or outputs
    widths = [between, *[outputs] * times]
    doublings = [nn.ConvTranspose2d(a, b, 2, stride=2, bias=False) for a, b in pairwise(widths)]
    return nn.Sequential(nn.Conv2d(inputs, between, 1, bias=False), *doublings)


class PyramidEncoder(nn.Module):
    """Two transformers: windows of three levels, and the whole picture at the coarsest."""

    def __init__(self, config: DepthProConfig) -> None:
        super().__init__()
        self.config = config
        width, features, dims = config.width, config.decoder_features, config.dims_encoder
        self.patch_encoder = DinoV2(config.transformer)
        self.image_encoder = DinoV2(config.transformer)
        self.upsample_latent0 = _enlarge(width, features, 3, between=dims[0])
        self.upsample_latent1 = _enlarge(width, dims[0], 2)
        self.upsample0 = _enlarge(width, dims[1], 1)
        self.upsample1 = _enlarge(width, dims[2], 1)
        self.upsample2 = _enlarge(width, dims[3], 1)
        self.upsample_lowres = nn.ConvTranspose2d(width, dims[3], 2, stride=2)
        self.fuse_lowres = nn.Conv2d(2 * dims[3], dims[3], 1)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """From the pyramid to five maps.

        Args:
            levels: the picture (b, 3, s, s), its half and its quarter.

        Returns:
            (b, c_i, h_i, h_i) with h = 32, 16, 8, 4 and 2 times ``grid``.
        """
        g, b = self.config.grid, levels[0].shape[0]
        side = g * _PATCH
        cut = (
            cut_windows(levels[0], side, side * 3 // 4),  # 5 x 5
            cut_windows(levels[1], side, side // 2),  # 3 x 3
            levels[2],
        )
        shallow, deep, last = self._run_patches(torch.cat(cut), 25 * b)
        fine, middle, coarse = last.split([25 * b, 9 * b, b])
        whole = self._grids(self.image_encoder(levels[2], (self.config.depth - 1,))[0])
        whole = torch.cat([self.upsample2(coarse), self.upsample_lowres(whole)], dim=1)
        return [
            self.upsample_latent0(join_windows(shallow, 5, g // 8)),
            self.upsample_latent1(join_windows(deep, 5, g // 8)),
            self.upsample0(join_windows(fine, 5, g // 8)),
            self.upsample1(join_windows(middle, 3, g // 4)),
            self.fuse_lowres(whole),
        ]

    def _run_patches(self, windows: Tensor, finest: int) -> tuple[Tensor, Tensor, Tensor]:
        """Maps after the hooked blocks, of the ``finest`` first windows, and after the last."""
        encoder, hooks = self.patch_encoder, self.config.hook_block_ids
        taken = encoder.run_blocks(windows, {*hooks, self.config.depth - 1})
        shallow, deep = (self._grids(tokens[:finest]) for tokens in taken[:2])
        return shallow, deep, self._grids(encoder.norm(taken[-1]))

    def _grids(self, tokens: Tensor) -> Tensor:
        """(n, 1 + g * g, c) -> (n, c, g, g), without the class token."""
        g = self.config.grid
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (g, g))


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        return x + self.residual(x)


class FusionBlock(nn.Module):
    """Adds a refined skip to the path, refines the sum and, if ``enlarge``, doubles its sides."""

    def __init__(self, channels: int, *, enlarge: bool) -> None:
        super().__init__()
        self.resnet1 = ResidualUnit(channels)
        self.resnet2 = ResidualUnit(channels)
        if enlarge:
            self.deconv = nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)
        self.enlarge = enlarge
        self.out_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, path: Tensor, skip: Tensor | None = None) -> Tensor:
        """(b, c, h, w), the same or None -> (b, c, h', w')."""
        if skip is not None:
            path = path + self.resnet1(skip)
        path = self.resnet2(path)
        return self.out_conv(self.deconv(path) if self.enlarge else path)


class Decoder(nn.Module):
    """Fuses the encoder's maps from coarse to fine."""

    def __init__(self, dims: Sequence[int], features: int) -> None:
        super().__init__()
        # The finest map comes with the decoder's channels.
        projections = [nn.Conv2d(dim, features, 3, padding=1, bias=False) for dim in dims]
        self.convs = nn.ModuleList([nn.Identity(), *projections])
        self.fusions = nn.ModuleList(FusionBlock(features, enlarge=i > 0) for i in range(5))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Five maps, fine to coarse -> the fused map at the finest size, and the coarsest alone."""
        coarsest = self.convs[4](maps[4])
        path = self.fusions[4](coarsest)
        for i in (3, 2, 1, 0):
            path = self.fusions[i](path, self.convs[i](maps[i]))
        return path, coarsest


class FieldOfView(nn.Module):
    """Horizontal field of view from the coarse map and, if there is a transformer, the picture."""

    def __init__(self, config: DepthProConfig) -> None:
        super().__init__()
        f = config.decoder_features
        first = nn.Conv2d(f, f // 2, 3, stride=2, padding=1)
        later = (
            nn.Conv2d(f // 2, f // 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(f // 4, f // 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(f // 8, 1, config.grid // 4),
        )
        self.config = config
        if config.use_fov_encoder:
            self.encoder = nn.ModuleList(
                [DinoV2(config.transformer), nn.Linear(config.width, f // 2)]
            )
            self.downsample = nn.Sequential(first, nn.ReLU())
            self.head = nn.Sequential(*later)
        else:
            self.head = nn.Sequential(first, nn.ReLU(), *later)

    def forward(self, picture: Tensor, coarsest: Tensor) -> Tensor:
        """Estimate the angle.

        Args:
            picture: (b, 3, 16 g, 16 g), the pyramid's quarter.
            coarsest: (b, c, 2 g, 2 g) of the decoder.

        Returns:
            (b,) degrees; nothing bounds them.
        """
        if not self.config.use_fov_encoder:
            return self.head(coarsest).flatten()
        transformer, project = self.encoder
        tokens = project(transformer(picture, (self.config.depth - 1,))[0])[:, 1:]
        seen = tokens.transpose(1, 2).unflatten(2, (self.config.grid, self.config.grid))
        return self.head(seen + self.downsample(coarsest)).flatten()


class DepthPro(DepthModule):
    """Depth Pro.

    It gives the inverse depth of a canonical camera, whose focal length equals the picture's width,
    and the field of view that makes metres of it, with the decoder ``inverse_depth_with_focal``.
    """

    def __init__(self, config: DepthProConfig) -> None:
        super().__init__()
        self.config = config
        self.only_size = (config.side, config.side)
        f = config.decoder_features
        self.encoder = PyramidEncoder(config)
        self.decoder = Decoder(config.dims_encoder, f)
        self.head = nn.Sequential(
            nn.Conv2d(f, f // 2, 3, padding=1),
            nn.ConvTranspose2d(f // 2, f // 2, 2, stride=2),
            nn.Conv2d(f // 2, config.head_features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.head_features, 1, 1),
            nn.ReLU(),
        )
        self.fov = FieldOfView(config) if config.use_fov_head else None

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, s, s) -> (b, s, s) canonical inverse depth, 1 / metres, not negative."""
        return self._predict(self._pyramid(batch))[0]

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """Return every output by name.

        Args:
            image: (b, 3, s, s), normalised; s is 1536 in the published model.

        Returns:
            ``canonical_inverse_depth``: (b, s, s), 1 / metres at a focal length of one picture
            width, 0 at infinity. ``fov_deg``: (b,) horizontal field of view, degrees; only with
            ``use_fov_head``.
        """
        levels = self._pyramid(image)
        inverse, coarsest = self._predict(levels)
        found = {"canonical_inverse_depth": inverse}
        if self.fov is not None:
            # The camera's error must not reach the decoder when both are trained.
            found["fov_deg"] = self.fov(levels[2], coarsest.detach())
        return found

    def check_size(self, height: int, width: int) -> None:
        """Raise InputError unless the picture is a square of ``config.side`` pixels."""
        side = self.config.side
        if (height, width) != (side, side):
            raise InputError(
                f"Depth Pro was given pictures of {height}x{width} pixels (height x width); "
                f"{side}x{side} are needed. Stretch them to that size, whatever their aspect, or "
                "use the model's own preprocessing."
            )

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors, saved or in memory, to the originals' names."""
        return from_transformers(state_dict, fov=self.fov is not None)

    def _pyramid(self, batch: Tensor) -> list[Tensor]:
        """The batch, its half and its quarter; without antialiasing, as the original."""
        self.check_batch(batch)
        side = self.config.side
        smaller = [
            F.interpolate(batch, size=(side // n, side // n), mode="bilinear") for n in (2, 4)
        ]
        return [batch, *smaller]

    def _predict(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        features, coarsest = self.decoder(self.encoder(levels))
        inverse = run_in_float32(self.head[4:], self.head[:4](features))
        return inverse.squeeze(1), coarsest
