"""Losses for affine disparity: right up to one scale and one shift per picture.

Source: Ranftl et al. 2020 (MiDaS), section 5; Yang et al. 2024 (Depth Anything), section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def affine_normalize(disparity: Tensor, valid: Tensor) -> Tensor:
    """Subtract the median over valid pixels, divide by the mean absolute deviation from it.

    Args:
        disparity: (b, h, w).
        valid: (b, h, w) bool. Pixels outside it do not shape the statistics.

    Returns:
        (b, h, w); a picture without valid pixels comes back as zeros.

    Source: MiDaS equation 6; Depth Anything equation 2.
    """
    flat = disparity.flatten(1)  # (b, n)
    known = valid.flatten(1)
    median = torch.where(known, flat, torch.nan).nanmedian(dim=1, keepdim=True).values  # (b, 1)
    centred = torch.where(known, flat - median.nan_to_num(), 0.0)
    deviation = centred.abs().sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)
    scaled = (flat - median.nan_to_num()) / deviation.clamp(min=1e-6)
    some = known.any(dim=1, keepdim=True)
    return torch.where(some, scaled, 0.0).reshape(disparity.shape)


def scale_shift_invariant_mae(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of two maps that :func:`affine_normalize` made comparable.

    Args:
        pred: (b, h, w) disparity.
        target: (b, h, w) disparity; each map has its own unknown scale and shift.
        valid: (b, h, w) bool.

    Returns:
        A scalar: the mean over all valid pixels of the batch; 0 when there are none.
    """
    difference = affine_normalize(pred, valid) - affine_normalize(target, valid)
    return _masked_mean(difference.abs(), valid)


def multi_scale_gradient(pred: Tensor, target: Tensor, valid: Tensor, *, scales: int = 4) -> Tensor:
    """Absolute gradient of the difference at ``scales`` resolutions (every 2**k-th pixel).

    It asks for edges in the right places: a shift costs nothing, a missing step costs its height.

    Args:
        pred: (b, h, w).
        target: (b, h, w), comparable with ``pred`` (normalise or align them first).
        valid: (b, h, w) bool; a gradient counts when both its pixels are valid.
        scales: number of resolutions, subsampled by 1, 2, 4 ...

    Returns:
        A scalar: at each scale the sum of |dx| + |dy| over the number of valid pixels, summed
        over the scales.

    Source: MiDaS equation 11.
    """
    difference = pred - target
    total = difference.new_zeros(())
    for k in range(scales):
        step = 2**k
        d, m = difference[:, ::step, ::step], valid[:, ::step, ::step]
        dx = torch.where(m[:, :, 1:] & m[:, :, :-1], d[:, :, 1:] - d[:, :, :-1], 0.0)
        dy = torch.where(m[:, 1:] & m[:, :-1], d[:, 1:] - d[:, :-1], 0.0)
        total = total + (dx.abs().sum() + dy.abs().sum()) / m.sum().clamp(min=1)
    return total


def _masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)
