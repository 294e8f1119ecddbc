"""Triangles between neighbouring pixels of one surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt32

    from leadline.cloud.edges import Links


def triangulate(
    inverse: Float[np.ndarray, "h w"],
    links: Links,
    squares: Bool[np.ndarray, "h-1 w-1"] | None = None,
) -> UInt32[np.ndarray, "n 3"]:
    """Faces over the pixels, numbered in the order of rows, counter-clockwise for the camera.

    Of the two diagonals of four pixels the one is taken over which 1 / depth changes less; where a
    corner is cut off, the one that leaves the other three together.

    Args:
        inverse: 1 / depth.
        links: which neighbours belong together.
        squares: which squares of four pixels to cover, by their top left one; None: all.
    """
    height, width = inverse.shape
    top, bottom = links.right[:-1], links.right[1:]
    left, right = links.down[:, :-1], links.down[:, 1:]
    if squares is not None:
        top, bottom, left, right = (side & squares for side in (top, bottom, left, right))
    falling = np.abs(inverse[1:, 1:] - inverse[:-1, :-1])  # from top left to bottom right
    rising = np.abs(inverse[1:, :-1] - inverse[:-1, 1:])
    with np.errstate(invalid="ignore"):
        choose_rising = falling > rising
    choose_rising &= top & bottom & left & right
    choose_rising |= (top & left) ^ (bottom & right)
    corner = np.arange(height * width, dtype=np.uint32).reshape(height, width)
    tl, tr = corner[:-1, :-1], corner[:-1, 1:]
    bl, br = corner[1:, :-1], corner[1:, 1:]
    parts = []
    for corners, kept in (
        ((tl, bl, tr), choose_rising & top & left),
        ((tr, bl, br), choose_rising & bottom & right),
        ((tl, bl, br), ~choose_rising & left & bottom),
        ((tl, br, tr), ~choose_rising & right & top),
    ):
        parts.append(np.stack([one[kept] for one in corners], axis=1))
    return np.concatenate(parts)


def compact(
    faces: UInt32[np.ndarray, "n 3"], count: int
) -> tuple[np.ndarray, UInt32[np.ndarray, "n 3"]]:
    """Leave vertices out that no face uses.

    Args:
        faces: of ``count`` vertices.
        count: of vertices.

    Returns:
        (count,) bool, True where a vertex is used; the faces over those alone.
    """
    used = np.zeros(count, bool)
    used[faces.ravel()] = True
    numbers = np.cumsum(used, dtype=np.uint32) - np.uint32(1)
    return used, numbers[faces]
