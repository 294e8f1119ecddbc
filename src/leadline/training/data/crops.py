"""Random crops of pictures and their maps: crop, mirror, turn; by OpenCV or on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from leadline.training.config import AugmentConfig
    from leadline.training.data.rendering import Sample


@dataclass(frozen=True, kw_only=True)
class Crop:
    """What is taken of a picture.

    Attributes:
        top, left, height, width: in pixels of the picture.
        mirrored: left and right change places.
        angle_deg: turn about the centre, before the crop is cut.
        grown: how much the turn enlarges, so that no border shows.
        enlarged: how much all of it does, against the largest crop that fits (>= 1).
    """

    top: int
    left: int
    height: int
    width: int
    mirrored: bool
    angle_deg: float
    grown: float
    enlarged: float

    def focal(self, height: int) -> float:
        """How much a focal length grows that is resampled to so many rows."""
        return self.grown * height / self.height


def draw_crop(
    rng: np.random.Generator,
    picture: tuple[int, int],
    size: tuple[int, int],
    config: AugmentConfig,
    *,
    aspect: float = 0.0,
) -> Crop:
    """A random crop.

    Args:
        rng: decides.
        picture: (height, width) of the picture.
        size: (height, width) that the crop is to be resampled to.
        config: how much.
        aspect: width by height of the crop; 0: that of ``size``, so that nothing is stretched.
    """
    h, w = picture
    shape = (1.0, aspect or size[1] / size[0])
    largest = min(h / shape[0], w / shape[1])
    share = float(rng.uniform(config.min_crop, 1.0))
    ch = min(h, max(2, round(shape[0] * largest * share)))
    cw = min(w, max(2, round(shape[1] * largest * share)))
    top, left = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    mirrored = bool(rng.random() < config.flip)
    angle = float(rng.uniform(-1, 1)) * config.rotate_deg
    grown = _growth(h, w, angle)
    return Crop(
        top=top,
        left=left,
        height=ch,
        width=cw,
        mirrored=mirrored,
        angle_deg=angle,
        grown=grown,
        enlarged=grown / share,
    )


def cut_crop(sample: Sample, crop: Crop, size: tuple[int, int]) -> Sample:
    """The crop of all maps of a sample, resampled to ``size``.

    Args:
        sample: ``rgb*`` (h, w, 3) uint8, maps (h, w), taken by nearest pixel, and numbers, of which
            ``focal_px`` follows the resampling.
        crop: of its pictures.
        size: (height, width) of the result.
    """
    rows = slice(crop.top, crop.top + crop.height)
    cols = slice(crop.left, crop.left + crop.width)
    made: Sample = {}
    for name, array in sample.items():
        if array.ndim < 2:
            made[name] = array
            continue
        angle = crop.angle_deg
        part = _rotate(array, name, angle, crop.grown) if angle else array
        part = _resample(part[rows, cols], size, picture="rgb" in name)
        made[name] = np.ascontiguousarray(part[:, ::-1] if crop.mirrored else part)
    if "focal_px" in made:
        made["focal_px"] = made["focal_px"] * np.float32(crop.focal(size[0]))
    return made


def cut_crops(
    samples: dict[str, Tensor], crops: Sequence[Crop], size: tuple[int, int]
) -> dict[str, Tensor]:
    """:func:`cut_crop` of many pictures at once, on their device; none of them turned.

    A resampled axis is a product with a matrix: a triangle around every new pixel's place, as wide
    as the new pixel where that is wider than the old ones.

    Args:
        samples: as there, with the sample as first axis; pictures come out as float32.
        crops: one for each sample.
        size: (height, width) of the result.
    """
    height, width = size
    h, w = samples["rgb"].shape[1:3]
    device = samples["rgb"].device
    rows = [(one.top, one.height, False) for one in crops]
    cols = [(one.left, one.width, one.mirrored) for one in crops]
    down, right = _places(rows, height, device), _places(cols, width, device)
    made = {}
    for name, values in samples.items():
        if "rgb" in name:
            tall = torch.einsum("byh,bhwc->bywc", _triangles(down, h), values.float())
            made[name] = torch.einsum("bxw,bywc->byxc", _triangles(right, w), tall)
        elif values.ndim > 2:
            one = torch.arange(len(crops), device=device)[:, None, None]
            made[name] = values[one, down.old[:, :, None], right.old[:, None, :]]
        else:
            made[name] = values
    if "focal_px" in made:
        grown = torch.tensor([one.focal(height) for one in crops], device=device)
        made["focal_px"] = made["focal_px"] * grown
    return made


_BOX_AREA = 0.02, 0.4  # as a share of the picture
_NARROWEST_BOX = 0.3  # least ratio of its sides, and one over the greatest


def draw_box(rng: np.random.Generator, size: tuple[int, int]) -> Tensor:
    """A box of a random place, area and shape, for CutMix: (h, w) bool, True outside of it."""
    height, width = size
    area = float(rng.uniform(*_BOX_AREA)) * height * width
    ratio = float(rng.uniform(_NARROWEST_BOX, 1 / _NARROWEST_BOX))
    w = min(width, max(1, round(math.sqrt(area / ratio))))
    h = min(height, max(1, round(area / w)))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    outside = torch.ones(height, width, dtype=torch.bool)
    outside[top : top + h, left : left + w] = False
    return outside


class _Places(NamedTuple):
    """Where the pixels of a resampled axis are on the old one."""

    centre: Tensor  # (b, n), in old pixels
    old: Tensor  # (b, n) int64, the pixel that is taken where nothing is averaged
    ends: Tensor  # (b, 1, 2), of the crop
    wide: Tensor  # (b, 1, 1), reach of a new pixel in old ones


def _places(spans: Sequence[tuple[int, int, bool]], n: int, device: torch.device) -> _Places:
    """Of spans (first, length, mirrored) that become ``n`` pixels."""
    first, length, mirrored = np.array(spans, np.int64).T[..., None]
    step = 1 / (n / length)  # as OpenCV rounds it
    k = np.where(mirrored, np.arange(n)[::-1], np.arange(n))
    old = first + np.minimum(np.floor(k * step).astype(np.int64), length - 1)
    made = (
        first + (k + 0.5) * step - 0.5,
        np.stack([first, first + length - 1], -1),
        np.maximum(step, 1)[..., None],
    )
    centre, ends, wide = (torch.from_numpy(v.astype(np.float32)).to(device) for v in made)
    return _Places(centre=centre, old=torch.from_numpy(old).to(device), ends=ends, wide=wide)


def _triangles(places: _Places, old: int) -> Tensor:
    """Weights (b, new, old) whose rows sum to one."""
    k = torch.arange(old, dtype=torch.float32, device=places.centre.device)
    weights = (1 - (k - places.centre[..., None]).abs() / places.wide).clamp(min=0)
    weights = weights * ((k >= places.ends[..., :1]) & (k <= places.ends[..., 1:]))
    return weights / weights.sum(-1, keepdim=True)


def _resample(part: np.ndarray, size: tuple[int, int], *, picture: bool) -> np.ndarray:
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


def _rotate(array: np.ndarray, name: str, angle_deg: float, grown: float) -> np.ndarray:
    """Turned about the centre and enlarged."""
    h, w = array.shape[:2]
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle_deg, grown)
    picture = "rgb" in name
    plain = array.astype(np.float32) if array.dtype == np.float16 else array
    how = cv2.INTER_LINEAR if picture else cv2.INTER_NEAREST
    return cv2.warpAffine(plain, matrix, (w, h), flags=how, borderMode=cv2.BORDER_REPLICATE)
