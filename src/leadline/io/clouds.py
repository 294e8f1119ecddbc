"""Point clouds and meshes, and how they are saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.errors import InputError, UnknownNameError
from leadline.io.glb import write_glb
from leadline.io.obj import write_obj
from leadline.io.page import write_page
from leadline.io.ply import write_shape as write_ply_shape
from leadline.io.shapes import AXES, Shape

if TYPE_CHECKING:
    import os

SHAPE_FORMATS = {"ply": ".ply", "glb": ".glb", "obj": ".obj", "html": ".html"}
"""Format -> suffix of clouds and meshes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PointCloud(Shape):
    """Points with colours and normals; see :class:`~leadline.io.shapes.Shape`."""

    def save(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 (numpy's and Pillow's word for it)
        *,
        up: str | None = None,
    ) -> None:
        """Write the points; see :func:`save_shape`."""
        save_shape(self, path, format, up=up)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh(Shape):
    """Triangles, textured or coloured; see :class:`~leadline.io.shapes.Shape`."""

    def save(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 (numpy's and Pillow's word for it)
        *,
        up: str | None = None,
    ) -> None:
        """Write the mesh; see :func:`save_shape`."""
        save_shape(self, path, format, up=up)


def save_shape(
    shape: Shape,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 (numpy's and Pillow's word for it)
    *,
    up: str | None = None,
) -> None:
    """Write a cloud or a mesh, every file whole or not at all.

    Args:
        shape: what to write.
        path: the file; ``obj`` writes its ``.mtl`` and ``.jpg`` beside it.
        format: a name of :data:`SHAPE_FORMATS`; default: what the suffix says.
        up: a name of :data:`~leadline.io.shapes.AXES`; default: ``camera`` for ``ply``, ``y`` for
            the others. ``glb`` and ``html`` are y-up by their definition.

    Raises:
        UnknownNameError: no such format or axis.
        InputError: an axis that the format does not allow.
    """
    path = Path(path)
    name = format or path.suffix.lower().removeprefix(".")
    if name not in SHAPE_FORMATS:
        raise UnknownNameError("format of a cloud", name, SHAPE_FORMATS)
    if up is not None and up not in AXES:
        raise UnknownNameError("axis", up, AXES)
    if name == "ply":
        write_ply_shape(path, shape, up or "camera")
    elif name == "obj":
        write_obj(path, shape, up or "y")
    elif up not in (None, "y"):
        raise InputError(
            f"{path}: {name} is y-up by its definition, and {up} was given; leave it out, or take "
            "ply or obj."
        )
    elif name == "glb":
        write_glb(path, shape)
    else:
        write_page(path, shape)
