"""A metric head for any relative network: metres in one or several domains, for training.

The relative network keeps its name and weights under ``relative``; the head reads its inner maps,
as ZoeDepth's does. Domains (indoors, roads) have ranges of their own, because one range cannot
spend its resolution on a desk and on a street at once; a router tells them apart by the coarsest
features, and during training the pictures' true domains may be given.

Source: Bhat et al., ZoeDepth, 2023, section 3 (bins, routing); Yang et al., Depth Anything V2,
NeurIPS 2024, section 7.4 (a sigmoid times a range). The pooled router is Leadline's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError
from leadline.models import midas
from leadline.models.base import DepthModule
from leadline.models.dpt import DPTOutputs, resize
from leadline.models.zoedepth import (
    CORES,
    Domain,
    embed_paths,
    expected_depth,
    refine_centres,
    route_pictures,
)
from leadline.models.zoedepth_layers import (
    Attractor,
    Bounds,
    ConditionalLogBinomial,
    Projector,
    SeedBins,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HeadKind = Literal["bins", "sigmoid"]
"""``bins``: ZoeDepth's bounded bins, moved by attractors; ``sigmoid``: two convolutions and a
sigmoid times the domain's range."""

ENCODERS: tuple[str, ...] = ("lite", *midas.CONFIGS, *CORES)
"""Relative networks that a metric head can stand on."""

INDOOR_OUTDOOR = (Domain("indoor", 10.0), Domain("outdoor", 80.0))


@dataclass(frozen=True, kw_only=True)
class MetricConfig:
    """A relative network and the head on it.

    Attributes:
        encoder: a relative network of :func:`leadline.models.names`: ``lite``, a Depth Anything,
            MiDaS or DPT.
        encoder_options: arguments of its own build.
        head: see :data:`HeadKind`.
        domains: ranges in metres; more than one get a router.
        n_bins: bin centres per pixel.
        n_attractors: points of the four attractor layers, coarse to fine.
        width: channels of the head.
    """

    encoder: str = "depth-anything-v2-vits"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    head: HeadKind = "bins"
    domains: tuple[Domain, ...] = INDOOR_OUTDOOR
    n_bins: int = 64
    n_attractors: tuple[int, int, int, int] = (16, 8, 4, 1)
    width: int = 64

    def __post_init__(self) -> None:
        if self.head not in get_args(HeadKind):
            raise InputError(f"head={self.head!r}: needs to be one of bins, sigmoid.")
        object.__setattr__(self, "domains", tuple(Domain(*domain) for domain in self.domains))
        names = [domain.name for domain in self.domains]
        if not names or len(set(names)) != len(names):
            raise InputError(f"domains {names}: at least one, each with a name of its own.")
        for domain in self.domains:
            if not 0 < domain.min_depth < domain.max_depth:
                raise InputError(
                    f"domain {domain.name}: range {domain.min_depth} to {domain.max_depth} m; "
                    "positive and increasing metres are needed."
                )
        if len(self.n_attractors) != 4 or min(*self.n_attractors, self.n_bins, self.width) < 1:
            raise InputError(
                f"n_attractors={self.n_attractors}, n_bins={self.n_bins}, width={self.width}: "
                "four positive counts of attractors, and positive numbers are needed."
            )


class MetricOutputs(NamedTuple):
    """Depth and what training needs beside it.

    Attributes:
        depth: (b, h, w) metres.
        domain_logits: (b, domains) of the router; None with one domain.
        relative: (b, h, w) the relative network's own map.
    """

    depth: Tensor
    domain_logits: Tensor | None
    relative: Tensor


class Widths(NamedTuple):
    """Channels of a relative network's inner maps."""

    features: int
    bottleneck: int
    paths: tuple[int, ...]


class BinsHead(nn.Module):
    """Bounded bins and attractors for every domain, on embeddings that all share."""

    def __init__(self, config: MetricConfig, widths: Widths) -> None:
        super().__init__()
        w = config.width
        self.count = len(config.domains)
        self.seed_projector = Projector(widths.bottleneck, w, w)
        self.projectors = nn.ModuleList(Projector(c, w, w) for c in widths.paths)
        self.seeds, self.attractors = nn.ModuleList(), nn.ModuleList()
        self.distributions = nn.ModuleList()
        for domain in config.domains:
            bounds = Bounds(domain.min_depth, domain.max_depth)
            self.seeds.append(SeedBins(widths.bottleneck, config.n_bins, bounds, w))
            self.attractors.append(
                nn.ModuleList(Attractor(w, n, bounds, hidden=w) for n in config.n_attractors)
            )
            self.distributions.append(
                ConditionalLogBinomial(widths.features + 1, w, config.n_bins, min_temp=0.0212)
            )

    def forward(self, core: DPTOutputs, domains: Tensor) -> Tensor:
        """Inner maps and (b,) domains -> (b, h, w) metres at the features' size."""
        joined, embedding = embed_paths(
            core.bottleneck, core.paths, self.seed_projector, self.projectors
        )
        inputs = (core.bottleneck, _with_relative(core), embedding, *joined)
        return route_pictures(self._depth_in, self.count, domains, inputs)

    def _depth_in(self, domain: int, inputs: Sequence[Tensor]) -> Tensor:
        bottleneck, features, embedding, *joined = inputs
        metres = refine_centres(self.seeds[domain](bottleneck), joined, self.attractors[domain])
        return expected_depth(self.distributions[domain], features, embedding, metres)


