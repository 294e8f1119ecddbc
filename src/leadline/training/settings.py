"""Change frozen dataclasses by plain values, checked by name and by type.

The values come from TOML files, from JSON, and from text on the command line.
"""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from leadline.errors import InputError, UnknownNameError

Config = TypeVar("Config")

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "checkpointing": "activation_checkpointing",
        "explosion": "max_loss_spike",
        "loaders": "num_workers",
        "options.pictures": "options.photometric_weight",
        "options.scan": "options.lidar_noise",
        "options.truth": "options.depth_weight",
        "rise": "pct_start",
        "start": "init_from",
        "thaw": "unfreeze_step",
        "workers": "render_workers",
    }
)
"""Key of a training config before version 0.2 -> its name now."""


def current_key(key: str) -> str:
    """The name that a dotted key of an older config has now; others stay."""
    for old, new in RENAMED.items():
        if key == old or key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return key


def update(config: Config, changes: Mapping[str, Any], *, what: str, above: str = "") -> Config:
    """``config``, a frozen dataclass, with some of its values changed.

    Args:
        config: the dataclass; fields may be dataclasses themselves.
        changes: plain values by name; ``table.key`` reaches into a field.
        what: the config in words, for messages.
        above: where it stands in another config, as ``options.``.

    Raises:
        UnknownNameError: no such field; the message lists all.
        InputError: a value that does not fit.
    """
    dataclass: Any = config
    hints = get_type_hints(type(config))
    known = [f.name for f in fields(dataclass)]
    clean: dict[str, Any] = {}
    for key, value in _nested(changes).items():
        if key not in known and current_key(above + key) != above + key:
            raise InputError(
                f"{what} key {key}: its name is {current_key(above + key)} now; give that."
            )
        if key not in known:
            raise UnknownNameError(f"{what} key", key, known)
        clean[key] = _fit_value(
            f"{what} key {key}", value, hints[key], getattr(config, key), above=f"{above}{key}."
        )
    return replace(dataclass, **clean)


def need(config: object, words: str, fits: Callable[[Any], bool], *names: str) -> None:
    """Refuse a config with numbers that make no sense.

    Args:
        config: the dataclass.
        words: what is needed, as in ``at least 1``.
        fits: whether a number is that; NaN has to fail.
        names: of fields that hold a number, or tuples of numbers.

    Raises:
        InputError: a number that does not fit; the message names its field.
    """
    for name in names:
        value = getattr(config, name)
        if not all(fits(number) for number in _numbers(value)):
            raise InputError(f"{name}={value}: {words} is needed.")


def freeze_lists(value: Any) -> Any:
    """Lists as tuples, at any depth: JSON and TOML have no tuples, and settings no lists."""
    if isinstance(value, (list, tuple)):
        return tuple(freeze_lists(item) for item in value)
    if isinstance(value, Mapping):
        return {key: freeze_lists(item) for key, item in value.items()}
    return value


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [number for item in value for number in _numbers(item)]
    return [value]


def _nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as tables: ``{"world.shard": 3}`` -> ``{"world": {"shard": 3}}``."""
    result: dict[str, Any] = {}
    for key, value in changes.items():
        first, dot, rest = key.partition(".")
        if not dot:
            result[key] = value
        else:
            table = result.get(first)
            result[first] = {**(table if isinstance(table, Mapping) else {}), rest: value}
    return result


def _fit_value(where: str, value: Any, hint: Any, old: Any, *, above: str) -> Any:
    """``value`` as the type ``hint``; tables are laid over ``old``."""
    if is_dataclass(old) and not isinstance(old, type):
        if isinstance(value, type(old)):
            return value
        if not isinstance(value, Mapping):
            raise InputError(f"{where}={value!r}: a table with keys of its own is needed.")
        return update(old, value, what=where, above=above)
    if get_origin(hint) is Mapping or hint is dict:
        table = _read(value)
        if not isinstance(table, Mapping):
            raise InputError(f"{where}={value!r}: a table is needed.")
        return {
            **(old or {}),
            **{k: freeze_lists(_read(item)) for k, item in _nested(table).items()},
        }
    return convert(where, value, hint)


def convert(where: str, value: Any, hint: Any) -> Any:
    """``value`` as the type ``hint``: a number, text, truth value, tuple, Literal or union.

    Raises:
        InputError: it does not fit; the message starts with ``where``.
    """
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(where, value, get_args(hint))
    if origin is Literal:
        if value not in get_args(hint):
            raise UnknownNameError(f"value of {where}", value, [str(o) for o in get_args(hint)])
        return value
    if origin is tuple:
        return _tuple(where, value, get_args(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(where, value, hint)
    if hint is Any:
        return value
    plain = value if hint is str else _read(value)
    exact = {bool: (bool,), int: (int,), float: (int, float), str: (str,), types.NoneType: ()}
    whole = hint is int and isinstance(plain, float) and plain.is_integer()
    fits = isinstance(plain, exact.get(hint, (hint,))) or whole
    if not fits or (isinstance(plain, bool) and hint is not bool):
        raise InputError(f"{where}={value!r}: {_words(hint)} is needed.")
    if hint is float and not math.isfinite(plain):
        raise InputError(f"{where}={value!r}: a finite number is needed.")
    return hint(plain)


def _one_of(where: str, value: Any, hints: tuple[Any, ...]) -> Any:
    if types.NoneType in hints and value in (None, "none", ""):
        return None
    for hint in hints:
        if hint is types.NoneType:
            continue
        try:
            return convert(where, value, hint)
        except (InputError, UnknownNameError):
            continue
    raise InputError(f"{where}={value!r}: {' or '.join(_words(h) for h in hints)} is needed.")


def _tuple(where: str, value: Any, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    items = _read(value)
    if not isinstance(items, (list, tuple)):
        items = [part for part in str(value).split(",") if part]
    if hints and hints[-1] is Ellipsis:
        return tuple(convert(where, item, hints[0]) for item in items)
    if len(items) != len(hints):
        raise InputError(f"{where}={value!r}: {len(hints)} values are needed.")
    return tuple(convert(where, item, hint) for item, hint in zip(items, hints, strict=True))


def _dataclass(where: str, value: Any, kind: Any) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(value, Mapping):
        return update(kind(), value, what=where)
    from_text = getattr(kind, "from_text", None)
    if isinstance(value, str) and from_text is not None:
        return from_text(value)
    raise InputError(f"{where}={value!r}: a table with keys of its own is needed.")


def _read(value: Any) -> Any:
    """Text as the TOML value that it spells, where it spells one."""
    if not isinstance(value, str):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _words(hint: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(hint, str(hint))
