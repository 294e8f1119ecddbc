"""Arrays in: numpy arrays and torch tensors become numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_numpy(array: Any) -> np.ndarray:
    """A numpy array of the same numbers; tensors of any device and precision are taken."""
    if type(array).__module__.partition(".")[0] == "torch":
        array = array.detach().cpu()
        return (array.float() if "bfloat16" in str(array.dtype) else array).numpy()
    return np.asarray(array)
