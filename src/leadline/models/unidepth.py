"""UniDepth v2: metric points from one picture, by a camera that is predicted or given.

Sources:
    Piccinelli et al., UniDepthV2: Universal Monocular Metric Depth Estimation Made Simpler, 2025.
    Piccinelli et al., UniDepth: Universal Monocular Metric Depth Estimation, CVPR 2024.

The class tokens of four blocks give a pinhole camera; its rays, as angles in sines, condition the
patch tokens; a convolutional decoder gives the distance along every ray. Depth is the z of a point,
not its distance. Module names are those of the published checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.dinov2 import ENCODERS, DinoV2, LayerScale, attend, check_taps
from leadline.models.dpt import Size, resize
from leadline.ops import resize_antialiased

_HEADS = 8
_FOCAL = 0.7  # of the diagonal, where the network says 0
_LEAST_X = 1e-3  # of a ray, so that its azimuth is steady
_EXPONENT = 8.0
_DISTANCE = 2.0  # logarithm of the metres where the network says 0
_PATCH = 14


@dataclass(frozen=True, kw_only=True)
class UniDepthConfig:
    """One variant of the network.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`.
        taps: the four blocks that are read, from 0, increasing.
        hidden_dim: channels of the decoder; a multiple of 8.
        out_dim: channels at the picture's size.
    """

    encoder: str
    taps: tuple[int, int, int, int]
    hidden_dim: int
    out_dim: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "taps", tuple(self.taps))
        check_taps(self.encoder, self.taps)
        if self.hidden_dim < 1 or self.hidden_dim % _HEADS or self.out_dim < 1:
            raise InputError(
                f"hidden_dim={self.hidden_dim}, out_dim={self.out_dim}: a multiple of {_HEADS} "
                "and a positive count are needed."
            )


CONFIGS: dict[str, UniDepthConfig] = {
    "unidepth-v2-vits": UniDepthConfig(
        encoder="vits", taps=(2, 5, 8, 11), hidden_dim=256, out_dim=32
    ),
    "unidepth-v2-vitb": UniDepthConfig(
        encoder="vitb", taps=(2, 5, 8, 11), hidden_dim=384, out_dim=48
    ),
    "unidepth-v2-vitl": UniDepthConfig(
        encoder="vitl", taps=(5, 11, 17, 23), hidden_dim=512, out_dim=64
    ),
}


# --- layers --------------------------------------------------------------------------------------


class NormedMlp(nn.Module):
    """A norm and two linear layers with an exact GELU between them."""

    def __init__(self, width: int, expansion: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.proj1 = nn.Linear(width, expansion * width)
        self.proj2 = nn.Linear(expansion * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., c) -> (..., outputs)."""
        return self.proj2(F.gelu(self.proj1(self.norm(x))))


class AttentionBlock(nn.Module):
    """Attention to a context, or to the tokens themselves, and an MLP; both added."""

    def __init__(self, width: int, *, scaled: bool) -> None:
        super().__init__()
        self.mlp = NormedMlp(width, 4, width)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.q = nn.Linear(width, width, bias=False)
        self.norm_attnx = nn.LayerNorm(width)
        self.norm_attnctx = nn.LayerNorm(width)
        self.out = nn.Linear(width, width, bias=False)
        self.ls1 = LayerScale(width) if scaled else nn.Identity()
        self.ls2 = LayerScale(width) if scaled else nn.Identity()

    def forward(self, x: Tensor, context: Tensor, query_positions: Tensor | None = None) -> Tensor:
        """(b, n, c) and a context (b, m, c) -> (b, n, c)."""
        q = self.q(self.norm_attnx(x))
        q = q if query_positions is None else q + query_positions
        k, v = self.kv(self.norm_attnctx(context)).chunk(2, dim=-1)
        heads = (part.unflatten(2, (_HEADS, -1)).transpose(1, 2) for part in (q, k, v))
        x = x + self.ls1(self.out(attend(*heads).transpose(1, 2).flatten(2)))
        return x + self.ls2(self.mlp(x))


class CameraHead(nn.Module):
    """``camera_layer``: four class tokens -> fx, fy, cx, cy in pixels of the network's input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.latents_pos = nn.Parameter(torch.zeros(1, 4, width))
        self.aggregate1 = AttentionBlock(width, scaled=True)
        self.aggregate2 = AttentionBlock(width, scaled=True)
        self.project = NormedMlp(width, 1, width)
        self.out_pinhole = NormedMlp(width, 1, 1)

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """(b, 4, c) of a picture of ``size`` -> (b, 4)."""
        h, w = size
        x = self.project(tokens)
        x = self.aggregate1(x, x, self.latents_pos)
        x = self.aggregate2(x, x, self.latents_pos)
        raw = self.out_pinhole(x).squeeze(-1)
        focal = _FOCAL * math.sqrt(h**2 + w**2) * raw[:, :2].exp()
        centre = raw[:, 2:].sigmoid()
        return torch.cat([focal, centre[:, :1] * w, centre[:, 1:] * h], dim=1)


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, each after a leaky ReLU, added with a gain per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)."""
        return x + self.gamma * self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x))))


class UpsampleBlock(nn.Module):
    """Two residual units, a 1x1 convolution, and twice the sides."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ResidualUnit(channels) for _ in range(2))
        self.up = nn.Sequential(
            nn.Conv2d(channels, outputs, 1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, outputs, 2 h, 2 w)."""
        for conv in self.convs:
            x = conv(x)
        return self.up(x)


class RayConditioning(nn.Module):
    """``prompt_camera.i``: tokens attend to the rays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([AttentionBlock(width, scaled=False)])

    def forward(self, x: Tensor, rays: Tensor) -> Tensor:
        """(b, n, c) and (b, n, c) -> (b, n, c)."""
        for layer in self.layers:
            x = layer(x, rays)
        return x


class DepthHead(nn.Module):
    """``depth_layer``: tokens and rays -> logarithms of distance and of its relative error."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        channels = (width, width, width // 2, width // 4)
        last = channels[3]
        self.ups = nn.ModuleList(UpsampleBlock(channels[i], channels[i + 1]) for i in range(3))
        self.depth_mlp = nn.ModuleList(
            [nn.Identity(), nn.Identity(), nn.Sequential(nn.LayerNorm(last), nn.Linear(last, last))]
        )
        self.process_features = nn.ModuleList(
            nn.ConvTranspose2d(width, channels[i], kernel_size=2**i, stride=2**i) for i in range(3)
        )
        self.prompt_camera = nn.ModuleList(RayConditioning(width) for _ in range(4))
        self.to_latents = nn.Linear(width, width)
        self.confidence_mlp = nn.Sequential(nn.LayerNorm(last), nn.Linear(last, last))
        self.to_depth_lr, self.to_depth_hr = _make_reflecting(last, out), _make_output(out)
        self.to_confidence_lr, self.to_confidence_hr = (
            _make_reflecting(last, out),
            _make_output(out),
        )

    def forward(self, tokens: Sequence[Tensor], rays: Tensor, grid: Size) -> tuple[Tensor, Tensor]:
        """Four (b, n, c) and rays (b, 3, h, w) -> two (b, 1, h, w)."""
        embedded = embed_rays(rays, grid, tokens[0].shape[-1])
        tokens = [read(x, embedded) for read, x in zip(self.prompt_camera, tokens, strict=True)]
        maps = [
            x.transpose(1, 2).unflatten(2, grid) for x in (self.to_latents(tokens[0]), *tokens[1:])
        ]
        x = maps[0]
        for up, process, skip in zip(self.ups, self.process_features, maps[1:], strict=True):
            x = up(x + process(skip))
        x, size = x.permute(0, 2, 3, 1), (rays.shape[-2], rays.shape[-1])

        def finish(mlp: nn.Module, coarse: nn.Module, fine: nn.Module) -> Tensor:
            return fine(resize(coarse(mlp(x).permute(0, 3, 1, 2)), size))

        return (
            finish(self.depth_mlp[2], self.to_depth_lr, self.to_depth_hr),
            finish(self.confidence_mlp, self.to_confidence_lr, self.to_confidence_hr),
        )


def _make_reflecting(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def _make_output(channels: int) -> nn.Sequential:
    return nn.Sequential(
        _make_reflecting(channels, channels), nn.LeakyReLU(), nn.Conv2d(channels, 1, 1)
    )


def cast_rays(camera: Tensor, size: Size) -> Tensor:
    """Unit rays through pixel centres.

    Args:
        camera: (b, 4) fx, fy, cx, cy in pixels; the centre of the first pixel is at (0.5, 0.5).
        size: (height, width) of the picture.

    Returns:
        (b, 3, height, width).
    """
    h, w = size
    u = torch.arange(w, device=camera.device, dtype=camera.dtype) + 0.5
    v = torch.arange(h, device=camera.device, dtype=camera.dtype) + 0.5
    fx, fy, cx, cy = (number[:, None] for number in camera.unbind(dim=1))
    x = ((u - cx) / fx)[:, None].expand(-1, h, -1)
    y = ((v - cy) / fy)[:, :, None].expand(-1, -1, w)
    return F.normalize(torch.stack([x, y, torch.ones_like(x)], dim=1), dim=1)


def embed_rays(rays: Tensor, grid: Size, width: int) -> Tensor:
    """(b, 3, h, w) -> (b, n, width): sines of the rays' two angles on a patch ``grid``."""
    rays = F.normalize(resize_antialiased(rays, grid), dim=1)
    x, y, z = rays.flatten(2).unbind(dim=1)  # (b, n)
    steady = torch.where(x < 0, -1.0, 1.0) * x.abs().clamp(min=_LEAST_X)
    angles = torch.stack([torch.acos(z), torch.atan2(y, steady)], dim=-1)
    highest = math.log2(max(1, max(grid) // 2))
    scales = torch.linspace(0.0, highest, width // 2, device=rays.device, dtype=rays.dtype).exp2()
    return torch.sin(angles.unsqueeze(-1) * scales * math.pi).flatten(2)


class Adapters(nn.Module):
    """One linear layer per tap."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.input_adapters = nn.ModuleList(nn.Linear(inputs, outputs) for _ in range(4))

    def forward(self, tokens: Sequence[Tensor]) -> list[Tensor]:
        """Four (..., inputs) -> four (..., outputs)."""
        return [layer(x) for layer, x in zip(self.input_adapters, tokens, strict=True)]


class UniDepthDecoder(nn.Module):
    """``pixel_decoder``: its three parts; ``level_embeds`` is held because checkpoints hold it."""

    def __init__(self, config: UniDepthConfig) -> None:
        super().__init__()
        inputs, width = ENCODERS[config.encoder].width, config.hidden_dim
        self.level_embeds = nn.Parameter(torch.zeros(1, 1, 4, width))
        self.input_adapter = Adapters(inputs, width)
        self.camera_token_adapter = Adapters(inputs, width)
        self.camera_layer = CameraHead(width)
        self.depth_layer = DepthHead(width, config.out_dim)


class UniDepth(DepthModule):
    """UniDepth v2: metres along the optical axis, and a pinhole camera."""

    multiple_of: ClassVar[int] = _PATCH

    def __init__(self, config: UniDepthConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ENCODERS[config.encoder]
        self.pixel_encoder = DinoV2(encoder, positional="size", final_eps=1e-5)
        # Unused; checkpoints hold it.
        self.pixel_encoder.register_tokens = nn.Parameter(torch.zeros(1, 1, encoder.width))
        self.pixel_decoder = UniDepthDecoder(config)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w), sides multiples of 14 -> (b, h, w)."""
        return self.outputs(batch)["depth"]

    def outputs(self, image: Tensor, intrinsics: Tensor | None = None) -> dict[str, Tensor]:
        """Depth, points, rays and the predicted camera.

        Args:
            image: (b, 3, h, w) normalised, sides multiples of 14.
            intrinsics: (b, 3, 3) in pixels of ``image``, the centre of the first pixel at
                (0.5, 0.5); the rays are then those of this camera.

        Returns:
            ``depth`` (b, h, w) metres; ``depth_error`` (b, h, w), its relative error as the network
            sees it, larger = worse; ``points`` (b, 3, h, w) metres, x right, y down, z forward;
            ``rays`` (b, 3, h, w) unit vectors; ``radius`` (b, h, w) metres along them;
            ``intrinsics`` (b, 3, 3), the predicted ones in every case, in the same pixels.
        """
        self.check_batch(image)
        size = image.shape[-2], image.shape[-1]
        decoder = self.pixel_decoder
        tokens = self.pixel_encoder(image, self.config.taps)
        camera = decoder.camera_layer(
            torch.stack(decoder.camera_token_adapter([x[:, 0] for x in tokens]), dim=1), size
        )
        rays = cast_rays(camera if intrinsics is None else split_intrinsics(intrinsics), size)
        distance, error = decoder.depth_layer(
            decoder.input_adapter([x[:, 1:] for x in tokens]),
            rays,
            (size[0] // _PATCH, size[1] // _PATCH),
        )
        radius = (distance.clamp(-_EXPONENT, _EXPONENT) + _DISTANCE).exp()
        points = rays * radius
        return {
            "depth": points[:, 2],
            "depth_error": error.clamp(-_EXPONENT, _EXPONENT).exp().squeeze(1),
            "points": points,
            "rays": rays,
            "radius": radius.squeeze(1),
            "intrinsics": join_intrinsics(camera),
        }


def split_intrinsics(intrinsics: Tensor) -> Tensor:
    """(b, 3, 3) -> (b, 4) fx, fy, cx, cy."""
    return torch.stack(
        [intrinsics[:, 0, 0], intrinsics[:, 1, 1], intrinsics[:, 0, 2], intrinsics[:, 1, 2]], dim=1
    )


def join_intrinsics(camera: Tensor) -> Tensor:
    """(b, 4) fx, fy, cx, cy -> (b, 3, 3)."""
    fx, fy, cx, cy = camera.unbind(dim=1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], dim=1).unflatten(1, (3, 3))
