"""The few things that numpy and torch call differently.

Code that renders with either takes the module as ``xp`` and uses what both share: operators,
``where(mask)[0]``, ``clip(x, low, high)``, ``sqrt``, ``arctan2`` and their like. This file imports
numpy only; torch is there when its tensors come in.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def take(table: Any, index: Any) -> Any:
    """Rows of a table at flat indices; quicker than brackets in both libraries."""
    if isinstance(table, np.ndarray):
        return table.take(index, axis=0)
    return table.index_select(0, index)


def to_int32(x: Any) -> Any:
    """Whole numbers, towards zero."""
    return x.astype(np.int32) if isinstance(x, np.ndarray) else x.int()


def to_float32(x: Any) -> Any:
    """Single precision."""
    return x.astype(np.float32) if isinstance(x, np.ndarray) else x.float()
