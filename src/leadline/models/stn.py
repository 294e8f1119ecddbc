"""Spatial Transformer Network: a layer that learns where to look.

Source: Jaderberg, Simonyan, Zisserman, Kavukcuoglu, Spatial Transformer Networks, NIPS 2015.

Three parts. A *localisation network* sees the input and gives the parameters of a transformation;
a *grid generator* (:mod:`leadline.ops.grids`) says where each output pixel comes from; a *sampler*
(:func:`leadline.ops.sample`) reads the input there. All three have gradients, so the layer learns
from the task alone. It begins as the identity.

Monodepth's way to make one eye's view from the other is this layer with one parameter per pixel, a
shift along the row: :func:`leadline.ops.sample_along_rows`, on the same sampler.

This is no depth network: it takes a batch (b, c, h, w) and gives it back transformed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.ops import (
    affine_coordinates,
    homography_coordinates,
    identity_coordinates,
    sample,
    thin_plate_coordinates,
)
from leadline.ops.sampler import Outside

Transform = Literal["affine", "projective", "thin-plate"]
"""``affine``: 6 parameters; ``projective``: 8; ``thin-plate``: 2 per control point."""


@dataclass(frozen=True, kw_only=True)
class STNConfig:
    """A spatial transformer for pictures.

    Attributes:
        transform: see :data:`Transform`.
        channels: of the input.
        width: channels of the localisation network's first layer.
        control_points: of the thin-plate spline, per side of a regular square.
        outside: what the sampler sees beyond the input, ``zeros`` or ``edge``.
    """

    transform: Transform = "affine"
    channels: int = 3
    width: int = 16
    control_points: int = 4
    outside: Outside = "zeros"

    def __post_init__(self) -> None:
        if self.transform not in ("affine", "projective", "thin-plate"):
            raise InputError(
                f"transform={self.transform!r}: 'affine', 'projective' or 'thin-plate' is needed."
            )
        if self.outside not in ("zeros", "edge"):
            raise InputError(f"outside={self.outside!r}: 'zeros' or 'edge' is needed.")
        if self.channels < 1 or self.width < 1 or self.control_points < 2:
            raise InputError(
                f"channels={self.channels}, width={self.width}, "
                f"control_points={self.control_points}: at least 1, 1 and 2 are needed."
            )

    @property
    def parameters(self) -> int:
        """How many numbers the localisation network predicts."""
        return {
            "affine": 6,
            "projective": 8,
            "thin-plate": 2 * self.control_points**2,
        }[self.transform]


CONFIGS: dict[str, STNConfig] = {"stn": STNConfig()}


class STNOutputs(NamedTuple):
    """The transformed batch and how it came about.

    Attributes:
        image: (b, c, h, w).
        theta: (b, parameters): 2x3 row by row; 3x3 without its last entry, which is 1; or x and y
            of every control point.
        coordinates: (b, h, w, 2), where each output pixel was read, in [-1, 1] inside the input.
    """

    image: Tensor
    theta: Tensor
    coordinates: Tensor


class SpatialTransformer(nn.Module):
    """Localisation network, grid generator and sampler.

    Args:
        config: the transformation.
        localisation: (b, channels, h, w) -> (b, config.parameters), to replace the default
            :class:`Localisation`. Its output is added to the identity's parameters, so let its
            last layer begin at zero.
    """

    def __init__(self, config: STNConfig, localisation: nn.Module | None = None) -> None:
        super().__init__()
        self.name = "stn"
        self.config = config
        self.localisation = localisation or Localisation(
            config.channels, config.width, config.parameters
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w), transformed."""
        return self.forward_all(batch).image

    def forward_all(self, batch: Tensor) -> STNOutputs:
        """The transformed batch with its parameters and coordinates."""
        if batch.ndim != 4 or batch.shape[1] != self.config.channels:
            raise InputError(
                f"a batch of shape {tuple(batch.shape)}: (b, {self.config.channels}, h, w) is "
                "needed; build with channels=... for other inputs."
            )
        theta = self._identity(batch) + self.localisation(batch)
        coordinates = self.coordinates(theta, *batch.shape[-2:])
        image = sample(batch, coordinates, outside=self.config.outside)
        return STNOutputs(image, theta, coordinates)

    def coordinates(self, theta: Tensor, height: int, width: int) -> Tensor:
        """The grid generator: (b, parameters) -> (b, height, width, 2)."""
        if self.config.transform == "affine":
            return affine_coordinates(theta.reshape(-1, 2, 3), height, width)
        if self.config.transform == "projective":
            whole = torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1)
            return homography_coordinates(whole.reshape(-1, 3, 3), height, width)
        control = self._control(theta)
        return thin_plate_coordinates(control, theta.reshape(-1, *control.shape), height, width)

    def _identity(self, like: Tensor) -> Tensor:
        """The parameters under which nothing moves."""
        if self.config.transform == "thin-plate":
            return self._control(like).flatten()
        eye = torch.eye(3, dtype=like.dtype, device=like.device).flatten()
        return eye[: self.config.parameters]

    def _control(self, like: Tensor) -> Tensor:
        """(n, 2) control points on a regular square over the output."""
        n = self.config.control_points
        return identity_coordinates(n, n, like).reshape(-1, 2)


class Localisation(nn.Module):
    """Three convolutions and two fully connected layers; any input size.

    Features are averaged over a 4x4 square of places, not over the whole picture: where things
    are is what it has to tell.
    """

    def __init__(self, channels: int, width: int, parameters: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
        )
        self.full = nn.Linear(32 * width, 2 * width)
        self.theta = nn.Linear(2 * width, parameters)
        nn.init.zeros_(self.theta.weight)
        nn.init.zeros_(self.theta.bias)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, parameters), zero before training."""
        x = self.features(batch).flatten(1)
        return self.theta(torch.relu(self.full(x)))
