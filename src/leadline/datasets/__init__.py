"""Data sets: frames with known depth, read from the layouts that their authors publish.

```python
for frame in iter_dataset("kitti-raw", "data/kitti_raw"):
    print(frame.name, frame.depth[frame.valid].max())
```
"""

from __future__ import annotations

from leadline.datasets.frame import Frame, FrameRef
from leadline.datasets.labels import Label, LabelRef, open_labels
from leadline.datasets.spec import DatasetSpec, Options
from leadline.datasets.table import DATASETS, get, iter_dataset, open_dataset
from leadline.datasets.velodyne import project_velodyne, read_calibration, read_velodyne

__all__ = [
    "DATASETS",
    "DatasetSpec",
    "Frame",
    "FrameRef",
    "Label",
    "LabelRef",
    "Options",
    "get",
    "iter_dataset",
    "open_dataset",
    "open_labels",
    "project_velodyne",
    "read_calibration",
    "read_velodyne",
]
