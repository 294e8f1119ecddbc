"""Frame: a picture and what is known of its depth; FrameRef: one that is not read yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.image import Image
from leadline.io import read_image, read_npy, read_npz, read_pfm
from leadline.io import text as texts
from leadline.io.boundary import open_file, reading
from leadline.io.mat5 import Value, read_mat5
from leadline.io.png16 import read_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Bool, Float


_NUMBERS = "rows of numbers are needed."

INTRINSICS = ("fx", "fy", "cx", "cy")
"""Keys of a camera record, in pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A picture with depth.

    Attributes:
        image: the picture; its camera holds the pose where one is known.
        depth: (h, w) float32, metres along the optical axis, 0 where nothing is known.
        max_depth: metres up to which the data set's depths are counted.
        group: name of the collection.
        name: of the frame inside it.
        right: the right picture of a rectified pair, where there is one and it was
            asked for.
        baseline_m: metres between the cameras.
        disparity: (h, w) float32, pixels between the two pictures, 0 where nothing is known;
            stereo sets.
        following: the next picture of the sequence, with its pose, when it was asked for.
        normals: (h, w, 3) float32 unit vectors in camera axes, when they were asked for.
        coarse: depth is a grid of another size over the same picture (Make3D's laser).
        pairs: records of two points, of which one is nearer, in place of depth (DA-2K).
    """

    image: Image
    depth: Float[np.ndarray, "h w"]
    max_depth: float
    group: str
    name: str
    right: Image | None = None
    baseline_m: float | None = None
    disparity: Float[np.ndarray, "h w"] | None = None
    following: Image | None = None
    normals: Float[np.ndarray, "h w 3"] | None = None
    coarse: bool = False
    pairs: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.depth.shape != self.image.size and not self.coarse:
            raise InputError(
                f"{self.group}/{self.name}: depth of shape {self.depth.shape} for a picture of "
                f"{self.image.size}; the same size is needed."
            )

    @property
    def valid(self) -> Bool[np.ndarray, "h w"]:
        """Where a depth is known and counts: above 1 mm and below ``max_depth``."""
        return (self.depth > 1e-3) & (self.depth < self.max_depth)


@dataclass(frozen=True, kw_only=True)
class FrameRef:
    """A frame by name; ``read`` reads it from its files.

    Attributes:
        name: unique in its data set; predictions of other programs are found by it.
        read: gives the Frame, or raises an InputError that names the file and the repair.
    """

    name: str
    read: Callable[[], Frame]


def read_picture(path: Path, *, fx: float, fy: float, cx: float, cy: float) -> Image:
    """Read a picture and give it the data set's intrinsics."""
    return set_intrinsics(read_image(path), fx=fx, fy=fy, cx=cx, cy=cy)


def set_intrinsics(image: Image, *, fx: float, fy: float, cx: float, cy: float) -> Image:
    """The picture with a camera of these intrinsics, in pixels."""
    height, width = image.size
    camera = Camera(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy, source="data set")
    return replace(image, camera=camera)


def set_pose(image: Image, world_from_camera: np.ndarray) -> Image:
    """The picture with its camera at a pose."""
    return replace(image, camera=image.camera and image.camera.moved(world_from_camera))


def read_depth16(path: Path, *, per_unit: float) -> Float[np.ndarray, "h w"]:
    """Read a 16-bit depth map; 0 = unknown.

    Raises:
        InputError: missing, damaged, or of 8 bits, which a picture viewer's export makes.
    """
    if not per_unit > 0:
        raise InputError(f"per_unit={per_unit} for {path}: codes per unit are positive.")
    codes, _ = read_codes(path)
    if codes.dtype.itemsize == 1:
        raise InputError(
            f"{path} is an 8-bit picture where 16-bit depth is meant; take the original file, or "
            "export it again with 16 bits."
        )
    return np.divide(codes, np.float32(per_unit), dtype=np.float32)


def zero_unknown(
    depth: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"] | bool = True
) -> Float[np.ndarray, "h w"]:
    """Depth as float32, 0 where it is not ``known``, not finite or not positive."""
    return np.where(known & np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)


def read_depth_array(path: Path) -> Float[np.ndarray, "h w"]:
    """Read depth in metres from ``.npy``, ``.npz`` (its only array) or ``.pfm``; 0 = unknown.

    Raises:
        InputError: missing, damaged, negative depths, or not one (h, w) map.
    """
    suffix = path.suffix.lower()
    if suffix == ".pfm":
        values = read_pfm(path)
    elif suffix == ".npz":
        values = _only_array(path)
    else:
        values = read_npy(path)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: an array of shape {values.shape} and type {values.dtype}; one (h, w) map of "
            "depths is needed."
        )
    negative = np.count_nonzero(np.isfinite(values) & (values < 0))
    if negative:
        raise InputError(
            f"{path} holds {negative} negative values; depths in metres are positive, 0 where "
            "unknown. Is it a disparity, or in another unit?"
        )
    return zero_unknown(values)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON record; InputError when it cannot be."""
    needed = "a table in JSON is needed."
    record = texts.read_json(path, needed)
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no table; {needed}")
    return record


def read_intrinsics(path: Path) -> dict[str, float]:
    """Read ``fx, fy, cx, cy`` in pixels from a JSON record.

    Raises:
        InputError: no JSON, or one of them is missing or no number.
    """
    record = read_json(path)
    try:
        return {key: float(record[key]) for key in INTRINSICS}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: fx, fy, cx and cy in pixels are needed ({error}).") from error


def read_numbers(path: Path) -> Float[np.ndarray, "rows columns"]:
    """Read a text file of numbers in rows; InputError when it cannot be."""
    lines = texts.read_text(path, _NUMBERS).splitlines()
    with reading(str(path), _NUMBERS):
        return np.loadtxt(lines, dtype=np.float64, ndmin=2)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are neither empty nor comments."""
    lines = texts.read_text(path, "a text in UTF-8 is needed.").splitlines()
    return [line for line in (raw.strip() for raw in lines) if line and not line.startswith("#")]


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; InputError when it cannot be read."""
    with open_file(path, "a file is needed.") as file:
        return file.read()


def read_mat(path: Path, key: str) -> np.ndarray:
    """One variable of a MATLAB 5 file.

    Raises:
        InputError: missing, of another format (7.3 is HDF5), or without that variable.
    """
    found = read_mat5(path)
    return _array_of(found, key, f"{path} holds the variables {', '.join(found) or 'none'}")


def read_mat_fields(path: Path, key: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Fields of a structure in a MATLAB 5 file.

    Raises:
        InputError: as :func:`read_mat`, or without one of the fields.
    """
    found = read_mat5(path)
    fields = found.get(key)
    if not isinstance(fields, dict):
        raise InputError(
            f"{path} holds the variables {', '.join(found) or 'none'}; the structure of the "
            f"variable {key} is needed."
        )
    given = f"{path}: {key} has the fields {', '.join(fields)}"
    return {name: _array_of(fields, name, given) for name in names}


def _array_of(values: Mapping[str, Value], key: str, given: str) -> np.ndarray:
    value = values.get(key)
    if not isinstance(value, np.ndarray):
        raise InputError(f"{given}; the numbers of {key} are needed: download it again.")
    return value


def _only_array(path: Path) -> np.ndarray:
    arrays = read_npz(path, ())
    if len(arrays) != 1:
        raise InputError(f"{path} holds {sorted(arrays)}; a file with one array is needed.")
    return next(iter(arrays.values()))
