"""Pictures in other colours, each or all of them by random numbers, on any device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import avg_pool2d
from torchvision.transforms.v2 import functional

if TYPE_CHECKING:
    from torch import Tensor

_BTS_BRIGHTNESS = {"bts-nyu": 0.25, "bts-kitti": 0.1}  # at most this much more or less


def change_colours(rgb: Tensor, rngs: Sequence[np.random.Generator], how: str) -> Tensor:
    """Pictures (b, 3, h, w) in [0, 1] in other colours, each by its own generator.

    Args:
        rgb: on any device, where the work is done.
        rngs: one for each picture.
        how: see ``AugmentConfig.colours``.
    """
    if how == "none":
        return rgb
    if how == "strong":
        return disturb_colours(rgb, rngs)
    return torch.stack([_changed(one, rng, how) for one, rng in zip(rgb, rngs, strict=True)])


def _changed(rgb: Tensor, rng: np.random.Generator, how: str) -> Tensor:
    if how == "jitter":
        return jitter(rgb, rng, 0.4)
    if how == "channels":
        return (rgb * _column(rng.uniform(0.8, 1.2, 3), rgb)).clamp(0, 1)
    if how in _BTS_BRIGHTNESS and rng.random() < 0.5:
        gamma, spread = float(rng.uniform(0.9, 1.1)), _BTS_BRIGHTNESS[how]
        factors = rng.uniform(1 - spread, 1 + spread) * rng.uniform(0.9, 1.1, 3)
        return (rgb**gamma * _column(factors, rgb)).clamp(0, 1)
    if how == "permute" and rng.random() < 3 / 7:  # half, of 7 orders of which 2 are as it was
        return rgb[torch.from_numpy(rng.permutation(3))]
    return rgb


def disturb_colours(rgb: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
    """Per picture: exposure, contrast, white balance, saturation, gamma, grey, noise, blur.

    Args:
        rgb: (b, 3, h, w) in [0, 1].
        rngs: one for each picture, which decides everything; the same noise on the same device.
    """
    drawn = np.stack([rng.random(12) for rng in rngs])
    seeds = [int(rng.integers(2**62)) for rng in rngs]

    def uniform(first: int, low: float, high: float, channels: int = 1) -> Tensor:
        return _column(drawn[:, first : first + channels] * (high - low) + low, rgb)

    grey = (rgb * rgb.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    colourful = _column(drawn[:, :1] >= 0.08, rgb)
    rgb = grey + (rgb - grey) * (uniform(1, 0.5, 1.5) * colourful)
    mean = rgb.mean((1, 2, 3), keepdim=True)
    rgb = (mean + (rgb - mean) * uniform(2, 0.65, 1.4)) * uniform(3, 0.65, 1.35)
    rgb = rgb * uniform(4, 0.88, 1.12, channels=3)
    rgb = rgb.clamp(0, 1).add(1e-3).pow(uniform(7, 0.75, 1.35))
    strength = uniform(8, 0.3, 1.0)
    for n in np.nonzero(drawn[:, 9] < 0.25)[0]:
        soft = avg_pool2d(rgb[n], 3, stride=1, padding=1, count_include_pad=False)
        rgb[n] += (soft - rgb[n]) * strength[n]
    sigma = uniform(10, 0, 0.03)
    for n in np.nonzero(drawn[:, 11] < 0.4)[0]:
        generator = torch.Generator(rgb.device).manual_seed(seeds[n])
        noise = torch.randn(rgb[n].shape, generator=generator, device=rgb.device)
        rgb[n] += noise * sigma[n]
    return rgb.clamp_(0, 1)


def perturb_colours(rgb: Tensor, rng: np.random.Generator) -> Tensor:
    """Jitter (p .8), grey (p .2) and Gaussian blur (p .5) of one picture.

    For pictures whose labels come from a teacher that saw them clean: a student that sees exactly
    what its teacher saw learns nothing new.

    Args:
        rgb: (3, h, w) in [0, 1].
        rng: decides.

    Source: Yang et al., Depth Anything, CVPR 2024, section 3.2, with UniMatch's numbers (Yang et
    al., CVPR 2023).
    """
    if rng.random() < 0.8:
        rgb = jitter(rgb, rng, 0.5)
        rgb = functional.adjust_hue(rgb, float(rng.uniform(-0.25, 0.25)))
    if rng.random() < 0.2:
        rgb = functional.rgb_to_grayscale(rgb, num_output_channels=3)
    if rng.random() < 0.5:
        sigma = float(rng.uniform(0.1, 2.0))
        width = 2 * math.ceil(3 * sigma) + 1
        rgb = functional.gaussian_blur(rgb, [width, width], [sigma, sigma])
    return rgb.clamp(0, 1)


def jitter(rgb: Tensor, rng: np.random.Generator, most: float) -> Tensor:
    """One picture (3, h, w) with brightness, contrast and saturation changed by up to ``most``."""
    rgb = functional.adjust_brightness(rgb, float(rng.uniform(1 - most, 1 + most)))
    rgb = functional.adjust_contrast(rgb, float(rng.uniform(1 - most, 1 + most)))
    return functional.adjust_saturation(rgb, float(rng.uniform(1 - most, 1 + most)))


def jitter_alike(
    pictures: Sequence[Tensor], rng: np.random.Generator, *, change: bool = True
) -> list[Tensor]:
    """Brightness, contrast, saturation and hue, the same for all pictures.

    Args:
        pictures: (3, h, w) each, in [0, 1].
        rng: decides how much; the same numbers are drawn whether or not ``change``.
        change: False gives the pictures as they are.

    Source: Monodepth2, supplement: factors 0.8 to 1.2, hue by up to a tenth.
    """
    factors = rng.uniform(1 - 0.2, 1 + 0.2, 3).tolist()
    hue = float(rng.uniform(-0.1, 0.1))
    if not change:
        return list(pictures)
    made = torch.stack(list(pictures))
    made = functional.adjust_brightness(made, factors[0])
    made = functional.adjust_contrast(made, factors[1])
    made = functional.adjust_saturation(made, factors[2])
    return list(functional.adjust_hue(made, hue).clamp(0, 1))


def change_gamma_alike(
    pictures: Sequence[Tensor], rng: np.random.Generator, *, share: float = 0.5
) -> list[Tensor]:
    """Every other time: gamma, brightness and each channel's, the same for all pictures.

    Args:
        pictures: (3, h, w) each, in [0, 1].
        rng: decides.
        share: of the calls that change anything.

    Source: Monodepth, section 4: gamma 0.8 to 1.2, brightness 0.5 to 2, channels 0.8 to 1.2.
    """
    chosen, gamma = rng.random() < share, float(rng.uniform(0.8, 1.2))
    gain = float(rng.uniform(0.5, 2.0)) * torch.from_numpy(rng.uniform(0.8, 1.2, 3)).float()
    if not chosen:
        return list(pictures)
    return [(each.pow(gamma) * gain[:, None, None]).clamp(0, 1) for each in pictures]


def _column(numbers: np.ndarray, like: Tensor) -> Tensor:
    """Numbers (..., c) as (..., c, 1, 1), to multiply pictures with."""
    return torch.from_numpy(numbers[..., None, None].astype(np.float32)).to(like.device)
