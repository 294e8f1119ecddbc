"""Several pictures of one scene as one batch, as Depth Anything 3 prepares them; sizes and cameras.

A picture is resampled twice: first with its aspect kept, so that its long (``upper``) or short
(``lower``) side gets the asked length, then, side by side, to the nearest multiple of the patch; or
it is cut to a multiple about its middle instead. Both steps give whole grey levels, so they are no
single resampling.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), the published input processor; its
rules restated. Pixels differ from OpenCV's by one grey level in fewer than one of a thousand, since
OpenCV's own sums of whole numbers round otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.resample import resize_planes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, UInt8

    Size = tuple[int, int]

Method = Literal["upper_bound_resize", "upper_bound_crop", "lower_bound_resize", "lower_bound_crop"]
"""Whether the long or the short side gets the asked length, and how sides become multiples."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, for RGB in [0, 1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewBatch:
    """Views at the network's size.

    Attributes:
        image: (v, 3, h, w) float32, normalised.
        intrinsics: (v, 3, 3) of the prepared views, or None where none were given.
        sizes: (height, width) that each picture was resampled to before it was cut.
        corners: (top, left) of the part of it that the network sees.
    """

    image: Float[np.ndarray, "v 3 h w"]
    intrinsics: Float[np.ndarray, "v 3 3"] | None
    sizes: tuple[Size, ...]
    corners: tuple[tuple[int, int], ...]


def batch_views(
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]],
    intrinsics: Float[np.ndarray, "v 3 3"] | None = None,
    *,
    side: int = 504,
    multiple: int = 14,
    method: Method = "upper_bound_resize",
    mixed: bool = False,
) -> ViewBatch:
    """Resample pictures, and cut them to one size where ``mixed`` allows it.

    Args:
        pictures: RGB, one a view.
        intrinsics: of each picture, with its corner (not its first pixel's centre) at (0, 0).
        side: pixels of the long or short side.
        multiple: of which both sides of the input are.
        method: see :data:`Method`.
        mixed: cut pictures of different input sizes, about their middle, to the smallest height
            and width; otherwise they are refused.

    Raises:
        InputError: no picture, one picture twice, sizes that differ, or another number of cameras.
    """
    if not pictures:
        raise InputError("no pictures to batch; at least one view is needed.")
    check_distinct(pictures)
    matrices = _check_intrinsics(intrinsics, len(pictures))
    seen = []
    for picture, matrix in zip(pictures, matrices, strict=True):
        sizes = plan_sizes(*picture.shape[:2], side=side, multiple=multiple, method=method)
        planes = np.moveaxis(picture, 2, 0)
        seen.append(_View(planes, matrix).resized(sizes[0]))
        seen[-1] = seen[-1].cut(sizes[1]) if method.endswith("crop") else seen[-1].resized(sizes[1])
    heights, widths = zip(*(view.planes.shape[1:] for view in seen), strict=True)
    if not mixed and len(set(zip(heights, widths, strict=True))) > 1:
        raise InputError(
            f"views of different sizes ({_shown(heights, widths)} after resizing, height x width); "
            "one size is needed. Give pictures of one camera, or allow cutting with mixed=True."
        )
    seen = [view.cut((min(heights), min(widths))) for view in seen]
    return ViewBatch(
        image=np.stack([normalise(view.planes) for view in seen]),
        intrinsics=None if intrinsics is None else np.stack([view.matrix for view in seen]),
        sizes=tuple(view.size for view in seen),
        corners=tuple(view.corner for view in seen),
    )


