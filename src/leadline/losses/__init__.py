"""Losses of the published recipes, in torch. Arguments are always ``pred, target, valid``."""

from leadline.losses.relative import (
    affine_normalize,
    multi_scale_gradient,
    scale_shift_invariant_mae,
)

__all__ = ["affine_normalize", "multi_scale_gradient", "scale_shift_invariant_mae"]