class SigmoidHead(nn.Module):
    """Two convolutions; each domain has an output channel and a range."""

    def __init__(self, config: MetricConfig, widths: Widths) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(widths.features + 1, config.width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.width, len(config.domains), 1),
        )
        self.ranges = [[domain.min_depth, domain.max_depth] for domain in config.domains]

    def forward(self, core: DPTOutputs, domains: Tensor) -> Tensor:
        """Inner maps and (b,) domains -> (b, h, w) metres at the features' size."""
        share = self.layers(_with_relative(core)).sigmoid()
        near, far = share.new_tensor(self.ranges).unbind(1)
        metres = near[:, None, None] + (far - near)[:, None, None] * share
        index = domains[:, None, None, None].expand(-1, 1, *metres.shape[-2:])
        return metres.gather(1, index).squeeze(1)


class Router(nn.Module):
    """Which domain a picture is of: a linear reading of the coarsest features' means.

    Features of very different spread are brought to one, because a few hundred steps have to do;
    anything deeper learns the training scenes by heart.

    The choice is not the likeliest domain but the one of least expected error. A room in the head
    of roads comes out up to ``80 m / 10 m`` times too far, a road in the head of rooms no more than
    wholly too near: so the wider range has to be the more certain one (0.89 for these two).
    """

    def __init__(self, channels: int, domains: Sequence[Domain]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, len(domains))
        # plain numbers: a buffer that no file holds would stay on `meta`, where files are read to
        self.risk = [
            [
                0.0 if of is taken else max(abs(taken.max_depth / of.max_depth - 1), 1e-3)
                for taken in domains
            ]
            for of in domains
        ]

    def forward(self, bottleneck: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, domains) logits."""
        return self.linear(self.norm(bottleneck).mean((-2, -1)))

    def choose(self, logits: Tensor) -> Tensor:
        """(b, domains) logits -> (b,) the domain of least expected relative error."""
        return (logits.softmax(dim=1) @ logits.new_tensor(self.risk)).argmin(dim=1)


class Metric(DepthModule):
    """A relative network with a metric head: metres along the optical axis.

    Args:
        config: sizes.
        build: makes the relative network, ``leadline.models.build``.
    """

    def __init__(self, config: MetricConfig, build: Callable[..., DepthModule]) -> None:
        super().__init__()
        self.config = config
        widths = relative_widths(build, config.encoder, config.encoder_options)
        self.relative: Any = build(config.encoder, **config.encoder_options)
        self.multiple_of = self.relative.multiple_of  # ty: ignore[invalid-attribute-access]
        self.head = (
            BinsHead(config, widths) if config.head == "bins" else SigmoidHead(config, widths)
        )
        self.router = Router(widths.bottleneck, config.domains)

    def encoder_parts(self) -> tuple[nn.Module, ...]:
        """See the base class."""
        return self.relative.encoder_parts()

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w), sides multiples of the relative network's step -> (b, h, w) metres."""
        return self.forward_all(batch).depth

    def forward_all(self, batch: Tensor, domains: Tensor | None = None) -> MetricOutputs:
        """Depth and what training needs beside it.

        Args:
            batch: (b, 3, h, w).
            domains: (b,) int64 numbers in the config's ``domains``, to use in place of the
                router's choice.
        """
        self.check_batch(batch)
        core: DPTOutputs = self.relative.forward_all(batch)
        logits = self.router(core.bottleneck)
        chosen = self.router.choose(logits) if domains is None else domains
        depth = self.head(core, chosen)
        size = (batch.shape[-2], batch.shape[-1])
        if depth.shape[-2:] != size:
            depth = F.interpolate(depth[:, None], size, mode="bilinear")[:, 0]
        several = len(self.config.domains) > 1
        return MetricOutputs(depth, logits if several else None, core.depth)


def relative_widths(
    build: Callable[..., DepthModule], encoder: str, options: Mapping[str, Any]
) -> Widths:
    """Channels of the inner maps that the relative network ``encoder`` gives.

    Raises:
        UnknownNameError: no such network, or one without such maps.
        InputError: options that make it metric.
    """
    if encoder not in ENCODERS:
        raise UnknownNameError("relative network", encoder, ENCODERS)
    if options.get("max_depth") is not None:
        raise InputError(
            f"encoder_options={dict(options)}: the network would be metric already; leave "
            "max_depth out and give domains."
        )
    with torch.device("meta"):
        module: Any = build(encoder, **options)
        side = 4 * module.multiple_of
        maps: DPTOutputs = module.forward_all(torch.zeros(1, 3, side, side))
    return Widths(
        maps.features.shape[1],
        maps.bottleneck.shape[1],
        tuple(path.shape[1] for path in maps.paths),
    )


def _with_relative(core: DPTOutputs) -> Tensor:
    relative = core.depth.unsqueeze(1)
    size = (core.features.shape[-2], core.features.shape[-1])
    if relative.shape[-2:] != core.features.shape[-2:]:
        relative = resize(relative, size)
    return torch.cat([core.features, relative], dim=1)
