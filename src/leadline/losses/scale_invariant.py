"""Scale-invariant error of log depth: what remains when a picture may be scaled as a whole.

With ``d = log(pred) - log(target)`` over n valid pixels, ``mean(d**2) - lam * mean(d)**2``: at
lam 0 it is the squared log error; at 1 it does not change when ``pred`` is scaled; the paper
trains at one half.

Source: Eigen et al. 2014, section 3.2, equations 1 to 4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from leadline.errors import InputError

_SMALLEST = 1e-7  # metres; a prediction below this counts as this


def scale_invariant_log(
    pred: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    lam: float = 0.5,
    weighting: Literal["pictures", "released"] = "pictures",
) -> Tensor:
    """Eigen's training loss.

    Args:
        pred: (b, h, w) depth, in the unit of ``target`` or any other.
        target: (b, h, w) depth, positive where valid.
        valid: (b, h, w) bool.
        lam: how much of the squared mean is taken off, lambda in the paper.
        weighting: ``pictures``: equation 4 per picture, then the mean over those with valid
            pixels, as the paper has it. ``released``: as the authors' code has it, which weighs
            each picture by the square of its number of valid pixels.

    Returns:
        A scalar; 0 when nothing is valid.

    Source: Eigen et al. 2014, equation 4.
    """
    _check_lam(lam)
    difference = _log_difference(pred, target, valid).flatten(1)  # (b, n), 0 where invalid
    count = valid.flatten(1).sum(1)  # (b,)
    squares, total = difference.square().sum(1), difference.sum(1)
    if weighting == "released":
        above = (count * squares - lam * total.square()).sum()
        return above / count.square().sum().clamp(min=1)
    if weighting != "pictures":
        raise InputError(f"weighting={weighting!r}: 'pictures' or 'released' is needed.")
    n = count.clamp(min=1)
    each = squares / n - lam * (total / n).square()
    return each.sum() / (count > 0).sum().clamp(min=1)


def scale_invariant_log_root(
    pred: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    lam: float = 0.85,
    factor: float = 10.0,
    unbiased: bool = False,
) -> Tensor:
    """Square root of the scale-invariant log error, over all valid pixels of the batch at once.

    | used by | lam | factor | unbiased |
    |---|---|---|---|
    | BTS, AdaBins | 0.85 | 10 | no |
    | ZoeDepth | 0.85 (their ``beta`` is 1 - lam) | 10 | yes |
    | Depth Anything V2, metric | 0.5 | 1 | no |

    Args:
        pred: (b, h, w) depth.
        target: (b, h, w) depth, positive where valid.
        valid: (b, h, w) bool.
        lam: how much of the squared mean is taken off.
        factor: of the result.
        unbiased: divide the variance by n - 1.

    Returns:
        A scalar; 0 when nothing is valid.

    Source: Lee et al., BTS, 2019, equation 4; Eigen et al. 2014, equation 4.
    """
    _check_lam(lam)
    difference = _log_difference(pred, target, valid)
    n = valid.sum().clamp(min=1)
    mean = difference.sum() / n
    variance = torch.where(valid, difference - mean, 0.0).square().sum()
    variance = variance / (n - 1).clamp(min=1) if unbiased else variance / n
    inside = variance + (1 - lam) * mean.square()
    # The root has no finite slope at 0; below the floor there is nothing left to learn.
    return factor * torch.where(inside > 1e-12, inside.clamp(min=1e-12).sqrt(), 0.0 * inside)


def _log_difference(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """log(pred) - log(target), 0 where invalid, with finite gradients everywhere."""
    known = torch.where(valid, pred, 1.0).clamp(min=_SMALLEST).log()
    return known - torch.where(valid, target, 1.0).clamp(min=_SMALLEST).log()


def _check_lam(lam: float) -> None:
    if not 0 <= lam <= 1:
        raise InputError(
            f"lam={lam}: a number from 0 (plain log error) to 1 (blind to scale) is needed."
        )
