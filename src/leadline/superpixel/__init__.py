"""The statistical model: superpixels, filter statistics, robust regression, planes; no torch.

Needs the ``[classic]`` extra (scipy, scikit-image); training also ``[geometry]``.
"""

from leadline.superpixel.inference import Solution, solve_planes
from leadline.superpixel.linear_program import Evidence, PlaneConfig
from leadline.superpixel.model import Parameters, Stages, SuperpixelModel, open_model
from leadline.superpixel.prior import HeightPrior
from leadline.superpixel.segmentation import (
    METHODS,
    SegmentConfig,
    Segments,
    draw_outlines,
    segment,
)

__all__ = [
    "METHODS",
    "Evidence",
    "HeightPrior",
    "Parameters",
    "PlaneConfig",
    "SegmentConfig",
    "Segments",
    "Solution",
    "Stages",
    "SuperpixelModel",
    "draw_outlines",
    "open_model",
    "segment",
    "solve_planes",
]
