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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from leadline.errors import InputError
from leadline.losses import berhu, densedepth_loss, masked_l1, scale_invariant_log, silog
from leadline.models import densedepth, eigen14
from leadline.training.data.samples import open_depth_samples
from leadline.training.data.source import Batch, BatchSource
from leadline.training.network import Delivery, build_network, describe_network, normalize_rgb
from leadline.training.recipes.base import Forward, Recipe
from leadline.training.recipes.canonical import canonical_depth, canonical_spec

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.training.options import SupervisedLoss, SupervisedOptions


class Supervised(Recipe):
    """Depth in metres from pictures with measured or rendered depth."""

    options: SupervisedOptions
    protocol = "depth-anything-v2-metric"

    def build(self) -> nn.Module:
        """The config's network, in a wrapper where training sees another output than users."""
        if self.config.model in eigen14.CONFIGS:
            network = TwoStacks(build_network(self.config, full_frame=True))
            if self.options.repeat_coarse:
                network.network.fine.repeat_coarse()
            return network
        if self.config.model in densedepth.CONFIGS:
            return Inverse(build_network(self.config, **self._depth_output()))
        network = build_network(self.config)
        if not self.config.init_from:
            start_at(network, self.options.start_share * self.options.max_depth)
        return network

    def deliver(self, module: Any) -> Delivery:
        """The network, giving metres."""
        wrapped = isinstance(module, (TwoStacks, Inverse))
        network = module.network if wrapped else module
        options = self._depth_output() if isinstance(module, Inverse) else {}
        spec = describe_network(self.config, **options)
        if not spec.kind.is_metric:
            raise InputError(
                f"model={self.config.model!r} gives {spec.kind}; the supervised recipe trains "
                "networks of metric depth, as fastdepth, densedepth or eigen14-nyu; take the "
                "recipe `relative`."
            )
        spec = replace(spec, max_depth=self.options.max_depth)
        spec = canonical_spec(spec, self.options.canonical_focal_px)
        return Delivery(spec=spec, module=network)

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
        return open_depth_samples(
            self.config,
            folder,
            step,
            aspect=self.options.aspect,
            zoom_is_near=self.options.zoom_is_near,
        )

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss by name, on the network's own grid."""
        pred, looks_at = forward(normalize_rgb(batch["rgb"], self.preprocess)), None
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
        self.network: eigen14.Eigen14 = network
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
        self.network: densedepth.DenseDepth = network

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
    name: SupervisedLoss, pred: Tensor, target: Tensor, valid: Tensor, *, max_depth: float
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
        inverse = densedepth.depth_to_inverse(torch.where(valid, target, max_depth), max_depth)
        return densedepth_loss(pred, inverse, valid).total
    if name == "eigen":
        return scale_invariant_log(pred, target, valid)
    return silog(pred, target, valid, form=name.removeprefix("silog-"))
