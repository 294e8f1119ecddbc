"""The statistical model: the ``[classic]`` extra; runs ``leadline.superpixel`` on the processor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float


class Model(Protocol):
    """What :class:`SuperpixelRuntime` runs."""

    def predict(
        self, rgb: Float[np.ndarray, "h w 3"]
    ) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Affine disparity and confidence of a picture in [0, 1]."""
        ...


class SuperpixelRuntime:
    """A model of ``leadline.superpixel``; it keeps no state, so threads need not wait.

    Args:
        model: learned, or the zero-parameter one.
    """

    name = "superpixel"
    device = "cpu"
    precision = "f32"

    def __init__(self, model: Model) -> None:
        self._model = model

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        if "image" not in arrays:
            raise InputError(f"arrays {sorted(arrays)} were given; 'image' is needed.")
        pictures = np.clip(np.moveaxis(arrays["image"], 1, 3), 0, 1).astype(np.float32)
        maps = [self._model.predict(picture) for picture in pictures]
        return {
            "depth": np.stack([disparity for disparity, _ in maps]),
            "confidence": np.stack([confidence for _, confidence in maps]),
        }


def open_parameters(path: Path) -> SuperpixelRuntime:
    """The model of a parameter file: learned, or the zero-parameter one.

    Raises:
        MissingDependencyError: scipy or scikit-image is missing.
        WeightsError: not a parameter file.
    """
    from leadline.superpixel import open_model

    return SuperpixelRuntime(open_model(path))
