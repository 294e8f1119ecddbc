"""PLY: coloured point clouds for MeshLab, CloudCompare, Blender, Open3D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os

    from jaxtyping import Float, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class PointCloud:
    """Points (n, 3) float32 and their colours (n, 3) uint8, or None."""

    points: Float[np.ndarray, "n 3"]
    colors: UInt8[np.ndarray, "n 3"] | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a binary PLY file."""
        write_ply(path, self.points, self.colors)


def write_ply(
    path: str | os.PathLike[str],
    points: Float[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"] | None = None,
) -> None:
    """Write points (and RGB colours) as binary little-endian PLY.

    Raises:
        InputError: the shapes do not fit.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"points of shape {points.shape}: (n, 3) is needed.")
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    if colors is not None:
        colors = np.asarray(colors)
        if colors.shape != points.shape or colors.dtype != np.uint8:
            raise InputError(
                f"colours of shape {colors.shape} and type {colors.dtype} for {len(points)} "
                "points: uint8 of the same shape is needed."
            )
        fields += [("red", "u1"), ("green", "u1"), ("blue", "u1")]
    table = np.empty(len(points), dtype=fields)
    for i, name in enumerate("xyz"):
        table[name] = points[:, i]
    if colors is not None:
        for i, name in enumerate(("red", "green", "blue")):
            table[name] = colors[:, i]
    names = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property {names[kind]} {name}" for name, kind in fields]
    header += ["end_header", ""]
    with atomic_write(path) as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(table.tobytes())
