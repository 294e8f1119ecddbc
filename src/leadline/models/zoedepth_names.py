"""ZoeDepth's tensor names: the original authors' and transformers', and what some files lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from leadline.models.dpt_midas_names import complete, from_transformers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def convert(state_dict: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Our names for an original or a transformers state dict, constants added.

    Args:
        state_dict: as found.
        needed: our module's.
    """
    found = complete(from_transformers(state_dict, needed), needed)
    for name in needed:
        if name in found and not found[name].is_meta:
            continue
        if name.endswith(".log_binomial_transform.k_idx"):
            found[name] = torch.arange(needed[name].shape[1]).view(1, -1, 1, 1)
        elif name.endswith(".log_binomial_transform.K_minus_1"):
            bins = needed[name.replace("K_minus_1", "k_idx")].shape[1]
            found[name] = torch.full((1, 1, 1, 1), float(bins - 1))
    return found
