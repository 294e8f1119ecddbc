"""Learning metres for one camera: depths are brought to it, and back by the picture's own.

How far a thing of a known size is follows from its size in pixels only when the focal length is
known, and rooms seen through many lenses look alike. So depth is multiplied by the canonical focal
length over the picture's; ``Preprocess.restore`` undoes that where the camera is known.

Source: Yin et al., Metric3D, ICCV 2023, section 3.2 (the transformation of labels).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.spec import ModelSpec
    from leadline.training.data.source import Batch


def canonical_depth(batch: Batch, focal_px: float) -> tuple[Tensor, Tensor]:
    """Depth as the canonical camera would have it, and where it is known.

    Args:
        batch: ``depth`` (b, h, w) metres, ``valid`` (b, h, w), ``focal_px`` (b,) of the input.
        focal_px: of the canonical camera, in pixels of the input; 0: depth stays as it is.

    Returns:
        (b, h, w) depth and (b, h, w) bool; pictures of unknown focal length count for nothing.
    """
    depth, valid = batch["depth"], batch["valid"]
    if not focal_px:
        return depth, valid
    focal = batch["focal_px"][:, None, None]
    return depth * (focal_px / focal.clamp(min=1e-3)), valid & (focal > 0)


def canonical_spec(spec: ModelSpec, focal_px: float) -> ModelSpec:
    """The spec of a network that learned for the canonical camera; 0: the same spec."""
    if not focal_px:
        return spec
    return replace(
        spec,
        kind=DepthKind.SCALED_DEPTH,
        decoder="canonical_depth",
        canonical_focal_px=float(focal_px),
        max_depth=None,
    )
