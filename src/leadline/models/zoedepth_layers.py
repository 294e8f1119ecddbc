"""ZoeDepth's layers: seed bins, attractors, conditional log-binomial, and the router's encoder.

Source: Bhat, Birkl, Wofk, Wonka, Müller, ZoeDepth: Zero-shot Transfer by Combining Relative and
Metric Depth, 2023, section 3.2 (metric bins), 3.3 (routing).

Three things that the published weights were trained with, and that are kept for them:

- attractors pull with alpha 300 and gamma 2, whatever the configuration files say (they say 1000);
- "normed" attractors predict two numbers per point and drop the second: the linear normalisation
  that is described is computed and then overwritten;
- the log-binomial's coefficient is Stirling's approximation without its square root.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dpt import resize

AttractorKind = Literal["mean", "sum"]
"""How the pulls of the attractors on a bin centre add up."""

AttractorType = Literal["inv", "exp"]
"""How a pull falls off with distance dx: ``inv`` dx / (1 + alpha |dx|**gamma), ``exp``
dx exp(-alpha |dx|**gamma)."""

ALPHA, GAMMA = 300.0, 2.0
_WIDTH_EPS = 1e-3  # keeps bins and attractors from collapsing


class Bounds(NamedTuple):
    """Metres between which bounded bin centres lie."""

    near: float
    far: float


class Bins(NamedTuple):
    """Bin centres as they are passed on, and as depths.

    Attributes:
        passed: (b, bins, h, w) in metres, or in [0, 1] between the bounds.
        metres: (b, bins, h, w).
    """

    passed: Tensor
    metres: Tensor


class Projector(nn.Module):
    """Two 1x1 convolutions."""

    def __init__(self, inputs: int, outputs: int, hidden: int = 128) -> None:
        super().__init__()
        self._net = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, outputs, h, w)."""
        return self._net(x)


class SeedBins(nn.Module):
    """The first bin centres of every place, from the coarsest features.

    Args:
        inputs: channels.
        bins: number of centres.
        bounds: bins that fill this range; None for unbounded ones.
        hidden: channels between the convolutions.
    """

    def __init__(self, inputs: int, bins: int, bounds: Bounds | None, hidden: int = 256) -> None:
        super().__init__()
        self.bounds = bounds
        self._net = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, bins, 1),
            nn.Softplus() if bounds is None else nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, bins, h, w) metres."""
        out = self._net(x)
        if self.bounds is None:
            return out
        near, far = self.bounds
        widths = out + _WIDTH_EPS
        widths = (far - near) * widths / widths.sum(dim=1, keepdim=True)
        edges = F.pad(widths, (0, 0, 0, 0, 1, 0), value=near).cumsum(dim=1)
        return 0.5 * (edges[:, :-1] + edges[:, 1:])


class Attractor(nn.Module):
    """Moves bin centres towards the points that it predicts for every place.

    Args:
        inputs: channels.
        count: number of points.
        bounds: centres are passed on in [0, 1] of this range; None for metres without bounds.
        kind: see :data:`AttractorKind`.
        shape: see :data:`AttractorType`.
        alpha: how fast the pull falls off with distance.
        gamma: power of the distance in that.
        hidden: channels between the convolutions.
    """

    def __init__(
        self,
        inputs: int,
        count: int,
        bounds: Bounds | None,
        *,
        kind: AttractorKind = "mean",
        shape: AttractorType = "inv",
        alpha: float = ALPHA,
        gamma: float = GAMMA,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.count, self.bounds = count, bounds
        self.kind, self.shape = kind, shape
        self.alpha, self.gamma = alpha, gamma
        self._net = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, count if bounds is None else 2 * count, 1),
            nn.Softplus() if bounds is None else nn.ReLU(),
        )

    def forward(self, x: Tensor, centres: Tensor) -> Bins:
        """Features (b, inputs, h, w), centres (b, bins, h', w') -> centres at (h, w)."""
        points = self._net(x)
        if self.bounds is not None:
            points = points[:, ::2] + _WIDTH_EPS  # of each pair, the second is never used
        centres = resize(centres, (x.shape[-2], x.shape[-1]))
        move = torch.zeros_like(centres)
        for i in range(self.count):  # one by one: all at once takes count times the memory
            move = move + pull(
                points[:, i : i + 1] - centres, self.shape, alpha=self.alpha, gamma=self.gamma
            )
        if self.kind == "mean":
            move = move / self.count
        moved = centres + move
        if self.bounds is None:
            return Bins(moved, moved)
        near, far = self.bounds
        metres = ((far - near) * moved + near).sort(dim=1).values
        return Bins(moved, metres.clamp(near, far))


def pull(dx: Tensor, shape: AttractorType, *, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """How far a point at distance ``dx`` moves a centre; see :data:`AttractorType`.

    ``gamma`` 2 and other even powers need no absolute value; the original takes none for ``inv``,
    so odd powers repel on one side there, as here.
    """
    if shape == "exp":
        return torch.exp(-alpha * dx.abs().pow(gamma)) * dx
    return dx / (1 + alpha * dx.pow(gamma))


class LogBinomial(nn.Module):
    """The binomial distribution's logarithm over ``bins`` outcomes, sharpened by a temperature."""

    k_idx: Tensor
    K_minus_1: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.register_buffer("k_idx", torch.arange(bins).view(1, -1, 1, 1))
        self.register_buffer("K_minus_1", torch.full((1, 1, 1, 1), float(bins - 1)))

    def forward(self, p: Tensor, temperature: Tensor | float = 1.0) -> Tensor:
        """Success probability (b, 1, h, w) -> probabilities (b, bins, h, w), summing to 1."""
        k, n = self.k_idx, self.K_minus_1
        failure = (1 - p).clamp(1e-4, 1.0)
        success = p.clamp(1e-4, 1.0)
        logit = log_choose(n, k) + k * success.log() + (n - k) * failure.log()
        return (logit / temperature).softmax(dim=1)


