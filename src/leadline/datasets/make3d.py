"""Make3D: photographs with a coarse grid of laser ranges.

Source: Saxena, Sun, Ng, Make3D: Learning 3-D Scene Structure from a Single Still Image, PAMI 2009;
the central crop: Godard et al. 2017 and 2019.

The grid has 55 rows and 305 columns over the whole picture (2272 x 1704), so a frame's depth is
``coarse``: the protocols bring the prediction to the grid.

One of the 134 test pictures, the 61st by name counted from 0, is known to be damaged; many
evaluations leave it out and have 133. It is kept here: delete its file for their numbers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.datasets.frame import Frame, FrameRef, read_mat, zero_unknown
from leadline.datasets.spec import DatasetSpec, Open
from leadline.errors import InputError
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

GRID = (55, 305)
_ROWS = slice(17, 38)  # of the grid, in the central crop
_CHANNEL = {"range": 3, "z": 2}
MAX_DEPTH_M = 80.0
"""The scanner's reach; codes beyond mean that nothing came back."""

Quantity = Literal["range", "z"]
_FOLDERS = {"test": "Test134", "test-central": "Test134", "train": "Train400"}


def make3d_refs(root: Path, split: str = "test", *, quantity: Quantity = "range") -> list[FrameRef]:
    """Frames ``img-NAME.jpg`` with ``depth_sph_corr-NAME.mat``, in the archives' folders.

    Args:
        root: folder of the unpacked archives.
        split: ``test`` (134), ``test-central`` (their middle, twice as wide as high, as Godard et
            al. and those after them evaluate), or ``train`` (400).
        quantity: ``range``: distance from the scanner, which every published evaluation takes for
            depth; ``z``: depth along the optical axis.
    """
    grids = {p.stem.partition("-")[2]: p for p in root.rglob("depth_sph_corr-*.mat")}
    found = []
    for path in sorted(root.rglob("img-*.jpg")):
        folders = path.relative_to(root.parent).parts
        if not any(part.startswith(_FOLDERS[split]) for part in folders):
            continue
        name = path.stem.partition("-")[2]
        read = partial(_frame, path, grids.get(name), quantity, split == "test-central")
        found.append(FrameRef(name=name, read=read))
    return found


def _frame(path: Path, grid: Path | None, quantity: Quantity, central: bool) -> Frame:
    if grid is None:
        raise InputError(
            f"{path} has no depth_sph_corr-{path.stem.partition('-')[2]}.mat anywhere below the "
            "folder; unpack the depth archive too."
        )
    values = read_mat(grid, "Position3DGrid")
    if values.shape != (*GRID, 4):
        raise InputError(f"{grid} holds a grid of {values.shape}; (55, 305, 4) is needed.")
    depth = zero_unknown(values[:, :, _CHANNEL[quantity]])
    image = read_image(path)
    if central:
        height, width = image.size
        top = (height - width // 2) // 2
        if top < 0:
            raise InputError(
                f"{path} of {height}x{width} is no portrait, as Make3D's pictures are."
            )
        pixels = np.ascontiguousarray(image.pixels[top : top + width // 2])
        image, depth = replace(image, pixels=pixels, camera=None), depth[_ROWS]
    return Frame(
        image=image,
        depth=depth,
        max_depth=MAX_DEPTH_M,
        group="make3d",
        name=path.stem.partition("-")[2],
        coarse=True,
    )


def _open(quantity: Quantity) -> Open:
    return lambda root, options: make3d_refs(root, options.split or "test", quantity=quantity)


_MAKE3D = DatasetSpec(
    name="make3d",
    summary="Make3D, 134 test pictures with 55 x 305 laser ranges, as evaluations take them",
    layout=(
        "Test134/img-NAME.jpg, Train400Img/img-NAME.jpg\n"
        "anywhere below: depth_sph_corr-NAME.mat (Gridlaserdata, Train400Depth)"
    ),
    source="make3d.cs.cornell.edu/data.html",
    terms="research",
    protocol="make3d-c1",
    splits=tuple(_FOLDERS),
    training="train",
    validation="test",
    open=_open("range"),
)
SPECS = (
    _MAKE3D,
    replace(
        _MAKE3D,
        name="make3d-z",
        summary="the same with depth along the optical axis in place of the range",
        open=_open("z"),
    ),
)
