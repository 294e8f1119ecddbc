"""DenseDepth's loss: structure, edges and a little of the difference itself.

Source: Alhashim and Wonka 2018, section 3.2; weights as in the authors' code.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from leadline.losses.masking import masked_mean
from leadline.ops import gaussian_ssim


class DenseDepthLoss(NamedTuple):
    """The loss and its terms, not yet weighted.

    Attributes:
        total: scalar.
        structure: (b,), (1 - SSIM) / 2 in [0, 1] per picture.
        edges: scalar, mean difference of steps to the right and down.
        difference: scalar, mean absolute difference.
    """

    total: Tensor
    structure: Tensor
    edges: Tensor
    difference: Tensor


def densedepth_loss(
    pred: Tensor,
    target: Tensor,
    valid: Tensor | None = None,
    *,
    peak: float = 100.0,
    structure_weight: float = 1.0,
    edge_weight: float = 1.0,
    difference_weight: float = 0.1,
) -> DenseDepthLoss:
    """Loss on ``max_depth / depth``, not on depth.

    Args:
        pred: (b, h, w), the network's output; at least 11 pixels on a side.
        target: (b, h, w), see :func:`leadline.models.densedepth.depth_to_inverse`.
        valid: (b, h, w) bool; None counts all, as the authors do on filled-in maps. Invalid pixels
            are taken to be predicted exactly in SSIM, and count for nothing else.
        peak: largest value, for SSIM's constants: 100 for the targets in [1, 100].
        structure_weight: of the SSIM term.
        edge_weight: of the edge term.
        difference_weight: of the absolute difference.
    """
    counts = torch.ones_like(pred, dtype=torch.bool) if valid is None else valid
    # Where nothing is known both are 0: no difference, no gradient, and no NaN from the target.
    pred, target = torch.where(counts, pred, 0.0), torch.where(counts, target, 0.0)
    similarity = gaussian_ssim(pred[:, None], target[:, None], peak=peak)
    structure = ((1 - similarity) / 2).clamp(0, 1)
    edges = _step_difference(pred, target, counts)
    difference = masked_mean((pred - target).abs(), counts)
    total = (
        structure_weight * structure.mean() + edge_weight * edges + difference_weight * difference
    )
    return DenseDepthLoss(total, structure, edges, difference)


def _step_difference(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid pixels of |step right's difference| + |step down's|, 0 past the border."""
    error = pred - target
    across = (error[:, :, 1:] - error[:, :, :-1]).abs()
    down = (error[:, 1:] - error[:, :-1]).abs()
    across = torch.where(valid[:, :, 1:] & valid[:, :, :-1], across, 0.0).sum()
    down = torch.where(valid[:, 1:] & valid[:, :-1], down, 0.0).sum()
    return (across + down) / valid.sum().clamp(min=1)
