"""ZoeDepth: metres from a relative network, by bins that attractors move, and a router of domains.

Source: Bhat, Birkl, Wofk, Wonka, Müller, ZoeDepth: Zero-shot Transfer by Combining Relative and
Metric Depth, 2023; Yang et al., Depth Anything, CVPR 2024, section 4.2 (its encoder as the core).

Module names are those of the published checkpoints. What their weights were trained with and no
paper tells is kept: see :mod:`leadline.models.zoedepth_layers`, and

- in the routed network every attractor layer has 16 points, whatever ``n_attractors`` says;
- its softplus bins have no upper bound, so ``max_depth`` bounds only normed bins.

What differs from the originals, each with an option to go back:

- a picture is routed by itself, where the original lets the whole batch vote
  (``routing="batch"``);
- ``zoedepth-k`` is built for 80 m, where the original's hub entry says 10 m and so returns depths
  that are too small (``max_depth=10``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from leadline.errors import InputError, UnknownNameError
from leadline.models import depth_anything, dpt_midas
from leadline.models.base import DepthModule
from leadline.models.dpt import DPTOutputs, resize
from leadline.models.zoedepth_layers import (
    ALPHA,
    GAMMA,
    Attractor,
    AttractorKind,
    AttractorType,
    Bounds,
    ConditionalLogBinomial,
    PatchTransformer,
    Projector,
    SeedBins,
)
from leadline.models.zoedepth_names import convert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BinCentersType = Literal["softplus", "normed", "hybrid1", "hybrid2"]
"""Bounds of the bin centres: ``softplus`` none; ``normed`` within the domain's range; ``hybrid1``
bounded seeds and free attractors; ``hybrid2`` free seeds and bounded attractors."""

Routing = Literal["image", "batch"]
"""Who decides on the domain: each ``image``, or the sum of a ``batch``'s votes."""

RELATIVE_FEATURES = 32  # channels before the relative network's last convolution
_ROUTED_ATTRACTORS = 16
_MIN_DEPTH = 1e-3


class Domain(NamedTuple):
    """A kind of scene with a range of its own.

    Attributes:
        name: part of the tensors' names.
        max_depth: metres.
        min_depth: metres.
    """

    name: str
    max_depth: float
    min_depth: float = _MIN_DEPTH


NYU_KITTI = (Domain("nyu", 10.0), Domain("kitti", 80.0))
"""The published router's domains: indoors, and on the road."""


