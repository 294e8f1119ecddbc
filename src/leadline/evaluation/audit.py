"""Audit of ground truth: how far the truth itself can be trusted, with pictures.

- **See-through points**: a laser sits beside the camera and sees past edges; a far point between
  near ones to its left and right belongs to what the camera cannot see there.
- **Holes**: pixels without depth, and how many of them lie at depth edges (a Kinect's shadow).
- **Misregistration**: the shift in pixels that brings depth edges onto colour edges best.
- **Neighbours**: in sequences with poses, depth that the next frame contradicts: things that move,
  wrong depth or wrong poses.
- **A network**: its map, fitted by scale and shift, against the truth; a frame far off the others
  has the depth of another picture, or depth that is upside down.
- **Another source**: the same frames from another data set, raw scans against annotated maps, say.

Source: Uhrig et al., Sparsity Invariant CNNs, 3DV 2017, sec. 4 (errors of raw scans).
"""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError, LeadlineError
from leadline.evaluation.page import embed_picture, render_document
from leadline.evaluation.report import format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float

    from leadline.datasets.frame import Frame, FrameRef
    from leadline.evaluation.predictors import Predictor
    from leadline.prediction import Prediction

_REACH_PX = (5, 9)
_FARTHER = 1.3
_EDGE = 1.1
_SHIFT_PX = 6


@dataclass(frozen=True, kw_only=True)
class FrameAudit:
    """What one frame showed; NaN where it cannot be measured.

    Attributes:
        name: of the frame.
        known: share of pixels with a depth that counts.
        see_through: share of the known points that lie behind their surroundings.
        holes_at_edges: share of the holes that lie at depth edges; dense maps only.
        shift_x, shift_y: pixels by which depth edges have to move to meet colour edges.
        shift_gain: how much better they meet there, as a factor; near 1 says nothing.
        contradicted: share of pixels that the next frame's depth contradicts by over 10 %.
        other_share: share of the pixels known to both sources that differ by over 10 %.
        other_bias_m: median of the other source minus this one, metres.
        model_abs_rel: mean relative error of a network's map that is fitted to the truth.
    """

    name: str
    known: float
    see_through: float = math.nan
    holes_at_edges: float = math.nan
    shift_x: float = math.nan
    shift_y: float = math.nan
    shift_gain: float = math.nan
    contradicted: float = math.nan
    other_share: float = math.nan
    other_bias_m: float = math.nan
    model_abs_rel: float = math.nan


def audit(
    refs: Sequence[FrameRef],
    *,
    against: Sequence[FrameRef] = (),
    predict: Predictor | None = None,
) -> tuple[list[FrameAudit], list[str], list[str]]:
    """Audit frames one after another.

    Args:
        refs: the frames, in the sequence's order.
        against: the same frames, by name, from another source.
        predict: a network's maps, to compare with.

    Returns:
        The audits, figures as HTML of those with most to show, and what could not be read.

    Raises:
        InputError: no frame can be read.
    """
    others = {ref.name: ref for ref in against}
    found: list[FrameAudit] = []
    figures: list[tuple[float, str]] = []
    failed: list[str] = []
    previous: Frame | None = None
    for ref in refs:
        try:
            frame = ref.read()
            other = others[ref.name].read() if ref.name in others else None
        except LeadlineError as error:
            failed.append(f"{ref.name}: {' '.join(str(error).split())}")
            continue
        result, marked = audit_frame(frame, previous, other)
        if predict is not None:
            result = replace(result, model_abs_rel=compare_with_map(frame, predict(frame)))
        found.append(result)
        worth = [result.see_through, result.contradicted, result.model_abs_rel, 0.0]
        figures.append((float(np.nanmax(worth)), _figure(frame, marked, result)))
        figures = sorted(figures, key=lambda pair: -pair[0])[:6]
        previous = frame
    if not found:
        raise InputError(f"no frame could be read; the first: {failed[0] if failed else 'none'}")
    return found, [figure for _, figure in figures], failed


