"""ROS 2 bags with pictures, as a robot's recorder writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_picture_bag(
    path: Path,
    pictures: Sequence[tuple[str, np.ndarray]],
    *,
    topic: str = "/camera/image_raw",
    focal_px: float | None = 50.0,
    distortion: Sequence[float] = (0, 0, 0, 0, 0),
    padding: int = 0,
) -> None:
    """Write pictures, (encoding, array) each, a tenth of a second apart, and their camera.

    An encoding ``jpeg`` or ``png`` makes a CompressedImage of a (n,) array of bytes.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    make: dict[str, Any] = store.types
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as bag:
        for number, (encoding, array) in enumerate(pictures):
            stamp = 1_700_000_000_000_000_000 + number * 100_000_000
            time = make["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
            header = make["std_msgs/msg/Header"](stamp=time, frame_id="camera_optical")
            if encoding in ("jpeg", "png"):
                kind = "sensor_msgs/msg/CompressedImage"
                message = make[kind](header=header, format=encoding, data=array)
            else:
                kind = "sensor_msgs/msg/Image"
                message = _image(make[kind], header, encoding, array, padding)
            _send(bag, store, topic, kind, stamp, message)
            if focal_px is not None and array.ndim > 1:
                info = _info(make, header, array.shape[:2], focal_px, distortion)
                base = topic.rpartition("/")[0]
                _send(bag, store, f"{base}/camera_info", "sensor_msgs/msg/CameraInfo", stamp, info)


def _image(make: Any, header: Any, encoding: str, array: np.ndarray, padding: int) -> Any:
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return make(
        header=header,
        height=array.shape[0],
        width=array.shape[1],
        encoding=encoding,
        is_bigendian=int(array.dtype.byteorder == ">"),
        step=rows.shape[1],
        data=rows.reshape(-1),
    )


def _info(make: Any, header: Any, size: Sequence[int], focal: float, d: Sequence[float]) -> Any:
    k = np.array([focal, 0, size[1] / 2, 0, focal, size[0] / 2, 0, 0, 1.0])
    region = make["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return make["sensor_msgs/msg/CameraInfo"](
        header=header,
        height=size[0],
        width=size[1],
        distortion_model="plumb_bob",
        d=np.asarray(d, np.float64),
        k=k,
        r=np.eye(3).reshape(-1),
        p=np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def _send(bag: Any, store: Any, topic: str, kind: str, stamp: int, message: Any) -> None:
    known = [one for one in bag.connections if one.topic == topic]
    connection = known[0] if known else bag.add_connection(topic, kind, typestore=store)
    bag.write(connection, stamp, store.serialize_cdr(message, kind))
