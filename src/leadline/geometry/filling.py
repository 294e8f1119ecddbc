"""Values for pixels that have none: from behind, for stereo; along edges, for any map.

Source: Hirschmueller, PAMI 2008, sec. 2.6 (what is hidden belongs to what lies behind); Min et al.,
Fast Global Image Smoothing Based on Weighted Least Squares, TIP 2014 (one row at a time).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.geometry.opencv import grey_of
from leadline.geometry.semi_global import COST_RANGE, aggregate, subpixel

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

    from leadline.image import Image
    from leadline.prediction import Prediction

_SMALL, _LARGE, _EDGE, _FORBIDDEN, _TRUST = 5, 60, 5.0, 120, 40
_ROUNDS = 4  # over rows and columns


def fill_from_behind(
    disparity: Float[np.ndarray, "h w"],
    seen: Bool[np.ndarray, "h w"],
    other: Float[np.ndarray, "h w"],
    guide: UInt8[np.ndarray, "h w"],
    count: int,
) -> Float[np.ndarray, "h w"]:
    """Disparity of what one view alone shows.

    A disparity is possible where the other view shows something as near or nearer at the pixel
    that it points to, or where that pixel is outside the other picture; and where it lies between
    what is seen to the left and to the right in the row. Possible ones spread from the seen pixels
    by semi-global paths.

    Args:
        disparity: of the left picture; trusted where ``seen``.
        seen: where both views agree.
        other: disparity of the right picture.
        guide: the left picture, grey.
        count: number of disparities from 0.
    """
    h, w = disparity.shape
    columns = np.arange(w)
    low, high = between_in_row(disparity, seen)
    cost = np.zeros((h, w, count), np.int16)
    trusted = np.where(seen, disparity, 0)
    for d in range(count):
        there = columns - d
        farther = (other[:, np.maximum(there, 0)] < d - 1) & (there >= 0)
        impossible = farther | (d < low - 1) | (d > high + 1)
        wrong = np.minimum(np.abs(trusted - d) * _TRUST, COST_RANGE)
        cost[:, :, d] = np.where(seen, wrong, np.where(impossible, _FORBIDDEN, 0))
    total = aggregate(cost, guide, small=_SMALL, large=_LARGE, edge=_EDGE)
    return subpixel(total, total.argmin(axis=2))


def between_in_row(
    disparity: Float[np.ndarray, "h w"], seen: Bool[np.ndarray, "h w"]
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """The smaller and the larger of the nearest seen values to the left and to the right.

    Beside the picture's border, where there is one of them: from a half of it to a little more.
    In rows without any: from 0 without end.
    """
    h, w = disparity.shape
    columns, rows = np.arange(w), np.arange(h)[:, None]
    left = np.maximum.accumulate(np.where(seen, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(seen, columns, w)[:, ::-1], axis=1)[:, ::-1]
    at_left, at_right = (
        np.where(here, disparity[rows, np.clip(at, 0, w - 1)], np.nan)
        for at, here in ((left, left >= 0), (right, right < w))
    )
    both = np.isfinite(at_left) & np.isfinite(at_right)
    smaller, larger = np.fmin(at_left, at_right), np.fmax(at_left, at_right)
    low = np.where(both, smaller, smaller / 2)
    high = np.where(both, larger, larger * 1.2)
    return np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=np.inf)


def fill(
    prediction: Prediction,
    image: Image | None = None,
    *,
    confident: float = 0.5,
    smoothness: float = 30.0,
    edge: float = 6.0,
) -> Prediction:
    """Values everywhere, spread from the confident pixels along the picture's edges.

    Filled in inverse depth for depths, where planes are planes, and in disparity for disparities.
    The confidence of filled pixels is halved, so that it never says "seen".

    Args:
        prediction: a map with ``valid`` or ``confidence``.
        image: guide of the same size; default: the prediction's own picture.
        confident: pixels with less confidence than this are filled.
        smoothness: how far values spread, in pixels, where the picture is even.
        edge: grey levels that stop most of it.

    Raises:
        InputError: no picture, one of another size, or no pixel to start from.
    """
    image = image or prediction.image
    if image is None or image.size != prediction.size:
        raise InputError(
            f"a map of {prediction.size[1]}x{prediction.size[0]} pixels to fill along the edges of "
            f"{'no picture' if image is None else f'{image.size[1]}x{image.size[0]} pixels'}: the "
            "picture it belongs to is needed; give image=."
        )
    trusted = prediction.known & (prediction.values > 0)
    if prediction.confidence is not None:
        trusted &= prediction.confidence >= confident
    if not trusted.any():
        raise InputError(
            f"no pixel has a confidence of {confident:g} or more, so nothing can spread; lower "
            "confident=, or make a better map first."
        )
    inverse = not prediction.kind.larger_is_nearer
    source = np.where(trusted, prediction.values, 1).astype(np.float64)
    weights = trusted.astype(np.float64)
    spread = spread_along_edges(
        1 / source if inverse else source, weights, grey_of(image), smoothness, edge
    )
    filled = 1 / spread if inverse else spread
    confidence = prediction.confidence
    if confidence is not None:
        confidence = np.where(trusted, confidence, np.minimum(confidence, confident) / 2)
    values = np.where(trusted, prediction.values, filled)
    return replace(prediction, values=values, valid=None, confidence=confidence, image=image)


def complete(prediction: Prediction, other: Prediction) -> Prediction:
    """Fill holes with another map of the same view that is fitted to this one.

    What the fitted map puts beyond every depth (sky, say) stays a hole.

    Args:
        prediction: metric or scaled depth with holes.
        other: of any kind; scale and shift that its kind leaves open are fitted to what
            ``prediction`` knows.

    Raises:
        InputError: no pixel has both values, or the sizes differ.
    """
    fitted = other.aligned_to(prediction.values, prediction.known).values
    confidence = prediction.confidence
    if confidence is not None:
        confidence = np.where(prediction.known, confidence, 0)
    values = np.where(prediction.known, prediction.values, fitted)
    there = np.isfinite(values)
    return replace(
        prediction,
        values=np.where(there, values, np.nan),
        valid=None if there.all() else there,
        confidence=confidence,
    )


def spread_along_edges(
    values: Float[np.ndarray, "h w"],
    weights: Float[np.ndarray, "h w"],
    guide: UInt8[np.ndarray, "h w"],
    smoothness: float,
    edge: float,
) -> Float[np.ndarray, "h w"]:
    """Weighted mean of ``values`` that follows the guide; where weights are 0, what is spread.

    Least squares with neighbours tied by ``exp(-step / edge)``, solved for rows and columns in
    turn, with shorter ties from round to round.
    """
    grey = guide.astype(np.float64)
    above, below = weights * values, weights.astype(np.float64)
    ties = [np.exp(-np.abs(np.diff(grey, axis=axis)) / edge) + 1e-4 for axis in (1, 0)]
    for turn in range(_ROUNDS):
        strength = smoothness**2 * 1.5 * 4.0 ** (_ROUNDS - turn - 1) / (4.0**_ROUNDS - 1)
        for axis, tie in zip((1, 0), ties, strict=True):
            both = np.stack([above, below])
            turned = both if axis == 1 else both.swapaxes(1, 2)
            solved = _rows(turned, strength * (tie if axis == 1 else tie.T))
            above, below = solved if axis == 1 else solved.swapaxes(1, 2)
    return above / np.maximum(below, 1e-300)


def _rows(right: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Solve (1 + ties) x = right for every row at once; a tridiagonal system each."""
    width = right.shape[2]
    diagonal = np.ones(right.shape[1:])
    diagonal[:, 1:] += tie
    diagonal[:, :-1] += tie
    upper = np.empty((width, right.shape[1]))
    x = np.ascontiguousarray(np.moveaxis(right, 2, 0))  # (w, maps, h): a column is one step
    tie, diagonal = np.ascontiguousarray(tie.T), np.ascontiguousarray(diagonal.T)
    upper[0] = -tie[0] / diagonal[0]
    x[0] /= diagonal[0]
    for i in range(1, width):
        pivot = diagonal[i] + tie[i - 1] * upper[i - 1]
        if i < width - 1:
            upper[i] = -tie[i] / pivot
        x[i] = (x[i] + tie[i - 1] * x[i - 1]) / pivot
    for i in range(width - 2, -1, -1):
        x[i] -= upper[i] * x[i + 1]
    return np.moveaxis(x, 0, 2)
