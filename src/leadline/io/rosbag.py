"""ROS 2 bags: pictures with their cameras in, depth pictures out; no ROS is needed.

Depth pictures are 32FC1 in metres, NaN where nothing is known, or 16UC1 in millimetres, 0 where
nothing is. A picture's camera is the ``camera_info`` beside it in its topic's namespace: ``K`` of
raw pictures, ``P`` of rectified ones.

Source: REP 118 (depth pictures), REP 105 and sensor_msgs (CameraInfo, Image).
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError, MissingDependencyError
from leadline.image import Image
from leadline.io.boundary import reading
from leadline.io.images import read_image
from leadline.io.pinhole import make_camera

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterator

    from jaxtyping import Float

_PICTURE, _COMPRESSED, _INFO = (
    f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo")
)
_ENCODINGS = {
    "rgb8": (np.uint8, 3, (0, 1, 2)),
    "bgr8": (np.uint8, 3, (2, 1, 0)),
    "rgba8": (np.uint8, 4, (0, 1, 2)),
    "bgra8": (np.uint8, 4, (2, 1, 0)),
    "mono8": (np.uint8, 1, (0,)),
    "mono16": (np.uint16, 1, (0,)),
}
"""Encoding of a picture -> type, channels, and which of them are red, green and blue."""
_DEPTH_ENCODINGS = {"32FC1": (np.float32, 1.0), "16UC1": (np.uint16, 1000.0)}
"""Encoding of a depth picture -> type and numbers per metre."""

_NEEDED = "a whole ROS 2 bag is needed (its folder, or a .mcap or .db3 file)."
_LIMIT = 1 << 28  # pixels that no camera has


@dataclass(frozen=True, kw_only=True)
class BagFrame:
    """A picture out of a bag.

    Attributes:
        image: with its camera where there is a camera_info.
        stamp_ns: time of its header in nanoseconds.
        frame_id: the camera's coordinate frame.
    """

    image: Image
    stamp_ns: int
    frame_id: str


@dataclass(frozen=True, kw_only=True)
class BagDepth:
    """A depth picture out of a bag.

    Attributes:
        depth: (h, w) float32 metres, NaN where nothing is known.
        camera: of the camera_info, or None.
        stamp_ns: time of its header in nanoseconds.
        frame_id: the camera's coordinate frame.
    """

    depth: Float[np.ndarray, "h w"]
    camera: Camera | None
    stamp_ns: int
    frame_id: str


class BagReader:
    """The pictures of one topic of a bag, in the order of time.

    Args:
        path: the bag.
        topic: of the pictures; empty: the only one.
        depth: take depth pictures, and not those of colours.

    Attributes:
        topic: of the pictures.
        count: how many there are.

    Raises:
        InputError: no bag, or none or several topics that could be meant.
        MissingDependencyError: rosbags is not installed.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, topic: str = "", depth: bool = False
    ) -> None:
        self._path, self._depth = Path(path), depth
        with self._open() as reader:
            kinds = (_PICTURE,) if depth else (_PICTURE, _COMPRESSED)
            counts = {
                one.topic: one.msgcount
                for one in reader.connections
                if one.msgtype in kinds and one.msgcount and self._fits(reader, one)
            }
        self.topic = _choose_topic(counts, topic, str(path), "depth" if depth else "pictures")
        self.count = counts[self.topic]

    def frames(
        self, *, every: int = 1, on_bad: Callable[[InputError], None] | None = None
    ) -> Iterator[BagFrame]:
        """The pictures.

        Args:
            every: take each so-manieth.
            on_bad: called for pictures that cannot be read, which are left out; None: raise.

        Raises:
            InputError: a picture that cannot be read.
        """
        for index, (message, camera) in enumerate(self._messages()):
            if index % every:
                continue
            try:
                frame = self._frame(message, camera)
            except InputError as error:
                if on_bad is None:
                    raise
                on_bad(error)
            else:
                yield frame

    def depths(self) -> Iterator[BagDepth]:
        """The depth pictures."""
        for message, camera in self._messages():
            with reading(f"{self._path}, {self.topic}", _NEEDED):
                values = _depth_of(message)
            yield BagDepth(
                depth=values,
                camera=camera,
                stamp_ns=_nanoseconds(message.header.stamp),
                frame_id=message.header.frame_id,
            )

    def _fits(self, reader: Any, connection: Any) -> bool:
        """Whether a topic's first picture is of the kind that is wanted."""
        if connection.msgtype == _COMPRESSED:
            return not connection.topic.lower().endswith("compresseddepth")
        first = next(reader.messages([connection]), None)
        if first is None:
            return False
        encoding = reader.deserialize(first[2], connection.msgtype).encoding
        return (encoding in _DEPTH_ENCODINGS) == self._depth

    def _messages(self) -> Iterator[tuple[Any, Camera | None]]:
        with self._open() as reader:
            wanted = [one for one in reader.connections if one.topic == self.topic]
            camera = None
            name = f"{self.topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
            infos = [one for one in reader.connections if one.topic == name]
            for connection, _, data in reader.messages(infos) if infos else ():
                message = reader.deserialize(data, connection.msgtype)
                camera = _camera_of(message, name, rectified="rect" in self.topic)
                break
            for connection, _, data in reader.messages(wanted):
                yield reader.deserialize(data, connection.msgtype), camera

    def _frame(self, message: Any, camera: Camera | None) -> BagFrame:
        stamp = _nanoseconds(message.header.stamp)
        name = f"{self._path.stem}-{stamp}"
        with reading(f"{self._path}, {self.topic} at {stamp}", _NEEDED):
            if message.__msgtype__ == _COMPRESSED:
                image = read_image(bytes(message.data))
            else:
                image = read_image(_pixels_of(message))
        if camera is not None and (camera.height, camera.width) != image.size:
            camera = camera.resized(image.size[1], image.size[0])
        return BagFrame(
            image=Image(pixels=image.pixels, camera=camera or image.camera, name=name),
            stamp_ns=stamp,
            frame_id=message.header.frame_id,
        )

    @contextmanager
    def _open(self) -> Generator[Any]:
        rosbags = _import_rosbags()
        with reading(str(self._path), _NEEDED):
            if not self._path.exists():
                raise FileNotFoundError(str(self._path))
            reader = rosbags.highlevel.AnyReader(
                [self._path], default_typestore=_typestore(rosbags)
            )
            reader.open()
            try:
                yield reader
            finally:
                reader.close()


