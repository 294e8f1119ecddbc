"""Build a variant of a published network: its config with some fields replaced, checked by name."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from leadline.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)


def with_options(name: str, config: Config, options: dict[str, Any]) -> Config:
    """``config`` with the fields named in ``options`` replaced.

    Raises:
        InputError: a field that the config does not have; the message lists those it has.
    """
    known = [field.name for field in fields(config)]
    for option in options:
        if option not in known:
            raise InputError(f"{name} has no option {option!r}; it takes {', '.join(known)}.")
    return replace(config, **options)
