"""Data sets: frames with known depth, read from the layouts that their authors publish.

```python
for frame in iter_dataset("kitti-raw", "data/kitti_raw"):
    print(frame.name, frame.depth[frame.valid].max())
```
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from leadline.datasets.frame import Frame, FrameRef
from leadline.datasets.kitti import iter_kitti_depth, iter_kitti_object, iter_kitti_raw
from leadline.datasets.labels import Label, LabelRef, open_labels
from leadline.datasets.nyu import iter_nyu
from leadline.datasets.rgbd import iter_kinect_poses, iter_seven_scenes
from leadline.datasets.spec import DatasetSpec, Options
from leadline.datasets.table import DATASETS, get, iter_dataset, open_dataset
from leadline.datasets.velodyne import project_velodyne, read_calibration, read_velodyne
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    Reader = Callable[[Path], Iterator[Frame]]

GROUPS: Mapping[str, Reader] = MappingProxyType(
    {
        "kitti_depth": iter_kitti_depth,
        "kitti_raw": iter_kitti_raw,
        "kitti_object": iter_kitti_object,
        "nyu": iter_nyu,
        "rgbd_7scenes_kitchen": lambda folder: iter_seven_scenes(folder, every=10),
        "rgbd_kinect_5": iter_kinect_poses,
    }
)
"""Folder of a collection of real frames -> its reader."""


def iter_frames(root: str | os.PathLike[str], group: str) -> Iterator[Frame]:
    """Read the frames of ``root/group`` one after another.

    Args:
        root: folder that holds the groups.
        group: one of :data:`GROUPS`.

    Raises:
        UnknownNameError: no such group.
        InputError: the folder is missing.
    """
    if group not in GROUPS:
        raise UnknownNameError("group of frames", group, GROUPS)
    folder = Path(root) / group
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds {group}.")
    return GROUPS[group](folder)


__all__ = [
    "DATASETS",
    "GROUPS",
    "DatasetSpec",
    "Frame",
    "FrameRef",
    "Label",
    "LabelRef",
    "Options",
    "get",
    "iter_dataset",
    "iter_frames",
    "iter_kinect_poses",
    "iter_kitti_depth",
    "iter_kitti_object",
    "iter_kitti_raw",
    "iter_nyu",
    "iter_seven_scenes",
    "open_dataset",
    "open_labels",
    "project_velodyne",
    "read_calibration",
    "read_velodyne",
]
