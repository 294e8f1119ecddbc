"""How the numbers of a picture with more than 256 levels become the 256 that networks see.

``linear`` keeps what the type says: 65535 becomes 255. ``percentile`` stretches what lies between
the 0.5th and the 99.5th percentile of the picture, as thermal, X-ray and 12-bit pictures need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Num, UInt8

Tone = Literal["linear", "percentile"]
TONES: tuple[Tone, ...] = get_args(Tone)

FEW_LEVELS = 32
"""Fewer grey levels than these are worth a note."""

_PERCENTILES = (0.5, 99.5)
_SAMPLE = 4_000_000  # values that percentiles are taken from
_BAND = 1 << 20  # values that are turned at a time, so that float copies stay small
_FULL_RANGE = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def check_tone(tone: str) -> None:
    """Raise UnknownNameError unless ``tone`` is one of :data:`TONES`."""
    if tone not in TONES:
        raise UnknownNameError("tone", tone, TONES)


def to_eight_bits(
    values: Num[np.ndarray, "h w *c"], tone: Tone, name: str
) -> tuple[UInt8[np.ndarray, "h w *c"], tuple[str, ...]]:
    """Grey or colour values of any type as uint8, and notes on what was lost.

    Integers of 16 bits count by their type's range; wider integers and floats by what they hold:
    0..1 (floats only), 0..255 or 0..65535.

    Raises:
        InputError: other ranges with ``linear``, or no finite value at all.
    """
    if tone == "percentile":
        eight = _stretch(values, name)
    elif values.dtype == np.uint8:
        return values, ()
    elif values.dtype == np.uint16:
        eight = _FULL_RANGE[values]
    else:
        eight = _by_range(values, name)
    return eight, _notes(values, eight, tone)


def _stretch(values: np.ndarray, name: str) -> np.ndarray:
    sample = values.reshape(-1)[:: max(1, values.size // _SAMPLE)]
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
    if not sample.size:
        raise InputError(f"{name} holds no finite value; a picture is needed.")
    low, high = (float(edge) for edge in np.percentile(sample, _PERCENTILES))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    factor = 255 / (high - low) if high > low else 0.0
    return _map(values, lambda band: np.nan_to_num((band - low) * factor, nan=0.0))


def _by_range(values: np.ndarray, name: str) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1 and values.dtype.kind == "f":
        return _map(values, lambda band: band * 255)
    if low >= 0 and high <= 255:
        return _map(values, lambda band: band)
    if low >= 0 and high <= 65535:
        return _map(values, lambda band: band / 257)
    raise InputError(
        f"{name} holds values from {low:g} to {high:g}; 0..255 or 0..65535 (or 0..1 in floats) is "
        "needed. Stretch them with --tone percentile, or save the picture as 8-bit."
    )


def _map(values: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Round and clip what ``change`` makes of the float64 values, a band at a time."""
    out = np.empty(values.shape, np.uint8)
    for part in _bands(values.size):
        band = change(values.reshape(-1)[part].astype(np.float64))
        out.reshape(-1)[part] = np.clip(np.round(band), 0, 255).astype(np.uint8)
    return out


def _bands(size: int) -> Iterator[slice]:
    for start in range(0, size, _BAND):
        yield slice(start, start + _BAND)


def _notes(values: np.ndarray, eight: np.ndarray, tone: Tone) -> tuple[str, ...]:
    levels = np.count_nonzero(np.bincount(eight.reshape(-1), minlength=256))
    if levels >= FEW_LEVELS:
        return ()
    given = len(np.unique(values))
    if given <= levels:
        return ()
    hint = "; --tone percentile stretches them" if tone == "linear" else ""
    return (f"{levels} grey levels are left of {given} in the file{hint}",)
