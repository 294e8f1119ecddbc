"""Frame: a picture and what is known of its depth; FrameRef: one that is not read yet."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PilImage
from PIL import UnidentifiedImageError

from leadline.camera import Camera
from leadline.errors import InputError, MissingDependencyError
from leadline.image import Image
from leadline.io import read_depth_png, read_image, read_npy, read_npz, read_pfm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jaxtyping import Bool, Float


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
    codes = np.zeros(0)
    try:
        with PilImage.open(path) as opened:
            mode = opened.mode
            if mode.startswith("I"):
                codes = np.asarray(opened)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        mode = ""
    if mode in ("L", "P", "RGB", "RGBA", "1", "LA"):
        raise InputError(
            f"{path} is an 8-bit picture (mode {mode}) where 16-bit depth is meant; take the "
            "original file, or export it again with 16 bits."
        )
    if codes.ndim != 2:
        return read_depth_png(path, per_unit=per_unit)  # which says what is wrong
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
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from error


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
    try:
        return np.loadtxt(path, dtype=np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as rows of numbers ({error}).") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are neither empty nor comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
    return [line for line in (raw.strip() for raw in lines) if line and not line.startswith("#")]


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; InputError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}).") from error


def read_mat(path: Path, key: str) -> np.ndarray:
    """One variable of a MATLAB 5 file.

    Raises:
        InputError: missing, of another format (7.3 is HDF5), or without that variable.
        MissingDependencyError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingDependencyError("scipy", f"reading {path.name}", "data") from error
    try:
        return loadmat(path)[key]
    except (OSError, ValueError, KeyError, NotImplementedError, TypeError) as error:
        raise InputError(
            f"{path} is not a MATLAB 5 file with the variable {key} ({error}); download it again."
        ) from error


def _only_array(path: Path) -> np.ndarray:
    arrays = read_npz(path, ())
    if len(arrays) != 1:
        raise InputError(f"{path} holds {sorted(arrays)}; a file with one array is needed.")
    return next(iter(arrays.values()))
