"""ETH3D: high-resolution photographs with laser depth.

Source: Schöps et al., A Multi-View Stereo Benchmark with High-Resolution Images and Multi-Camera
Videos, CVPR 2017; format: the benchmark's documentation.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import Frame, FrameRef, read_bytes, zero_unknown
from leadline.datasets.spec import DatasetSpec
from leadline.errors import InputError
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH_M = 72.0
"""What evaluations of MiDaS's kind count."""


def eth3d_refs(root: Path) -> list[FrameRef]:
    """Frames ``SCENE/images/dslr_images/NAME.JPG`` that have ``SCENE/ground_truth_depth``.

    Pictures are as taken: their lens is a fisheye with a thin prism, which no pinhole describes,
    so frames have no camera. Depth belongs to these pictures, not to the undistorted ones.
    """
    found = []
    for path in sorted(root.glob("*/ground_truth_depth/dslr_images/*")):
        scene = path.parents[2]
        name = f"{scene.name}/{path.stem}"
        found.append(FrameRef(name=name, read=partial(_frame, scene, path.name, name)))
    return found


def _frame(scene: Path, file: str, name: str) -> Frame:
    image = read_image(scene / "images" / "dslr_images" / file)
    path = scene / "ground_truth_depth" / "dslr_images" / file
    data = read_bytes(path)
    height, width = image.size
    if len(data) != 4 * height * width:
        raise InputError(
            f"{path} holds {len(data)} bytes, and a picture of {height}x{width} needs "
            f"{4 * height * width} (float32 values, no header); take the depth of the JPG "
            "pictures, not of the undistorted ones."
        )
    depth = np.frombuffer(data, "<f4").reshape(height, width)
    return Frame(
        image=image,
        depth=zero_unknown(depth),
        max_depth=MAX_DEPTH_M,
        group="eth3d",
        name=name,
    )


SPECS = (
    DatasetSpec(
        name="eth3d",
        summary="ETH3D, 454 photographs of 13 scenes with laser depth, to 72 m",
        layout="SCENE/images/dslr_images/NAME.JPG\nSCENE/ground_truth_depth/dslr_images/NAME.JPG",
        source="eth3d.net, high-resolution multi-view training: JPG pictures and depth",
        terms="CC BY-NC-SA 4.0",
        protocol="depth-anything-zero-shot",
        open=lambda root, options: eth3d_refs(root),
    ),
)
