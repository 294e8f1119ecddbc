"""How wrong metric models are on pictures that they never saw.

Numbers of ``benchmarks/measure_errors.py``, as its committed result holds them; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from leadline.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DepthError:
    """How wrong depths are, as standard deviations of their logarithm.

    Attributes:
        scale: of the whole map.
        local: of single pixels beside that.
        reach: part of the picture's diagonal over which local errors are alike (the distance at
            which their correlation has fallen to 1 / e).
    """

    scale: float
    local: float
    reach: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.scale < 3 and 0 <= self.local < 3 and self.reach > 0):
            raise InputError(
                f"errors of scale={self.scale}, local={self.local}, reach={self.reach}: shares "
                "from 0 are needed (0.1 is ten percent), and a reach above 0."
            )


HELD_OUT = MappingProxyType({"lite-metric": DepthError(scale=0.374, local=0.336, reach=0.106)})
"""Metric model -> its errors."""