@dataclass(frozen=True, kw_only=True)
class ZoeDepthConfig:
    """One variant of the network.

    Attributes:
        core: relative network, a name of DPT's or Depth Anything's configs.
        max_depth: metres at which bounded bins end; None where ``domains`` say it.
        min_depth: metres at which bounded bins begin.
        domains: of the router; none for a network with one head.
        bin_centers_type: see :data:`BinCentersType`.
        n_bins: bin centres per pixel.
        n_attractors: points of the four attractor layers, coarse to fine; one head only.
        attractor_kind: see :data:`~leadline.models.zoedepth_layers.AttractorKind`.
        attractor_type: see :data:`~leadline.models.zoedepth_layers.AttractorType`.
        attractor_alpha: how fast the pull falls off; 300 in all published weights.
        attractor_gamma: power of the distance in that; 2 in all published weights.
        bin_embedding_dim: channels that travel with the bins.
        min_temp: lowest temperature of the distribution over bins.
        max_temp: highest.
        inverse_midas: give the head the inverse of the relative disparity, scaled to [0, 1] per
            picture (per batch in the original); one head only.
        routing: see :data:`Routing`.
        features: channels of the core's fusion paths; None for the core's own.
        out_channels: channels of the core's four maps; None for the core's own.
    """

    core: str
    max_depth: float | None = 10.0
    min_depth: float = _MIN_DEPTH
    domains: tuple[Domain, ...] = ()
    bin_centers_type: BinCentersType = "softplus"
    n_bins: int = 64
    n_attractors: tuple[int, int, int, int] = (16, 8, 4, 1)
    attractor_kind: AttractorKind = "mean"
    attractor_type: AttractorType = "inv"
    attractor_alpha: float = ALPHA
    attractor_gamma: float = GAMMA
    bin_embedding_dim: int = 128
    min_temp: float = 0.0212
    max_temp: float = 50.0
    inverse_midas: bool = False
    routing: Routing = "image"
    features: int | None = None
    out_channels: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.core not in CORES:
            raise UnknownNameError("core", self.core, CORES)
        for field, options in (
            ("bin_centers_type", BinCentersType),
            ("attractor_kind", AttractorKind),
            ("attractor_type", AttractorType),
            ("routing", Routing),
        ):
            value = getattr(self, field)
            if value not in get_args(options):
                raise InputError(
                    f"{field}={value!r}: needs to be one of {', '.join(get_args(options))}."
                )
        object.__setattr__(self, "domains", tuple(Domain(*domain) for domain in self.domains))
        self._check_ranges()
        if len(self.n_attractors) != 4 or min(*self.n_attractors, self.n_bins) < 1:
            raise InputError(
                f"n_attractors={self.n_attractors}, n_bins={self.n_bins}: four positive counts of "
                "attractors and a positive count of bins are needed."
            )
        if self.inverse_midas and self.domains:
            raise InputError(
                "inverse_midas with domains: the routed head does not read the relative depth; "
                "leave one of them out."
            )

    def _check_ranges(self) -> None:
        if (self.max_depth is None) == (not self.domains):
            raise InputError(
                f"max_depth={self.max_depth}, domains={self.domains}: one of them is needed. Give "
                "max_depth for one head, or max_depth=None and domains=(('nyu', 10), ...)."
            )
        single = Domain("", self.max_depth or 0.0, self.min_depth)
        for domain in self.domains or (single,):
            if not 0 < domain.min_depth < domain.max_depth:
                raise InputError(
                    f"range {domain.min_depth} to {domain.max_depth} m: positive and increasing "
                    "metres are needed."
                )
        if len({domain.name for domain in self.domains}) != len(self.domains):
            raise InputError(f"domains {self.domains}: each needs a name of its own.")


CORES: tuple[str, ...] = (
    *dpt_midas.CONFIGS,
    *(name for name, config in depth_anything.CONFIGS.items() if config.max_depth is None),
)
"""Relative networks that ZoeDepth can stand on."""


def _published(core: str) -> dict[str, ZoeDepthConfig]:
    return {
        "n": ZoeDepthConfig(core=core),
        "k": ZoeDepthConfig(core=core, max_depth=80.0, bin_centers_type="normed"),
        "nk": ZoeDepthConfig(core=core, max_depth=None, domains=NYU_KITTI),
    }


CONFIGS: dict[str, ZoeDepthConfig] = {
    f"zoedepth-{key}": config for key, config in _published("dpt-beit-large-384").items()
} | {
    f"zoedepth-{key}-depth-anything-{encoder}": config
    for encoder in ("vits", "vitl")
    for key, config in _published(f"depth-anything-v1-{encoder}").items()
}


class ZoeDepthOutputs(NamedTuple):
    """Depth and what training needs beside it.

    Attributes:
        depth: (b, h, w) metres.
        domain_logits: (b, domains) of the router; None without one.
        relative: (b, h, w) the core's affine disparity.
    """

    depth: Tensor
    domain_logits: Tensor | None
    relative: Tensor


class Core(nn.Module):
    """Holds the relative network under the name that checkpoints give it."""

    def __init__(self, config: ZoeDepthConfig) -> None:
        super().__init__()
        sizes = {"features": config.features, "out_channels": config.out_channels}
        given = {name: value for name, value in sizes.items() if value is not None}
        self.core: dpt_midas.DPT | depth_anything.DepthAnything = (
            dpt_midas.DPT(replace(dpt_midas.CONFIGS[config.core], **given))
            if config.core in dpt_midas.CONFIGS
            else depth_anything.DepthAnything(replace(depth_anything.CONFIGS[config.core], **given))
        )

    def forward(self, batch: Tensor) -> DPTOutputs:
        """(b, 3, h, w) -> the relative map and its inner maps."""
        return self.core.forward_all(batch)


