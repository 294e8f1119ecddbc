"""Averaging a prediction with that of the mirrored picture."""

from __future__ import annotations

import torch
from torch import Tensor


def average_mirrored(straight: Tensor, mirrored: Tensor) -> Tensor:
    """Average two disparity maps, except at the sides, where only one of them could see.

    A network taught by stereo is wrong in a strip at one side of the picture (the left one when it
    predicts the left view). The mirrored picture moves the strip to the other side.

    Args:
        straight: (..., h, w), predicted for the picture.
        mirrored: (..., h, w), predicted for the mirrored picture and mirrored back.

    Returns:
        (..., h, w): ``mirrored`` in the leftmost 5 % of the width, ``straight`` in the rightmost
        5 %, the mean in the middle, and 5 % of transition between.

    Source: Monodepth (Godard et al. 2017), section 4; used by Monodepth2 too.
    """
    width = straight.shape[-1]
    along = torch.linspace(0, 1, width, dtype=straight.dtype, device=straight.device)
    left = 1 - (20 * (along - 0.05)).clamp(0, 1)  # (w,): 1 at the left side
    right = left.flip(0)
    mean = 0.5 * (straight + mirrored)
    return right * straight + left * mirrored + (1 - left - right) * mean
