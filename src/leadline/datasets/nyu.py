"""NYU Depth v2: labelled frames as pictures with 16-bit depth in millimetres.

Source: Silberman et al., Indoor Segmentation and Support Inference, ECCV 2012.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadline.datasets.frame import Frame, picture, read_json
from leadline.io import list_images, read_depth_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH_M = 10.0


def iter_nyu(root: Path) -> Iterator[Frame]:
    """Frames of ``rgb``, ``depth`` (1000 per metre) and camera.json."""
    camera = read_json(root / "camera.json")
    intrinsics = {key: float(camera[key]) for key in ("fx", "fy", "cx", "cy")}
    for path in list_images(root / "rgb"):
        depth = read_depth_png(root / "depth" / f"{path.stem}.png", per_unit=1000)
        yield Frame(
            image=picture(path, **intrinsics),
            depth=depth,
            max_depth=MAX_DEPTH_M,
            group="nyu",
            name=path.stem,
        )
