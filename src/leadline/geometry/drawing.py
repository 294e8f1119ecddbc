"""Matched points and their epipolar lines on two pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline import viz
from leadline.geometry.epipolar import epipolar_lines, line_ends

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from leadline.geometry.matching import Matches
    from leadline.image import Image


def draw_epipolar(
    first: Image,
    second: Image,
    matches: Matches,
    F: Float[np.ndarray, "3 3"],
    *,
    points: int = 24,
) -> UInt8[np.ndarray, "h w 3"]:
    """Both pictures side by side: points, and in the same colour their lines in the other.

    Args:
        first: a picture.
        second: the other.
        matches: right ones between them.
        F: second^T F first = 0.
        points: how many matches to draw, spread over the first picture.
    """
    rows = _spread(matches.first, points)
    colors = viz.colorize(np.linspace(0, 1, max(2, len(rows)))[None], cmap="turbo")[0]
    sides = (
        (first, matches.first[rows], epipolar_lines(F.T, matches.second[rows])),
        (second, matches.second[rows], epipolar_lines(F, matches.first[rows])),
    )
    drawn = []
    for image, places, lines in sides:
        ends, _ = line_ends(lines, image.size[1], image.size[0])
        drawn.append(viz.draw_marks(image.pixels, places, colors, segments=ends))
    return viz.side_by_side(*drawn)


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    """Rows of places far from each other: each next one is the farthest from those before."""
    if len(places) <= count:
        return np.arange(len(places))
    rows = [int(np.argmin(places.sum(1)))]
    away = np.linalg.norm(places - places[rows[0]], axis=1)
    while len(rows) < count:
        rows.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(places - places[rows[-1]], axis=1))
    return np.array(sorted(rows, key=lambda row: places[row, 0]))
