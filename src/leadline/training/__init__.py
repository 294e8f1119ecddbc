"""Training: recipes, a readable loop, checkpoints that resume exactly.

Importing this package imports nothing heavy: each public name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadline.training.config import DataConfig, TrainConfig
    from leadline.training.engine.checkpoint import average_networks
    from leadline.training.engine.loop import train

_HOMES = {
    "DataConfig": "leadline.training.config",
    "TrainConfig": "leadline.training.config",
    "average_networks": "leadline.training.engine.checkpoint",
    "train": "leadline.training.engine.loop",
}

__all__ = ["DataConfig", "TrainConfig", "average_networks", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
