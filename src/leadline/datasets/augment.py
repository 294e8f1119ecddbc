"""Augmentations that keep depth true: what a camera that moved, turned or zoomed would see.

A frame is a picture (h, w, 3) uint8 and its depth (h, w) float32, 0 = unknown. Every function takes
its random numbers from the caller's generator and gives new arrays.

Source: Eigen et al. 2014, sec. 3.3 (zoom, rotation, crop, colours, flip); Godard et al. 2017, sec.
4.1 (flip of a pair, gamma, brightness, colour); Alhashim and Wonka 2018, sec. 3.3 (order of the
channels); Yun et al., CutMix, ICCV 2019, as Depth Anything uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.resample import resize

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

    Picture = UInt8[np.ndarray, "h w 3"]
    Depth = Float[np.ndarray, "h w"]
    Pair = tuple[Picture, Depth]


def zoom(picture: Picture, depth: Depth, factor: float) -> Pair:
    """Enlarge by ``factor`` >= 1 about the centre and divide depth by it; the size stays.

    A thing that fills ``factor`` times as many pixels stands ``factor`` times nearer.
    """
    if factor < 1:
        raise InputError(f"zoom by {factor}: at least 1 is needed, or the frame has a border.")
    height, width = depth.shape
    inner = max(1, round(height / factor)), max(1, round(width / factor))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    part = np.s_[top : top + inner[0], left : left + inner[1]]
    bigger = np.clip(np.rint(resize(picture[part], (height, width), "linear")), 0, 255)
    rows = np.minimum(np.arange(height) * inner[0] // height, inner[0] - 1)
    columns = np.minimum(np.arange(width) * inner[1] // width, inner[1] - 1)
    nearest = depth[part][rows[:, None], columns]
    return bigger.astype(np.uint8), (nearest / factor).astype(np.float32)


def rotate(picture: Picture, depth: Depth, angle_deg: float) -> Pair:
    """Turn about the centre; depth by nearest pixel and unknown where nothing was.

    Depth along the optical axis does not change when a camera rolls.
    """
    height, width = depth.shape
    angle = np.deg2rad(angle_deg)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    row = np.rint(np.cos(angle) * y - np.sin(angle) * x + (height - 1) / 2).astype(int)
    column = np.rint(np.sin(angle) * y + np.cos(angle) * x + (width - 1) / 2).astype(int)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    r, c = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    turned = np.where(inside[..., None], picture[r, c], 0)
    return turned.astype(np.uint8), np.where(inside, depth[r, c], 0).astype(np.float32)


def flip(picture: Picture, depth: Depth) -> Pair:
    """Mirror left to right."""
    return picture[:, ::-1].copy(), depth[:, ::-1].copy()


def flip_pair(left: Picture, right: Picture) -> tuple[Picture, Picture]:
    """Mirror a stereo pair: both are mirrored and they change places, so that it stays a pair."""
    return right[:, ::-1].copy(), left[:, ::-1].copy()


def crop(picture: Picture, depth: Depth, size: tuple[int, int], rng: np.random.Generator) -> Pair:
    """A random part of (height, width) ``size``."""
    if size[0] > depth.shape[0] or size[1] > depth.shape[1]:
        raise InputError(f"a crop of {size} from a frame of {depth.shape}; make it smaller.")
    top = int(rng.integers(depth.shape[0] - size[0] + 1))
    left = int(rng.integers(depth.shape[1] - size[1] + 1))
    part = np.s_[top : top + size[0], left : left + size[1]]
    return picture[part].copy(), depth[part].copy()


def scale_colours(
    pictures: list[Picture], rng: np.random.Generator, *, low: float = 0.8, high: float = 1.2
) -> list[Picture]:
    """Multiply each channel by a random factor, the same one in every picture (Eigen)."""
    factors = rng.uniform(low, high, 3)
    return [np.clip(np.rint(p * factors), 0, 255).astype(np.uint8) for p in pictures]


def monodepth_colours(pictures: list[Picture], rng: np.random.Generator) -> list[Picture]:
    """Gamma .8 to 1.2, brightness .5 to 2, channels .8 to 1.2; the same in every picture."""
    gamma, brightness = rng.uniform(0.8, 1.2), rng.uniform(0.5, 2.0)
    factors = rng.uniform(0.8, 1.2, 3)
    made = [np.clip((p / 255) ** gamma * brightness * factors, 0, 1) for p in pictures]
    return [np.rint(255 * p).astype(np.uint8) for p in made]


def permute_colours(picture: Picture, rng: np.random.Generator) -> Picture:
    """The channels in a random order (DenseDepth)."""
    return np.ascontiguousarray(picture[..., rng.permutation(3)])


def cutmix_box(size: tuple[int, int], rng: np.random.Generator) -> Bool[np.ndarray, "h w"]:
    """True inside a random box whose share of the frame is uniform in (0, 1)."""
    height, width = size
    side = np.sqrt(rng.uniform())
    h, w = max(1, round(height * side)), max(1, round(width * side))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    box = np.zeros(size, dtype=bool)
    box[top : top + h, left : left + w] = True
    return box


def cutmix(first: Pair, second: Pair, box: Bool[np.ndarray, "h w"]) -> Pair:
    """``first`` with ``second`` inside the box; a loss has to treat both regions apart."""
    if first[1].shape != second[1].shape or box.shape != first[1].shape:
        raise InputError(
            f"frames of {first[1].shape} and {second[1].shape} with a box of {box.shape}; one size."
        )
    return np.where(box[..., None], second[0], first[0]), np.where(box, second[1], first[1])
