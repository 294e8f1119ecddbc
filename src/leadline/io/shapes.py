"""What clouds and meshes consist of, for the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8, UInt32

    from leadline.camera import Camera

AXES = {
    "camera": np.eye(3, dtype=np.float32),
    "y": np.diag([1, -1, -1]).astype(np.float32),
    "z": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32),
}
"""Frame -> rotation from the camera's (x right, y down, z forward). ``y``: y up, looking along -z
(glTF, Blender's importers); ``z``: z up, looking along y (CAD, maps)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """Points, and for meshes the faces between them, in a camera's or a world's frame.

    Attributes:
        points: (n, 3) float32; of a mesh, its vertices.
        faces: (m, 3) uint32 numbers of points, counter-clockwise from their front; None: no mesh.
        colors: (n, 3) uint8 sRGB, or None.
        normals: (n, 3) float32 unit vectors, or None.
        uv: (n, 2) float32 places in ``texture``, 0..1 from its top left corner, or None.
        texture: (h, w, 3) uint8 sRGB, or None.
        unit: ``m``, ``1`` (up to one scale), ``relief`` (made up, for looks) or empty: not said.
        camera: that saw them, for the first view of viewers; None: not known.
    """

    points: Float[np.ndarray, "n 3"]
    faces: UInt32[np.ndarray, "m 3"] | None = None
    colors: UInt8[np.ndarray, "n 3"] | None = None
    normals: Float[np.ndarray, "n 3"] | None = None
    uv: Float[np.ndarray, "n 2"] | None = None
    texture: UInt8[np.ndarray, "h w 3"] | None = None
    unit: str = ""
    camera: Camera | None = None

    def __post_init__(self) -> None:
        count = len(self.points)
        for name, columns in (("points", 3), ("colors", 3), ("normals", 3), ("uv", 2)):
            array = getattr(self, name)
            if array is not None and np.shape(array) != (count, columns):
                raise InputError(
                    f"{name} of shape {np.shape(array)} for {count} points: ({count}, {columns}) "
                    "is needed."
                )
        if self.colors is not None and self.colors.dtype != np.uint8:
            raise InputError(f"colours of type {self.colors.dtype}: uint8 is needed.")

    def turn_to(self, up: str) -> Float[np.ndarray, "n 3"]:
        """Points in a frame of :data:`AXES`."""
        return self.points @ AXES[up].T

    def color_points(self) -> UInt8[np.ndarray, "n 3"] | None:
        """Colours of the points: their own, or the texture's where they lie."""
        if self.colors is not None or self.texture is None or self.uv is None:
            return self.colors
        height, width = self.texture.shape[:2]
        u = np.clip((self.uv[:, 0] * width).astype(np.intp), 0, width - 1)
        v = np.clip((self.uv[:, 1] * height).astype(np.intp), 0, height - 1)
        return self.texture[v, u]
