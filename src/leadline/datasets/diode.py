"""DIODE: dense indoor and outdoor scans.

Source: Vasiljevic et al., DIODE: A Dense Indoor and Outdoor DEpth Dataset, 2019.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from leadline.datasets.frame import Frame, FrameRef, read_depth_array, zero_unknown
from leadline.errors import InputError
from leadline.io import read_image, read_npy

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH_M = {"indoors": 10.0, "outdoor": 80.0}


def diode_refs(root: Path, part: str = "indoors") -> list[FrameRef]:
    """Frames ``part/scene_*/scan_*/NAME.png`` with ``NAME_depth.npy`` and ``NAME_depth_mask.npy``.

    Args:
        root: folder of ``indoors`` and ``outdoor`` (``val`` or ``train`` of the archives).
        part: ``indoors`` or ``outdoor``.
    """
    return [
        FrameRef(
            name=path.relative_to(root).with_suffix("").as_posix(),
            read=partial(_frame, root, path, part),
        )
        for path in sorted((root / part).glob("scene_*/scan_*/*.png"))
    ]


def _frame(root: Path, path: Path, part: str) -> Frame:
    depth = read_depth_array(path.with_name(f"{path.stem}_depth.npy"))
    mask = read_npy(path.with_name(f"{path.stem}_depth_mask.npy"))
    if mask.shape != depth.shape:
        raise InputError(
            f"{path.stem}_depth_mask.npy of shape {mask.shape} for depth of {depth.shape}; "
            "unpack the archive again."
        )
    return Frame(
        image=read_image(path),
        depth=zero_unknown(depth, mask > 0),
        max_depth=MAX_DEPTH_M[part],
        group=f"diode-{part}",
        name=path.relative_to(root).with_suffix("").as_posix(),
    )
