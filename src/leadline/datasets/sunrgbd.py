"""SUN RGB-D: 10,335 indoor frames of four depth cameras.

Source: Song et al., SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite, CVPR 2015; depth codes
as its toolbox reads them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_depth16,
    read_numbers,
    read_picture,
    zero_unknown,
)
from leadline.datasets.spec import DatasetSpec
from leadline.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float, UInt16

MAX_DEPTH_M = 8.0
"""The toolbox cuts at 8 m; what is beyond is unknown here."""


def sunrgbd_refs(root: Path, split: str = "filled") -> list[FrameRef]:
    """Frames: folders with ``image``, ``depth_bfx`` or ``depth``, and ``intrinsics.txt``.

    Args:
        root: folder of the sensors, ``SUNRGBD``, or anything below it.
        split: ``filled`` reads ``depth_bfx``, which is filled from neighbouring frames, as the
            benchmark does; ``raw`` reads ``depth``.
    """
    kind = "depth_bfx" if split == "filled" else "depth"
    found = []
    for path in sorted(root.rglob("intrinsics.txt")):
        folder = path.parent
        if (folder / "image").is_dir():
            name = folder.relative_to(root).as_posix()
            found.append(FrameRef(name=name, read=partial(_frame, folder, kind, name)))
    return found


def decode_depth(codes: UInt16[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Metres of the files' codes: millimetres, turned left by three bits; 0 = unknown."""
    codes = np.asarray(codes, np.uint16)
    return ((codes >> 3) | (codes << 13)).astype(np.float32) / np.float32(1000)


def _frame(folder: Path, kind: str, name: str) -> Frame:
    picture_file, depth_file = _only(folder / "image"), _only(folder / kind)
    k = read_numbers(folder / "intrinsics.txt").reshape(-1)
    if len(k) < 6:
        raise InputError(f"{folder / 'intrinsics.txt'}: a 3x3 matrix is needed.")
    depth = decode_depth(read_depth16(depth_file, per_unit=1).astype(np.uint16))
    return Frame(
        image=read_picture(picture_file, fx=k[0], fy=k[4], cx=k[2], cy=k[5]),
        depth=zero_unknown(depth, depth < MAX_DEPTH_M),
        max_depth=MAX_DEPTH_M,
        group="sunrgbd",
        name=name,
    )


def _only(folder: Path) -> Path:
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".png"))
    if len(files) != 1:
        raise InputError(f"{folder} holds {len(files)} pictures; one is needed. Unpack it again.")
    return files[0]


SPECS = (
    DatasetSpec(
        name="sunrgbd",
        summary="SUN RGB-D, 10,335 frames of four depth cameras, to 8 m; filled or raw",
        layout=(
            "{kv1,kv2,realsense,xtion}/.../FRAME/image/NAME.jpg\n"
            "beside it depth_bfx/NAME.png, depth/NAME.png (bits turned), intrinsics.txt"
        ),
        source="rgbd.cs.princeton.edu",
        terms="research",
        protocol="depth-anything-v2-metric",
        splits=("filled", "raw"),
        open=lambda root, options: sunrgbd_refs(root, options.split or "filled"),
    ),
)
