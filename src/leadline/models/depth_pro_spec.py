"""Depth Pro without torch: its only input size, and from what the network gives to metres.

Source: Bochkovskii et al., Depth Pro: Sharp Monocular Metric Depth in Less Than a Second, ICLR
2025, sections 3.1 (canonical inverse depth) and 3.4 (focal length).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.resample import resize

if TYPE_CHECKING:
    from jaxtyping import Float

SIDE = 1536
"""Height and width of the network's input, pixels; pictures are stretched to it."""

NEAREST_M, FARTHEST_M = 1e-4, 1e4
"""Metres; what the network puts at infinity (sky) comes out as the latter."""


def focal_length(fov_deg: float, width: int) -> float:
    """Focal length in pixels of a picture ``width`` pixels wide with this horizontal view.

    Raises:
        InputError: an angle at which no camera sees a plane.
    """
    if not 0 < fov_deg < 180:
        raise InputError(
            f"a horizontal field of view of {fov_deg} degrees; more than 0 and less than 180 are "
            "needed. The network's guess failed on this picture: give the camera's focal length."
        )
    return 0.5 * width / math.tan(0.5 * math.radians(fov_deg))


def metric_depth(
    canonical_inverse_depth: Float[np.ndarray, "h w"], *, focal_px: float, size: tuple[int, int]
) -> Float[np.ndarray, "rows columns"]:
    """Metres along the optical axis at the picture's own size.

    ``canonical_inverse_depth`` is the inverse depth that a camera whose focal length equals the
    picture's width would see. Only that ratio matters: twice the focal length is twice the depth.
    The inverse is resized, not the depth, so that far pixels do not bleed over edges.

    Args:
        canonical_inverse_depth: (h, w) of the network, 1 / metres, not negative.
        focal_px: focal length in pixels of the picture.
        size: (height, width) of the picture, before it was stretched.

    Returns:
        ``size`` float32 metres within :data:`NEAREST_M` and :data:`FARTHEST_M`.

    Raises:
        InputError: a focal length that is not finite and positive.
    """
    if not (math.isfinite(focal_px) and focal_px > 0):
        raise InputError(
            f"focal_px={focal_px}: finite and positive pixels of the picture's width are needed; "
            "leave it out to use the network's own."
        )
    inverse = np.asarray(canonical_inverse_depth, np.float32) * np.float32(size[1] / focal_px)
    inverse = resize(inverse, size, "linear")
    return 1 / np.clip(inverse, 1 / FARTHEST_M, 1 / NEAREST_M)
