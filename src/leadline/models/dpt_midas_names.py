"""DPT's tensor names: the original authors' and transformers'; and what some files leave out.

transformers saves query, key and value apart where the originals stack them; its hybrid keeps the
ResNet's tensors under other names. Since its version 5 it has other names in memory than in files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from leadline.models.beit import relative_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_INDEX = ".relative_position_index"


def complete(
    state_dict: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Add the constant indices of relative positions, which newer timm versions do not save."""
    missing = {
        name: relative_positions(*_grid(needed[name]))
        for name in needed
        if name.endswith(_INDEX) and (name not in state_dict or state_dict[name].is_meta)
    }
    return {**state_dict, **missing}


def _grid(index: Tensor) -> tuple[int, int]:
    side = round((index.shape[0] - 1) ** 0.5)
    return side, side


def from_transformers(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return state_dict