def audit_frame(
    frame: Frame, previous: Frame | None = None, other: Frame | None = None
) -> tuple[FrameAudit, Bool[np.ndarray, "h w"]]:
    """Audit one frame; also gives the suspicious pixels."""
    if frame.depth.shape != frame.image.size or frame.pairs:
        raise InputError(
            f"{frame.name}: depth is audited pixel by pixel, and {frame.group} has none for every "
            "pixel of its pictures; audit another set."
        )
    known = frame.valid
    sparse = known.mean() < 0.3
    suspicious = np.zeros(known.shape, dtype=bool)
    values: dict[str, float] = {}
    if sparse:
        suspicious = find_see_through(frame.depth, known)
        values["see_through"] = float(suspicious.sum() / max(known.sum(), 1))
    else:
        values["holes_at_edges"] = measure_edge_holes(frame.depth, known)
        values |= measure_registration(frame)
    if previous is not None:
        share, wrong = find_contradictions(previous, frame)
        values["contradicted"] = share
        suspicious |= wrong
    if other is not None and other.depth.shape == frame.depth.shape:
        both = known & other.valid
        if both.any():
            difference = (other.depth - frame.depth)[both]
            values["other_share"] = float(np.mean(np.abs(difference) > 0.1 * frame.depth[both]))
            values["other_bias_m"] = float(np.median(difference))
            suspicious |= both & (np.abs(other.depth - frame.depth) > 0.1 * frame.depth)
    return FrameAudit(name=frame.name, known=float(known.mean()), **values), suspicious


def compare_with_map(frame: Frame, pred: Prediction) -> float:
    """Mean relative error of a map that is fitted to the frame's depth; NaN where none fits."""
    try:
        aligned = pred.aligned_to(frame.depth, frame.valid)
    except LeadlineError:
        return math.nan
    both = aligned.known & frame.valid
    truth = frame.depth[both]
    return float(np.mean(np.abs(aligned.values[both] - truth) / truth))


