"""The recipes by name, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from leadline.errors import UnknownNameError
from leadline.training.recipe import Recipe
from leadline.training.recipes.relative import Relative
from leadline.training.recipes.supervised import Supervised

RECIPES: Mapping[str, type[Recipe]] = MappingProxyType(
    {
        "relative": Relative,
        "supervised": Supervised,
    }
)
"""Name -> recipe."""


def get(name: str) -> type[Recipe]:
    """The recipe ``name``.

    Raises:
        UnknownNameError: no such recipe; the message lists all.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]


__all__ = ["RECIPES", "get"]
