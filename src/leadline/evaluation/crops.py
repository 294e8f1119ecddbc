"""Which pixels an evaluation counts: the crops of the literature, named.

A crop is a function from the target's (height, width) to (top, bottom, left, right), bottom and
right exclusive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadline.image import Image

Box = tuple[int, int, int, int]
Crop = Callable[[int, int], Box]

Framing = Literal["full", "kb_crop", "kb_paste"]
"""``full``; ``kb_crop``: pictures, targets and predictions are cut to KITTI's benchmark crop before
everything else; ``kb_paste``: pictures are, and predictions are put where they belong."""

KB_SIZE = (352, 1216)
"""(height, width) of KITTI's benchmark crop."""


def everything(height: int, width: int) -> Box:
    """No crop."""
    return 0, height, 0, width


def garg(height: int, width: int) -> Box:
    """Garg et al. 2016, as Godard et al. wrote it down; 153:371, 44:1197 at 375 x 1242."""
    return _shares(height, width, 0.40810811, 0.99189189, 0.03594771, 0.96405229)


def eigen_kitti(height: int, width: int) -> Box:
    """What Godard et al. found to reproduce Eigen et al. 2014 on KITTI."""
    return _shares(height, width, 0.3324324, 0.91351351, 0.0359477, 0.96405229)


def nyu_bts(height: int, width: int) -> Box:
    """[45:471, 41:601]: BTS, AdaBins, ZoeDepth, Depth Anything; one row and column short."""
    return _nyu(height, width, (45, 471, 41, 601), "nyu_bts")


def nyu_official(height: int, width: int) -> Box:
    """[44:471, 40:601]: the toolbox's get_projection_mask, 427 x 561."""
    return _nyu(height, width, (44, 471, 40, 601), "nyu_official")


def nyu_eigen(height: int, width: int) -> Box:
    """[20:460, 24:616]: what Eigen's network covers; DenseDepth and DeepV2D use it."""
    return _nyu(height, width, (20, 460, 24, 616), "nyu_eigen")


def make3d_central(height: int, width: int) -> Box:
    """The 21 middle rows of the 55 of a Make3D laser grid (Godard et al.)."""
    if height == 21:
        return 0, 21, 0, width
    if height != 55:
        raise InputError(
            f"a Make3D target of {height} rows: the laser grid has 55, or 21 when it is cropped; "
            "give it as it is stored."
        )
    return 17, 38, 0, width


CROPS: Mapping[str, Crop] = MappingProxyType(
    {
        "everything": everything,
        "garg": garg,
        "eigen_kitti": eigen_kitti,
        "nyu_bts": nyu_bts,
        "nyu_official": nyu_official,
        "nyu_eigen": nyu_eigen,
        "make3d_central": make3d_central,
    }
)
"""Every crop by name."""


def kb_box(height: int, width: int) -> Box:
    """KITTI's benchmark crop, 352 x 1216 at the bottom and in the middle."""
    if height < KB_SIZE[0] or width < KB_SIZE[1]:
        raise InputError(
            f"a target of {width}x{height} pixels is smaller than KITTI's benchmark crop of "
            "1216x352; give KITTI's maps at their own size."
        )
    top, left = height - KB_SIZE[0], (width - KB_SIZE[1]) // 2
    return top, height, left, left + KB_SIZE[1]


def crop_picture(image: Image, frame: Framing) -> Image:
    """Cut a picture to the part that a protocol's networks see."""
    if frame == "full":
        return image
    top, bottom, left, right = kb_box(*image.size)
    camera = image.camera
    if camera is not None:
        camera = camera.cropped(left, top, right - left, bottom - top)
    return replace(image, pixels=image.pixels[top:bottom, left:right], camera=camera)


def crop_to_frame(
    values: np.ndarray, truth: np.ndarray, mask: np.ndarray | None, frame: Framing, protocol: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Cut prediction, target and mask to the part of the picture that a protocol compares.

    Raises:
        InputError: a prediction that is neither of the picture's size nor of the crop's where it
            is to be pasted; ``protocol`` is named.
    """
    if frame == "full":
        return values, truth, mask
    top, bottom, left, right = kb_box(truth.shape[0], truth.shape[1])
    if frame == "kb_crop":
        if values.shape == truth.shape:
            values = values[top:bottom, left:right]
        mask = mask if mask is None else mask[top:bottom, left:right]
        return values, truth[top:bottom, left:right], mask
    if values.shape == truth.shape:
        return values, truth, mask
    if values.shape != KB_SIZE:
        raise InputError(
            f"prediction of shape {values.shape} for a target of {truth.shape}: {protocol} takes "
            f"the target's own size or the benchmark crop {KB_SIZE}; resize it first."
        )
    pasted = np.zeros(truth.shape, values.dtype)
    pasted[top:bottom, left:right] = values
    return pasted, truth, mask


def _shares(height: int, width: int, top: float, bottom: float, left: float, right: float) -> Box:
    return int(top * height), int(bottom * height), int(left * width), int(right * width)


def _nyu(height: int, width: int, box: Box, name: str) -> Box:
    if (height, width) != (480, 640):
        raise InputError(
            f"a target of {width}x{height} pixels: the crop {name} {box} is of NYU's 640x480. "
            "Resize the target, or take a protocol without this crop."
        )
    return box
