"""OBJ: a cloud or a mesh as text, with its material (.mtl) and texture (.jpg) beside it."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from leadline.io.glb import encode_jpeg
from leadline.io.shapes import AXES, Shape
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 1 << 16


def list_files(path: Path) -> tuple[Path, Path, Path]:
    """The file itself, its material and its texture."""
    return path, path.with_suffix(".mtl"), path.with_suffix(".texture.jpg")


def write_obj(path: Path, shape: Shape, up: str = "y") -> None:
    """Write ``path``, and for a texture the other files of :func:`list_files`.

    Points without a texture get their colours behind their places, which most programs read.

    Args:
        path: the file.
        shape: what to write.
        up: the frame, of :data:`~leadline.io.shapes.AXES`.
    """
    textured = shape.faces is not None and shape.texture is not None and shape.uv is not None
    _, material, texture = list_files(path)
    if textured:
        with atomic_write(texture) as file:
            file.write(encode_jpeg(shape.texture))
        with atomic_write(material) as file:
            file.write(f"newmtl photo\nKd 1 1 1\nillum 0\nmap_Kd {texture.name}\n".encode())
    with atomic_write(path) as file:
        if shape.unit:
            file.write(f"# unit {shape.unit}\n".encode())
        if textured:
            file.write(f"mtllib {material.name}\nusemtl photo\n".encode())
        points = shape.turn_to(up)
        colors = None if textured else shape.color_points()
        if colors is None:
            _write_rows(file, "v %.6g %.6g %.6g\n", points)
        else:
            _write_rows(
                file, "v %.6g %.6g %.6g %.4g %.4g %.4g\n", np.hstack([points, colors / 255])
            )
        if textured:  # v runs up here
            _write_rows(file, "vt %.6g %.6g\n", shape.uv * [1, -1] + [0, 1])
        if shape.normals is not None:
            _write_rows(file, "vn %.4g %.4g %.4g\n", shape.normals @ AXES[up].T)
        if shape.faces is not None:
            line, repeats = _face_line(textured, shape.normals is not None)
            _write_rows(file, line, np.repeat(shape.faces + 1, repeats, axis=1))


def _face_line(textured: bool, with_normals: bool) -> tuple[str, int]:
    """The line of a face, and how often each corner's one number stands in it."""
    if with_normals:
        corner, repeats = ("%d/%d/%d", 3) if textured else ("%d//%d", 2)
    else:
        corner, repeats = ("%d/%d", 2) if textured else ("%d", 1)
    return f"f {corner} {corner} {corner}\n", repeats


def _write_rows(file: IO[bytes], line: str, rows: np.ndarray) -> None:
    """One line of text per row."""
    for start in range(0, len(rows), _BLOCK):
        block: Sequence[Sequence[float]] = rows[start : start + _BLOCK].tolist()
        file.write("".join([line % tuple(row) for row in block]).encode("ascii"))
