"""The page of a report: numbers, histograms, the best and the worst frames with error maps."""

from __future__ import annotations

import base64
import html
import io
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PilImage

from leadline import viz
from leadline.evaluation.predictors import adapt_to_protocol
from leadline.evaluation.report import format_number
from leadline.evaluation.run import apply_frame_cap
from leadline.kinds import DepthKind
from leadline.metrics import LARGER_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.datasets.frame import Frame, FrameRef
    from leadline.evaluation.predictors import Predictor
    from leadline.evaluation.report import Report
    from leadline.prediction import Prediction

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;"
    "color:#222;background:#fff}table{border-collapse:collapse}td,th{padding:.2em .8em;"
    "text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}"
    "figure{margin:1em 0}figure img{max-width:100%}figcaption{color:#555}"
    ".charts{display:flex;flex-wrap:wrap;gap:1.5em}small{color:#666}"
)
_SHOWN_WIDTH = 380
_ERROR_LIMIT = 0.5
CHARTS = ("abs_rel", "rmse", "delta1", "silog", "bad_pixel_percent", "ordinal")


def render_page(
    report: Report, refs: Sequence[FrameRef], predict: Predictor, *, cases: int = 4
) -> str:
    """A self-contained HTML page.

    Args:
        report: the numbers.
        refs: the frames that were scored; the best and the worst are read again.
        predict: that made the predictions.
        cases: how many of the best and of the worst to show.
    """
    order, predict = report.rank_frames(), adapt_to_protocol(predict, report.protocol)
    best = order[:cases]
    worst = [name for name in reversed(order) if name not in best][:cases]
    by_name = {ref.name: ref for ref in refs}
    parts = [
        f"<h1>{_e(report.model or 'predictions')} on {_e(report.dataset)}</h1>",
        f"<p>Protocol <b>{_e(report.protocol.name)}</b>: {_e(report.protocol.summary)}. "
        f"Source: {_e(report.protocol.source)}.</p>",
        *(f"<p><small>Quirk: {_e(quirk)}.</small></p>" for quirk in report.protocol.quirks),
        f"<p>{len(report.scores.rows)} frames, {len(report.skipped)} left out.</p>",
        *(f"<p>{_e(line)}</p>" for line in report.describe_left_out()),
        _numbers(report),
        _distances(report),
        "<h2>Frames</h2>",
        '<div class="charts">',
        *(
            draw_histogram([row.metrics[name] for row in report.scores.rows], name)
            for name in CHARTS
            if name in report.scores.metrics
        ),
        "</div>",
    ]
    for title, names in (("Worst", worst), ("Best", best)):
        if names:
            parts.append(f"<h2>{title} by {_e(report.scores.metrics[0])}</h2>")
            parts += [_case(report, by_name[name], predict) for name in names]
    if report.skipped:
        rows = "".join(f"<li>{_e(s.name)}: {_e(s.error)}</li>" for s in report.skipped)
        parts.append(f"<h2>Left out</h2><ul>{rows}</ul>")
    parts.append(f"<p><small>Leadline {_e(report.version)}</small></p>")
    return render_document(f"{report.model} on {report.dataset}", "\n".join(parts))


