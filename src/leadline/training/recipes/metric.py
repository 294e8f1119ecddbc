"""Metric depth on a relative encoder, in one domain or several (ZoeDepth), or by a sigmoid.

The networks that it trains: ``metric`` (bins or a sigmoid on any relative network, ``lite`` too),
``zoedepth-*`` and ``depth-anything-v2-metric-*``. SILog on metres; with several domains (rooms and
roads) each picture goes through the head of its own, and a router learns to tell them apart. The
relative network, which knows much already, learns slower than the head.

``canonical_focal_px`` trains for one camera (:mod:`leadline.training.recipes.canonical`).

Source: Bhat et al., ZoeDepth, 2023, sections 3 and 4; Yang et al., Depth Anything V2, 2024, section
7.4 and its metric code.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline import models, world
from leadline.errors import InputError, UnknownNameError
from leadline.losses import router_cross_entropy, silog
from leadline.models.depth_anything import DepthAnything
from leadline.models.metric import Metric as MetricNetwork
from leadline.models.weights import read_weights
from leadline.models.zoedepth import ZoeDepth, ZoeDepthNK
from leadline.resolve import identify
from leadline.training.data.samples import open_depth_samples
from leadline.training.data.source import Batch, BatchSource
from leadline.training.network import (
    Delivery,
    build_network,
    catalogue_spec,
    describe_network,
    encoder_parameters,
    fit_preprocess,
    group_by_part,
    normalize_rgb,
)
from leadline.training.recipes.base import Forward, Recipe
from leadline.training.recipes.canonical import canonical_depth, canonical_spec

if TYPE_CHECKING:
    from leadline.models.base import DepthModule
    from leadline.spec import PreprocessSpec
    from leadline.training.options import MetricOptions

OUTDOOR = ("street", "nature")
"""Kinds of the world's scenes that belong to the last domain; the others, to the first."""


class Trainee(nn.Module):
    """A metric network, called with the pictures' domains and giving the router's logits too."""

    def __init__(self, network: DepthModule) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, batch: Tensor, domains: Tensor) -> tuple[Tensor, Tensor | None]:
        """(b, 3, h, w) and (b,) int64 -> (b, h, w) metres, and (b, domains) or None."""
        network = self.network
        if isinstance(network, (MetricNetwork, ZoeDepthNK)):
            found = network.forward_all(batch, domains)
            depth, logits = found.depth, found.domain_logits
        else:
            depth, logits = network(batch), None
        size = (batch.shape[2], batch.shape[3])
        if depth.shape[1:] != size:
            depth = F.interpolate(depth[:, None], size, mode="bilinear", align_corners=True)[:, 0]
        return depth, logits


