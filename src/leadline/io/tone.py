"""How the numbers of a picture with more than 256 levels become the 256 that networks see.

``linear`` keeps what the type says: 65535 becomes 255. ``percentile`` stretches what lies between
the 0.5th and the 99.5th percentile of the picture, as thermal, X-ray and 12-bit pictures need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Num, UInt8

Tone = Literal["linear", "percentile"]
TONES: tuple[Tone, ...] = get_args(Tone)
"""How grey of more than 8 bits becomes 8 bits."""

FEW_LEVELS = 32
"""Fewer grey levels than these are worth a note."""

_PERCENTILES = (0.5, 99.5)
_SAMPLE = 4_000_000  # values that percentiles are taken from
_BAND = 1 << 20  # values that are turned at a time, so that float copies stay small


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
    if values.dtype in (np.uint8, np.uint16):
        return _by_table(values, tone)
    low, high = _edges(values, tone, name)
    factor = 255 / (high - low) if high > low else 0.0
    eight = np.empty(values.shape, np.uint8)
    for part in _bands(values.size):
        with np.errstate(all="ignore"):  # infinities and NaN, which become 0 and 255
            band = (values.reshape(-1)[part].astype(np.float64) - low) * factor
            whole = np.clip(np.round(np.nan_to_num(band)), 0, 255)
        eight.reshape(-1)[part] = whole.astype(np.uint8)
    given = len(np.unique(_sample(values)))
    return eight, _notes(given, int(np.count_nonzero(_histogram(eight))), tone)


def _by_table(values: np.ndarray, tone: Tone) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values of 8 or 16 bits, each looked up."""
    wide = values.dtype == np.uint16
    if not wide and tone == "linear":
        return values, ()
    counts = _histogram(values)
    levels = np.arange(len(counts))
    if tone == "linear":
        table = (levels + 128) // 257
    else:
        shares = np.cumsum(counts) / values.size * 100
        low, high = (int(np.searchsorted(shares, edge)) for edge in _PERCENTILES)
        if high <= low:
            low, high = int(levels[counts > 0][0]), int(levels[counts > 0][-1])
        table = np.round(np.clip((levels - low) / max(1, high - low), 0, 1) * 255)
    table = table.astype(np.uint8)
    left = len(np.unique(table[counts > 0]))
    return table[values], _notes(int(np.count_nonzero(counts)), left, tone) if wide else ()


def _edges(values: np.ndarray, tone: Tone, name: str) -> tuple[float, float]:
    """The values that become 0 and 255.

    Raises:
        InputError: a range that ``linear`` does not know, or no finite value.
    """
    if tone == "percentile":
        sample = _sample(values)
        if sample.dtype.kind == "f":
            sample = sample[np.isfinite(sample)]
        if not sample.size:
            raise InputError(f"{name} holds no finite value; a picture is needed.")
        low, high = (float(edge) for edge in np.percentile(sample, _PERCENTILES))
        return (low, high) if high > low else (float(sample.min()), float(sample.max()))
    low, high = float(values.min()), float(values.max())
    ranges = (1, 255, 65535) if values.dtype.kind == "f" else (255, 65535)
    for most in ranges:
        if low >= 0 and high <= most:
            return 0.0, float(most)
    raise InputError(
        f"{name} holds values from {low:g} to {high:g}; 0..255 or 0..65535 (or 0..1 in floats) is "
        "needed. Stretch them with --tone percentile, or save the picture as 8-bit."
    )


def _sample(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1)[:: max(1, values.size // _SAMPLE)]


def _histogram(values: np.ndarray) -> np.ndarray:
    """How often each of the values of 8 or 16 bits occurs."""
    length = int(np.iinfo(values.dtype).max) + 1
    counts = np.zeros(length, np.int64)
    for part in _bands(values.size):
        counts += np.bincount(values.reshape(-1)[part], minlength=length)
    return counts


def _bands(size: int) -> Iterator[slice]:
    for start in range(0, size, _BAND):
        yield slice(start, start + _BAND)


def _notes(given: int, left: int, tone: Tone) -> tuple[str, ...]:
    """What to say when ``given`` levels became ``left``."""
    if left >= FEW_LEVELS or given <= left:
        return ()
    hint = "; --tone percentile stretches them" if tone == "linear" else ""
    return (f"{left} grey levels are left of {given} in the file{hint}",)
