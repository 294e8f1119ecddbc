"""Supervised metric depth, as the classics were trained.

| loss | pred and target | source |
|---|---|---|
| ``eigen`` | scale-invariant log error of depth | Eigen et al. 2014, equation 4 |
| ``silog-bts``, ``silog-zoedepth``, ``silog-depth-anything-v2`` | root forms of it | BTS, ... |
| ``densedepth`` | SSIM, edges, difference of ``max_depth / depth`` | Alhashim and Wonka 2018, 3.2 |
| ``l1`` | mean absolute difference of depth | Ma and Karaman 2018; FastDepth |
| ``berhu`` | reverse Huber of depth | Laina et al. 2016, section 3.2 |

Eigen's network learns in two phases: its coarse stack, then, with that frozen, its fine stack.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from leadline.errors import InputError
from leadline.losses import densedepth_loss, masked_l1, masked_mean, scale_invariant_log, silog
from leadline.training.canonical import canonical_depth, canonical_spec
from leadline.training.network import build_network, delivered_spec, normalised
from leadline.training.recipe import Batch, BatchSource, Delivered, Forward, Recipe
from leadline.training.samples import depth_samples
from leadline.training.settings import need

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.models.densedepth import DenseDepth
    from leadline.models.eigen14 import Eigen14

Loss = Literal[
    "l1", "berhu", "eigen", "silog-bts", "silog-zoedepth", "silog-depth-anything-v2", "densedepth"
]


@dataclass(frozen=True, kw_only=True)
class SupervisedOptions:
    """Choices of the supervised recipe.

    Attributes:
        loss: see the module.
        max_depth, min_depth: metres; depths outside count for nothing.
        aspect: width by height of what is cut from a picture and stretched to the input; 0: that
            of the input. FastDepth's square input shows pictures of 4:3.
        zoom_is_near: a window that is enlarged shows nearer depths (Eigen, FastDepth); otherwise
            depths stay as they are.
        coarse_share: share of the steps in which a network with a coarse and a fine stack trains
            the coarse one; the rest trains the fine one alone.
        start_share: a network that ends in a batch norm of one channel (FastDepth) begins by saying
            about this share of ``max_depth``; 0: what its authors begin with, near 0 m, from where
            Adam takes thousands of steps to metres.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera that
            depths are brought to; 0: metres as they are.
        repeat_coarse: the fine stack begins by giving the coarse map as it is, which short runs
            need; off, with random weights, as its authors'.
        own_rates: a rate for each layer as the network's authors say, scaled by ``lr``, where they
            do (Eigen's, for SGD).
    """

    loss: Loss = "l1"
    max_depth: float = 10.0
    min_depth: float = 0.1
    aspect: float = 0.0
    zoom_is_near: bool = True
    coarse_share: float = 0.6
    start_share: float = 0.25
    canonical_focal_px: float = 0.0
    own_rates: bool = True
    repeat_coarse: bool = False

    def __post_init__(self) -> None:
        own = ("min_depth", "aspect", "start_share", "canonical_focal_px")
        need(self, "at least 0", lambda number: number >= 0, *own)
        need(self, f"more than min_depth={self.min_depth}", self.min_depth.__lt__, "max_depth")
        need(self, "a share from 0 to 1", lambda number: 0 <= number <= 1, "coarse_share")


class Supervised(Recipe):
    """Depth in metres from pictures with measured or rendered depth."""

    name = "supervised"
    Options = SupervisedOptions
    protocol = "depth-anything-v2-metric"

    def build(self) -> nn.Module:
        """The config's network, in a wrapper where training sees another output than users."""
        if self.config.model.startswith("eigen14"):
            network = TwoStacks(build_network(self.config, full_frame=True))
            if self.options.repeat_coarse:
                network.network.fine.repeat_coarse()
            return network
        if self.config.model.startswith("densedepth"):
            return Inverse(build_network(self.config, **self._depth_output()))
        network = build_network(self.config)
        if not self.config.start:
            start_at(network, self.options.start_share * self.options.max_depth)
        return network

    def delivered(self, module: Any) -> Delivered:
        """The network, giving metres."""
        wrapped = isinstance(module, (TwoStacks, Inverse))
        network = module.network if wrapped else module
        options = self._depth_output() if isinstance(module, Inverse) else {}
        spec = delivered_spec(self.config, network, **options)
        if not spec.kind.is_metric:
            raise InputError(
                f"model={self.config.model!r} gives {spec.kind}; the supervised recipe trains "
                "networks of metric depth, as fastdepth, densedepth or eigen14-nyu; take the "
                "recipe `relative`."
            )
        spec = replace(spec, max_depth=self.options.max_depth)
        spec = canonical_spec(spec, self.options.canonical_focal_px)
        return Delivered(spec=spec, module=network)

    def parameter_groups(self, module: nn.Module) -> list[dict[str, Any]]:
        """Eigen's own rates, scaled by ``lr``; the usual groups otherwise."""
        if isinstance(module, TwoStacks) and self.options.own_rates:
            return module.network.parameter_groups(self.config.lr)
        return super().parameter_groups(module)

    def begin_step(self, module: nn.Module, step: int) -> None:
        """The coarse stack learns first, then the fine one alone."""
        if isinstance(module, TwoStacks):
            module.fine_phase = step >= self.options.coarse_share * self.config.steps
            module.network.freeze_coarse(module.fine_phase)
            module.network.fine.requires_grad_(module.fine_phase)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Pictures with depth, from all sources."""
        return depth_samples(
            self.config,
            folder,
            step,
            aspect=self.options.aspect,
            zoom_is_near=self.options.zoom_is_near,
        )

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss by name, on the network's own grid."""
        pred, looks_at = forward(normalised(batch["rgb"], self.config.model)), None
        if isinstance(pred, tuple):
            pred, looks_at = pred
        metres, (low, high) = batch["depth"], (self.options.min_depth, self.options.max_depth)
        depth, known = canonical_depth(batch, self.options.canonical_focal_px)
        target = on_grid(depth, pred, looks_at)
        counts = known & (metres > low) & (metres <= high)
        valid = on_grid(counts.float(), pred, looks_at) > 0.5
        total = supervised_loss(self.options.loss, pred, target, valid, max_depth=high)
        with torch.no_grad():
            share = valid.float().mean()
        return total, {"valid_share": share}

    def _depth_output(self) -> dict[str, Any]:
        return {"output": "depth", "max_depth": self.options.max_depth}


class TwoStacks(nn.Module):
    """Eigen's network, giving the map of the stack that learns, in metres."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Eigen14 = network
        self.fine_phase = False

    def forward(self, batch: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(b, 3, h, w) -> (b, h', w') metres, and the rows and columns that its cells look at."""
        outputs = self.network.forward_all(batch)
        log_depth = outputs.log_depth if self.fine_phase else outputs.coarse_log_depth
        h, w = self.network.map_size
        top, left = (6 - int(side) for side in self.network.fine.conv1.padding)
        places = torch.arange(max(h, w), device=batch.device) * 4
        rows = (places[:h] + top + 4 * self.network.rows.start).clamp(max=batch.shape[2] - 1)
        return log_depth.exp(), (rows, (places[:w] + left).clamp(max=batch.shape[3] - 1))


class Inverse(nn.Module):
    """DenseDepth, giving ``max_depth / depth`` as it predicts it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: DenseDepth = network

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, h/2, w/2), unbounded."""
        return self.network.forward_all(batch).inverse


def start_at(network: nn.Module, depth: float) -> None:
    """Let a network whose last batch norm has one channel begin by saying about ``depth`` metres.

    Its gain becomes half of that: the optimiser moves a gain of 1 by no more than the rate in a
    step, and roads need tens of metres between near and far.
    """
    last = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.num_features == 1]
    if last and depth > 0:
        nn.init.constant_(last[-1].bias, depth)
        nn.init.constant_(last[-1].weight, depth / 2)


