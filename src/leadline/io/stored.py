"""A map out of a file that says itself what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from jaxtyping import Bool, Float, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredMap:
    """What a file holds.

    Attributes:
        values: (h, w) float32.
        valid: (h, w) bool, False where there is no value.
        info: ``kind``, and ``camera`` and ``model`` where the file tells them.
        pixels: the photo at the map's size, where it is in the file.
    """

    values: Float[np.ndarray, "h w"]
    valid: Bool[np.ndarray, "h w"]
    info: Mapping[str, Any] = field(default_factory=dict)
    pixels: UInt8[np.ndarray, "h w 3"] | None = None
