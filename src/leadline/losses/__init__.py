"""Losses of the published recipes, in torch. Arguments are always ``pred, target, valid``."""

from leadline.losses.densedepth import DenseDepthLoss, densedepth_loss
from leadline.losses.left_right import (
    LeftRightConfig,
    LeftRightLoss,
    appearance,
    area_pyramid,
    monodepth_loss,
)
from leadline.losses.masking import masked_l1, masked_mean, smallest
from leadline.losses.metric import (
    SILOG_FORMS,
    berhu,
    gradient_l1,
    log_depth_error,
    router_cross_entropy,
    silog,
)
from leadline.losses.photometric import (
    PhotometricConfig,
    PhotometricLoss,
    edge_aware_smoothness,
    monodepth2_loss,
    photometric_error,
    warp,
)
from leadline.losses.relative import (
    affine_normalize,
    align,
    feature_distance,
    mean_residuals,
    multi_scale_gradient,
    scale_shift_invariant,
    scale_shift_invariant_mae,
    trimmed_mae,
)
from leadline.losses.scale_invariant import scale_invariant_log, scale_invariant_log_root

__all__ = [
    "SILOG_FORMS",
    "DenseDepthLoss",
    "LeftRightConfig",
    "LeftRightLoss",
    "PhotometricConfig",
    "PhotometricLoss",
    "affine_normalize",
    "align",
    "appearance",
    "area_pyramid",
    "berhu",
    "densedepth_loss",
    "edge_aware_smoothness",
    "feature_distance",
    "gradient_l1",
    "log_depth_error",
    "masked_l1",
    "masked_mean",
    "mean_residuals",
    "monodepth2_loss",
    "monodepth_loss",
    "multi_scale_gradient",
    "photometric_error",
    "router_cross_entropy",
    "scale_invariant_log",
    "scale_invariant_log_root",
    "scale_shift_invariant",
    "scale_shift_invariant_mae",
    "silog",
    "smallest",
    "trimmed_mae",
    "warp",
]
