"""HDR frames as the SDR pictures that networks were trained on.

A PQ or HLG frame becomes linear light, its colours those of BT.709, its highlights are rolled off,
and sRGB's curve makes 8 bits of it.

Source: SMPTE ST 2084 and ITU-R BT.2100 (PQ and HLG), ITU-R BT.2087 (BT.2020 to BT.709), ITU-R
BT.2408 (203 cd/m2 as the white of graphics); Reinhard et al., Photographic Tone Reproduction, 2002,
equation 4 (the roll-off).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import UInt8, UInt16

PQ = 16
"""Transfer of SMPTE ST 2084, in the numbers of ITU-T H.273."""

HLG = 18
"""Transfer of ARIB STD-B67, likewise."""

_WHITE = 203.0  # cd/m2
_PEAK = 1000.0  # cd/m2, which stays below full white
_BITS = 12  # of the tables
_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_FROM_2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    dtype=np.float32,
)


def tone_map(
    rgb: UInt16[np.ndarray, "h w 3"], transfer: int, *, wide: bool = True
) -> UInt8[np.ndarray, "h w 3"]:
    """An HDR frame as an sRGB picture.

    Args:
        rgb: full-range code values of 16 bits, as the transfer has them.
        transfer: :data:`PQ` or :data:`HLG`.
        wide: whether the colours are those of BT.2020.
    """
    light = _linear_table(transfer)[rgb >> (16 - _BITS)]  # white = 1
    if wide:
        light = light @ _FROM_2020.T
    if transfer == HLG:  # the system's gamma of a screen of 1000 cd/m2, on the luminance
        luma = np.maximum(light @ _LUMA, 1e-6)[..., None]
        light = light * (luma * np.float32(_WHITE / _PEAK)) ** np.float32(0.2)
    table = _display_table()
    place = np.sqrt(np.clip(light, 0, _PEAK / _WHITE) * (_WHITE / _PEAK)) * (len(table) - 1)
    return table[place.astype(np.uint16)]


@lru_cache(maxsize=2)
def _linear_table(transfer: int) -> np.ndarray:
    """Code value -> light, in units of white."""
    code = np.linspace(0, 1, 1 << _BITS)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        power = code ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * 10_000
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12) * _PEAK
    else:
        raise InputError(f"transfer {transfer}: {PQ} (PQ) or {HLG} (HLG) is needed.")
    return (light / _WHITE).astype(np.float32)


@lru_cache(maxsize=1)
def _display_table() -> np.ndarray:
    """Square root of light over the peak -> sRGB code of 8 bits."""
    peak = _PEAK / _WHITE
    light = np.linspace(0, 1, 4096) ** 2 * peak
    rolled = light * (1 + light / peak**2) / (1 + light)  # Reinhard: the peak becomes 1
    srgb = np.where(rolled <= 0.0031308, 12.92 * rolled, 1.055 * rolled ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(srgb * 255), 0, 255).astype(np.uint8)