class ZoeDepth(DepthModule):
    """ZoeDepth with one head: metres along the optical axis."""

    encoder_names: ClassVar[tuple[str, ...]] = ("core.core.pretrained",)

    def __init__(self, config: ZoeDepthConfig) -> None:
        super().__init__()
        self.config = config
        self.core = Core(config)
        self.multiple_of = self.core.core.multiple_of  # ty: ignore[invalid-attribute-access]
        width, inputs = config.bin_embedding_dim, self.core.core.config.features
        seeds, bounds = _bounds(config, Bounds(config.min_depth, config.max_depth or 0.0))
        self.conv2 = nn.Conv2d(inputs, inputs, 1)
        self.seed_bin_regressor = SeedBins(inputs, config.n_bins, seeds)
        self.seed_projector = Projector(inputs, width)
        self.projectors = nn.ModuleList(Projector(inputs, width) for _ in range(4))
        self.attractors = _attractors(config, bounds, config.n_attractors)
        self.conditional_log_binomial = ConditionalLogBinomial(
            RELATIVE_FEATURES + 1,
            width,
            config.n_bins,
            min_temp=config.min_temp,
            max_temp=config.max_temp,
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, h, w) metres; sides multiples of the core's patch."""
        return self.forward_all(batch).depth

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors; add constants that some files leave out."""
        return convert(state_dict, self.state_dict())

    def forward_all(self, batch: Tensor) -> ZoeDepthOutputs:
        """Depth and what training needs beside it."""
        self.check_batch(batch)
        core: DPTOutputs = self.core(batch)
        x = self.conv2(core.bottleneck)
        embeddings, last = embed_paths(x, core.paths, self.seed_projector, self.projectors)
        centres = refine_centres(self.seed_bin_regressor(x), embeddings, self.attractors)
        relative = _inverted(core.depth) if self.config.inverse_midas else core.depth
        features = torch.cat([core.features, relative.unsqueeze(1)], dim=1)
        depth = expected_depth(self.conditional_log_binomial, features, last, centres)
        return ZoeDepthOutputs(depth, None, core.depth)


class ZoeDepthNK(DepthModule):
    """ZoeDepth with a head per domain and a router that chooses among them."""

    encoder_names: ClassVar[tuple[str, ...]] = ("core.core.pretrained",)

    def __init__(self, config: ZoeDepthConfig) -> None:
        super().__init__()
        self.config = config
        self.core = Core(config)
        self.multiple_of = self.core.core.multiple_of  # ty: ignore[invalid-attribute-access]
        width, inputs = config.bin_embedding_dim, self.core.core.config.features
        self.conv2 = nn.Conv2d(inputs, inputs, 1)
        self.patch_transformer = PatchTransformer(inputs)
        self.mlp_classifier = nn.Sequential(
            nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, len(config.domains))
        )
        self.seed_bin_regressors = nn.ModuleDict()
        self.seed_projector = Projector(inputs, width, width // 2)
        self.projectors = nn.ModuleList(Projector(inputs, width, width // 2) for _ in range(4))
        self.attractors = nn.ModuleDict()
        self.conditional_log_binomial = nn.ModuleDict()
        for domain in config.domains:
            seeds, bounds = _bounds(config, Bounds(domain.min_depth, domain.max_depth))
            name = domain.name
            self.seed_bin_regressors[name] = SeedBins(inputs, config.n_bins, seeds, width // 2)
            self.attractors[name] = _attractors(config, bounds, (_ROUTED_ATTRACTORS,) * 4)
            self.conditional_log_binomial[name] = ConditionalLogBinomial(
                RELATIVE_FEATURES,
                width,
                config.n_bins,
                factor=4,
                min_temp=config.min_temp,
                max_temp=config.max_temp,
            )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, h, w) metres; sides multiples of the core's patch."""
        return self.forward_all(batch).depth

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors; add constants that some files leave out."""
        return convert(state_dict, self.state_dict())

    def forward_all(self, batch: Tensor, domains: Tensor | None = None) -> ZoeDepthOutputs:
        """Depth and what training needs beside it.

        Args:
            batch: (b, 3, h, w).
            domains: (b,) int64 numbers in the config's ``domains``, to use in place of the
                router's choice.
        """
        self.check_batch(batch)
        core: DPTOutputs = self.core(batch)
        x = self.conv2(core.bottleneck)
        logits = self.mlp_classifier(self.patch_transformer(x)[:, 0])
        chosen = self.route(logits) if domains is None else domains
        embeddings, last = embed_paths(x, core.paths, self.seed_projector, self.projectors)
        inputs = (x, core.features, last, *embeddings)
        depth = route_pictures(self._depth_in, len(self.config.domains), chosen, inputs)
        return ZoeDepthOutputs(depth, logits, core.depth)

    def route(self, logits: Tensor) -> Tensor:
        """(b, domains) logits -> (b,) the domain that each picture takes."""
        if self.config.routing == "batch":
            return logits.sum(dim=0).argmax().expand(len(logits))
        return logits.argmax(dim=1)

    def _depth_in(self, domain: int, inputs: Sequence[Tensor]) -> Tensor:
        name = self.config.domains[domain].name
        x, features, last, *embeddings = inputs
        centres = refine_centres(
            self.seed_bin_regressors[name](x), embeddings, self.attractors[name]
        )
        return expected_depth(self.conditional_log_binomial[name], features, last, centres)


def route_pictures(depth_in: Any, count: int, chosen: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Run every picture of a batch through the head of its domain.

    Args:
        depth_in: ``(domain, inputs) -> (b, h, w)``.
        count: number of domains.
        chosen: (b,) the domain of each picture.
        inputs: tensors with the batch on their first axis.

    Returns:
        (b, h, w). While a graph is traced all heads run and a mask selects, because a graph has
        no branches.
    """
    if torch.compiler.is_compiling() or chosen.is_meta:
        depth = depth_in(0, inputs)
        for domain in range(1, count):
            depth = torch.where((chosen == domain)[:, None, None], depth_in(domain, inputs), depth)
        return depth
    parts, places = [], []
    for domain in chosen.unique().tolist():
        place = (chosen == domain).nonzero().flatten()
        parts.append(depth_in(domain, [tensor[place] for tensor in inputs]))
        places.append(place)
    return torch.cat(parts)[torch.cat(places).argsort()]