def log_choose(n: Tensor, k: Tensor, eps: float = 1e-7) -> Tensor:
    """Stirling's approximation of the logarithm of n over k, without the square root's part."""
    n, k = n + eps, k + eps
    return n * n.log() - k * k.log() - (n - k) * (n - k + eps).log()


class ConditionalLogBinomial(nn.Module):
    """The probability of every bin at every pixel: a log-binomial whose p and temperature vary.

    Args:
        inputs: channels of the features.
        condition: channels of the bins' embedding.
        bins: number of outcomes.
        factor: the hidden layer has (inputs + condition) // factor channels.
        min_temp: lowest temperature (sharpest).
        max_temp: highest temperature.
    """

    def __init__(
        self,
        inputs: int,
        condition: int,
        bins: int,
        *,
        factor: int = 2,
        min_temp: float = 1e-7,
        max_temp: float = 50.0,
    ) -> None:
        super().__init__()
        self.min_temp, self.max_temp = min_temp, max_temp
        hidden = (inputs + condition) // factor
        self.log_binomial_transform = LogBinomial(bins)
        self.mlp = nn.Sequential(
            nn.Conv2d(inputs + condition, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, 4, 1),
            nn.Softplus(),
        )

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(b, inputs, h, w), (b, condition, h, w) -> (b, bins, h, w) probabilities."""
        pairs = self.mlp(torch.cat([features, condition], dim=1)) + 1e-4
        p = pairs[:, :1] / (pairs[:, :1] + pairs[:, 1:2])
        t = pairs[:, 2:3] / (pairs[:, 2:3] + pairs[:, 3:])
        return self.log_binomial_transform(p, (self.max_temp - self.min_temp) * t + self.min_temp)


class PatchTransformer(nn.Module):
    """Post-norm transformer over patches: what the router looks at.

    Args:
        inputs: channels.
        patch: side of a patch.
        width: channels of a token.
        heads: attention heads.
        class_token: put a token of zeros first, whose output stands for the picture.
    """

    def __init__(
        self,
        inputs: int,
        patch: int = 1,
        width: int = 128,
        *,
        heads: int = 4,
        class_token: bool = True,
    ) -> None:
        super().__init__()
        self.class_token = class_token
        self.embedding_convPxP = nn.Conv2d(inputs, width, patch, patch)
        layer = nn.TransformerEncoderLayer(width, heads, dim_feedforward=1024, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, tokens, width)."""
        tokens = self.embedding_convPxP(x).flatten(2)
        if self.class_token:
            tokens = F.pad(tokens, (1, 0))
        tokens = tokens.transpose(1, 2)
        return self.transformer_encoder(tokens + sinusoids(tokens))


def sinusoids(tokens: Tensor) -> Tensor:
    """Positional encoding of (b, n, c) tokens, (n, c): all sines, then all cosines."""
    _, n, c = tokens.shape
    steps = torch.arange(0, c, 2, dtype=tokens.dtype, device=tokens.device)
    rates = torch.exp(steps * (-math.log(10000.0) / c))
    angles = torch.arange(n, dtype=tokens.dtype, device=tokens.device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
