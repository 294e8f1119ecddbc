"""Resampling of pictures and maps, with the conventions of OpenCV, PyTorch and Pillow.

A network's numbers depend on how its picture was resized, so each convention is named and tested
against its original. Separable: rows, then columns, each by a cached band of taps and weights that
is applied as small matrix products: as fast as OpenCV's own loops, with numpy alone.

OpenCV computes ``cubic`` taps in float32 unless the picture itself is float32 (measured on
x86, 4.11 and 5.0). Networks were trained on pictures resized in float64, so the same is done here:
float32 arrays get exact taps, all others rounded ones. On noise 1,000 pixels wide the two differ
by 1e-4 of the range.

Pixel centres are at integers here as everywhere. With ``align_corners=False`` output pixel ``i``
looks at input position ``(i + 0.5) * n_in / n_out - 0.5``; with ``True`` at
``i * (n_in - 1) / (n_out - 1)``. Taps outside the picture repeat the border.

Source: OpenCV ``imgproc/resize`` (INTER_CUBIC with a = -0.75, no antialiasing; INTER_AREA),
PyTorch ``interpolate``, Pillow ``Image.resize``; restated from their documented behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.spec import Interpolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    FloatMap = Float[np.ndarray, "h w"] | Float[np.ndarray, "h w c"]

_BLOCK = 16  # outputs per matrix product: wide enough for BLAS, narrow enough to skip the zeros
_SERIAL = 1 << 18  # multiplications per product that OpenBLAS does in one thread
_CUBIC_A = -0.75


def resize(
    array: np.ndarray,
    size: tuple[int, int],
    interpolation: Interpolation = "linear",
    *,
    align_corners: bool = False,
) -> FloatMap:
    """Resample an (h, w) or (h, w, c) array to ``size``.

    Non-finite values spread to their neighbours (except with ``nearest``): mask them first.

    Args:
        array: (h, w) or (h, w, c), any real type; ``pil_bicubic`` needs uint8.
        size: (height, width) of the result in pixels.
        interpolation: ``nearest``, ``linear``, ``cubic``, ``area`` as OpenCV does them;
            ``area_linear``: area when no side grows, linear otherwise; ``pil_bicubic``:
            antialiased bicubic on uint8 as Pillow does it.
        align_corners: corner pixels map to corner pixels, as ``torch`` and Keras heads do
            (``linear`` and ``cubic`` only).

    Returns:
        float32 array of ``size`` with the channels of ``array``.

    Raises:
        InputError: empty or not 2-D/3-D input, an impossible size or combination.
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(
            f"array of shape {array.shape} to resize: (h, w) or (h, w, c) with at least one pixel "
            "is needed; loop over batches."
        )
    if array.ndim == 2:
        return resize_planes(array[None], size, interpolation, align_corners=align_corners)[0]
    planes = np.moveaxis(array, 2, 0)
    out = resize_planes(planes, size, interpolation, align_corners=align_corners)
    return np.ascontiguousarray(np.moveaxis(out, 0, 2))


def resize_planes(
    planes: np.ndarray,
    size: tuple[int, int],
    interpolation: Interpolation = "linear",
    *,
    align_corners: bool = False,
) -> Float[np.ndarray, "c H W"]:
    """Resample (c, h, w) planes to (c, height, width) float32; see :func:`resize`.

    ``planes`` may be a strided view, e.g. an RGB picture seen as planes: only the pixels that are
    used get copied.
    """
    height, width = _check_size(size)
    _check_combination(interpolation, align_corners)
    if interpolation == "pil_bicubic":
        return _pil_bicubic(planes, height, width)
    c, h, w = planes.shape
    rule = _rule((h, w), (height, width), interpolation)
    coarse = interpolation == "cubic" and planes.dtype != np.float32
    rows = _band(h, height, rule, align_corners, coarse)
    columns = _band(w, width, rule, align_corners, coarse)
    if interpolation == "nearest":
        return planes[:, rows.used[rows.order]][:, :, columns.used[columns.order]].astype(
            np.float32
        )
    if c > 1 and planes.strides[0] == planes.itemsize:  # an interleaved picture seen as planes
        lines = np.moveaxis(planes, 0, 2).reshape(h, w * c)
        pixels = _along_rows(lines, rows).reshape(height, w, c)
        tall = np.moveaxis(pixels if columns.dense else pixels[:, columns.used], 2, 0)
    else:
        tall = np.stack([_along_rows(plane, rows) for plane in planes])
        tall = tall if columns.dense else tall[:, :, columns.used]
    lines = np.ascontiguousarray(tall).reshape(c * height, -1)
    return _along_columns(lines, columns).reshape(c, height, width)


