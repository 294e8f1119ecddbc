"""From a depth map to a point cloud or a textured mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.cloud.cleaning import check_sky, clean
from leadline.cloud.decimation import choose_points, choose_step, decimate
from leadline.cloud.edges import EDGES
from leadline.cloud.mesh import compact
from leadline.cloud.normals import estimate_normals
from leadline.cloud.surface import Surface, lift, sample
from leadline.errors import InputError, UnknownNameError
from leadline.io import Mesh, PointCloud

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.camera import Camera
    from leadline.cloud.edges import Links


@dataclass(frozen=True, kw_only=True)
class CloudOptions:
    """How a map becomes a cloud or a mesh.

    Attributes:
        edges: ``cut``, ``keep`` or ``relative-3x3``; see :func:`leadline.cloud.link_pixels`.
        sky: ``cut``, what is sky or a plane at the network's largest depth; or ``keep``.
        max_points: points at most; None: one for every pixel.
        normals: give the points normals.
    """

    edges: str = "cut"
    sky: str = "cut"
    max_points: int | None = None
    normals: bool = False

    def __post_init__(self) -> None:
        if self.edges not in EDGES:
            raise UnknownNameError("way with edges", self.edges, EDGES)
        check_sky(self.sky)
        if self.max_points is not None and self.max_points < 4:
            raise InputError(f"max_points={self.max_points}: 4 or more are needed.")


def make_point_cloud(
    surface: Surface,
    options: CloudOptions | None = None,
    *,
    sky: Bool[np.ndarray, "h w"] | None = None,
) -> PointCloud:
    """Points of a map in the camera's frame, in the map's unit.

    With fewer points than pixels every block of pixels gives its middle, and its nearest and its
    farthest where an edge runs through it, so that thin things stay.

    Args:
        surface: the map.
        options: see :class:`CloudOptions`.
        sky: where a model sees sky.

    Raises:
        InputError: no pixel is left.
    """
    options = options or CloudOptions()
    cleaned, links = clean(surface, sky, edges=options.edges, cut_sky=options.sky == "cut")
    keep = choose_points(cleaned, links, options.max_points)
    normals = _normals_of(cleaned, links)[keep] if options.normals else None
    return PointCloud(
        points=lift(surface.depth, surface.camera, keep),
        colors=None if surface.pixels is None else surface.pixels[keep],
        normals=normals,
        unit=surface.unit,
        camera=surface.camera.moved(None),
    )


def make_mesh(
    surface: Surface,
    options: CloudOptions | None = None,
    *,
    sky: Bool[np.ndarray, "h w"] | None = None,
) -> Mesh:
    """Triangles over a map in the camera's frame, with the picture as texture.

    Args:
        surface: the map.
        options: see :class:`CloudOptions`.
        sky: where a model sees sky.

    Raises:
        InputError: no pixel is left, or no two that belong together.
    """
    options = options or CloudOptions()
    step = choose_step(surface.depth.size, options.max_points)
    while True:
        cleaned, links = clean(
            surface.every(step),
            None if sky is None else sample(sky, step),
            edges=options.edges,
            cut_sky=options.sky == "cut",
        )
        faces = decimate(cleaned.inverse, links, options.max_points)
        used, faces = compact(faces, cleaned.depth.size)
        if options.max_points is None or used.sum() <= options.max_points:
            break
        step += 1
    if len(faces) == 0:
        raise InputError(
            "no three neighbouring pixels lie on one surface, so there is no mesh; take points "
            "(--points), or keep the edges (edges='keep', --edges keep)."
        )
    keep = used.reshape(cleaned.size)
    points = lift(cleaned.depth, cleaned.camera, keep)
    return Mesh(
        points=points,
        faces=faces,
        normals=_normals_of(cleaned, links)[keep] if options.normals else None,
        uv=_place_in_picture(points, surface.camera),
        texture=surface.pixels,
        unit=surface.unit,
        camera=surface.camera.moved(None),
    )


def _place_in_picture(points: Float[np.ndarray, "n 3"], camera: Camera) -> np.ndarray:
    """(n, 2) places of points in the picture, 0..1 from its top left corner."""
    uv = np.empty((len(points), 2), np.float32)
    uv[:, 0] = (points[:, 0] / points[:, 2] * camera.fx + camera.cx + 0.5) / camera.width
    uv[:, 1] = (points[:, 1] / points[:, 2] * camera.fy + camera.cy + 0.5) / camera.height
    return uv


def _normals_of(surface: Surface, links: Links) -> Float[np.ndarray, "h w 3"]:
    """The model's normals where it gave them, else those of the depth."""
    if surface.normals is None:
        return estimate_normals(surface, links)
    given = np.isfinite(surface.normals).all(axis=2, keepdims=True)
    return np.where(given, surface.normals, estimate_normals(surface, links))