def plan_sizes(
    height: int, width: int, *, side: int, multiple: int, method: Method
) -> tuple[Size, Size]:
    """The sizes (height, width) after the first and the second step.

    The authors' processor can give a side of 0 or 1; here it is at least one ``multiple``, which
    for the ``crop`` methods the first step has to reach.

    Raises:
        InputError: a side below 1.
        UnknownNameError: ``method`` is none.
    """
    if method not in get_args(Method):
        raise UnknownNameError("method", method, get_args(Method))
    if min(height, width, side, multiple) < 1:
        raise InputError(
            f"a picture of {height}x{width} pixels to a side of {side} in multiples of {multiple}: "
            "all need to be at least 1."
        )
    reference = max(height, width) if method.startswith("upper") else min(height, width)
    scale = side / reference
    if method.endswith("crop"):
        first = max(multiple, round(height * scale)), max(multiple, round(width * scale))
        return first, (first[0] // multiple * multiple, first[1] // multiple * multiple)
    first = max(1, round(height * scale)), max(1, round(width * scale))
    rounded = [max(1, (2 * s + multiple) // (2 * multiple)) * multiple for s in first]
    return first, (rounded[0], rounded[1])


def resample_levels(planes: UInt8[np.ndarray, "3 h w"], size: Size) -> UInt8[np.ndarray, "3 H W"]:
    """Resample to whole grey levels: cubic where a side grows, by area elsewhere."""
    if planes.shape[1:] == size:
        return planes
    grows = size[0] > planes.shape[1] or size[1] > planes.shape[2]
    return np.clip(
        np.rint(resize_planes(planes, size, "cubic" if grows else "area")), 0, 255
    ).astype(np.uint8)


def normalise(planes: UInt8[np.ndarray, "3 h w"]) -> Float[np.ndarray, "3 h w"]:
    """Grey levels as the network takes them."""
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (MEAN, STD))
    return (planes.astype(np.float32) / 255 - mean) / std


@dataclass(frozen=True, eq=False)
class _View:
    """One picture on its way: planes (3, h, w), camera matrix, and where it was cut from what."""

    planes: np.ndarray
    matrix: np.ndarray | None
    size: Size = (0, 0)
    corner: tuple[int, int] = (0, 0)

    def resized(self, size: Size) -> _View:
        h, w = self.planes.shape[1:]
        scale = np.array([[size[1] / w], [size[0] / h], [1]])
        matrix = None if self.matrix is None else self.matrix * scale
        return _View(resample_levels(self.planes, size), matrix, size)

    def cut(self, size: Size) -> _View:
        """The middle."""
        h, w = self.planes.shape[1:]
        top, left = (h - size[0]) // 2, (w - size[1]) // 2
        matrix = None
        if self.matrix is not None:
            matrix = self.matrix - np.array([[0, 0, left], [0, 0, top], [0, 0, 0]])
        planes = self.planes[:, top : top + size[0], left : left + size[1]]
        return _View(planes, matrix, self.size, (self.corner[0] + top, self.corner[1] + left))


def check_distinct(pictures: Sequence[UInt8[np.ndarray, "h w 3"]]) -> None:
    """Refuse one picture given twice, which says nothing new and has no baseline.

    Raises:
        InputError: two equal pictures, or something that is no RGB picture of type uint8.
    """
    for picture in pictures:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise InputError(
                f"a view of shape {picture.shape} and type {picture.dtype}; (h, w, 3) RGB of type "
                "uint8 is needed."
            )
    for (i, a), (j, b) in combinations(enumerate(pictures), 2):
        if np.array_equal(a, b):
            raise InputError(
                f"views {i} and {j} are the same picture; every view is needed once. Leave one out."
            )


def _check_intrinsics(intrinsics: np.ndarray | None, count: int) -> list[np.ndarray] | list[None]:
    if intrinsics is None:
        return [None] * count
    if np.shape(intrinsics) != (count, 3, 3):
        raise InputError(
            f"intrinsics of shape {np.shape(intrinsics)} for {count} views: ({count}, 3, 3) is "
            "needed, one matrix a view."
        )
    return list(np.asarray(intrinsics, np.float64))


def _shown(heights: Sequence[int], widths: Sequence[int]) -> str:
    return ", ".join(sorted({f"{h}x{w}" for h, w in zip(heights, widths, strict=True)}))
