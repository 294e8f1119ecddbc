"""Means over the pixels that count."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``values`` where ``valid``; 0, with zero gradients, when nothing is.

    Values that do not count may be NaN or infinite: they reach neither the mean nor, as long as
    they were made without dividing by ``values``, its gradient.
    """
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def smallest(values: Tensor, known: Tensor, share: float | Tensor) -> Tensor:
    """Which of the known values are in the smallest ``share`` of their row: (b, n) bool.

    Args:
        values: (b, n); those that are equal count in the order in which a sort leaves them.
        known: (b, n) bool.
        share: of the known values, for all rows or (b, 1).
    """
    order = torch.where(known, values.detach(), torch.inf).argsort(dim=1)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return known & (rank < (share * known.sum(1, keepdim=True)).round())


def masked_l1(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference over all valid pixels of the batch.

    FastDepth's and sparse-to-dense's loss, on metres.

    Args:
        pred: (b, h, w).
        target: (b, h, w), in the same unit; what stands where it is not valid does not matter.
        valid: (b, h, w) bool.

    Source: Ma and Karaman, Sparse-to-Dense, ICRA 2018, section III.C.
    """
    difference = pred - torch.where(valid, target, pred.detach())
    return masked_mean(difference.abs(), valid)
