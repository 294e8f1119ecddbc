"""Files of other trades, which the fuzz campaign damages: EXR, GDepth, HEIC, ROS bags."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.fuzz_sets import DEPTH, RGB
from leadline.camera import Camera
from leadline.image import Image
from leadline.io import BagReader, write_bag
from leadline.kinds import DepthKind
from leadline.prediction import Prediction, read_prediction

CAMERA = Camera(width=16, height=12, fx=20, fy=20, cx=7.5, cy=5.5)
SAVED = ("a.exr", "a.half.exr", "a.blender.exr", "a.gdepth.jpg", "a.near.png")
SEEDS = len(SAVED) + 1
"""Files of :func:`write_trade`."""


def write_trade(folder: Path, number: int) -> None:
    """A prediction in one of the formats, or a phone's photo."""
    if number == len(SAVED):
        from testing.heif import write_heic_with_depth

        photo = np.full((64, 96, 3), 90, np.uint8)
        write_heic_with_depth(folder / "a.heic", photo, photo[..., 0], disparity=(0.5, 4.0))
        return
    known = DEPTH > 2
    found = Prediction(
        values=DEPTH,
        kind=DepthKind.METRIC_DEPTH,
        camera=CAMERA,
        valid=known,
        image=Image(pixels=RGB),
    )
    found.save(folder / SAVED[number])


def read_trade(folder: Path) -> object:
    """Read what :func:`write_trade` wrote."""
    (path,) = (path for path in folder.iterdir() if path.is_file())
    return read_prediction(path, kind="affine_disparity" if path.suffix == ".heic" else None)


def write_bag_seed(folder: Path, number: int) -> None:
    """A bag of one depth picture and its camera."""
    with write_bag(folder.parent / f"bag-{folder.name}") as bag:
        bag.write(DEPTH, CAMERA, stamp_ns=5, frame_id="camera")
    made = folder.parent / f"bag-{folder.name}"
    (made / f"{made.name}.mcap").rename(folder / "a.mcap")


def read_bag_seed(folder: Path) -> object:
    """Read what :func:`write_bag_seed` wrote."""
    return list(BagReader(folder / "a.mcap", depth=True).depths())