def render_document(title: str, body: str) -> str:
    """An HTML document with the house's style and no outside reference."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_e(title)}</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def draw_error_map(
    pred: np.ndarray, truth: np.ndarray, counts: np.ndarray, *, limit: float = _ERROR_LIMIT
) -> np.ndarray:
    """Relative error in colours, dark = right, bright = ``limit`` or more; slate = not counted.

    Sparse truth (laser points) is made 3 x 3 pixels large so that it can be seen.
    """
    error = np.where(counts, np.abs(pred - truth) / np.where(counts, truth, 1), -1.0)
    if counts.mean() < 0.3:
        padded = np.pad(error, 1, constant_values=-1.0)
        height, width = error.shape
        around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
        error = np.max(around, axis=0)
    return viz.colorize(error, cmap="inferno", valid=error >= 0, limits=(0, limit))


def embed_picture(picture: np.ndarray, *, width: int = _SHOWN_WIDTH) -> str:
    """An ``img`` element that holds its picture."""
    shown = PilImage.fromarray(picture)
    if shown.width > width:
        shown = shown.resize((width, max(1, round(shown.height * width / shown.width))))
    file = io.BytesIO()
    shown.save(file, format="PNG", optimize=True)
    code = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{code}">'


def draw_histogram(values: Sequence[float], label: str) -> str:
    """An inline picture of how often which value comes."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    counts, edges = np.histogram(known, bins=min(20, max(5, len(known) // 3)))
    bar, height = 14, 90
    bars = "".join(
        f'<rect x="{i * bar}" y="{height - height * c / counts.max():.1f}" width="{bar - 2}" '
        f'height="{height * c / counts.max():.1f}" fill="#57068c"/>'
        for i, c in enumerate(counts)
    )
    width = bar * len(counts)
    low, high = (format_number(float(edges[end])) for end in (0, -1))
    return (
        f'<figure><svg width="{max(width, 160)}" height="{height}" role="img">{bars}</svg>'
        f"<figcaption>{_e(label)}: {low} to {high}</figcaption></figure>"
    )


def _numbers(report: Report) -> str:
    mean, intervals = report.scores.mean(), report.scores.intervals()
    image, pooled = report.scores.per_image(), report.scores.pool()
    rows = "".join(
        f"<tr><td>{_e(name)} {'&uarr;' if name in LARGER_IS_BETTER else '&darr;'}</td>"
        f"<td><b>{format_number(value)}</b></td>"
        f"<td>{format_number(intervals[name].low)} to {format_number(intervals[name].high)}</td>"
        f"<td>{format_number(image[name])}</td>"
        f"<td>{format_number(pooled.get(name, math.nan))}</td></tr>"
        for name, value in mean.items()
    )
    return (
        "<table><tr><th>metric</th><th>value</th><th>95 % interval</th><th>per image</th>"
        f"<th>pooled</th></tr>{rows}</table>"
    )


def _distances(report: Report) -> str:
    found: Mapping[str, Mapping[str, float]] = report.scores.by_distance()
    if not found:
        return ""
    names = [n for n in ("abs_rel", "rmse", "delta1") if n in next(iter(found.values()))]
    head = "".join(f"<th>{n}</th>" for n in names)
    rows = "".join(
        f"<tr><td>{bin_}</td><td>{100 * row['share']:.0f} %</td>"
        + "".join(f"<td>{format_number(row[n])}</td>" for n in names)
        + "</tr>"
        for bin_, row in found.items()
    )
    return (
        "<h2>By distance</h2><p><small>near: up to a quarter of the cap, mid: up to half, far: "
        f"beyond; pooled.</small></p><table><tr><th></th><th>pixels</th>{head}</tr>{rows}</table>"
    )


def _case(report: Report, ref: FrameRef, predict: Predictor) -> str:
    frame = ref.read()
    row = next(row for row in report.scores.rows if row.name == ref.name)
    numbers = ", ".join(
        f"{name} {format_number(row.metrics[name])}" for name in report.scores.metrics[:4]
    )
    pictures = "".join(
        embed_picture(picture) + " " for picture in _pictures(report, frame, predict)
    )
    return f"<figure>{pictures}<figcaption>{_e(ref.name)}: {numbers}</figcaption></figure>"


def _pictures(report: Report, frame: Frame, predict: Predictor) -> list[np.ndarray]:
    """Photo, prediction and, for protocols of depth, the error."""
    pred: Prediction = predict(frame)
    shown = [frame.image.pixels]
    if frame.pairs:
        return [*shown, pred.colorize()]
    if frame.disparity is not None and report.protocol.name.startswith("kitti-stereo"):
        return [*shown, pred.colorize()]
    depth, truth, counts = apply_frame_cap(report.protocol, frame).align_maps(
        pred, frame.depth, baseline_m=frame.baseline_m
    )
    near = viz.nearness(depth, DepthKind.METRIC_DEPTH)
    return [*shown, viz.colorize(near), draw_error_map(depth, truth, counts)]


def _e(text: str) -> str:
    return html.escape(text)