def expected_depth(
    distribution: nn.Module, features: Tensor, embedding: Tensor, centres: Tensor
) -> Tensor:
    """The mean of the bin centres under the distribution, at the features' size: (b, h, w)."""
    size = (features.shape[-2], features.shape[-1])
    probabilities = distribution(features, resize(embedding, size))
    return (probabilities * resize(centres, size)).sum(dim=1)


def _bounds(config: ZoeDepthConfig, bounds: Bounds) -> tuple[Bounds | None, Bounds | None]:
    """Of the seeds and of the attractors."""
    kind = config.bin_centers_type
    return (
        bounds if kind in ("normed", "hybrid1") else None,
        bounds if kind in ("normed", "hybrid2") else None,
    )


def _attractors(
    config: ZoeDepthConfig, bounds: Bounds | None, counts: Sequence[int]
) -> nn.ModuleList:
    return nn.ModuleList(
        Attractor(
            config.bin_embedding_dim,
            count,
            bounds,
            kind=config.attractor_kind,
            shape=config.attractor_type,
            alpha=config.attractor_alpha,
            gamma=config.attractor_gamma,
        )
        for count in counts
    )


def embed_paths(
    x: Tensor, paths: Sequence[Tensor], seed: nn.Module, projectors: nn.ModuleList
) -> tuple[list[Tensor], Tensor]:
    """What the attractors read at each path's size, and the finest embedding alone."""
    embedding = seed(x)
    joined = []
    for projector, path in zip(projectors, paths, strict=True):
        own = projector(path)
        joined.append(own + resize(embedding, (own.shape[-2], own.shape[-1])))
        embedding = own
    return joined, embedding


def refine_centres(centres: Tensor, embeddings: Sequence[Tensor], attractors: Any) -> Tensor:
    """Seed centres in metres -> the centres after all attractors, in metres."""
    bounds: Bounds | None = attractors[0].bounds
    passed = centres if bounds is None else (centres - bounds.near) / (bounds.far - bounds.near)
    metres = centres
    for attractor, embedding in zip(attractors, embeddings, strict=True):
        passed, metres = attractor(embedding, passed)
    return metres


def _inverted(relative: Tensor) -> Tensor:
    inverse = 1 / (relative + 1e-6)
    low, high = inverse.amin((-2, -1), keepdim=True), inverse.amax((-2, -1), keepdim=True)
    return (inverse - low) / (high - low)
