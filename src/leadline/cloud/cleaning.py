"""What of a depth map is no surface: sky, far planes, pixels that float in edges, islands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.cloud.edges import Links, link_pixels
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.cloud.surface import Surface

SKY = ("cut", "keep")
"""What to do with the sky and with planes at the largest depth a network can say."""

_PLANE_SHARE = 0.005
_PLANE_DISTANCE = 4.0


def clean(
    surface: Surface,
    sky: Bool[np.ndarray, "h w"] | None = None,
    *,
    edges: str = "cut",
    cut_sky: bool = True,
) -> tuple[Surface, Links]:
    """Remove what is no surface, and find which of the remaining pixels belong together.

    Args:
        surface: the map.
        sky: where a model sees sky.
        edges: as of :func:`~leadline.cloud.edges.link_pixels`; with ``keep`` nothing is removed but
            the sky.
        cut_sky: remove the sky and :func:`find_far_plane`.

    Raises:
        UnknownNameError: another way with edges.
        InputError: no pixel is left.
    """
    known = surface.known.any()
    if cut_sky:
        if sky is not None:
            surface = surface.without(sky)
        surface = surface.without(find_far_plane(surface))
    if not surface.known.any():
        what = "nothing but sky or far planes; keep them with sky='keep' (--sky keep)"
        raise InputError(
            f"no point is left: the map holds {what if known else 'no positive depth'}."
        )
    links = link_pixels(surface, edges)
    if edges == "keep":
        return surface, links
    floating = _find_floating(surface.depth, surface.known, links)
    links = _unlink(links, floating)
    lonely = _find_islands(links)
    kept = surface.without(floating | lonely)
    return (kept, _unlink(links, lonely)) if kept.known.any() else (surface, links)


def check_sky(sky: str) -> bool:
    """Whether ``sky``, one of :data:`SKY`, cuts.

    Raises:
        UnknownNameError: another name.
    """
    if sky not in SKY:
        raise UnknownNameError("way with the sky", sky, SKY)
    return sky == "cut"


def find_far_plane(surface: Surface) -> Bool[np.ndarray, "h w"]:
    """Pixels at the one largest depth, when they are many and far behind all others.

    Networks that end at 80 m draw the sky as a sheet there.
    """
    none = np.zeros(surface.size, bool)
    if not surface.known.any():
        return none
    farthest = surface.depth[surface.known].max()
    plane = surface.known & (surface.depth >= farthest * np.float32(1 - 1e-6))
    rest = surface.depth[surface.known & ~plane]
    far = rest.size and farthest >= _PLANE_DISTANCE * np.median(rest)
    blocks = plane[1:, 1:] & plane[1:, :-1] & plane[:-1, 1:] & plane[:-1, :-1]  # no single row
    return plane if far and blocks.sum() >= _PLANE_SHARE * plane.size else none


def _find_floating(
    depth: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], links: Links
) -> Bool[np.ndarray, "h w"]:
    """Pixels between two cuts that both go up or both go down: what a soft edge is made of."""
    floating = np.zeros(depth.shape, bool)
    for axis, linked in ((1, links.right), (0, links.down)):
        z, seen, joined, found = (
            (a.T if axis == 0 else a) for a in (depth, known, linked, floating)
        )
        cut = ~joined & seen[:, 1:] & seen[:, :-1]
        row, column = np.nonzero(cut[:, 1:] & cut[:, :-1])
        column = column + 1
        middle = z[row, column]
        up = (z[row, column + 1] > middle) == (middle > z[row, column - 1])
        found[row[up], column[up]] = True
    return floating


def _find_islands(links: Links) -> Bool[np.ndarray, "h w"]:
    """Pixels that are linked to nothing, and pairs that are linked to one another alone."""
    count = links.count()
    lonely = count == 0
    single = count == 1
    for linked, first, second in (
        (links.right, np.s_[:, :-1], np.s_[:, 1:]),
        (links.down, np.s_[:-1], np.s_[1:]),
    ):
        pair = linked & single[first] & single[second]
        lonely[first] |= pair
        lonely[second] |= pair
    return lonely


def _unlink(links: Links, removed: Bool[np.ndarray, "h w"]) -> Links:
    kept = ~removed
    return Links(
        right=links.right & kept[:, 1:] & kept[:, :-1], down=links.down & kept[1:] & kept[:-1]
    )
