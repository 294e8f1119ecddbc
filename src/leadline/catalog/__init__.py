"""Every model that can be loaded by name, as one table; imports no network code.

To add a model: write a :class:`~leadline.spec.ModelSpec` into one of the files of this package,
whose entries become :data:`MODELS`. When it is a torch network, its ``architecture`` is a name of
``leadline.models``; a test asserts that both agree.
"""

from __future__ import annotations

from types import MappingProxyType

from leadline.catalog.classic import CLASSIC
from leadline.catalog.held_out import HELD_OUT, DepthError
from leadline.catalog.preprocessing import PREPROCESS
from leadline.catalog.recent import RECENT
from leadline.errors import UnknownNameError
from leadline.spec import ModelSpec

__all__ = [
    "DEFAULT",
    "HELD_OUT",
    "MODELS",
    "PREPROCESS",
    "DepthError",
    "by_digest",
    "by_repo",
    "expand_alias",
    "get",
    "names",
]

DEFAULT = "lite"
"""Name of the model that ``leadline.load()`` takes: it ships inside the package."""

MODELS = MappingProxyType({spec.name: spec for spec in (*CLASSIC, *RECENT)})
"""Name -> ModelSpec."""


def names() -> tuple[str, ...]:
    """Every name that ``leadline.load`` takes, in the table's order."""
    return tuple(MODELS)


_SIZES = MappingProxyType({"small": "vits", "base": "vitb", "large": "vitl", "giant": "vitg"})


def expand_alias(name: str) -> str:
    """The name in the table that a name with a word for its size means.

    >>> expand_alias("depth-anything-v2-small")
    'depth-anything-v2-vits'
    """
    words = name.split("-")
    full = "-".join(_SIZES.get(word, word) for word in words)
    return full if name not in MODELS and full in MODELS else name


def get(name: str) -> ModelSpec:
    """The entry ``name``, or the one that its size in words means.

    Raises:
        UnknownNameError: no such entry; the message lists the nearest spellings first.
    """
    name = expand_alias(name)
    if name not in MODELS:
        raise UnknownNameError("model", name, names())
    return MODELS[name]


def by_repo(repo: str) -> ModelSpec | None:
    """The entry whose weights the hub's ``repo`` (``owner/name``) holds, or None."""
    for spec in MODELS.values():
        if any(weights.repo == repo for weights in spec.weights):
            return spec
    return None


def by_digest(sha256: str) -> ModelSpec | None:
    """The entry that states a weights file with this SHA-256, or None."""
    for spec in MODELS.values():
        if any(weights.sha256 == sha256 for weights in spec.weights):
            return spec
    return None
