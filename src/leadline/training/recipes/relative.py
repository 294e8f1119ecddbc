"""Relative depth: right up to one scale and one shift per picture, from mixed data.

The prediction and the truth are disparities, each brought to median 0 and mean absolute deviation
1; their difference and, at several scales, the difference of their gradients are the loss. So data
of any unit can be mixed: stereo without a baseline, films, renderings.

Source: Ranftl et al., MiDaS, TPAMI 2020, section 5; Yang et al., Depth Anything, CVPR 2024,
section 3.1.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from leadline.errors import InputError
from leadline.losses import (
    affine_normalize,
    align,
    multi_scale_gradient,
    scale_shift_invariant,
    trimmed_mae,
)
from leadline.training.network import build_network, delivered_spec, normalised
from leadline.training.recipe import Batch, BatchSource, Delivered, Forward, Recipe
from leadline.training.samples import depth_samples
from leadline.training.settings import need

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class RelativeOptions:
    """Choices of the relative recipe.

    Attributes:
        loss: ``mae``: mean absolute difference of the normalised maps (Depth Anything);
            ``trimmed``: without each picture's largest residuals (MiDaS); ``mse``: after a least
            squares fit of scale and shift (MiDaS, equation 4), whose scale may be negative: only
            the first steps (``settle``) tell near from far.
        trim: share of residuals that ``trimmed`` leaves out.
        gradient_weight, gradient_scales: of the multi-scale gradient term.
        settle: first steps, in which the raw prediction is compared with the normalised truth,
            because a scale-free loss of a random map says little.
    """

    loss: Literal["mae", "trimmed", "mse"] = "mae"
    trim: float = 0.2
    gradient_weight: float = 0.5
    gradient_scales: int = 4
    settle: int = 100

    def __post_init__(self) -> None:
        need(self, "a share of at least 0, below 1,", lambda number: 0 <= number < 1, "trim")
        need(self, "at least 0", lambda number: number >= 0, "gradient_weight", "settle")
        need(self, "at least 1", lambda number: number >= 1, "gradient_scales")


class Relative(Recipe):
    """Scale- and shift-invariant training of a disparity network."""

    name = "relative"
    Options = RelativeOptions

    def build(self) -> nn.Module:
        """The config's network."""
        return build_network(self.config)

    def delivered(self, module: Any) -> Delivered:
        """The same network: affine disparity."""
        spec = delivered_spec(self.config, module)
        if not spec.kind.larger_is_nearer:
            raise InputError(
                f"model={self.config.model!r} gives {spec.kind}; the relative recipe trains "
                "networks of affine disparity, as lite, midas-v21-small or depth-anything-v2-vits."
            )
        return Delivered(spec=replace(spec, max_depth=None), module=module)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Pictures with depth, from all sources."""
        return depth_samples(self.config, folder, step)

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Difference and gradients of normalised disparities."""
        options, valid = self.options, batch["valid"]
        pred = forward(normalised(batch["rgb"], self.config.model))
        target = affine_normalize(batch["disparity"], valid)
        if step < options.settle:
            fitted = pred
            difference = _mean_difference(pred, target, valid)
        else:
            by_squares = options.loss == "mse"  # both terms are of the same residual
            fitted = align(pred, target, valid) if by_squares else affine_normalize(pred, valid)
            difference = self._difference(pred, fitted, target, valid)
        gradient = multi_scale_gradient(fitted, target, valid, scales=options.gradient_scales)
        total = difference + options.gradient_weight * gradient
        return total, {"difference": difference, "gradient": gradient}

    def _difference(self, pred: Tensor, fitted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        if self.options.loss == "trimmed":
            return trimmed_mae(pred, target, valid, trim=self.options.trim)
        if self.options.loss == "mse":
            return scale_shift_invariant(pred, target, valid)
        return _mean_difference(fitted, target, valid)


def _mean_difference(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    known = valid.sum().clamp(min=1)
    return torch.where(valid, (pred - target).abs(), 0.0).sum() / known