@contextmanager
def write_bag(
    path: str | os.PathLike[str], *, namespace: str = "/leadline/depth"
) -> Generator[BagWriter]:
    """Open a bag for depth pictures; its folder is there when all are written, or not at all.

    Args:
        path: the folder.
        namespace: of the topics ``image_rect`` and ``camera_info``.

    Raises:
        InputError: there is something already, or the folder cannot be made.
        MissingDependencyError: rosbags is not installed.
    """
    path = Path(path)
    rosbags = _import_rosbags()
    if path.exists():
        raise InputError(f"{path} is there already, and bags are not added to; name another.")
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with rosbags.rosbag2.Writer(
            temporary, version=9, storage_plugin=rosbags.rosbag2.StoragePlugin.MCAP
        ) as bag:
            yield BagWriter(bag, _typestore(rosbags), namespace)
        (temporary / f"{temporary.name}.mcap").rename(temporary / f"{path.name}.mcap")
        meta = temporary / "metadata.yaml"
        meta.write_text(meta.read_text().replace(f"{temporary.name}.mcap", f"{path.name}.mcap"))
        temporary.rename(path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; give another place."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class BagWriter:
    """Writes depth pictures and their cameras; made by :func:`write_bag`."""

    def __init__(self, bag: Any, store: Any, namespace: str) -> None:
        self._bag, self._store = bag, store
        base = namespace.rstrip("/")
        self._image = bag.add_connection(f"{base}/image_rect", _PICTURE, typestore=store)
        self._info = bag.add_connection(f"{base}/camera_info", _INFO, typestore=store)

    def write(
        self,
        depth: Float[np.ndarray, "h w"],
        camera: Camera | None,
        *,
        stamp_ns: int,
        frame_id: str,
    ) -> None:
        """Add a depth picture (metres, NaN where nothing is known) and its camera."""
        header = self._make("std_msgs/msg/Header", stamp=self._stamp(stamp_ns), frame_id=frame_id)
        data = np.ascontiguousarray(depth, "<f4")
        height, width = data.shape
        picture = self._make(
            _PICTURE,
            header=header,
            height=height,
            width=width,
            encoding="32FC1",
            is_bigendian=0,
            step=4 * width,
            data=data.view(np.uint8).reshape(-1),
        )
        self._send(self._image, stamp_ns, picture)
        if camera is not None:
            self._send(self._info, stamp_ns, self._camera_info(camera, header))

    def _camera_info(self, camera: Camera, header: Any) -> Any:
        k = np.array([camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1], np.float64)
        region = self._make(
            "sensor_msgs/msg/RegionOfInterest",
            **dict.fromkeys(("x_offset", "y_offset", "height", "width"), 0),
            do_rectify=False,
        )
        return self._make(
            _INFO,
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=k,
            r=np.eye(3).reshape(-1),
            p=np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).reshape(-1),
            binning_x=0,
            binning_y=0,
            roi=region,
        )

    def _make(self, kind: str, **fields: Any) -> Any:
        return self._store.types[kind](**fields)

    def _stamp(self, stamp_ns: int) -> Any:
        seconds, rest = divmod(stamp_ns, 10**9)
        return self._make("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest)

    def _send(self, connection: Any, stamp_ns: int, message: Any) -> None:
        data = self._store.serialize_cdr(message, connection.msgtype)
        self._bag.write(connection, stamp_ns, data)


def _choose_topic(counts: dict[str, int], topic: str, name: str, what: str) -> str:
    if topic in counts or (not topic and len(counts) == 1):
        return topic or next(iter(counts))
    there = ", ".join(counts) or "none"
    raise InputError(
        f"{name} holds {f'no {what} under {topic}' if topic else f'{len(counts)} topics of {what}'}"
        f"; one is needed, of {there}: name it with --topic."
    )


def _pixels_of(message: Any) -> np.ndarray:
    """(h, w, 3) or (h, w) of a raw picture."""
    if message.encoding not in _ENCODINGS:
        raise InputError(
            f"pictures of the encoding {message.encoding!r}; one of {', '.join(_ENCODINGS)} is "
            "needed: let image_proc convert them."
        )
    kind, channels, order = _ENCODINGS[message.encoding]
    pixels = _rows_of(message, kind, channels)
    return pixels[:, :, 0] if channels == 1 else np.ascontiguousarray(pixels[:, :, list(order)])


def _depth_of(message: Any) -> np.ndarray:
    """(h, w) float32 metres, NaN where nothing is known."""
    if message.encoding not in _DEPTH_ENCODINGS:
        raise InputError(f"depth of the encoding {message.encoding!r}; 32FC1 or 16UC1 is needed.")
    kind, per_metre = _DEPTH_ENCODINGS[message.encoding]
    values = _rows_of(message, kind, 1)[:, :, 0]
    depth = values.astype(np.float32) / np.float32(per_metre)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def _rows_of(message: Any, kind: type[np.generic], channels: int) -> np.ndarray:
    """(h, w, channels) of a message's bytes, whose rows may be longer than the picture."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    item = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    used = width * channels * item.itemsize
    if min(height, width) < 1 or height * width > _LIMIT or step < used:
        raise ValueError(f"{width}x{height} pixels in rows of {step} bytes")
    data = np.asarray(message.data, np.uint8)
    if data.size < height * step:
        raise ValueError(f"{data.size} bytes of {height * step}")
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :used])
    return rows.view(item).reshape(height, width, channels).astype(kind)


def _camera_of(message: Any, name: str, *, rectified: bool) -> Camera | None:
    """The camera of a camera_info; None where it was never calibrated (all zero)."""
    matrix = np.asarray(message.p).reshape(3, 4) if rectified else np.asarray(message.k)
    fx, cx, fy, cy = matrix.reshape(3, -1)[[0, 0, 1, 1], [0, 2, 1, 2]].tolist()
    if fx == 0:
        return None
    if not rectified and message.distortion_model not in ("", "plumb_bob"):
        raise InputError(
            f"{name}: distortion of the model {message.distortion_model}, and a pinhole is needed; "
            "take the rectified pictures (image_rect)."
        )
    distortion = () if rectified else np.asarray(message.d).tolist()
    size = int(message.height), int(message.width)
    return make_camera(size, (fx, fy, cx, cy), name, distortion=distortion)


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _import_rosbags() -> Any:
    try:
        import rosbags.highlevel
        import rosbags.rosbag2
        import rosbags.typesys
    except ImportError as error:
        raise MissingDependencyError("rosbags", "reading and writing ROS bags", "ros") from error
    return rosbags


def _typestore(rosbags: Any) -> Any:
    """The types of a release of ROS 2, for bags that do not hold their own."""
    return rosbags.typesys.get_typestore(rosbags.typesys.Stores.ROS2_JAZZY)
