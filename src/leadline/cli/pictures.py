"""What commands share about their pictures: how they are read, and what is said of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.image import Image
    from leadline.io import Tone
    from leadline.prediction import Prediction

_USUAL_M = (0.05, 300.0)
"""Medians of depth that usual scenes have."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How pictures are read.

    Attributes:
        tone: see :func:`leadline.io.read_image`.
        max_megapixels: see there.
    """

    tone: Tone = "linear"
    max_megapixels: float | None = None

    def __post_init__(self) -> None:
        if self.max_megapixels is not None and not self.max_megapixels > 0:
            raise InputError(f"--max-megapixels {self.max_megapixels:g}: more than 0 is needed.")

    @classmethod
    def of(cls, tone: str, max_megapixels: float | None) -> Reading:
        """What ``--tone`` and ``--max-megapixels`` say.

        Raises:
            UnknownNameError: no such tone.
            InputError: no positive number of pixels.
        """
        from leadline.errors import UnknownNameError
        from leadline.io import TONES

        known = {str(name): name for name in TONES}
        if tone not in known:
            raise UnknownNameError("tone", tone, TONES)
        return cls(tone=known[tone], max_megapixels=max_megapixels)

    @property
    def way(self) -> dict[str, str]:
        """What of it changes pixels, for the notes of what results were made of; JSON-able."""
        return {} if self.tone == "linear" else {"tone": self.tone}

    def read(self, path: str | Path) -> Image:
        """The picture; what reading left out stands in its notes."""
        from leadline.io import read_image

        return read_image(path, tone=self.tone, max_megapixels=self.max_megapixels)

    def read_aloud(self, path: str | Path) -> Image:
        """The picture; what reading left out is printed on standard error."""
        image = self.read(path)
        for line in notes_of(image, path):
            print(f"leadline: {line}", file=sys.stderr, flush=True)
        return image


def notes_of(image: Image, path: str | Path) -> list[str]:
    """What reading a picture left out, each line with the picture's name."""
    return [f"{path}: {note}." for note in image.notes]


def measure_span(prediction: Prediction) -> dict[str, float] | None:
    """Least, median and largest depth of a map in metres; None of other kinds and empty maps."""
    import numpy as np

    known = prediction.known & np.isfinite(prediction.values)
    if not prediction.kind.is_metric or not known.any():
        return None
    values = prediction.values[known]
    found = {"min": values.min(), "median": np.median(values), "max": values.max()}
    return {name: round(float(value), 4) for name, value in found.items()}


def say_span(span: dict[str, Any]) -> str:
    """The span of a map for people, with a doubt where its median is no usual scene's."""
    text = f"{span['min']:.2f} to {span['max']:.2f} m, median {span['median']:.2f} m"
    low, high = _USUAL_M
    if low <= span["median"] <= high:
        return text
    return f"{text}, which no usual scene has: are the camera and the scale right?"
