"""Monodepth's loss: each view is made from the other, and the two disparities agree.

Source: Godard et al., Unsupervised Monocular Depth Estimation with Left-Right Consistency,
CVPR 2017, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from leadline.errors import InputError
from leadline.ops import edge_aware_gradients, sample_along_rows, ssim_dissimilarity

_WINDOW = 3
"""Rows and columns that SSIM compares at once."""


@dataclass(frozen=True, kw_only=True)
class LeftRightConfig:
    """Weights and choices.

    Attributes:
        ssim_weight: share of SSIM in the appearance term.
        smoothness: weight of the smoothness term, halved per scale.
        consistency: weight of the left-right term.
        smoothness_axes: ``xy``: steps to the right and down, as in the paper. ``x``: steps to the
            right only, as in the authors' code, which computes the others and then leaves them
            out; numbers published with that code were trained so.
    """

    ssim_weight: float = 0.85
    smoothness: float = 0.1
    consistency: float = 1.0
    smoothness_axes: Literal["xy", "x"] = "xy"

    def __post_init__(self) -> None:
        if not 0 <= self.ssim_weight <= 1:
            raise InputError(f"ssim_weight={self.ssim_weight}: a share from 0 to 1 is needed.")
        if self.smoothness_axes not in ("xy", "x"):
            raise InputError(f"smoothness_axes={self.smoothness_axes!r}: 'xy' or 'x' is needed.")


class LeftRightLoss(NamedTuple):
    """The loss and its terms, each summed over scales and both views, not yet weighted.

    Attributes:
        total: scalar.
        appearance: scalar.
        smoothness: scalar.
        consistency: scalar.
    """

    total: Tensor
    appearance: Tensor
    smoothness: Tensor
    consistency: Tensor


def area_pyramid(image: Tensor, scales: int = 4) -> tuple[Tensor, ...]:
    """The picture at full size, half, quarter ...: each pixel the mean of those it covers.

    Args:
        image: (b, c, h, w), sides multiples of 2**(scales - 1).
        scales: how many sizes.
    """
    return tuple(F.avg_pool2d(image, 2**s) if s else image for s in range(scales))


def appearance(pred: Tensor, target: Tensor, *, ssim_weight: float = 0.85) -> Tensor:
    """Weighted SSIM and absolute difference of two pictures, a scalar.

    Args:
        pred: (b, c, h, w), in [0, 1].
        target: (b, c, h, w).
        ssim_weight: share of (1 - SSIM) / 2, whose windows stay inside the picture.

    Source: Monodepth, equation 2.
    """
    structure = ssim_dissimilarity(pred, target, border="valid").mean()
    return ssim_weight * structure + (1 - ssim_weight) * (pred - target).abs().mean()


def monodepth_loss(
    left_disparity: Sequence[Tensor],
    right_disparity: Sequence[Tensor],
    left: Tensor,
    right: Tensor,
    *,
    config: LeftRightConfig | None = None,
) -> LeftRightLoss:
    """Appearance, smoothness and left-right consistency at every scale, for both views.

    Args:
        left_disparity: per scale, (b, h / 2**s, w / 2**s) in fractions of the width, positive.
        right_disparity: the same of the right view.
        left: (b, c, h, w) in [0, 1]; the pictures that the network saw, augmentation included.
        right: (b, c, h, w).
        config: weights and choices.

    Raises:
        InputError: different numbers of scales, or pictures too small for them.
    """
    if len(left_disparity) != len(right_disparity) or not left_disparity:
        raise InputError(
            f"{len(left_disparity)} left and {len(right_disparity)} right disparities: the same "
            "scales of both views are needed."
        )
    config = config or LeftRightConfig()
    scales = len(left_disparity)
    if min(left.shape[-2:]) >> (scales - 1) < _WINDOW:
        raise InputError(
            f"pictures of {tuple(left.shape[-2:])} at {scales} scales, each half the last: the "
            f"smallest has less than the {_WINDOW} rows and columns that SSIM compares; sides of "
            f"{_WINDOW << (scales - 1)} or more are needed."
        )
    terms = torch.stack(
        [
            _one_scale(*maps, config)
            for maps in zip(
                left_disparity,
                right_disparity,
                area_pyramid(left, scales),
                area_pyramid(right, scales),
                strict=True,
            )
        ]
    )  # (scales, 3)
    halving = terms.new_tensor([0.5**s for s in range(scales)])
    look, smooth, agree = terms[:, 0].sum(), (terms[:, 1] * halving).sum(), terms[:, 2].sum()
    total = look + config.smoothness * smooth + config.consistency * agree
    return LeftRightLoss(total, look, smooth, agree)


def _one_scale(
    left_disparity: Tensor,
    right_disparity: Tensor,
    left: Tensor,
    right: Tensor,
    config: LeftRightConfig,
) -> Tensor:
    """(3,): appearance, smoothness and consistency, summed over both views."""
    views = (
        (left_disparity, right_disparity, left, right, -left_disparity),
        (right_disparity, left_disparity, right, left, right_disparity),
    )
    terms = []
    for own, other, picture, other_picture, offset in views:
        seen = sample_along_rows(other_picture, offset)
        along_x, along_y = edge_aware_gradients(own, picture)
        smooth = along_x.mean() + (along_y.mean() if config.smoothness_axes == "xy" else 0.0)
        terms.append(
            torch.stack(
                [
                    appearance(seen, picture, ssim_weight=config.ssim_weight),
                    smooth,
                    (sample_along_rows(other, offset) - own).abs().mean(),
                ]
            )
        )
    return terms[0] + terms[1]
