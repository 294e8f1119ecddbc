"""The bilinear sampler: read a picture at any place, with a gradient for the place.

Source: Jaderberg et al., Spatial Transformer Networks, NIPS 2015, section 3.3.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from leadline.errors import InputError

Outside = Literal["zeros", "edge"]
"""What lies beyond the picture: ``zeros`` fade in over one pixel, ``edge`` repeats the border."""

_PADDING = {"zeros": "zeros", "edge": "border"}


def sample(
    image: Tensor,
    coordinates: Tensor,
    *,
    outside: Outside = "zeros",
    align_corners: bool = True,
) -> Tensor:
    """Read ``image`` at ``coordinates`` by bilinear interpolation.

    Args:
        image: (b, c, h, w).
        coordinates: (b, h2, w2, 2), x then y; -1 and 1 are the centres of the first and of the
            last pixel along an axis (the ``align_corners=True`` convention).
        outside: see :data:`Outside`.
        align_corners: False reads -1 and 1 as the picture's outer edges. Coordinates of this
            package are then off by up to half a pixel; it is here to repeat what Monodepth2's
            code does under torch 1.3 and later.

    Returns:
        (b, c, h2, w2).

    Raises:
        InputError: shapes that do not fit, or an unknown ``outside``.

    Source: Spatial Transformer Networks, equation 5.
    """
    if coordinates.ndim != 4 or coordinates.shape[-1] != 2:
        raise InputError(
            f"coordinates of shape {tuple(coordinates.shape)}: (b, h, w, 2) with x then y is "
            "needed; the functions of leadline.ops make them."
        )
    if outside not in _PADDING:
        raise InputError(f"outside={outside!r}: 'zeros' or 'edge' is needed.")
    return F.grid_sample(
        image,
        coordinates,
        mode="bilinear",
        padding_mode=_PADDING[outside],
        align_corners=align_corners,
    )


def sample_along_rows(image: Tensor, offset: Tensor, *, outside: Outside = "zeros") -> Tensor:
    """Read ``image`` at places moved sideways: a spatial transformer with one degree of freedom.

    This is how Monodepth makes one view from the other: with a left disparity ``d``,
    ``sample_along_rows(right, -d)`` is the left view.

    Args:
        image: (b, c, h, w), or a map (b, h, w).
        offset: (b, h, w), to the right, in fractions of the picture's width.
        outside: see :data:`Outside`. The released Monodepth always uses ``zeros``, whatever its
            ``--wrap_mode`` says.

    Returns:
        Same shape as ``image``.

    Source: Godard et al., Monodepth, CVPR 2017, section 3.1.
    """
    if image.ndim == 3:
        return sample_along_rows(image[:, None], offset, outside=outside).squeeze(1)
    b, _, h, w = image.shape
    if offset.shape != (b, h, w):
        raise InputError(
            f"offset of shape {tuple(offset.shape)} for a picture of shape {tuple(image.shape)}: "
            f"{(b, h, w)} is needed; resize one of them."
        )
    columns = torch.arange(w, dtype=offset.dtype, device=offset.device)
    x = 2 * (columns + offset * w) / max(w - 1, 1) - 1  # (b, h, w)
    y = torch.linspace(-1, 1, h, dtype=offset.dtype, device=offset.device) if h > 1 else columns[:1]
    coordinates = torch.stack([x, y[:, None].expand(b, h, w)], dim=-1)
    return sample(image, coordinates, outside=outside)
