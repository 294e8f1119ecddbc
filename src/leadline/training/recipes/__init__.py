"""The recipes by name, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from leadline.training.recipes.base import Recipe
from leadline.training.recipes.depth_anything import DepthAnything
from leadline.training.recipes.metric import Metric
from leadline.training.recipes.relative import Relative
from leadline.training.recipes.stereo import Stereo
from leadline.training.recipes.supervised import Supervised
from leadline.training.recipes.video import Video

RECIPES: Mapping[str, type[Recipe]] = MappingProxyType(
    {
        "depth-anything": DepthAnything,
        "metric": Metric,
        "relative": Relative,
        "stereo": Stereo,
        "supervised": Supervised,
        "video": Video,
    }
)
"""Name -> recipe."""

__all__ = ["RECIPES"]
