"""Batches as a pure function of (seed, step): draw, crop, flip, disturb the colours."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from leadline.errors import InputError
from leadline.io import read_depth_png, read_image
from leadline.training.config import TrainConfig
from leadline.training.rendered import Frame, RenderedWorld


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step learns from.

    Attributes:
        rgb: (b, 3, h, w) float in [0, 1], not yet normalised.
        disparity: (b, h, w) float, 1/m.
        valid: (b, h, w) bool.
    """

    rgb: Tensor
    disparity: Tensor
    valid: Tensor


def read_icl(folder: str | Path) -> list[Frame]:
    """ICL-NUIM frames (``rgb`` or ``color`` beside ``depth``, millimetres), at half size."""
    root = Path(folder)
    pictures = sorted([*root.glob("color/*.jpg"), *root.glob("rgb/*.png"), *root.glob("image/*.*")])
    frames = []
    for picture in pictures:
        rgb = read_image(picture).pixels
        half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
        rgb = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA)
        depth = read_depth_png(root / "depth" / f"{picture.stem}.png", per_unit=1000)
        metres = depth[: 2 * half[1] : 2, : 2 * half[0] : 2]
        with np.errstate(divide="ignore"):
            disparity = np.where(metres > 0, 1 / metres, np.nan).astype(np.float16)
        frames.append((rgb, disparity))
    if not frames:
        raise InputError(f"{root}: no ICL-NUIM frames found; color/*.jpg and depth/*.png needed.")
    return frames


def make_batch(config: TrainConfig, step: int, world: RenderedWorld, icl: list[Frame]) -> Batch:
    """Make the batch of ``step``: the same for the same config, whatever ran before."""
    rng = np.random.default_rng([config.seed, 2, step])
    real = int(rng.binomial(config.batch, config.icl_share)) if icl else 0
    frames, (height, width) = world.draw(rng, step, config.batch - real)
    frames += [icl[int(n)] for n in rng.integers(len(icl), size=real)] if real else []
    pairs = [_crop(rng, frame, (height, width), config.min_crop) for frame in frames]
    rgb = torch.from_numpy(np.stack([rgb for rgb, _ in pairs])).permute(0, 3, 1, 2)
    disparity = torch.from_numpy(np.stack([d for _, d in pairs]))
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    colour = disturb_colours(rgb.float().div_(255), generator)
    valid = disparity.isfinite()
    return Batch(rgb=colour, disparity=disparity.nan_to_num(), valid=valid)


def _crop(
    rng: np.random.Generator, frame: Frame, size: tuple[int, int], min_crop: float
) -> tuple[np.ndarray, np.ndarray]:
    """A random window of the frame, resampled to ``size``; every other one mirrored."""
    rgb, disparity = frame
    (h, w), (height, width) = disparity.shape, size
    scale = min(h / height, w / width) * float(rng.uniform(min_crop, 1.0))
    ch, cw = max(2, round(height * scale)), max(2, round(width * scale))
    top, left = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    window = np.s_[top : top + ch, left : left + cw]
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    rgb = cv2.resize(np.ascontiguousarray(rgb[window]), (width, height), interpolation=how)
    near = disparity[window].astype(np.float32)
    near = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        rgb, near = rgb[:, ::-1], near[:, ::-1]
    return np.ascontiguousarray(rgb), np.ascontiguousarray(near)


def disturb_colours(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Per picture: exposure, contrast, white balance, saturation, gamma, grey, noise, blur.

    Args:
        rgb: (b, 3, h, w) in [0, 1].
        generator: decides everything.
    """
    b = rgb.shape[0]

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.rand(b, channels, 1, 1, generator=generator) * (high - low) + low

    grey = (rgb * rgb.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    saturation = torch.where(uniform(0, 1) < 0.08, 0.0, uniform(0.5, 1.5))
    rgb = grey + (rgb - grey) * saturation
    mean = rgb.mean((1, 2, 3), keepdim=True)
    rgb = (mean + (rgb - mean) * uniform(0.65, 1.4)) * uniform(0.65, 1.35)
    rgb = rgb * uniform(0.88, 1.12, channels=3)
    rgb = rgb.clamp(0, 1).add(1e-3).pow(uniform(0.75, 1.35))
    blurred = torch.nn.functional.avg_pool2d(rgb, 3, stride=1, padding=1, count_include_pad=False)
    rgb = rgb + (blurred - rgb) * (uniform(0, 1) < 0.25) * uniform(0.3, 1.0)
    noise = torch.randn(rgb.shape, generator=generator) * uniform(0, 0.03) * (uniform(0, 1) < 0.4)
    return (rgb + noise).clamp(0, 1)


def prefetch(
    config: TrainConfig, world: RenderedWorld, icl: list[Frame], start: int, *, ahead: int = 3
) -> Iterator[tuple[int, Batch]]:
    """(step, batch) from ``start`` to the end, made by a thread a few steps ahead."""
    ready: queue.Queue[tuple[int, Batch] | BaseException] = queue.Queue(maxsize=ahead)

    def produce() -> None:
        try:
            for step in range(start, config.steps):
                ready.put((step, make_batch(config, step, world, icl)))
        except BaseException as error:  # handed to the consumer, who raises it
            ready.put(error)

    threading.Thread(target=produce, daemon=True).start()
    for _ in range(start, config.steps):
        item = ready.get()
        if isinstance(item, BaseException):
            raise item
        yield item