def find_see_through(
    depth: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Points over 30 % farther than points within 9 pixels to their left and to their right."""
    near = np.where(known, depth, np.inf)
    left, right = (_nearest_beside(near, side) for side in (-1, 1))
    beside = np.maximum(left, right)  # the farther of the two nearest: both sides are in front
    return known & np.isfinite(beside) & (depth > _FARTHER * beside)


def measure_edge_holes(depth: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> float:
    """Share of unknown pixels inside the frame that have both near and far depth around them."""
    holes = ~known
    if not holes.any() or not known.any():
        return math.nan
    far = np.where(known, depth, 0)
    near = np.where(known, depth, np.inf)
    for axis in (0, 1):
        far = _window(far, axis, np.maximum)
        near = _window(near, axis, np.minimum)
    inside = holes & (far > 0)
    if not inside.any():
        return math.nan
    return float(np.mean(far[inside] > _FARTHER * near[inside]))


def measure_registration(frame: Frame) -> dict[str, float]:
    """The shift of depth edges that meets the strongest colour edges."""
    grey = frame.image.pixels.astype(np.float64).mean(-1)
    gradient = np.hypot(np.gradient(grey, axis=0), np.gradient(grey, axis=1))
    d, k = frame.depth, frame.valid
    edges = np.zeros(d.shape, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        across = d[:, 1:] / d[:, :-1]
        down = d[1:] / d[:-1]
    edges[:, 1:] |= k[:, 1:] & k[:, :-1] & ((across > _EDGE) | (across < 1 / _EDGE))
    edges[1:] |= k[1:] & k[:-1] & ((down > _EDGE) | (down < 1 / _EDGE))
    margin = _SHIFT_PX
    rows, columns = np.nonzero(edges[margin:-margin, margin:-margin])
    if len(rows) < 200:
        return {}
    span = range(-margin, margin + 1)
    scores = np.array(
        [[gradient[rows + margin + dy, columns + margin + dx].mean() for dx in span] for dy in span]
    )
    y, x = np.unravel_index(np.argmax(scores), scores.shape)
    return {
        "shift_x": float(x - margin),
        "shift_y": float(y - margin),
        "shift_gain": float(scores[y, x] / max(scores[margin, margin], 1e-9)),
    }


def find_contradictions(previous: Frame, frame: Frame) -> tuple[float, Bool[np.ndarray, "h w"]]:
    """Share of ``previous``'s points, seen from ``frame``, that its depth contradicts.

    Points that the frame says are hidden behind something nearer are no contradiction; those that
    stand over 10 % in front of what it measured are.
    """
    wrong = np.zeros(frame.depth.shape, dtype=bool)
    a, b = previous.image.camera, frame.image.camera
    if a is None or b is None or a.world_from_camera is None or b.world_from_camera is None:
        return math.nan, wrong
    v, u = np.nonzero(previous.valid)
    z = previous.depth[v, u].astype(np.float64)
    points = np.stack([(u - a.cx) / a.fx * z, (v - a.cy) / a.fy * z, z, np.ones_like(z)])
    x, y, depth, _ = np.linalg.inv(b.world_from_camera) @ a.world_from_camera @ points
    ahead = depth > 0.05
    column = np.rint(b.fx * x[ahead] / depth[ahead] + b.cx).astype(int)
    row = np.rint(b.fy * y[ahead] / depth[ahead] + b.cy).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < b.width) & (row < b.height)
    row, column, depth = row[inside], column[inside], depth[ahead][inside]
    measured = frame.depth[row, column]
    counts = frame.valid[row, column]
    bad = counts & (depth < 0.9 * measured)
    wrong[row[bad], column[bad]] = True
    return (float(bad.sum() / counts.sum()) if counts.any() else math.nan), wrong


def summarize(found: Sequence[FrameAudit]) -> dict[str, float]:
    """Median over frames of what could be measured."""
    names = [name for name in asdict(found[0]) if name != "name"]
    columns = {name: [getattr(row, name) for row in found] for name in names}
    return {
        name: float(np.nanmedian(values))
        for name, values in columns.items()
        if not all(map(math.isnan, values))
    }


def render_page(
    dataset: str, found: Sequence[FrameAudit], figures: Sequence[str], failed: Sequence[str]
) -> str:
    """A self-contained page of an audit."""
    rows = "".join(
        f"<tr><td>{name}</td><td>{format_number(value)}</td></tr>"
        for name, value in summarize(found).items()
    )
    explained = "".join(f"<li>{html.escape(line)}</li>" for line in _EXPLAINED)
    bad = "".join(f"<li>{html.escape(line)}</li>" for line in failed)
    return render_document(
        f"Audit of {dataset}",
        f"<h1>Audit of {html.escape(dataset)}</h1><p>{len(found)} frames, medians over frames.</p>"
        f"<table>{rows}</table><ul>{explained}</ul><h2>Frames with most to show</h2>"
        + "".join(figures)
        + (f"<h2>Not read</h2><ul>{bad}</ul>" if bad else ""),
    )


_EXPLAINED = (
    "see_through: laser points over 30 % behind what stands left and right of them",
    "holes_at_edges: holes between near and far, the shadow of a structured-light sensor",
    "shift_x, shift_y: pixels that depth has to move to meet the colour edges; believe it when "
    "shift_gain is well above 1",
    "contradicted: points of the frame before that stand where this frame sees through",
    "model_abs_rel: mean relative error of a network's map, fitted by scale and shift; a frame far "
    "off the others has another picture's depth",
    "other_share, other_bias_m: against the other source: share over 10 % off, median difference",
)


def _figure(frame: Frame, marked: np.ndarray, result: FrameAudit) -> str:
    picture = frame.image.pixels.copy()
    points = frame.valid
    if points.mean() < 0.3:
        picture[points] = (60, 200, 90)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            picture[np.roll(marked, (dy, dx), (0, 1))] = (255, 30, 30)
    numbers = ", ".join(
        f"{name} {format_number(value)}"
        for name, value in asdict(result).items()
        if isinstance(value, float) and not math.isnan(value)
    )
    caption = f"{html.escape(frame.name)}: {numbers}; suspicious pixels are red"
    return f"<figure>{embed_picture(picture, width=900)}<figcaption>{caption}</figcaption></figure>"


def _nearest_beside(near: np.ndarray, side: int) -> np.ndarray:
    """For every pixel the smallest depth within reach on one side."""
    height, width = near.shape
    reach_y, reach_x = _REACH_PX[0] // 2, _REACH_PX[1]
    padded = np.pad(near, ((reach_y, reach_y), (reach_x, reach_x)), constant_values=np.inf)
    found = np.full(near.shape, np.inf)
    for dy in range(2 * reach_y + 1):
        for step in range(1, reach_x + 1):
            left = reach_x + side * step
            np.minimum(found, padded[dy : dy + height, left : left + width], out=found)
    return found


def _window(values: np.ndarray, axis: int, pick: Any, reach: int = 4) -> np.ndarray:
    made = values
    length = values.shape[axis]
    for step in range(1, reach + 1):
        for sign in (-1, 1):
            index = np.clip(np.arange(length) + sign * step, 0, length - 1)
            made = pick(made, np.take(values, index, axis))
    return made


def to_dict(dataset: str, found: Sequence[FrameAudit], failed: Sequence[str]) -> dict[str, Any]:
    """The audit for JSON; NaN becomes None."""

    def plain(values: dict[str, Any]) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    return {
        "dataset": dataset,
        "frames": len(found),
        "median": plain(summarize(found)),
        "failed": list(failed),
        "per_frame": [plain(asdict(row)) for row in found],
    }
