"""Metric3D v2's updates: gated recurrent units at three resolutions, and convex upsampling.

Source: Teed and Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, ECCV 2020,
section 3.3; its stereo variant by Lipson et al., 3DV 2021 (several resolutions, coarse ones more
often).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dpt import Size, resize

_LEAST_KAPPA = 0.01
_UPSAMPLING = 4


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of a map."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(b, c, h, w) -> (b, c, h, w)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ContextBlock(nn.Module):
    """Two normed 3x3 convolutions, added to a projection of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm1 = ChannelNorm(outputs)
        self.norm2 = ChannelNorm(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1), ChannelNorm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h, w)."""
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.downsample(x) + F.relu(self.norm2(self.conv2(out))))


class ContextEncoder(nn.Module):
    """``context_feature_encoder``: at each level, the first hidden state and the context."""

    def __init__(self, features: Sequence[int], hidden: int) -> None:
        super().__init__()

        def make_branches(inputs: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(ContextBlock(inputs, hidden), nn.Conv2d(hidden, hidden, 3, padding=1))
                for _ in range(2)
            )

        self.outputs04, self.outputs08, self.outputs16 = (
            make_branches(count) for count in features
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Three maps, fine to coarse -> hidden states and contexts, fine to coarse."""
        levels = (self.outputs04, self.outputs08, self.outputs16)
        pairs = [(level[0](x), level[1](x)) for level, x in zip(levels, maps, strict=True)]
        return [torch.tanh(a) for a, _ in pairs], [F.relu(b) for _, b in pairs]


class Gates(NamedTuple):
    """What a level's context adds to its recurrent unit's three convolutions."""

    z: Tensor
    r: Tensor
    q: Tensor


class ConvGRU(nn.Module):
    """A gated recurrent unit of 3x3 convolutions."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self.convz = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convr = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convq = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)

    def forward(self, h: Tensor, gates: Gates, *inputs: Tensor) -> Tensor:
        """The next state (b, hidden, h, w)."""
        x = torch.cat(inputs, dim=1)
        both = torch.cat([h, x], dim=1)
        z = torch.sigmoid(self.convz(both) + gates.z)
        r = torch.sigmoid(self.convr(both) + gates.r)
        q = torch.tanh(self.convq(torch.cat([r * h, x], dim=1)) + gates.q)
        return (1 - z) * h + z * q


class StateChange(nn.Module):
    """``flow_head``: what to add to depth and its confidence, and to the normal and its own."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.conv1d = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv2d = nn.Conv2d(hidden, 2, 3, padding=1)
        self.conv1n = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv2n = nn.Conv2d(hidden, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, hidden, h, w) -> (b, 6, h, w)."""
        depth = self.conv2d(F.relu(self.conv1d(x)))
        return torch.cat([depth, self.conv2n(F.relu(self.conv1n(x)))], dim=1)


class UpdateBlock(nn.Module):
    """One update: recurrent units at 1/14, 1/7 and 1/4, coarse ones more often than fine ones."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gru08 = ConvGRU(hidden, hidden + 6)
        self.gru16 = ConvGRU(hidden, 2 * hidden)
        self.gru32 = ConvGRU(hidden, hidden)
        self.flow_head = StateChange(hidden)
        self.mask = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, 9 * _UPSAMPLING**2, 1),
        )

    def forward(
        self, hidden: list[Tensor], gates: Sequence[Gates], state: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """The next hidden states, the next state (b, 6, h, w), and weights of its upsampling."""
        fine, middle, coarse = hidden
        coarse = self.gru32(coarse, gates[2], _halve(middle, coarse))
        for _ in range(2):
            coarse = self.gru32(coarse, gates[2], _halve(middle, coarse))
            middle = self.gru16(
                middle, gates[1], _halve(fine, middle), resize(coarse, size_of(middle))
            )
        fine = self.gru08(fine, gates[0], state, resize(middle, size_of(fine)))
        return [fine, middle, coarse], state + self.flow_head(fine), 0.25 * self.mask(fine)


def normalise(x: Tensor) -> Tensor:
    """(b, 4, h, w): a vector made of length 1, and its concentration made positive."""
    vector, kappa = x[:, :3], x[:, 3:]
    length = vector.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
    return torch.cat([vector / length, F.elu(kappa) + 1 + _LEAST_KAPPA], dim=1)


def upsample_convex(state: Tensor, weights: Tensor) -> Tensor:
    """UpsampleBlock a map 4 times: each pixel is a weighted mean of the 3x3 coarse ones around it.

    Args:
        state: (b, c, h, w).
        weights: (b, 9 * 16, h, w) before their softmax.

    Source: RAFT, section 3.3.
    """
    b, c, h, w = state.shape
    k = _UPSAMPLING
    shares = weights.view(b, 1, 9, k, k, h, w).softmax(dim=2)
    around = F.unfold(state, 3, padding=1).view(b, c, 9, 1, 1, h, w)
    fine = (shares * around).sum(dim=2)  # (b, c, k, k, h, w)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(b, c, k * h, k * w)


def _halve(x: Tensor, like: Tensor) -> Tensor:
    """3x3 means at every other pixel, zeros beyond the border counted, at the size of ``like``."""
    return resize(F.avg_pool2d(x, 3, stride=2, padding=1), size_of(like))


def size_of(x: Tensor) -> Size:
    """Height and width of a map."""
    return x.shape[-2], x.shape[-1]
