"""Antialiased resampling that every exporter's runtime computes as PyTorch does.

Source: Keys, Cubic Convolution Interpolation for Digital Image Processing, 1981 (the cubic kernel).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Literal["bilinear", "bicubic"]
"""Of an antialiased resampling: a triangle, or Keys' cubic with a = -0.5."""


def resize_antialiased(x: Tensor, size: tuple[int, int], kernel: Kernel = "bilinear") -> Tensor:
    """(b, c, h, w) -> (b, c, *size), with a kernel that widens as the picture shrinks.

    Exporters get two matrix products: OpenVINO has no such operator, and reads ONNX's as if it had
    no antialiasing. It also joins a product wrongly with a normalisation that follows, so pictures
    are normalised before; weights sum to 1, so the order does not matter.
    """
    if not torch.compiler.is_compiling():
        return F.interpolate(x, size=size, mode=kernel, align_corners=False, antialias=True)
    rows = _resampling_weights(x.shape[-2], size[0], kernel, like=x)
    columns = _resampling_weights(x.shape[-1], size[1], kernel, like=x)
    return rows @ (x @ columns.T)


def _resampling_weights(n_in: int, n_out: int, kernel: Kernel, *, like: Tensor) -> Tensor:
    """(n_out, n_in): what each output takes of each input; rows sum to 1."""
    step = n_in / n_out
    inputs = torch.arange(n_in, dtype=torch.float32, device=like.device) + 0.5
    outputs = (torch.arange(n_out, dtype=torch.float32, device=like.device) + 0.5) * step
    d = (inputs - outputs[:, None]).abs() / max(step, 1.0)
    weights = (1 - d).clamp(min=0)
    if kernel == "bicubic":
        near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
        weights = torch.where(d < 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
    return (weights / weights.sum(dim=1, keepdim=True)).to(like.dtype)
