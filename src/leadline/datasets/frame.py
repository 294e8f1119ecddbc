"""Frame: a picture and what is known of its depth."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.image import Image
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Bool, Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A picture with depth.

    Attributes:
        image: the picture; its camera holds the pose where one is known.
        depth: (h, w) float32, metres along the optical axis, 0 where nothing is known.
        max_depth: metres up to which the data set's depths are counted.
        group: name of the collection.
        name: of the frame inside it.
    """

    image: Image
    depth: Float[np.ndarray, "h w"]
    max_depth: float
    group: str
    name: str

    def __post_init__(self) -> None:
        if self.depth.shape != self.image.size:
            raise InputError(
                f"{self.group}/{self.name}: depth of shape {self.depth.shape} for a picture of "
                f"{self.image.size}; the same size is needed."
            )

    @property
    def valid(self) -> Bool[np.ndarray, "h w"]:
        """Where a depth is known and counts: above 1 mm and below ``max_depth``."""
        return (self.depth > 1e-3) & (self.depth < self.max_depth)


def picture(path: Path, *, fx: float, fy: float, cx: float, cy: float) -> Image:
    """Read a picture and give it the data set's intrinsics."""
    image = read_image(path)
    height, width = image.size
    camera = Camera(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy, source="data set")
    return replace(image, camera=camera)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON record; InputError when it cannot be."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from error


def read_numbers(path: Path) -> Float[np.ndarray, "rows columns"]:
    """Read a text file of numbers in rows; InputError when it cannot be."""
    try:
        return np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as rows of numbers ({error}).") from error
