"""Metric depth on a relative encoder, in one domain or several (ZoeDepth), or by a sigmoid.

The networks that it trains: ``metric`` (bins or a sigmoid on any relative network, ``lite`` too),
``zoedepth-*`` and ``depth-anything-v2-metric-*``. SILog on metres; with several domains (rooms and
roads) each picture goes through the head of its own, and a router learns to tell them apart. The
relative network, which knows much already, learns slower than the head.

``canonical_focal_px`` trains for one camera (:mod:`leadline.training.canonical`).

Source: Bhat et al., ZoeDepth, 2023, sections 3 and 4; Yang et al., Depth Anything V2, 2024, section
7.4 and its metric code.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline import models, world
from leadline.errors import InputError, UnknownNameError
from leadline.losses import SILOG_FORMS, router_cross_entropy, silog
from leadline.models.depth_anything import DepthAnything
from leadline.models.metric import Metric as MetricNetwork
from leadline.models.weights import read_weights
from leadline.models.zoedepth import ZoeDepth, ZoeDepthNK
from leadline.resolve import identify
from leadline.training.canonical import canonical_depth, canonical_spec
from leadline.training.network import build_network, catalogue_spec, delivered_spec, sized
from leadline.training.recipe import Batch, BatchSource, Delivered, Forward, Recipe
from leadline.training.samples import depth_samples
from leadline.training.settings import need

if TYPE_CHECKING:
    from leadline.models.base import DepthModule
    from leadline.spec import PreprocessSpec

OUTDOOR = ("street", "nature")
"""Kinds of the world's scenes that belong to the last domain; the others, to the first."""


@dataclass(frozen=True, kw_only=True)
class MetricOptions:
    """Choices of the recipe.

    Attributes:
        relative: weights of the relative network to start from: a name, a file, a run folder;
            empty: none (``start`` in the config fills the whole network instead).
        domains: name of the domain of each source of the config's ``data``; empty: rooms and
            objects of the world belong to the network's first domain, streets and nature to the
            last.
        form: of SILog, a name of :data:`leadline.losses.SILOG_FORMS`.
        router_weight: of the router's cross entropy, in networks with several domains.
        encoder_divisor, relative_divisor, position_divisor: of ``lr``, for the relative network's
            encoder, the rest of it, and position embeddings; ZoeDepth takes 10, 1, 10 in one
            domain and 10, 10, 10 in two; Depth Anything's fork 50 for all, its V2 metric 10.
        min_depth, max_depth: metres between which a depth counts.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera that
            depths are brought to; 0: metres as they are.
        aspect: width by height of what is cut from a picture and stretched to the input; 0: that
            of the input. Networks to whose one size pictures are stretched need the pictures' own.
    """

    relative: str = ""
    domains: tuple[str, ...] = ()
    form: str = "zoedepth"
    router_weight: float = 100.0
    encoder_divisor: float = 10.0
    relative_divisor: float = 1.0
    position_divisor: float = 10.0
    min_depth: float = 1e-3
    max_depth: float = 80.0
    canonical_focal_px: float = 0.0
    aspect: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in SILOG_FORMS:
            raise UnknownNameError("form of SILog", self.form, SILOG_FORMS)
        own = ("router_weight", "min_depth", "canonical_focal_px", "aspect")
        need(self, "at least 0", lambda number: number >= 0, *own)
        need(self, f"more than min_depth={self.min_depth}", self.min_depth.__lt__, "max_depth")
        divisors = ("encoder_divisor", "relative_divisor", "position_divisor")
        need(self, "a number above 0", lambda number: number > 0, *divisors)


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

    name = "metric"
    Options = MetricOptions
    protocol = "depth-anything-v2-metric"

    def build(self) -> nn.Module:
        """The network, its relative part from ``options.relative``."""
        network = build_network(self.config)
        if self.options.relative:
            path = identify(self.options.relative, prefer="checkpoint").path
            start_from_relative(network, path)
        self._numbers(network)
        return Trainee(network)

    def delivered(self, module: Any) -> Delivered:
        """The network behind the preprocessing of its relative part."""
        network, config = module.network, self.config
        spec = delivered_spec(config, network)
        if isinstance(network, MetricNetwork):
            own = catalogue_spec(network.config.encoder).preprocess
            farthest = max(domain.max_depth for domain in network.config.domains)
            spec = replace(spec, preprocess=sized(own, config), max_depth=farthest)
        if not spec.kind.is_metric:
            raise InputError(
                f"model={config.model!r} gives {spec.kind}; a metric network is needed: metric, "
                "zoedepth-nk or depth-anything-v2-metric-indoor-vits."
            )
        spec = canonical_spec(spec, self.options.canonical_focal_px)
        return Delivered(spec=spec, module=network)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Pictures with depth, from all sources."""
        return depth_samples(self.config, folder, step, aspect=self.options.aspect)

    def parameter_groups(self, module: Any) -> list[dict[str, Any]]:
        """The head at ``lr``; the relative network's parts at their shares of it."""
        options, config = self.options, self.config
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in module.network.named_parameters():
            if parameter.requires_grad:
                divisor = _divisor(name, options)
                groups.setdefault((divisor, parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": config.lr / divisor,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (divisor, decays), parameters in groups.items()
        ]

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """SILog over all valid pixels, and the router's cross entropy."""
        options = self.options
        metres = batch["depth"]
        target, known = canonical_depth(batch, options.canonical_focal_px)
        valid = known & (metres > options.min_depth) & (metres < options.max_depth)
        domains = self._domains(batch)
        depth, logits = forward(self._normalised(batch["rgb"]), domains)
        if self._spec.nan_is_hole:
            told = ~depth.isnan()
            valid = valid & (told | ~told.any())  # nothing but NaN is a failure, and is seen
        error = silog(depth.float(), target, valid, form=options.form)
        if logits is None:
            return error, {"silog": error}
        routing = router_cross_entropy(logits, domains)
        total = error + options.router_weight * routing
        return total, {"silog": error, "router": routing}

    @property
    def _spec(self) -> PreprocessSpec:
        """The preprocessing of the network, or of its relative part."""
        model = self.config.model
        if model == "metric":
            model = self.config.model_options.get("encoder", "depth-anything-v2-vits")
        return catalogue_spec(str(model)).preprocess

    def _normalised(self, rgb: Tensor) -> Tensor:
        spec = self._spec
        mean, std = rgb.new_tensor(spec.mean), rgb.new_tensor(spec.std)
        return (rgb - mean[:, None, None]) / std[:, None, None]

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


def _divisor(name: str, options: MetricOptions) -> float:
    parts = name.split(".")
    if parts[0] == "router":  # one linear layer on normalised features: the head's rate is too slow
        return 0.1
    if "pos_embed" in name or "position" in name:
        return options.position_divisor
    if not {"encoder", "pretrained"}.isdisjoint(parts):
        return options.encoder_divisor
    inside = parts[0] in ("relative", "core")
    return options.relative_divisor if inside else 1.0
