"""Whether plain values, as JSON holds them, are what a dataclass says that its fields are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check_fields(cls: type, values: Mapping[str, Any]) -> None:
    """Raise TypeError for the first of ``values`` that its field of ``cls`` does not take.

    Names that are no fields are left to ``cls`` itself.
    """
    hints = get_type_hints(cls)
    for name, value in values.items():
        if name in hints and not _fits(value, hints[name]):
            raise TypeError(f"{name} = {_shown(value)}: {_in_words(hints[name])} is needed")


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return isinstance(value, tuple) and all(_fits(one, parts[0]) for one in value)
    if origin is tuple:
        return (
            isinstance(value, tuple)
            and len(value) == len(parts)
            and all(_fits(one, part) for one, part in zip(value, parts, strict=True))
        )
    if origin is not None:  # Mapping[str, X]
        return isinstance(value, Mapping) and all(_fits(v, parts[1]) for v in value.values())
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint if hint in (bool, int, str) else isinstance(value, hint)


def _in_words(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(parts)}"
    if origin in (Union, UnionType):
        return " or ".join(_in_words(part) for part in parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return f"[{_in_words(parts[0])}, ...]"
    if origin is tuple:
        return f"[{', '.join(_in_words(part) for part in parts)}]"
    if origin is not None:
        return "a table"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return words.get(hint, "null" if hint is type(None) else "a table")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
