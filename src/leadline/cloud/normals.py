"""Normals of a depth map, from the plane that the smoother neighbours of every pixel lie on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.cloud.edges import Links, link_pixels

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.camera import Camera
    from leadline.cloud.surface import Surface

_ROWS = 64  # of a strip, which stays in the processor's cache
_HALO = 2
_UNKNOWN = np.float32(1e30)  # the bend of what is not seen


def estimate_normals(
    surface: Surface, links: Links | None = None, *, edges: str = "cut"
) -> Float[np.ndarray, "h w 3"]:
    """Unit normals in the camera's frame, towards the camera; NaN where the depth is not known.

    The plane n P = 1 through a pixel gives 1 / depth = a x + b y + c in pixels, and its normal
    follows from a and b. Of the slopes on both sides of the pixel the one that bends less on weighs
    more, so that a crease stays sharp, and none is taken across an edge. Where a row or a column
    has no neighbour on the same surface, its slope is 0.

    Args:
        surface: the map.
        links: of its pixels; default: found with ``edges``.
        edges: as of :func:`~leadline.cloud.edges.link_pixels`.
    """
    links = link_pixels(surface, edges) if links is None else links
    height, width = surface.size
    normals = np.empty((height, width, 3), np.float32)
    inverse = np.nan_to_num(surface.inverse)
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        low, high = max(top - _HALO, 0), min(bottom + _HALO, height)
        strip = inverse[low:high]
        inner = slice(top - low, bottom - low)
        a = _blend_slopes(strip[inner], links.right[top:bottom])
        b = _blend_slopes(strip.T, links.down[low : high - 1].T).T[inner]
        _write_normals(normals[top:bottom], strip[inner], a, b, top, surface.camera)
    normals[~surface.known] = np.nan
    return normals


def _blend_slopes(
    inverse: Float[np.ndarray, "h w"], linked: Bool[np.ndarray, "h w-1"]
) -> Float[np.ndarray, "h w"]:
    """Slope of every pixel along the rows, from its links on both sides."""
    height, width = inverse.shape
    slope = np.zeros((height, width + 1), np.float32)
    np.subtract(inverse[:, 1:], inverse[:, :-1], out=slope[:, 1:-1], where=linked)
    known = np.zeros((height, width + 1), np.float32)
    known[:, 1:-1] = linked
    bend = np.full((height, width + 2), _UNKNOWN)  # how much the slope changes at every pixel
    both = np.zeros((height, width), bool)
    both[:, 1:-1] = linked[:, 1:] & linked[:, :-1]
    np.abs(np.subtract(slope[:, 1:], slope[:, :-1]), out=bend[:, 1:-1], where=both)
    tiny = np.float32(1e-12)
    left = (bend[:, 2:] + tiny) * known[:, :-1]  # each is weighed by the other's bend
    right = (bend[:, :-2] + tiny) * known[:, 1:]
    total = left + right
    mean = left * slope[:, :-1] + right * slope[:, 1:]
    return np.divide(mean, total, out=np.zeros_like(mean), where=total > 0)


def _write_normals(
    out: Float[np.ndarray, "h w 3"],
    inverse: Float[np.ndarray, "h w"],
    a: Float[np.ndarray, "h w"],
    b: Float[np.ndarray, "h w"],
    top: int,
    camera: Camera,
) -> None:
    """The normals of planes with slopes ``a`` and ``b``, in rows from ``top`` on."""
    height, width = inverse.shape
    x = (np.arange(width) - camera.cx).astype(np.float32)
    y = (np.arange(top, top + height) - camera.cy).astype(np.float32)[:, None]
    nx, ny = a * np.float32(-camera.fx), b * np.float32(-camera.fy)
    nz = a * x + b * y - inverse
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
        np.multiply(nx, scale, out=out[..., 0])
        np.multiply(ny, scale, out=out[..., 1])
        np.multiply(nz, scale, out=out[..., 2])
