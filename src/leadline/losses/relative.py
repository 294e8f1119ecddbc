"""Losses for affine disparity: right up to one scale and one shift per picture.

Source: Ranftl et al. 2020 (MiDaS), section 5; Yang et al. 2024 (Depth Anything), section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F

from leadline.alignment import scale_and_shift
from leadline.errors import InputError
from leadline.losses.masking import masked_mean, smallest

if TYPE_CHECKING:
    from torch import Tensor

Reduction = Literal["batch", "image"]
"""Mean over the valid pixels of the whole ``batch``, or of every ``image`` and then over these."""


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
    return masked_mean(difference.abs(), valid)


def trimmed_mae(pred: Tensor, target: Tensor, valid: Tensor, *, trim: float = 0.2) -> Tensor:
    """Like :func:`scale_shift_invariant_mae`, without each picture's largest residuals.

    Labels are wrong at some pixels, edges above all; the largest residuals are mostly theirs.

    Args:
        pred: (b, h, w) disparity.
        target: (b, h, w) disparity.
        valid: (b, h, w) bool.
        trim: share of each picture's valid pixels that is left out; 0.2 in MiDaS, 0.1 where Depth
            Anything V2's students learn from a teacher.

    Returns:
        A scalar: the sum over the kept pixels, over twice the number of valid ones, which is
        MiDaS' normalisation.

    Raises:
        InputError: ``trim`` outside [0, 1).

    Source: MiDaS equation 8 (published copies sort the residuals and then slice the pair that
    ``torch.sort`` returns, which trims nothing).
    """
    if not 0 <= trim < 1:
        raise InputError(f"trim={trim}: a share from 0 (none) to below 1 is needed.")
    residual = (affine_normalize(pred, valid) - affine_normalize(target, valid)).abs().flatten(1)
    known = valid.flatten(1)
    kept = smallest(residual, known, 1 - trim)
    return torch.where(kept, residual, 0.0).sum() / (2 * known.sum()).clamp(min=1)


def align(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """``pred`` scaled and shifted to fit ``target``, per picture by least squares.

    Gradients pass through scale and shift, as in MiDaS. (b, h, w) -> (b, h, w).

    Source: MiDaS equation 4.
    """
    scale, shift = scale_and_shift(pred, target, valid, singular="zero")
    aligned = scale[:, None, None] * pred.double() + shift[:, None, None]
    return aligned.to(pred.dtype)


def scale_shift_invariant(
    pred: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    power: Literal[1, 2] = 2,
    gradient: float = 0.0,
    scales: int = 4,
    reduction: Reduction = "batch",
) -> Tensor:
    """Difference after a least-squares fit of scale and shift, with MiDaS' gradient term.

    Args:
        pred: (b, h, w) disparity.
        target: (b, h, w) disparity.
        valid: (b, h, w) bool.
        power: 2 for half the mean square (MiDaS), 1 for the mean absolute difference (ZoeDepth's
            scale-and-shift-invariant L1).
        gradient: weight of :func:`multi_scale_gradient` of the fitted maps; 0.5 in MiDaS.
        scales: of the gradient term.
        reduction: see :data:`Reduction`.

    Returns:
        A scalar; 0 when nothing is valid.

    Source: MiDaS equations 3, 4, 10 and 11.
    """
    if power not in (1, 2):
        raise InputError(f"power={power}: 1 or 2 is needed.")
    aligned = align(pred, target, valid)
    residual = torch.where(valid, aligned - target, 0.0)
    error = residual.square() / 2 if power == 2 else residual.abs()
    loss = _reduce(error.sum((-2, -1)), valid.sum((-2, -1)), reduction)
    if gradient:
        loss = loss + gradient * multi_scale_gradient(
            aligned, target, valid, scales=scales, reduction=reduction
        )
    return loss


def multi_scale_gradient(
    pred: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    scales: int = 4,
    reduction: Reduction = "batch",
) -> Tensor:
    """Absolute gradient of the difference at ``scales`` resolutions (every 2**k-th pixel).

    It asks for edges in the right places: a shift costs nothing, a missing step costs its height.

    Args:
        pred: (b, h, w).
        target: (b, h, w), comparable with ``pred`` (normalise or align them first).
        valid: (b, h, w) bool; a gradient counts when both its pixels are valid.
        scales: number of resolutions, subsampled by 1, 2, 4 ...
        reduction: see :data:`Reduction`.

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
        each = dx.abs().sum((-2, -1)) + dy.abs().sum((-2, -1))
        total = total + _reduce(each, m.sum((-2, -1)), reduction)
    return total


def _reduce(sums: Tensor, counts: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "batch":
        return sums.sum() / counts.sum().clamp(min=1)
    if reduction != "image":
        raise InputError(f"reduction={reduction!r}: 'batch' or 'image' is needed.")
    return (sums / counts.clamp(min=1)).mean()


def mean_residuals(pred: Tensor, target: Tensor, valid: Tensor, *, drop: Tensor) -> Tensor:
    """(b,) ``mean |pred - target|`` over every picture's valid pixels, without its largest.

    Args:
        pred: (b, h, w), comparable with ``target``.
        target: (b, h, w).
        valid: (b, h, w) bool.
        drop: (b,) share of the valid pixels that is left out.

    Source: Depth Anything V2, section 5: "ignore the top-10 %-largest-loss regions".
    """
    residual = torch.where(valid, (pred - target).abs(), 0.0).flatten(1)
    known = valid.flatten(1)
    if bool((drop > 0).any()):
        known = smallest(residual, known, 1 - drop[:, None])
    return torch.where(known, residual, 0.0).sum(1) / known.sum(1).clamp(min=1)


def feature_distance(
    features: Tensor, frozen: Tensor, *, margin: float, over: Literal["kept", "all"] = "kept"
) -> Tensor:
    """(b,) mean of ``1 - cos(features, frozen)`` where cos is not above the margin; 0 elsewhere.

    Args:
        features: (b, c, h, w), or (b, n, c) tokens.
        frozen: the same of the frozen encoder.
        margin: places above it are near enough; 0 where all are.
        over: the sum is divided by the number of places that are ``kept``, so that few that strayed
            weigh as much as many; ``all``: by that of all places, as the paper's equation says.

    Source: Yang et al., Depth Anything, CVPR 2024, equation 9 and the margin of section 3.3.
    """
    dim = 1 if features.ndim == 4 else 2
    cosine = F.cosine_similarity(features.float(), frozen.float(), dim=dim).flatten(1)
    away = cosine <= margin
    count = away.sum(1).clamp(min=1) if over == "kept" else cosine.shape[1]
    return torch.where(away, 1 - cosine, 0.0).sum(1) / count
