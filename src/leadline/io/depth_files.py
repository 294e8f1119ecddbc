"""Depth maps in any container, as the numbers that are stored; and the codes that mean "no value".

What the numbers mean (metres, millimetres, disparity) no container says, so it is left to the
caller; so is which of the codes that :func:`find_holes` notices are holes.

Source: Butler et al., ECCV 2012, for ``.dpt``; the OpenEXR file layout; Debevec's PFM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import open_file, size_of
from leadline.io.exr import MAGIC, read_exr
from leadline.io.npz import read_npy, read_npz
from leadline.io.pfm import read_pfm
from leadline.io.png16 import read_codes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Num

DEPTH_SUFFIXES = (".png", ".npy", ".npz", ".pfm", ".pgm", ".tif", ".tiff", ".exr", ".dpt")
"""Suffixes (lower case) of the files that :func:`read_depth_map` reads."""

FAR_PLANE_SHARE = 0.03
"""A largest value that fills more than this share of the pixels is noticed by find_holes."""

_NEEDED = "one (h, w) map of numbers is needed."
_NUMBER_BYTES = 8  # of a pixel in a packed array, at most
_DPT_TAG = np.float32(202021.25).tobytes()
_DPT_HEADER = np.dtype([("tag", "<f4"), ("width", "<i4"), ("height", "<i4")])
_DEPTH_NAMES = ("depth", "z", "depth_m", "depthmap", "depth_map", "v", "y")
"""Names of depth among others, most telling first: NPZ members, last parts of EXR channels."""


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A value that may stand for "nothing is known here".

    Attributes:
        code: the value; NaN and infinities stand for themselves.
        share: of the pixels that hold it, 0 to 1.
        why: what makes it one, in words.
    """

    code: float
    share: float
    why: str


def read_depth_map(
    path: str | os.PathLike[str], *, channel: str = "", max_megapixels: float | None = None
) -> Num[np.ndarray, "h w"]:
    """Read the numbers of a depth map from any container, told by its first bytes.

    Containers are grey PNG, PGM and TIFF (integers, and floats of 16, 32 and 64 bits), EXR, PFM,
    Sintel's ``.dpt``, ``.npy`` and ``.npz``. Axes of length 1 are left out.

    Args:
        path: the file.
        channel: of an EXR or NPZ file of several; empty: the one that is named like depth.
        max_megapixels: see :func:`leadline.io.read_image`.

    Returns:
        (h, w) of the stored type; nothing is scaled, and holes keep their codes.

    Raises:
        InputError: missing, damaged, too large, or not one map.
        MissingDependencyError: EXR without OpenEXR, or a TIFF that needs tifffile without it.
    """
    with open_file(path, _NEEDED) as file:
        start = file.read(8)
    if start.startswith(b"\x93NUMPY"):
        values = read_npy(path)
    elif start.startswith(b"PK"):
        most = None if max_megapixels is None else int(max_megapixels * 1e6 * _NUMBER_BYTES)
        arrays = read_npz(path, (), max_bytes=most)
        values = arrays[_choose(list(arrays), channel, f"{path}")]
    elif start[:2] in (b"PF", b"Pf"):
        values = read_pfm(path)
    elif start.startswith(_DPT_TAG):
        values = _read_dpt(path)
    elif start.startswith(MAGIC):
        choose = partial(_choose, channel=channel, name=str(path))
        values = read_exr(path, choose, max_megapixels=max_megapixels)
    else:
        values, _ = read_codes(path, max_megapixels=max_megapixels)
    return _one_map(values, str(path))


def find_holes(values: Num[np.ndarray, "h w"]) -> tuple[Hole, ...]:
    """Values that may mean "nothing is known", the most frequent first.

    Noticed are NaN, infinities, 0, negative values (-1 and the like, when they are all the same),
    the largest value of the integer type, and a largest value that fills more than
    :data:`FAR_PLANE_SHARE` of the map, as a far plane does.
    """
    found: list[Hole] = []

    def note(where: np.ndarray, code: float, why: str) -> None:
        if where.any():
            found.append(Hole(code=code, share=float(where.mean()), why=why))

    integers = values.dtype.kind in "iu"
    if not integers:
        note(np.isnan(values), math.nan, "not a number")
        note(values == np.inf, math.inf, "infinite")
        note(values == -np.inf, -math.inf, "infinite")
    known = values[np.isfinite(values)]
    if not known.size:
        return _by_share(found)
    low, high = known.min(), known.max()
    note(values == 0, 0.0, "zero")
    if low < 0:
        below = (values < 0) & np.isfinite(values)
        if (values[below] == low).all():
            note(below, float(low), "the only negative value")
    if high > 0:
        full = integers and high == np.iinfo(values.dtype).max
        at_high = values == high
        if full:
            note(at_high, float(high), f"the largest {values.dtype}")
        elif low < high and at_high.mean() > FAR_PLANE_SHARE:
            note(at_high, float(high), "the largest value, in many pixels: a far plane?")
    return _by_share(found)


def hole_mask(values: Num[np.ndarray, "h w"], codes: Sequence[float]) -> Bool[np.ndarray, "h w"]:
    """Where the map holds one of ``codes``; NaN finds NaN."""
    mask = np.zeros(values.shape, bool)
    for code in codes:
        mask |= np.isnan(values) if math.isnan(code) else values == code
    return mask


def _by_share(holes: list[Hole]) -> tuple[Hole, ...]:
    return tuple(sorted(holes, key=lambda hole: -hole.share))


def _one_map(values: np.ndarray, name: str) -> np.ndarray:
    """(h, w) out of (1, h, w), (h, w, 1), or three equal channels."""
    shape = values.shape
    if values.ndim == 3 and shape[2] == 3 and (values == values[:, :, :1]).all():
        values = values[:, :, 0]
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise InputError(f"{name}: an array of shape {shape} and type {values.dtype}; {_NEEDED}")
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _choose(names: list[str], channel: str, name: str) -> str:
    """The member or channel that holds depth.

    Raises:
        InputError: no such name, or none or several that could be meant.
    """
    if channel:
        if channel in names:
            return channel
        raise InputError(f"{name} holds no {channel!r} but {', '.join(names)}; name one of these.")
    if len(names) == 1:
        return names[0]
    last = {full: full.rpartition(".")[2].lower() for full in names}
    for wanted in _DEPTH_NAMES:
        fits = [full for full in names if last[full] == wanted]
        if len(fits) == 1:
            return fits[0]
        if fits:
            break
    raise InputError(
        f"{name} holds {', '.join(names) or 'nothing'}, and which of them is depth is not known; "
        "keep the one that is in the file, or name it `depth`."
    )


def _read_dpt(path: str | os.PathLike[str]) -> Float[np.ndarray, "h w"]:
    with open_file(path, "a whole Sintel depth file is needed: unpack it again.") as file:
        header = np.frombuffer(file.read(_DPT_HEADER.itemsize), _DPT_HEADER, count=1)[0]
        height, width = int(header["height"]), int(header["width"])
        there = size_of(file) - _DPT_HEADER.itemsize
        if min(height, width) < 1 or there != 4 * height * width:
            raise ValueError(f"{there} bytes of pixels for {width} x {height}")
        return np.fromfile(file, "<f4", count=height * width).reshape(height, width)
