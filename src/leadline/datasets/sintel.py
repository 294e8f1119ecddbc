"""MPI Sintel: a rendered film with depth and cameras.

Source: Butler et al., A Naturalistic Open Source Movie for Optical Flow Evaluation, ECCV 2012; the
formats are those of the depth archive's own reader (``.dpt``, ``.cam``).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_bytes,
    read_picture,
    set_pose,
    zero_unknown,
)
from leadline.datasets.spec import DatasetSpec
from leadline.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

MAX_DEPTH_M = 72.0
"""What evaluations of MiDaS's kind count; the film's sky is farther than any number means."""

_TAG = 202021.25
_HEADER = np.dtype([("tag", "<f4"), ("width", "<i4"), ("height", "<i4")])
_CAMERA = np.dtype([("tag", "<f4"), ("intrinsics", "<f8", (3, 3)), ("extrinsics", "<f8", (3, 4))])


def sintel_refs(root: Path, split: str = "final", *, every: int = 1) -> list[FrameRef]:
    """Frames of ``training/<split>/SCENE/frame_NNNN.png`` with ``depth`` and ``camdata_left``.

    Args:
        root: folder that holds ``training``, or that folder.
        split: ``final``, with blur and fog, or ``clean``.
        every: only every n-th frame of a scene.
    """
    training = root / "training" if (root / "training").is_dir() else root
    found = []
    for scene in sorted((training / "depth").glob("*")):
        for path in sorted(scene.glob("frame_*.dpt"))[::every]:
            name = f"{scene.name}/{path.stem}"
            found.append(FrameRef(name=name, read=partial(_frame, training, split, name)))
    return found


def read_dpt(path: Path) -> Float[np.ndarray, "h w"]:
    """Read a ``.dpt`` depth map.

    Raises:
        InputError: missing, or not of that format.
    """
    data = read_bytes(path)
    if len(data) >= _HEADER.itemsize:
        header = np.frombuffer(data, _HEADER, count=1)[0]
        height, width = int(header["height"]), int(header["width"])
        expected = _HEADER.itemsize + 4 * height * width
        if header["tag"] == _TAG and height > 0 and width > 0 and len(data) == expected:
            values = np.frombuffer(data, "<f4", offset=_HEADER.itemsize)
            return values.reshape(height, width).astype(np.float32)
    raise InputError(f"{path} is not a whole Sintel depth file; unpack the depth archive again.")


def read_cam(path: Path) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "4 4"]]:
    """Read a ``.cam`` file: intrinsics, and camera_from_world.

    Raises:
        InputError: missing, or not of that format.
    """
    data = read_bytes(path)
    if len(data) == _CAMERA.itemsize:
        record = np.frombuffer(data, _CAMERA, count=1)[0]
        if record["tag"] == _TAG:
            return record["intrinsics"].copy(), np.vstack([record["extrinsics"], [0, 0, 0, 1]])
    raise InputError(f"{path} is not a Sintel camera file; unpack the depth archive again.")


def _frame(training: Path, split: str, name: str) -> Frame:
    depth = read_dpt(training / "depth" / f"{name}.dpt")
    k, camera_from_world = read_cam(training / "camdata_left" / f"{name}.cam")
    fx, fy, cx, cy = k[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    image = read_picture(training / split / f"{name}.png", fx=fx, fy=fy, cx=cx, cy=cy)
    return Frame(
        image=set_pose(image, np.linalg.inv(camera_from_world)),
        depth=zero_unknown(depth),
        max_depth=MAX_DEPTH_M,
        group="sintel",
        name=name,
    )


SPECS = (
    DatasetSpec(
        name="sintel",
        summary="MPI Sintel, 1,064 frames of a rendered film, to 72 m, with cameras",
        layout=(
            "training/{final,clean}/SCENE/frame_NNNN.png\n"
            "training/depth/SCENE/frame_NNNN.dpt\n"
            "training/camdata_left/SCENE/frame_NNNN.cam"
        ),
        source="sintel.is.tue.mpg.de, complete and depth archives",
        terms="see its page",
        protocol="depth-anything-zero-shot",
        splits=("final", "clean"),
        open=lambda root, options: sintel_refs(root, options.split or "final", every=options.every),
        applies_every=True,
    ),
)
