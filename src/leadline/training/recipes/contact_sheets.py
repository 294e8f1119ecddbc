"""Contact sheets of self-supervised training: rows of pictures, one column a thing to see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from leadline import viz

_MOST_ROWS = 6


def disparity_picture(disparity: Tensor) -> Tensor:
    """(b, h, w) of any positive disparity -> (b, 3, h, w) in [0, 1]; near is bright."""
    maps = [viz.colorize(each.float().cpu().numpy()) for each in disparity]
    return torch.from_numpy(np.stack(maps)).permute(0, 3, 1, 2).float() / 255


def picture_rows(columns: Sequence[Tensor]) -> np.ndarray:
    """One row per sample, one column per tensor (b, 3, h, w) in [0, 1]; (h, w, 3) uint8."""
    wide = torch.cat([column[:_MOST_ROWS].float().cpu().clamp(0, 1) for column in columns], dim=3)
    rows = wide.permute(0, 2, 3, 1).reshape(-1, wide.shape[3], 3)
    return (rows.numpy() * 255 + 0.5).astype(np.uint8)
