"""Losses for metric depth: SILog's published forms by name, BerHu, gradients, the router's loss.

The forms of SILog are one function, :func:`leadline.losses.scale_invariant_log_root`; this table
says which numbers each project took.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from leadline.errors import UnknownNameError
from leadline.losses.masking import masked_mean
from leadline.losses.scale_invariant import scale_invariant_log, scale_invariant_log_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SilogForm:
    """One project's SILog.

    Attributes:
        lam: how much of the squared mean log error is taken off.
        factor: of the square root; None for the plain square, without a root.
        unbiased: whether the variance is divided by n - 1.
        source: where it is published.
    """

    lam: float
    factor: float | None
    unbiased: bool = False
    source: str


SILOG_FORMS = MappingProxyType(
    {
        "eigen": SilogForm(
            lam=0.5, factor=None, source="Eigen et al., NIPS 2014, equation 4; per picture"
        ),
        "bts": SilogForm(lam=0.85, factor=10.0, source="Lee et al., BTS, 2019, equation 4"),
        "zoedepth": SilogForm(
            lam=0.85,
            factor=10.0,
            unbiased=True,
            source="AdaBins, CVPR 2021, equation 6, and ZoeDepth, 2023, as their code has it",
        ),
        "depth-anything-v2": SilogForm(
            lam=0.5, factor=1.0, source="Depth Anything V2, metric training code, 2024"
        ),
    }
)
"""Name -> numbers."""


def silog(pred: Tensor, target: Tensor, valid: Tensor, *, form: str = "zoedepth") -> Tensor:
    """Scale-invariant log error in a published form.

    Args:
        pred: (b, h, w) metres.
        target: (b, h, w) metres, positive where valid.
        valid: (b, h, w) bool.
        form: a name of :data:`SILOG_FORMS`.

    Returns:
        A scalar; 0 when nothing is valid. Compute it in float32: under half precision the log
        differences lose their digits.

    Raises:
        UnknownNameError: no such form.
    """
    if form not in SILOG_FORMS:
        raise UnknownNameError("form", form, SILOG_FORMS)
    chosen = SILOG_FORMS[form]
    if chosen.factor is None:
        return scale_invariant_log(pred, target, valid, lam=chosen.lam)
    return scale_invariant_log_root(
        pred,
        target,
        valid,
        lam=chosen.lam,
        factor=chosen.factor,
        unbiased=chosen.unbiased,
    )


def gradient_l1(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Difference of the gradients' squared lengths plus that of their angles.

    Args:
        pred: (b, h, w) metres.
        target: (b, h, w) metres.
        valid: (b, h, w) bool; a gradient counts when its three pixels are valid.

    Source: ZoeDepth's code, ``GradL1Loss`` (weight 0 in its published recipes).
    """
    counted = valid[:, 1:, 1:] & valid[:, 1:, :-1] & valid[:, :-1, 1:]
    target = torch.where(valid, target, 0.0)
    pred_length, pred_angle = _slope(pred)
    length, angle = _slope(target)
    return masked_mean((pred_length - length).abs(), counted) + masked_mean(
        (pred_angle - angle).abs(), counted
    )


def _slope(depth: Tensor) -> tuple[Tensor, Tensor]:
    dx = depth[:, 1:, 1:] - depth[:, 1:, :-1]
    dy = depth[:, 1:, 1:] - depth[:, :-1, 1:]
    return dx.square() + dy.square(), torch.atan(dy / (dx + 1e-10))


def router_cross_entropy(logits: Tensor, domains: Tensor) -> Tensor:
    """Cross entropy of a router's logits (b, domains) with the pictures' domains (b,) int64.

    Source: ZoeDepth, section 3.3 (weight 100 beside SILog in its code).
    """
    return F.cross_entropy(logits.float(), domains)


def berhu(pred: Tensor, target: Tensor, valid: Tensor, *, share: float = 0.2) -> Tensor:
    """Reverse Huber: ``|x|`` where ``|x| <= c``, else ``(x^2 + c^2) / 2c``; mean over all valid.

    ``x = pred - target`` and ``c = share * max |x|``.

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


def log_depth_error(inverse_depths: Sequence[Tensor], depth: Tensor, max_depth: float) -> Tensor:
    """``mean |log(inverse_depth) + log(depth)|`` where depth is known, the mean over scales.

    Args:
        inverse_depths: per scale, (b, h / 2**s, w / 2**s), 1/m; brought to full size first.
        depth: (b, h, w) metres, 0 where unknown.
        max_depth: metres; what is farther does not count.

    Source: Kuznietsov et al., Semi-Supervised Deep Learning for Monocular Depth Map Prediction,
    CVPR 2017 (supervision beside a self-supervised loss; the difference of logs is ours).
    """
    valid = (depth > 1e-3) & (depth < max_depth)
    target = depth.clamp(min=1e-3).log()
    terms = []
    for inverse in inverse_depths:
        full = F.interpolate(
            inverse[:, None], size=depth.shape[1:], mode="bilinear", align_corners=False
        ).squeeze(1)
        terms.append(masked_mean((full.clamp(min=1e-6).log() + target).abs(), valid))
    return torch.stack(terms).mean()
