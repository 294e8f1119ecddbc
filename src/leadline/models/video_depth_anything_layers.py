"""Video Depth Anything's temporal modules: places of a map that attend over the frames of a clip.

Sources:
    Chen et al., Video Depth Anything: Consistent Depth Estimation for Super-Long Videos, CVPR 2025.
    Guo et al., AnimateDiff, ICLR 2024 (the module).
    Vaswani et al., Attention Is All You Need, 2017, section 3.5 (the table of positions).
    Shazeer, GLU Variants Improve Transformer, 2020 (GEGLU).

Module names are those of the published checkpoints.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dinov2 import attend
from leadline.models.dpt import size_of

HEADS = 8
GROUPS = 32
"""Of the GroupNorm; channels are a multiple of it."""

MEMORIES = 8
"""Temporal attentions of a network: two in each of its four modules."""


class FrameMemory:
    """What one temporal attention keeps of earlier frames of a film that runs.

    Args:
        frames: length of the table of positions.
    """

    def __init__(self, frames: int) -> None:
        self._previous = frames - 3  # beside the first, an old one and the current one
        self._first: Tensor | None = None
        self._recent: deque[Tensor] = deque(maxlen=frames + 9)

    def extend(self, x: Tensor) -> Tensor:
        """Put the current frame (n, 1, c) behind those that it attends to, and keep it.

        Returns:
            (n, frames, c): the first frame, the one ``frames + 9`` before the current one, those
            right before it, and itself. Places before the first frame hold the first again. The
            first frame of all is alone: (n, 1, c).
        """
        if self._first is None:
            self._first = x
            self._recent.extend([x] * (self._recent.maxlen or 0))
            return x
        recent = list(self._recent)
        self._recent.append(x)
        return torch.cat([self._first, recent[0], *recent[-self._previous :], x], dim=1)


class FramePositions(nn.Module):
    """Adds a sine and cosine table of frame numbers; checkpoints hold the table."""

    pe: Tensor

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.register_buffer("pe", frame_positions(frames, width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, c) -> (n, t, c)."""
        return x + self.pe[:, : x.shape[1]]


def frame_positions(frames: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sine in even and cosine in odd channels, of wavelengths from 2 pi to 2 pi 10000.

    Returns:
        (1, frames, width).
    """
    number = torch.arange(frames, device=device).unsqueeze(1)
    even = torch.arange(0, width, 2, device=device)
    angle = number * torch.exp(even * (-math.log(10000.0) / width))  # (frames, width / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).unsqueeze(0)


class TemporalAttention(nn.Module):
    """Multi-head attention of every place over its own frames."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))
        self.pos_encoder = FramePositions(width, frames)

    def forward(self, x: Tensor, memory: FrameMemory | None = None) -> Tensor:
        """(n, t, c) -> (n, t, c); with a memory, t = 1 and earlier frames are attended to."""
        count = x.shape[1]
        context = self.pos_encoder(x if memory is None else memory.extend(x))  # (n, T, c)
        asking = context if memory is None else context[:, -count:]
        parts = self.to_q(asking), self.to_k(context), self.to_v(context)
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in parts)
        x = attend(q, k, v)  # (n, heads, t, c / heads)
        return self.to_out(x.transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    """A linear layer with an exact GELU gate, to 4 times the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, c) -> (n, t, 4 c)."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """Gated feed-forward layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, c) -> (n, t, c)."""
        return self.net(x)


class TemporalBlock(nn.Module):
    """Two pre-norm attentions over time and gated feed-forward layers."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(TemporalAttention(width, frames) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-5) for _ in range(2))
        self.ff = FeedForward(width)
        self.ff_norm = nn.LayerNorm(width, eps=1e-5)

    def forward(self, x: Tensor, memories: Sequence[FrameMemory | None]) -> Tensor:
        """(n, t, c) -> (n, t, c)."""
        for norm, attention, memory in zip(
            self.norms, self.attention_blocks, memories, strict=True
        ):
            x = x + attention(norm(x), memory)
        return x + self.ff(self.ff_norm(x))


class TemporalTransformer(nn.Module):
    """What a temporal module adds to its maps; nothing, until it is trained."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(width, frames)])
        self.proj_out = nn.Linear(width, width)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: Tensor, count: int, memories: Sequence[FrameMemory | None]) -> Tensor:
        """(b * count, c, h, w) -> the same; ``count`` frames of a clip are neighbours."""
        h, w = size_of(x)
        tokens = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))  # (b t, h w, c)
        places = tokens.unflatten(0, (-1, count)).transpose(1, 2).flatten(0, 1)  # (b h w, t, c)
        for block in self.transformer_blocks:
            places = block(places, memories)
        tokens = places.unflatten(0, (-1, h * w)).transpose(1, 2).flatten(0, 1)
        return self.proj_out(tokens).transpose(1, 2).unflatten(2, (h, w))


class MotionModule(nn.Module):
    """A temporal transformer with a residual connection."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(width, frames)

    def forward(self, x: Tensor, count: int, memories: Sequence[FrameMemory | None]) -> Tensor:
        """(b * count, c, h, w) -> the same."""
        return x + self.temporal_transformer(x, count, memories)