class Metric(Recipe):
    """Fine-tuning to metres."""

    options: MetricOptions
    protocol = "depth-anything-v2-metric"

    def build(self) -> nn.Module:
        """The network, its relative part from ``options.relative``."""
        network = build_network(self.config)
        if self.options.relative:
            path = identify(self.options.relative, prefer="checkpoint").path
            start_from_relative(network, path)
        self._numbers(network)
        return Trainee(network)

    def deliver(self, module: Any) -> Delivery:
        """The network behind the preprocessing of its relative part."""
        network, config = module.network, self.config
        spec = describe_network(config)
        if isinstance(network, MetricNetwork):
            own = catalogue_spec(network.config.encoder).preprocess
            farthest = max(domain.max_depth for domain in network.config.domains)
            spec = replace(spec, preprocess=fit_preprocess(own, config), max_depth=farthest)
        if not spec.kind.is_metric:
            raise InputError(
                f"model={config.model!r} gives {spec.kind}; a metric network is needed: metric, "
                "zoedepth-nk or depth-anything-v2-metric-indoor-vits."
            )
        spec = canonical_spec(spec, self.options.canonical_focal_px)
        return Delivery(spec=spec, module=network)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Pictures with depth, from all sources."""
        return open_depth_samples(self.config, folder, step, aspect=self.options.aspect)

    def parameter_groups(self, module: Any) -> list[dict[str, Any]]:
        """The head at ``lr``; the relative network's parts at their shares of it."""
        config, encoder = self.config, encoder_parameters(module)
        divisors = {
            parameter: _divisor(name, self.options, inside_encoder=parameter in encoder)
            for name, parameter in module.network.named_parameters()
        }
        rates = {divisor: config.lr / divisor for divisor in divisors.values()}
        return group_by_part(divisors, rates, config.weight_decay)

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """SILog over all valid pixels, and the router's cross entropy."""
        options = self.options
        metres = batch["depth"]
        target, known = canonical_depth(batch, options.canonical_focal_px)
        valid = known & (metres > options.min_depth) & (metres < options.max_depth)
        domains = self._domains(batch)
        depth, logits = forward(normalize_rgb(batch["rgb"], self.preprocess), domains)
        if self.preprocess.nan_is_hole:
            given = ~depth.isnan()
            valid = valid & (given | ~given.any())  # nothing but NaN is a failure, and is seen
        error = silog(depth.float(), target, valid, form=options.form)
        if logits is None:
            return error, {"silog": error}
        routing = router_cross_entropy(logits, domains)
        total = error + options.router_weight * routing
        return total, {"silog": error, "router": routing}

    @property
    def preprocess(self) -> PreprocessSpec:
        """The preprocessing of the network, or of its relative part."""
        model = self.config.model
        if model == "metric":
            model = self.config.model_options.get("encoder", "depth-anything-v2-vits")
        return catalogue_spec(str(model)).preprocess

    def _domains(self, batch: Batch) -> Tensor:
        """(b,) number of the domain of every sample."""
        if self.options.domains:
            return batch["source"].new_tensor(self._by_source)[batch["source"]]
        outdoor = batch["kind"].new_tensor([world.KINDS.index(kind) for kind in OUTDOOR])
        return torch.isin(batch["kind"], outdoor).long() * (self._count - 1)

    def _numbers(self, network: nn.Module) -> None:
        """Check the domains of the data against those of the network."""
        names = domain_names(network)
        self._count = max(1, len(names))
        given = self.options.domains
        if given and len(given) != len(self.config.data):
            raise InputError(
                f"options.domains={list(given)} for {len(self.config.data)} sources of data: the "
                "domain of each is needed."
            )
        for name in given:
            if name not in names:
                raise UnknownNameError("domain", name, names)
        self._by_source = [names.index(name) for name in given]
        real = [data.name for data in self.config.data if data.name != "world"]
        if real and self._count > 1 and not given:
            raise InputError(
                f"data {', '.join(real)} for a network of the domains {', '.join(names)}: say "
                "which source is which, --set options.domains=" + ",".join(names[:1]) + ",..."
            )


def domain_names(network: nn.Module) -> list[str]:
    """Names of the domains that a network has heads for; none for a network of one range."""
    if isinstance(network, (MetricNetwork, ZoeDepthNK)):
        return [domain.name for domain in network.config.domains]
    return []


def start_from_relative(network: nn.Module, path: Path) -> None:
    """Fill the relative network inside a metric one; of Depth Anything V2's, the encoder alone.

    Raises:
        InputError: a network without such a part.
        WeightsError: weights of another network.
    """
    if isinstance(network, MetricNetwork):
        models.load_weights(network.relative, path)
    elif isinstance(network, (ZoeDepth, ZoeDepthNK)):
        models.load_weights(network.core.core, path)
    elif isinstance(network, DepthAnything):
        tensors = read_weights(path)
        own = {
            k.removeprefix("pretrained."): v for k, v in tensors.items() if "depth_head" not in k
        }
        models.load_weights(network.pretrained, own)
    else:
        raise InputError(
            f"{type(network).__name__} has no relative part to fill; leave options.relative empty."
        )


def _divisor(name: str, options: MetricOptions, *, inside_encoder: bool) -> float:
    parts = name.split(".")
    if parts[0] == "router":  # one linear layer on normalised features: the head's rate is too slow
        return 0.1
    if "pos_embed" in name or "position" in name:
        return options.position_divisor
    if inside_encoder:
        return options.encoder_divisor
    inside = parts[0] in ("relative", "core")
    return options.relative_divisor if inside else 1.0