def on_grid(values: Tensor, pred: Tensor, looks_at: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Targets at the pixels that the network's cells look at, by nearest pixel.

    Args:
        values: (b, h, w).
        pred: (b, h', w').
        looks_at: row and column of every cell; None: the cells cover the picture evenly.
    """
    if looks_at is not None:
        return values[:, looks_at[0]][:, :, looks_at[1]]
    if pred.shape[-2:] == values.shape[-2:]:
        return values
    return F.interpolate(values[:, None], size=pred.shape[-2:], mode="nearest-exact")[:, 0]


def supervised_loss(
    name: Loss, pred: Tensor, target: Tensor, valid: Tensor, *, max_depth: float
) -> Tensor:
    """One of the supervised losses, a scalar.

    Args:
        name: see the module.
        pred: (b, h, w) metres; for ``densedepth`` ``max_depth / metres``.
        target: (b, h, w) metres.
        valid: (b, h, w) bool.
        max_depth: metres.
    """
    if name == "l1":
        return masked_l1(pred, target, valid)
    if name == "berhu":
        return berhu(pred, target, valid)
    if name == "densedepth":
        from leadline.models.densedepth import depth_to_inverse

        inverse = depth_to_inverse(torch.where(valid, target, max_depth), max_depth)
        return densedepth_loss(pred, inverse, valid).total
    if name == "eigen":
        return scale_invariant_log(pred, target, valid)
    return silog(pred, target, valid, form=name.removeprefix("silog-"))


def berhu(pred: Tensor, target: Tensor, valid: Tensor, *, share: float = 0.2) -> Tensor:
    """Reverse Huber: absolute below c, (x^2 + c^2) / 2c above; c is a share of the largest error.

    Args:
        pred: (b, h, w).
        target: (b, h, w), in the same unit.
        valid: (b, h, w) bool.
        share: of the largest absolute error of the batch.

    Source: Laina et al. 2016, section 3.2, equation 1.
    """
    error = torch.where(valid, pred - torch.where(valid, target, 0.0), 0.0).abs()
    c = (share * error.detach().amax()).clamp(min=1e-6)
    return masked_mean(torch.where(error <= c, error, (error.square() + c * c) / (2 * c)), valid)
