"""How a map shows itself in a notebook: one picture, a histogram and a short table, as HTML.

The page around it may be light or dark, so texts take its colours, and nothing is fetched.
"""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PilImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float, UInt8

_LONGEST = 720
"""Longest side of the picture in pixels: notebooks keep every picture that they showed."""

_BARS = 48
_BAR_PX, _HIGHEST_PX = 6, 60


def render_png(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture as PNG, made smaller where it is larger than a notebook's column."""
    shown = PilImage.fromarray(picture)
    shown.thumbnail((_LONGEST, _LONGEST))
    file = io.BytesIO()
    shown.save(file, format="PNG")
    return file.getvalue()


def render_html(
    picture: UInt8[np.ndarray, "h w 3"],
    values: Float[np.ndarray, " n"],
    rows: Mapping[str, str],
    *,
    unit: str,
) -> str:
    """Picture, histogram and table.

    Args:
        picture: of the map, with its legend.
        values: all that are known.
        rows: of the table.
        unit: of the values; ``"1"`` for none.
    """
    data = base64.b64encode(render_png(picture)).decode()
    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(text)}</td></tr>'
        for name, text in rows.items()
    )
    alt = html.escape(", ".join(f"{name} {text}" for name, text in rows.items()))
    return (
        '<div class="leadline-prediction" style="display:flex;flex-wrap:wrap;gap:1em">'
        f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{data}"/>'
        f"<div><table>{cells}</table>{_render_histogram(values, unit)}</div></div>"
    )


def _render_histogram(values: np.ndarray, unit: str) -> str:
    """Bars of how many pixels have which value, between the 0.5th and 99.5th percentile."""
    if not values.size:
        return ""
    low, high = (float(end) for end in np.percentile(values, (0.5, 99.5)))
    counts, _ = np.histogram(values, bins=_BARS, range=(low, high if high > low else low + 1))
    heights = np.rint(counts / max(1, counts.max()) * _HIGHEST_PX).astype(int)
    bars = "".join(
        f'<rect x="{place * _BAR_PX}" y="{_HIGHEST_PX - height}" width="{_BAR_PX - 1}" '
        f'height="{height}"/>'
        for place, height in enumerate(heights)
    )
    width, height = _BARS * _BAR_PX, _HIGHEST_PX + 16
    ends = f"{low:.3g} to {high:.3g}{'' if unit == '1' else f' {unit}'}"
    return (
        f'<svg role="img" aria-label="Histogram of the values, {ends}" width="{width}" '
        f'height="{height}" fill="currentColor">{bars}'
        f'<text y="{height - 2}" font-size="12">{low:.3g}</text>'
        f'<text x="{width}" y="{height - 2}" font-size="12" text-anchor="end">{high:.3g}'
        f"{'' if unit == '1' else f' {unit}'}</text></svg>"
    )