# --- bands of weights, one per axis -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class _Band:
    """A sparse (n_out, n_in) matrix near its diagonal, cut into dense blocks.

    ``used`` are the input indices with any weight, ``dense`` says that these are all; ``blocks``
    holds (first output, last output, first used, last used, weights); ``order`` is the place in
    ``used`` of each output's first tap; ``identity`` says that nothing is to do.
    """

    used: np.ndarray
    order: np.ndarray
    blocks: tuple[tuple[int, int, int, int, np.ndarray], ...]
    n_out: int
    dense: bool
    identity: bool


def _rule(source: tuple[int, int], size: tuple[int, int], interpolation: str) -> str:
    """How taps are chosen; ``area`` depends on both axes at once, as in OpenCV."""
    shrinks = source[0] >= size[0] and source[1] >= size[1]
    if interpolation == "area_linear":
        return "area" if shrinks else "linear"
    if interpolation == "area" and not shrinks:
        return "area_grow"
    return interpolation


@lru_cache(maxsize=256)
def _band(n_in: int, n_out: int, rule: str, align_corners: bool, coarse: bool) -> _Band:
    if rule == "area":
        index, weight = _area_taps(n_in, n_out)
    else:
        index, weight = _point_taps(n_in, n_out, rule, align_corners, coarse)
    index = index.clip(0, n_in - 1)
    used, compact = np.unique(index, return_inverse=True)
    compact = compact.reshape(index.shape)
    identity = n_in == n_out and bool(
        (np.where(index == np.arange(n_out)[:, None], weight, 0).sum(1) == 1).all()
    )
    blocks = []
    step = max(2, min(_BLOCK, _BLOCK * n_out // len(used)))
    for start in range(0, n_out, step):
        stop = min(start + step, n_out)
        local, weights = compact[start:stop], weight[start:stop]
        first, last = int(local.min()), int(local.max()) + 1
        dense = np.zeros((stop - start, last - first))
        rows = np.broadcast_to(np.arange(stop - start)[:, None], local.shape)
        np.add.at(dense, (rows, local - first), weights)
        blocks.append((start, stop, first, last, dense.astype(np.float32)))
    return _Band(
        used=used,
        order=compact[:, 0],
        blocks=tuple(blocks),
        n_out=n_out,
        dense=len(used) == n_in,
        identity=identity,
    )


def _point_taps(
    n_in: int, n_out: int, rule: str, align_corners: bool, coarse: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Taps (n_out, k) and weights around one input position per output."""
    i = np.arange(n_out, dtype=np.float64)
    scale = 1.0 / (n_out / n_in)
    if rule == "nearest":
        return np.floor(i * scale).astype(np.int64)[:, None], np.ones((n_out, 1))
    if rule == "area_grow":
        left = np.floor(i * scale)
        fraction = (i + 1) - (left + 1) / scale
        fraction = np.where(fraction <= 0, 0, fraction - np.floor(fraction))
        return _with_offsets(left, 2), np.stack([1 - fraction, fraction], 1)
    if align_corners:
        step = np.float32((n_in - 1) / (n_out - 1)) if n_out > 1 else np.float32(0)
        position = i.astype(np.float32) * step
    else:
        position = (i + 0.5) * scale - 0.5
    if coarse:
        position = position.astype(np.float32)
    left = np.floor(position)
    t = position - left
    if rule == "linear":
        return _with_offsets(left, 2), np.stack([1 - t, t], 1)
    weights = [cubic_far(t + 1), cubic_near(t), cubic_near(1 - t)]
    weights.append(1 - weights[0] - weights[1] - weights[2])
    return _with_offsets(left - 1, 4), np.stack(weights, 1)


def _with_offsets(left: np.ndarray, count: int) -> np.ndarray:
    return left.astype(np.int64)[:, None] + np.arange(count)


def cubic_near(x: Any) -> Any:
    """Keys' cubic kernel at distances 0 <= x <= 1, of arrays or tensors."""
    return ((_CUBIC_A + 2) * x - (_CUBIC_A + 3)) * x * x + 1


def cubic_far(x: Any) -> Any:
    """Keys' cubic kernel at distances 1 <= x <= 2."""
    return ((_CUBIC_A * x - 5 * _CUBIC_A) * x + 8 * _CUBIC_A) * x - 4 * _CUBIC_A


def _area_taps(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Every input pixel weighted by how much of it the output pixel covers."""
    scale = n_in / n_out
    left = np.arange(n_out) * scale
    right = np.minimum(left + scale, n_in)
    index = _with_offsets(np.floor(left), int(np.ceil(scale)) + 1)
    covered = np.minimum(index + 1, right[:, None]) - np.maximum(index, left[:, None])
    covered = np.where(covered > 1e-3, covered, 0)  # slivers are dropped, as OpenCV does
    return index, covered / covered.sum(1, keepdims=True)


# --- application --------------------------------------------------------------------------------


# Products stay below OpenBLAS's size for threads: waking threads for such small work costs more
# than it gains, and stalls when the network's own threads hold the cores.


def _along_rows(lines: np.ndarray, band: _Band) -> Float[np.ndarray, "n_out n"]:
    """Resample (n_in, n) of any type along its first axis; always new memory."""
    if band.identity:
        return lines.astype(np.float32)
    n = lines.shape[1]
    out = np.empty((band.n_out, n), dtype=np.float32)
    for start, stop, first, last, weights in band.blocks:
        used = lines[first:last] if band.dense else lines[band.used[first:last]]
        source = np.ascontiguousarray(used, dtype=np.float32)
        step = max(1, _SERIAL // weights.size)
        whole = n - n % step
        np.matmul(
            weights,
            source[:, :whole].reshape(last - first, -1, step).swapaxes(0, 1),
            out=out[start:stop, :whole].reshape(stop - start, -1, step).swapaxes(0, 1),
        )
        np.matmul(weights, source[:, whole:], out=out[start:stop, whole:])
    return out


def _along_columns(lines: np.ndarray, band: _Band) -> Float[np.ndarray, "n n_out"]:
    """Resample (n, n_used) float32 along its second axis."""
    if band.identity:
        return lines
    n = len(lines)
    out = np.empty((n, band.n_out), dtype=np.float32)
    for start, stop, first, last, weights in band.blocks:
        step = max(1, _SERIAL // weights.size)
        whole = n - n % step
        np.matmul(
            lines[:whole, first:last].reshape(-1, step, last - first),
            weights.T,
            out=out[:whole, start:stop].reshape(-1, step, stop - start),
        )
        np.matmul(lines[whole:, first:last], weights.T, out=out[whole:, start:stop])
    return out


def _pil_bicubic(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    if planes.dtype != np.uint8:
        raise InputError(
            f"pil_bicubic was given {planes.dtype} values; it works on uint8 pictures. Use 'cubic' "
            "for maps."
        )
    from PIL import Image

    resized = [
        Image.fromarray(np.ascontiguousarray(p)).resize((width, height), Image.Resampling.BICUBIC)
        for p in planes
    ]
    return np.stack([np.asarray(p, dtype=np.float32) for p in resized])


def _check_size(size: Sequence[int]) -> tuple[int, int]:
    height, width = (int(v) for v in size)
    if height < 1 or width < 1:
        raise InputError(f"size {height}x{width}: both sides need to be at least 1 pixel.")
    return height, width


def _check_combination(interpolation: str, align_corners: bool) -> None:
    if interpolation not in get_args(Interpolation):
        raise UnknownNameError("interpolation", interpolation, get_args(Interpolation))
    if align_corners and interpolation not in ("linear", "cubic"):
        raise InputError(
            f"align_corners=True with interpolation {interpolation!r}: only 'linear' and 'cubic' "
            "know corners; leave it False."
        )
