"""PLY: coloured point clouds and meshes for MeshLab, CloudCompare, Blender, Open3D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.io.shapes import AXES, Shape
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    import os

    from jaxtyping import Float, UInt8

_NAMES = {"<f4": "float", "u1": "uchar"}
_BLOCK = 1 << 18  # rows that are put together at once


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
    write_shape(path, Shape(points=points, colors=None if colors is None else np.asarray(colors)))


def write_shape(path: str | os.PathLike[str], shape: Shape, up: str = "camera") -> None:
    """Write points with their normals and colours, and faces, as binary little-endian PLY.

    Args:
        path: the file.
        shape: what to write; a texture becomes colours of the points.
        up: the frame, of :data:`~leadline.io.shapes.AXES`.
    """
    columns: list[tuple[tuple[str, ...], str, np.ndarray]] = [
        (("x", "y", "z"), "<f4", shape.turn_to(up))
    ]
    if shape.normals is not None:
        columns.append((("nx", "ny", "nz"), "<f4", shape.normals @ AXES[up].T))
    colors = shape.color_points()
    if colors is not None:
        columns.append((("red", "green", "blue"), "u1", colors))
    fields = [(name, kind) for names, kind, _ in columns for name in names]
    header = ["ply", "format binary_little_endian 1.0"]
    if shape.unit:
        header.append(f"comment unit {shape.unit}")
    header.append(f"element vertex {len(shape.points)}")
    header += [f"property {_NAMES[kind]} {name}" for name, kind in fields]
    if shape.faces is not None:
        header += [f"element face {len(shape.faces)}", "property list uchar int vertex_indices"]
    with atomic_write(path) as file:
        file.write("\n".join([*header, "end_header", ""]).encode("ascii"))
        for start in range(0, len(shape.points), _BLOCK):
            rows = slice(start, start + _BLOCK)
            table = np.empty(len(shape.points[rows]), dtype=fields)
            for names, _, values in columns:
                for i, name in enumerate(names):
                    table[name] = values[rows, i]
            file.write(table.tobytes())
        if shape.faces is not None:
            table = np.empty(len(shape.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
            table["count"], table["corners"] = 3, shape.faces
            file.write(table.tobytes())
