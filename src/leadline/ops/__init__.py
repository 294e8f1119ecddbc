"""Differentiable picture geometry in torch: sampling, grids, projection, SSIM, smoothness.

Networks and losses share these. Pictures are (b, c, h, w), maps (b, h, w); pixel centres lie at
whole numbers, x to the right and y down.
"""

from leadline.ops.antialias import resize_antialiased
from leadline.ops.grids import (
    affine_coordinates,
    homography_coordinates,
    identity_coordinates,
    thin_plate_coordinates,
)
from leadline.ops.mirror import average_mirrored
from leadline.ops.rigid import (
    backproject,
    project,
    rigid_transform,
    rotation_from_axis_angle,
)
from leadline.ops.sampler import sample, sample_along_rows
from leadline.ops.smoothness import edge_aware_gradients
from leadline.ops.ssim import gaussian_ssim, ssim_dissimilarity

__all__ = [
    "affine_coordinates",
    "average_mirrored",
    "backproject",
    "edge_aware_gradients",
    "gaussian_ssim",
    "homography_coordinates",
    "identity_coordinates",
    "project",
    "resize_antialiased",
    "rigid_transform",
    "rotation_from_axis_angle",
    "sample",
    "sample_along_rows",
    "ssim_dissimilarity",
    "thin_plate_coordinates",
]
