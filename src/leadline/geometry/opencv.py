"""The one place that imports OpenCV, so that its absence has one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import MissingDependencyError

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from leadline.image import Image


def opencv(feature: str = "leadline.geometry") -> Any:
    """The module ``cv2``.

    Args:
        feature: what needs it, for the message.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError("cv2", feature, "geometry") from error
    return cv2


def grey_of(image: Image) -> UInt8[np.ndarray, "h w"]:
    """Luma of a picture (Rec. 601: .299 R + .587 G + .114 B), rounded."""
    return opencv().cvtColor(image.pixels, opencv().COLOR_RGB2GRAY)
