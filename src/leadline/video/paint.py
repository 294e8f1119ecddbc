"""What a frame of the result shows: colours, grey codes, both pictures, or two views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from leadline import effects
from leadline.errors import UnknownNameError
from leadline.geometry.opencv import opencv
from leadline.image import Image
from leadline.prediction import Prediction
from leadline.viz import NO_VALUE_RGB, colorize, nearness, side_by_side

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8, UInt16

    from leadline.io.film_writer import Content
    from leadline.video.ranges import Range

_GAP = 8
_LEVELS = 255  # colours; one more index is for pixels without a value


@dataclass(frozen=True, kw_only=True)
class Look:
    """How frames are painted.

    Attributes:
        cmap: colour map.
        divergence, convergence: of the two views; see :func:`leadline.effects.render_pair`.
    """

    cmap: str = "inferno"
    divergence: float = 2.0
    convergence: float = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """One frame to paint: its picture, its map of any size, and the range that counts."""

    image: Image
    prediction: Prediction
    range: Range

    def nearness(self) -> Float[np.ndarray, "h w"]:
        """The map at the picture's size, larger = nearer; NaN where there is no value."""
        found = self.prediction
        near = nearness(found.values, found.kind)
        known = found.known & np.isfinite(near)
        if near.shape == self.image.size:
            return near if known.all() else np.where(known, near, np.nan)
        cv2, (height, width) = opencv("films"), self.image.size
        if known.all():
            return cv2.resize(near, (width, height), interpolation=cv2.INTER_LINEAR)
        share = cv2.resize(known.astype(np.float32), (width, height))
        filled = cv2.resize(np.where(known, near, 0), (width, height))
        return np.divide(filled, share, out=np.full_like(filled, np.nan), where=share > 0.5)

    def at_size(self) -> Prediction:
        """The prediction at the picture's size, with the picture."""
        if self.prediction.size == self.image.size:
            return replace(self.prediction, image=self.image)
        near, kind = self.nearness(), self.prediction.kind
        if not kind.larger_is_nearer:
            near = -near if "affine" in kind else 1 / near
        known = np.isfinite(near)
        return Prediction(
            values=near,
            kind=kind,
            valid=None if known.all() else known,
            camera=self.image.camera,
            model=self.prediction.model,
            image=self.image,
        )


Paint = Callable[[Shot, Look], np.ndarray]


def _color(shot: Shot, look: Look) -> UInt8[np.ndarray, "h w 3"]:
    near, (low, high) = shot.nearness(), shot.range.colors
    table = _color_table(look.cmap)
    index = np.full(near.shape, _LEVELS // 2, np.uint8)
    known = np.isfinite(near)
    whole = bool(known.all())
    if high > low:
        gain = (_LEVELS - 1) / (high - low)
        scaled = near if whole else np.where(known, near, low)
        scaled = (scaled - np.float32(low)) * np.float32(gain) + np.float32(0.5)
        index = np.clip(scaled, 0, _LEVELS - 1, out=scaled).astype(np.uint8)
    if not whole:
        index[~known] = _LEVELS
    return table.take(index, axis=0)


def _side(shot: Shot, look: Look) -> np.ndarray:
    return side_by_side(shot.image.pixels, _color(shot, look), gap=_GAP)


def _gray16(shot: Shot, look: Look) -> UInt16[np.ndarray, "h w"]:
    """Codes of nearness; 0 where there is no value."""
    del look
    near, (low, high) = shot.nearness(), shot.range.codes
    gain = 65535 / (high - low) if high > low else 0.0
    codes = np.rint((near - low) * gain)
    return np.nan_to_num(np.clip(codes, 0, 65535)).astype(np.uint16)


def _views(shot: Shot, look: Look, packing: str) -> np.ndarray:
    left, right = effects.render_pair(
        shot.at_size(),
        divergence=look.divergence,
        convergence=look.convergence,
        limits=shot.range.colors,
    )
    return effects.pack_pair(left, right, packing)


@dataclass(frozen=True, kw_only=True)
class FilmFormatName:
    """A format: what its film holds (None: one file per frame), and how it is painted."""

    content: Content | None
    paint: Paint | None = None
    inner: str = ""


FILM_FORMATS: Mapping[str, FilmFormatName] = MappingProxyType(
    {
        "color": FilmFormatName(content="color", paint=_color),
        "side": FilmFormatName(content="color", paint=_side),
        "gray16": FilmFormatName(content="grey", paint=_gray16),
        "sbs": FilmFormatName(
            content="color",
            paint=lambda shot, look: _views(shot, look, "sbs"),
            inner="_LRF_Full_SBS",
        ),
        "half-sbs": FilmFormatName(
            content="color", paint=lambda shot, look: _views(shot, look, "half-sbs"), inner="_3dh_"
        ),
        "anaglyph": FilmFormatName(
            content="fine", paint=lambda shot, look: _views(shot, look, "anaglyph")
        ),
        "npz": FilmFormatName(content=None),
        "exr": FilmFormatName(content=None),
    }
)
"""Formats by name. ``inner`` is what players look for in the names of stereo films."""


def get_format(name: str) -> FilmFormatName:
    """A format by name.

    Raises:
        UnknownNameError: no such format.
    """
    if name not in FILM_FORMATS:
        raise UnknownNameError("format of films", name, FILM_FORMATS)
    return FILM_FORMATS[name]


def painted_size(name: str, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a format's pictures for frames of ``size``."""
    height, width = size
    widths = {"side": 2 * width + _GAP, "sbs": 2 * width, "half-sbs": 2 * max(1, width // 2)}
    return height, widths.get(name, width)


@lru_cache(maxsize=8)
def _color_table(cmap: str) -> UInt8[np.ndarray, "n 3"]:
    ramp = np.linspace(0, 1, _LEVELS, dtype=np.float32)[None]
    return np.concatenate([colorize(ramp, cmap=cmap, limits=(0, 1))[0], [NO_VALUE_RGB]]).astype(
        np.uint8
    )
