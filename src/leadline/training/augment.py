"""What happens to a sample before the network sees it: window, mirror, turn, colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from leadline.training.perturb import jitter

if TYPE_CHECKING:
    from leadline.training.config import AugmentConfig
    from leadline.training.rendered import Sample

PLANES = ("disparity", "depth", "valid", "mask")
"""Arrays of a sample that are taken by nearest pixel; ``rgb*`` are pictures, all else numbers."""

_BTS_BRIGHTNESS = {"bts-nyu": 0.25, "bts-kitti": 0.1}  # at most this much more or less


def random_window(
    rng: np.random.Generator,
    sample: Sample,
    size: tuple[int, int],
    config: AugmentConfig,
    *,
    aspect: float = 0.0,
) -> tuple[Sample, float]:
    """A random window of all maps of a sample, resampled to ``size``; some mirrored or turned.

    Args:
        rng: decides.
        sample: ``rgb*`` (h, w, 3) uint8, maps named in :data:`PLANES`, and numbers. ``focal_px``
            follows the resampling.
        size: (height, width) of the result.
        config: how much.
        aspect: width by height of the window; 0: that of ``size``, so that nothing is stretched.

    Returns:
        The sample, and how much it was enlarged against the largest window that fits (>= 1), by
        the window and by the turn.
    """
    h, w = sample["rgb"].shape[:2]
    height, width = size
    shape = (1.0, aspect or width / height)
    largest = min(h / shape[0], w / shape[1])
    share = float(rng.uniform(config.min_crop, 1.0))
    ch = min(h, max(2, round(shape[0] * largest * share)))
    cw = min(w, max(2, round(shape[1] * largest * share)))
    top, left = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    mirrored = rng.random() < config.flip
    angle = float(rng.uniform(-1, 1)) * config.rotate_deg
    grown = _growth(h, w, angle)
    made: Sample = {}
    for name, array in sample.items():
        if array.ndim < 2:
            made[name] = array
            continue
        part = _turned(array, name, angle, grown) if angle else array
        part = _resampled(part[top : top + ch, left : left + cw], size, picture="rgb" in name)
        made[name] = np.ascontiguousarray(part[:, ::-1] if mirrored else part)
    if "focal_px" in made:
        made["focal_px"] = made["focal_px"] * np.float32(grown * height / ch)
    return made, grown / share


def _resampled(part: np.ndarray, size: tuple[int, int], *, picture: bool) -> np.ndarray:
    height, width = size
    if not picture:
        plain = part.astype(np.float32) if part.dtype == np.float16 else part
        return cv2.resize(
            np.ascontiguousarray(plain), (width, height), interpolation=cv2.INTER_NEAREST
        )
    how = cv2.INTER_AREA if part.shape[0] > height else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=how)


def _growth(height: int, width: int, angle_deg: float) -> float:
    """How much a turned picture is enlarged, so that no border shows."""
    radians = np.deg2rad(abs(angle_deg))
    return float(np.cos(radians) + np.sin(radians) * max(height / width, width / height))


def _turned(array: np.ndarray, name: str, angle_deg: float, grown: float) -> np.ndarray:
    """Turned about the centre and enlarged."""
    h, w = array.shape[:2]
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle_deg, grown)
    picture = "rgb" in name
    plain = array.astype(np.float32) if array.dtype == np.float16 else array
    how = cv2.INTER_LINEAR if picture else cv2.INTER_NEAREST
    return cv2.warpAffine(plain, matrix, (w, h), flags=how, borderMode=cv2.BORDER_REPLICATE)


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
