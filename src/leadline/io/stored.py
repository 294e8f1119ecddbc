"""A map as files hold it: arrays, and a record of what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Bool, Float, UInt8

MAPS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "valid": (np.bool_, ()),
    "confidence": (np.float32, ()),
    "normals": (np.float32, (3,)),
    "points": (np.float32, (3,)),
    "sky": (np.bool_, ()),
}
"""What a prediction may hold beside its values: name -> type, and axes behind (h, w)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredMap:
    """What a file holds.

    Attributes:
        values: (h, w) float32.
        valid: (h, w) bool, False where there is no value; None: all have one.
        info: ``kind`` as text, and ``camera`` as a table and ``model`` where known.
        parts: the other :data:`MAPS` that there are.
        pixels: the photo at the map's size, where there is one.
    """

    values: Float[np.ndarray, "h w"]
    valid: Bool[np.ndarray, "h w"] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    pixels: UInt8[np.ndarray, "h w 3"] | None = None
