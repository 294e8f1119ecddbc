"""Strong perturbations, for pictures whose labels come from a teacher that saw them clean.

A student that sees exactly what its teacher saw learns nothing new; one that has to give the same
answer for a harder picture does.

Source: Yang et al., Depth Anything, CVPR 2024, section 3.2; the numbers of colours and boxes are
those of UniMatch (Yang et al., CVPR 2023), on whose code it builds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torchvision.transforms.v2 import functional as colours

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def strong_colours(rgb: Tensor, rng: np.random.Generator) -> Tensor:
    """Jitter (p .8), grey (p .2) and Gaussian blur (p .5) of one picture.

    Args:
        rgb: (3, h, w) in [0, 1].
        rng: decides.
    """
    if rng.random() < 0.8:
        rgb = jitter(rgb, rng, 0.5)
        rgb = colours.adjust_hue(rgb, float(rng.uniform(-0.25, 0.25)))
    if rng.random() < 0.2:
        rgb = colours.rgb_to_grayscale(rgb, num_output_channels=3)
    if rng.random() < 0.5:
        sigma = float(rng.uniform(0.1, 2.0))
        width = 2 * math.ceil(3 * sigma) + 1
        rgb = colours.gaussian_blur(rgb, [width, width], [sigma, sigma])
    return rgb.clamp(0, 1)


def jitter(rgb: Tensor, rng: np.random.Generator, most: float) -> Tensor:
    """One picture (3, h, w) with brightness, contrast and saturation changed by up to ``most``."""
    rgb = colours.adjust_brightness(rgb, float(rng.uniform(1 - most, 1 + most)))
    rgb = colours.adjust_contrast(rgb, float(rng.uniform(1 - most, 1 + most)))
    return colours.adjust_saturation(rgb, float(rng.uniform(1 - most, 1 + most)))


def random_box(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    smallest: float = 0.02,
    largest: float = 0.4,
    narrowest: float = 0.3,
) -> Tensor:
    """A box of a random place, area and shape, for CutMix: (h, w) bool, True outside of it.

    Args:
        rng: decides.
        size: (height, width).
        smallest: area as a share of the picture.
        largest: area as a share of the picture.
        narrowest: least ratio of its sides, and one over the greatest.
    """
    height, width = size
    area = float(rng.uniform(smallest, largest)) * height * width
    ratio = float(rng.uniform(narrowest, 1 / narrowest))
    w = min(width, max(1, round(math.sqrt(area / ratio))))
    h = min(height, max(1, round(area / w)))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    outside = torch.ones(height, width, dtype=torch.bool)
    outside[top : top + h, left : left + w] = False
    return outside
