"""Leadline through torch.hub: ``torch.hub.load(FOLDER, "estimator", source="local")``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from leadline import DepthEstimator

dependencies = ["numpy", "PIL", "openvino", "huggingface_hub"]

sys.path.insert(0, str(Path(__file__).parent / "src"))  # torch.hub installs nothing


def estimator(model: str = "lite", **options: Any) -> DepthEstimator:
    """A model that is ready to predict, ``estimator.predict("photo.jpg")``; see leadline.load."""
    import leadline

    return leadline.load(model, **options)


def network(name: str, **options: Any) -> nn.Module:
    """A network of leadline.models with random weights, in evaluation mode, for training."""
    from leadline import models

    return models.build(name, **options)
