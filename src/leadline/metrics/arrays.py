"""Arrays in: numpy arrays and torch tensors become numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from leadline.errors import InputError


def to_numpy(array: Any) -> np.ndarray:
    """A numpy array of the same numbers; tensors of any device and precision are taken."""
    if type(array).__module__.partition(".")[0] == "torch":
        array = array.detach().cpu()
        return (array.float() if "bfloat16" in str(array.dtype) else array).numpy()
    return np.asarray(array)


def find_known(target: np.ndarray, valid: Any) -> np.ndarray:
    """Where a target is finite and positive, and ``valid`` if that is given.

    Raises:
        InputError: nowhere.
    """
    known = np.isfinite(target) & (target > 0)
    if valid is not None:
        known &= to_numpy(valid).astype(bool)
    if not known.any():
        raise InputError("no pixel has a known depth; check the mask and the target's unit.")
    return known


def check_finite(values: np.ndarray, *, positive: bool = True) -> None:
    """Refuse predictions of known pixels that are no numbers, or not positive.

    Raises:
        InputError: there are some.
    """
    if not np.isfinite(values).all() or (positive and values.min() <= 0):
        raise InputError(
            "the prediction holds values that are not finite or not positive where the depth is "
            "known; clamp it to the protocol's range first."
        )
