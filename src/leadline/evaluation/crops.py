"""Which pixels an evaluation counts: the crops of the literature, named.

A crop is a function from the target's (height, width) to (top, bottom, left, right), bottom and
right exclusive.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Box = tuple[int, int, int, int]
Crop = Callable[[int, int], Box]

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


def _shares(height: int, width: int, top: float, bottom: float, left: float, right: float) -> Box:
    return int(top * height), int(bottom * height), int(left * width), int(right * width)


def _nyu(height: int, width: int, box: Box, name: str) -> Box:
    if (height, width) != (480, 640):
        raise InputError(
            f"a target of {width}x{height} pixels: the crop {name} {box} is of NYU's 640x480. "
            "Resize the target, or take a protocol without this crop."
        )
    return box
