"""Structural similarity, in the two windows that depth papers use.

Source: Wang et al., Image quality assessment: from error visibility to structural similarity,
IEEE TIP 2004.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from leadline.errors import InputError


def ssim_dissimilarity(
    x: Tensor, y: Tensor, *, border: Literal["reflect", "valid"] = "reflect"
) -> Tensor:
    """(1 - SSIM) / 2 per pixel and channel, over a 3x3 box, clipped to [0, 1].

    Args:
        x: (b, c, h, w) picture in [0, 1], at least 3 pixels on a side for ``valid``, 2 for
            ``reflect``.
        y: another of the same shape.
        border: ``reflect`` keeps the size (Monodepth2); ``valid`` loses one pixel on each side
            (Monodepth).

    Returns:
        (b, c, h, w), or (b, c, h - 2, w - 2).
    """
    if border not in ("reflect", "valid"):
        raise InputError(f"border={border!r}: 'reflect' or 'valid' is needed.")
    if border == "reflect":
        x, y = F.pad(x, (1, 1, 1, 1), mode="reflect"), F.pad(y, (1, 1, 1, 1), mode="reflect")
    ratio = _ssim(x, y, lambda t: F.avg_pool2d(t, 3, stride=1), (0.01**2, 0.03**2))
    return ((1 - ratio) / 2).clamp(0, 1)


def gaussian_ssim(x: Tensor, y: Tensor, *, peak: float) -> Tensor:
    """SSIM per picture, over an 11x11 Gaussian window with a deviation of 1.5 pixels.

    Args:
        x: (b, c, h, w), at least 11 pixels on a side; windows stay inside.
        y: another of the same shape.
        peak: the largest value that the pictures can take.

    Returns:
        (b,): the mean over places and channels.

    Raises:
        InputError: a side shorter than the window.
    """
    if min(x.shape[-2:]) < 11:
        raise InputError(
            f"maps of {x.shape[-2]}x{x.shape[-1]} pixels: SSIM's window needs 11 on each side; "
            "use larger crops."
        )
    channels = x.shape[1]
    steps = torch.arange(11, dtype=x.dtype, device=x.device) - 5
    bell = (-0.5 * (steps / 1.5).square()).exp()
    bell = bell / bell.sum()
    down = bell[:, None].expand(channels, 1, 11, 1)
    across = bell[None, :].expand(channels, 1, 1, 11)

    def blur(t: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(t, down, groups=channels), across, groups=channels)

    ratio = _ssim(x, y, blur, ((0.01 * peak) ** 2, (0.03 * peak) ** 2))
    return ratio.mean(dim=(1, 2, 3))


def _ssim(
    x: Tensor, y: Tensor, mean: Callable[[Tensor], Tensor], constants: tuple[float, float]
) -> Tensor:
    """Similarity of luminance times that of contrast and structure."""
    c1, c2 = constants
    mean_x, mean_y = mean(x), mean(y)
    var_x = mean(x * x) - mean_x * mean_x
    var_y = mean(y * y) - mean_y * mean_y
    covariance = mean(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2)
    return above / below
