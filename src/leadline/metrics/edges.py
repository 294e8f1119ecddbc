"""Metrics of depth edges: whether they are there, and where they belong.

Source: Koch et al., Evaluation of CNN-based Single-Image Depth Estimation Methods, ECCV workshops
2018, sec. 3.4 (accuracy and completeness of depth boundaries); Bochkovskii et al., Depth Pro, 2024,
sec. 3.3 (boundary F1 and recall on ratios of neighbours).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.metrics.arrays import check_finite, find_known, to_numpy

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    Map = Float[np.ndarray, "h w"]
    Mask = Bool[np.ndarray, "h w"] | None

MAX_DISTANCE_PX = 10
"""Edges farther apart than this are not the same edge."""

_RATIOS = np.linspace(1.05, 1.25, 10)  # of neighbouring depths, above which there is a boundary


def edge_accuracy(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean distance, in pixels, from predicted depth edges to true ones; less is better.

    Predicted edges that are more than 10 pixels from any true edge are left to
    :func:`boundary_f1`. NaN where there is nothing to measure.
    """
    p, t, known = _maps(pred, target, valid)
    return _mean_distance(depth_edges(p, known), depth_edges(t, known), farther=None)


def edge_completeness(pred: Map, target: Map, valid: Mask = None) -> float:
    """Mean distance, in pixels, from true depth edges to predicted ones, 10 at most."""
    p, t, known = _maps(pred, target, valid)
    return _mean_distance(
        depth_edges(t, known), depth_edges(p, known), farther=float(MAX_DISTANCE_PX)
    )


def boundary_f1(pred: Map, target: Map, valid: Mask = None) -> float:
    """Harmonic mean of precision and recall of occluding boundaries, over ten thresholds.

    A boundary lies between two neighbours whose depths differ by a factor above the threshold,
    5 to 25 %, the same way in both maps; larger thresholds weigh more. More is better; the maps'
    scale does not matter. NaN where the truth has no boundary at any threshold.
    """
    p, t, known = _maps(pred, target, valid)
    scores = [_f1(p, t, known, threshold) for threshold in _RATIOS]
    if all(score is None for score in scores):
        return float("nan")
    found = [(score, w) for score, w in zip(scores, _RATIOS, strict=True) if score is not None]
    return float(sum(s * w for s, w in found) / sum(w for _, w in found))


def boundary_recall(pred: Map, mask: Float[np.ndarray, "h w"], *, opacity: float = 0.1) -> float:
    """Share of a foreground mask's outline at which the predicted depth steps back.

    For pictures that have a matte or a segmentation and no depth, and for outlines as fine as hair.
    The object is taken to be nearer than what is behind it. A boundary is as in
    :func:`boundary_f1`, thinned to the largest step of each run, so that blurred ones do not count.

    Args:
        pred: depth, finite and positive everywhere; its scale does not matter.
        mask: opacity of the foreground, 0 to 1, or a bool mask.
        opacity: above it a pixel belongs to the foreground.

    Returns:
        0 to 1, more is better; NaN where the mask has no outline.
    """
    matte = to_numpy(mask)
    depth, _, _ = _maps(pred, np.ones(matte.shape), None)
    inside = matte > opacity
    sides = []  # (how much farther the neighbour is, where the mask ends), in four directions
    for d, m in ((depth, inside), (depth.T, inside.T)):
        farther = _ratios(d, 1)
        sides.append((farther, m[:, :-1] & ~m[:, 1:]))
        sides.append((1 / farther, ~m[:, :-1] & m[:, 1:]))
    if not any(outline.any() for _, outline in sides):
        return float("nan")
    scores = [
        sum(
            np.count_nonzero(_thin_runs(farther, threshold) & outline)
            / max(np.count_nonzero(outline), 1)
            for farther, outline in sides
        )
        for threshold in _RATIOS
    ]
    return float(np.average(scores, weights=_RATIOS) / len(sides))


