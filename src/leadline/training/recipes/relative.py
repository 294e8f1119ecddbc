"""Relative depth: right up to one scale and one shift per picture, from mixed data.

The prediction and the truth are disparities, each brought to median 0 and mean absolute deviation
1; their difference and, at several scales, the difference of their gradients are the loss. So data
of any unit can be mixed: stereo without a baseline, films, renderings.

Source: Ranftl et al., MiDaS, TPAMI 2020, section 5; Yang et al., Depth Anything, CVPR 2024,
section 3.1.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError
from leadline.losses import (
    affine_normalize,
    align,
    masked_l1,
    multi_scale_gradient,
    scale_shift_invariant,
    trimmed_mae,
)
from leadline.training.data.samples import open_depth_samples
from leadline.training.data.source import Batch, BatchSource
from leadline.training.network import Delivery, build_network, describe_network, normalize_rgb
from leadline.training.recipes.base import Forward, Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from leadline.training.options import RelativeOptions


class Relative(Recipe):
    """Scale- and shift-invariant training of a disparity network."""

    options: RelativeOptions

    def build(self) -> nn.Module:
        """The config's network."""
        return build_network(self.config)

    def deliver(self, module: Any) -> Delivery:
        """The same network: affine disparity."""
        spec = describe_network(self.config)
        if not spec.kind.larger_is_nearer:
            raise InputError(
                f"model={self.config.model!r} gives {spec.kind}; the relative recipe trains "
                "networks of affine disparity, as lite, midas-v21-small or depth-anything-v2-vits."
            )
        return Delivery(spec=replace(spec, max_depth=None), module=module)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Pictures with depth, from all sources."""
        return open_depth_samples(self.config, folder, step)

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Difference and gradients of normalised disparities."""
        options, valid = self.options, batch["valid"]
        pred = forward(normalize_rgb(batch["rgb"], self.preprocess))
        target = affine_normalize(batch["disparity"], valid)
        if step < options.settle:
            fitted = pred
            difference = masked_l1(pred, target, valid)
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
        return masked_l1(fitted, target, valid)
