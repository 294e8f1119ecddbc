"""Pictures in other colours, each by its own random numbers, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from leadline.training.perturb import jitter

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


def _column(numbers: np.ndarray, like: Tensor) -> Tensor:
    """Numbers (..., c) as (..., c, 1, 1), to multiply pictures with."""
    return torch.from_numpy(numbers[..., None, None].astype(np.float32)).to(like.device)
