"""Build a variant of a published network: its config with some fields replaced, checked by name."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from leadline.errors import InputError

Config = TypeVar("Config")


def with_options(name: str, config: Config, options: dict[str, Any]) -> Config:
    """``config``, a dataclass, with the fields named in ``options`` replaced.

    Raises:
        InputError: a field that the config does not have; the message lists those it has.
    """
    dataclass: Any = config
    known = [field.name for field in fields(dataclass)]
    for option in options:
        if option not in known:
            raise InputError(f"{name} has no option {option!r}; it takes {', '.join(known)}.")
    return replace(dataclass, **options)