def depth_edges(depth: Map, known: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Thin edges of a depth map: Canny on the logarithm's place in the map's range, sigma 1.5.

    Edges that touch pixels without depth do not count: there the gradient is the hole's.
    """
    if not known.any():
        return np.zeros(depth.shape, dtype=bool)
    low, high = depth[known].min(), depth[known].max()
    scaled = np.where(known, (depth - low) / max(high - low, 1e-12), 0.0)
    weight = _blur(known.astype(np.float64))
    smooth = _blur(scaled) / np.maximum(weight, 1e-9)
    gy, gx = _sobel(smooth)
    size = np.hypot(gx, gy)
    size[_blur(known.astype(np.float64)) < 0.999] = 0
    thin = _thin(size, gx, gy)
    strong, weak = thin & (size > 0.2), thin & (size > 0.1)
    return _grow(strong, weak)


def _f1(p: np.ndarray, t: np.ndarray, known: np.ndarray, threshold: float) -> float | None:
    precision, recall, there = 0.0, 0.0, 0
    for axis in (0, 1):
        near = known & np.roll(known, -1, axis)
        near = near[:-1] if axis == 0 else near[:, :-1]
        ratio_p, ratio_t = _ratios(p, axis), _ratios(t, axis)
        for power in (1, -1):
            a = near & (ratio_p**power > threshold)
            b = near & (ratio_t**power > threshold)
            both = np.count_nonzero(a & b)
            there += np.count_nonzero(b)
            precision += 0.25 * both / max(np.count_nonzero(a), 1)
            recall += 0.25 * both / max(np.count_nonzero(b), 1)
    if not there:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _ratios(depth: np.ndarray, axis: int) -> np.ndarray:
    if axis == 0:
        return depth[1:] / depth[:-1]
    return depth[:, 1:] / depth[:, :-1]


def _thin_runs(ratio: np.ndarray, threshold: float) -> np.ndarray:
    """The largest of each unbroken run of ratios above the threshold, row by row."""
    gap = ((0, 0), (0, 1))  # after each row, so that no run goes on in the next
    above, values = np.pad(ratio > threshold, gap).ravel(), np.pad(ratio, gap).ravel()
    place = np.flatnonzero(above)
    starts = np.diff(place, prepend=-2) > 1
    if starts.any():
        largest = np.maximum.reduceat(values[place], np.flatnonzero(starts))
        above[place] = values[place] == largest[np.cumsum(starts) - 1]
    return above.reshape(len(ratio), -1)[:, :-1]


def _mean_distance(edges: np.ndarray, to: np.ndarray, *, farther: float | None) -> float:
    """Mean distance from the pixels of ``edges`` to the nearest of ``to``."""
    rows, columns = np.nonzero(edges)
    if not len(rows) or (farther is None and not to.any()):
        return float("nan")
    reach = MAX_DISTANCE_PX
    padded = np.pad(to, reach)
    span = np.arange(-reach, reach + 1)
    dy, dx = (a.ravel() for a in np.meshgrid(span, span, indexing="ij"))
    distance = np.hypot(dy, dx)
    order = np.argsort(distance, kind="stable")
    order = order[distance[order] <= reach]
    found = np.full(len(rows), np.inf)
    left = np.arange(len(rows))
    for index in order:
        hit = padded[rows[left] + dy[index] + reach, columns[left] + dx[index] + reach]
        found[left[hit]] = distance[index]
        left = left[~hit]
        if not len(left):
            break
    found = found[np.isfinite(found)] if farther is None else np.minimum(found, farther)
    return float(found.mean()) if len(found) else float("nan")


def _blur(values: np.ndarray, sigma: float = 1.5) -> np.ndarray:
    radius = 5
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(values, pad, mode="edge")
        length = values.shape[axis]
        values = sum(
            weight * np.take(padded, np.arange(i, i + length), axis)
            for i, weight in enumerate(kernel)
        )
    return values


def _sobel(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = np.pad(values, 1, mode="edge")
    across = p[:-2] + 2 * p[1:-1] + p[2:]
    along = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    return along[2:] - along[:-2], across[:, 2:] - across[:, :-2]


def _thin(size: np.ndarray, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """Maxima of ``size`` along the gradient, in four directions."""
    angle = np.mod(np.arctan2(gy, gx), np.pi)
    sector = np.round(angle / (np.pi / 4)).astype(int) % 4
    p = np.pad(size, 1)
    steps = {0: (0, 1), 1: (1, 1), 2: (1, 0), 3: (1, -1)}
    h, w = size.shape
    keep = np.zeros(size.shape, dtype=bool)
    for number, (dy, dx) in steps.items():
        ahead = p[1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]
        behind = p[1 - dy : 1 - dy + h, 1 - dx : 1 - dx + w]
        keep |= (sector == number) & (size > behind) & (size >= ahead)
    return keep & (size > 0)


def _grow(strong: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Weak edge pixels that a chain of weak ones joins to a strong one."""
    h, w = strong.shape
    while True:
        p = np.pad(strong, 1)
        near = np.zeros_like(strong)
        for dy in (0, 1, 2):
            for dx in (0, 1, 2):
                near |= p[dy : dy + h, dx : dx + w]
        grown = strong | (near & weak)
        if (grown == strong).all():
            return grown
        strong = grown


def _maps(pred: Map, target: Map, valid: Mask) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, t = to_numpy(pred).astype(np.float64), to_numpy(target).astype(np.float64)
    if p.ndim != 2 or p.shape != t.shape:
        raise InputError(
            f"prediction of shape {p.shape}, target {t.shape}: edges need two (h, w) maps of one "
            "size; resize the prediction to the target."
        )
    known = find_known(t, valid)
    check_finite(p[known])
    return np.where(known, p, 1.0), np.where(known, t, 1.0), known
