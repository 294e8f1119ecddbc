"""Cameras from the files that calibrations, robots and reconstructions write.

Read are a 3x3, 3x4 or 4x4 matrix or ``fx fy cx cy`` as text; the YAML of OpenCV, ROS, Kalibr and
ORB-SLAM; KITTI's calibration text; COLMAP's models; NeRF's ``transforms.json``; Open3D's JSON; and
the records of :meth:`leadline.camera.Camera.to_dict`.

Pixel centres are integers here, in OpenCV, ROS, KITTI and Open3D. COLMAP and NeRF count from the
picture's corner, so half a pixel is taken off their principal points. NeRF's cameras look along -z
with y up; their poses are turned.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.io.boundary import reading
from leadline.io.colmap import MODELS, read_colmap
from leadline.io.pinhole import make_camera
from leadline.io.text import parse_json, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDED = (
    "a camera is needed: fx,fy,cx,cy or a 3x3 matrix in pixels, or a file of OpenCV, ROS, KITTI, "
    "COLMAP, NeRF or Open3D."
)

_MATRICES = (
    *("k", "camera_matrix", "cameramatrix", "intrinsic_matrix", "intrinsics", "intrinsic", "mtx"),
    *("m1", "matrix"),
)
_SIZES = ("resolution", "image_size", "imagesize", "size")
_WIDTHS, _HEIGHTS = ("width", "image_width", "w"), ("height", "image_height", "h")
_NUMBERS = (("fx", "fl_x"), ("fy", "fl_y"), ("cx",), ("cy",))
_DISTORTIONS = ("d", "distortion_coefficients", "distortion_coeffs", "dist_coeffs", "distcoeffs")
_POLYNOMIAL = ("k1", "k2", "p1", "p2", "k3")
_NO_PINHOLES = ("equidistant", "fisheye", "omni", "fov", "spherical", "double_sphere", "eucm")
_MOST_YAML = 1 << 20  # characters; calibrations take a thousand
_GL_FROM_CV = np.diag([1.0, -1.0, -1.0, 1.0])


def read_camera(
    path: str | Path, *, size: tuple[int, int] | None = None, picture: str = ""
) -> Camera:
    """Read the camera of a picture.

    Args:
        path: the file, or the folder of a COLMAP model.
        size: (height, width) of the picture, for files that do not tell it.
        picture: name or path of the picture, for files that hold several cameras.

    Returns:
        The camera at the size that the file was made for; with its pose where the file tells it.

    Raises:
        InputError: missing, damaged, of no known kind, without a size where none is given, not a
            pinhole, or several cameras of which none is the picture's.
    """
    cameras = read_cameras(path, size=size)
    found = _of_picture(cameras, picture)
    if found is not None:
        return found
    first, *others = cameras.values()
    if all(other.moved(None) == first.moved(None) for other in others):
        return first.moved(None) if others else first
    names = ", ".join(list(cameras)[:5])
    raise InputError(
        f"{path} holds {len(cameras)} different cameras ({names} ...) and none of "
        f"{Path(picture).name or 'no picture that is named'}; give a file with the one camera that "
        "took the pictures, or pictures under the names that it holds."
    )


def read_cameras(path: str | Path, *, size: tuple[int, int] | None = None) -> dict[str, Camera]:
    """Read every camera of a file; see :func:`read_camera`.

    Returns:
        Name -> camera: of pictures where the file names them, of cameras elsewhere; "" for one
        without a name.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() == ".bin":
        return read_colmap(path)
    text = read_text(path, NEEDED)
    start = text.lstrip()[:1]
    with reading(str(path), NEEDED):
        if path.suffix.lower() == ".json" or start in ("{", "["):
            return _from_data(parse_json(text, str(path), NEEDED), size, str(path))
        if path.suffix.lower() in (".yaml", ".yml") or start == "%":
            return _from_data(_parse_yaml(text), size, str(path))
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        words = [line.replace(",", " ").split() for line in lines]
        if any(len(row) > 1 and row[1] in MODELS for row in words) or path.name == "images.txt":
            return read_colmap(path)
        if words and words[0][0].endswith(":"):
            return _from_kitti(words, size, str(path))
        rows = [[float(word) for word in row] for row in words]
        return {"": _of_numbers(np.concatenate(rows), size, str(path))}


def _of_picture(cameras: Mapping[str, Camera], picture: str) -> Camera | None:
    if not picture:
        return None
    path = Path(picture)
    for wanted in (path.name, path.stem):
        found = [camera for name, camera in cameras.items() if wanted in (name, Path(name).name)]
        if not found:
            found = [camera for name, camera in cameras.items() if wanted == Path(name).stem]
        if len(found) == 1:
            return found[0]
    number = next((part[-1] for part in path.parts if part.startswith("image_0")), "")
    return cameras.get(f"P{number}")  # KITTI: image_02 was taken by camera 2


def _from_data(data: Any, size: tuple[int, int] | None, name: str) -> dict[str, Camera]:
    """Cameras of a JSON or YAML value."""
    if isinstance(data, list):
        return {"": _of_numbers(data, size, name)}
    if not isinstance(data, dict):
        raise InputError(f"{name} holds a bare {type(data).__name__}; {NEEDED}")
    if "frames" in data or "fl_x" in data or "camera_angle_x" in data:
        return _from_nerf(data, size, name)
    if isinstance(data.get("parameters"), list):  # Open3D's trajectory
        views = [_from_open3d(view, size, name) for view in data["parameters"]]
        return {str(number): camera for number, camera in enumerate(views)}
    if isinstance(data.get("intrinsic"), dict):
        return {"": _from_open3d(data, size, name)}
    rigs = {
        key: value
        for key, value in data.items()
        if isinstance(value, dict) and "intrinsics" in value
    }
    if rigs:  # Kalibr: cam0, cam1 ...
        return {str(key): _from_table(value, size, f"{name}, {key}") for key, value in rigs.items()}
    return {"": _from_table(data, size, name)}


def _from_table(table: Mapping[Any, Any], size: tuple[int, int] | None, name: str) -> Camera:
    """A camera of keys and values, whatever they are called."""
    if {"width", "height", "fx", "fy", "cx", "cy"} <= set(table):
        known = {"world_from_camera", "source", *_WIDTHS[:1], *_HEIGHTS[:1], "fx", "fy", "cx", "cy"}
        if set(table) <= known:
            return Camera.from_dict(table)
    keys = {str(key).rpartition(".")[2].lower(): value for key, value in table.items()}
    distortion = _polynomial(keys, name)
    numbers = [_first(keys, names) for names in _NUMBERS]
    told = _size(keys) or size
    if None not in numbers:
        return make_camera(_need(told, name), numbers, name, distortion=distortion)
    matrix = _first(keys, _MATRICES)
    if matrix is None:
        raise InputError(f"{name} holds {', '.join(map(str, list(table)[:8]))}; {NEEDED}")
    return _of_numbers(matrix, told, name, distortion)


def _of_numbers(
    values: Any, size: tuple[int, int] | None, name: str, distortion: list[float] | None = None
) -> Camera:
    """A camera of fx fy cx cy, or a 3x3, 3x4 or 4x4 matrix, nested, flat or OpenCV's record.

    A 3x3 matrix whose last row is not 0 0 1 is stored column by column, as Open3D does.
    """
    if isinstance(values, dict):
        values = values.get("data")
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    if len(flat) == 4:
        numbers = flat
    elif len(flat) in (9, 12, 16):
        matrix = flat.reshape((4, 4) if len(flat) == 16 else (3, -1))[:3, :3]
        if not np.allclose(matrix[2], (0, 0, 1)):
            matrix = matrix.T
        if not np.allclose(matrix[2], (0, 0, 1)) or abs(matrix[0, 1]) > 1e-3 * abs(matrix[0, 0]):
            raise InputError(f"{name} holds a matrix that is no camera's (or has skew); {NEEDED}")
        numbers = matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
    else:
        raise InputError(f"{name} holds {len(flat)} numbers; {NEEDED}")
    return make_camera(_need(size, name), numbers.tolist(), name, distortion=distortion or ())


def _from_kitti(
    rows: list[list[str]], size: tuple[int, int] | None, name: str
) -> dict[str, Camera]:
    """The rectified cameras P0 to P3 of KITTI's text files."""
    table = {row[0].rstrip(":"): row[1:] for row in rows}
    found = {}
    for key, words in table.items():
        if (key[:1] == "P" or key == "K") and len(words) in (9, 12):
            number = key.removeprefix("P_rect_")
            told = table.get(f"S_rect_{number}")
            stated = (round(float(told[1])), round(float(told[0]))) if told else size
            label = f"P{int(number)}" if number != key else key
            values = [float(word) for word in words]
            found[label] = _of_numbers(values, stated, f"{name}, {key}")
    if not found:
        raise InputError(f"{name} holds {', '.join(list(table)[:8])} but no P0 to P3; {NEEDED}")
    return found


def _from_nerf(data: dict[str, Any], size: tuple[int, int] | None, name: str) -> dict[str, Camera]:
    """Cameras of transforms.json; a frame's own numbers come before those of all."""
    shared = {key: value for key, value in data.items() if key != "frames"}
    frames = data.get("frames") or [{}]
    found = {}
    for frame in frames:
        keys = {**shared, **frame}
        distortion = _polynomial(keys, name)
        height, width = _need(_size(keys) or size, name)
        fx = keys.get("fl_x") or width / 2 / math.tan(float(keys["camera_angle_x"]) / 2)
        center = keys.get("cx", width / 2), keys.get("cy", height / 2)
        pose = keys.get("transform_matrix")
        camera = make_camera(
            (height, width),
            (fx, keys.get("fl_y") or fx, float(center[0]) - 0.5, float(center[1]) - 0.5),
            name,
            distortion=distortion,
            world_from_camera=None if pose is None else np.asarray(pose, float) @ _GL_FROM_CV,
        )
        found[str(frame.get("file_path", ""))] = camera
    return found


def _from_open3d(view: dict[str, Any], size: tuple[int, int] | None, name: str) -> Camera:
    """Open3D's parameters; its extrinsic is camera_from_world, column by column."""
    camera = _from_table(view["intrinsic"], size, name)
    extrinsic = np.asarray(view["extrinsic"], dtype=np.float64).reshape(4, 4).T
    return camera.moved(np.linalg.inv(extrinsic))


def _parse_yaml(text: str) -> Any:
    """The first document of a YAML text; OpenCV's directive and tag are taken out."""
    import yaml

    if len(text) > _MOST_YAML:
        raise ValueError(f"{len(text)} characters, far more than a calibration")
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    plain = "\n".join(lines).replace("!!opencv-matrix", "")
    return next((document for document in yaml.safe_load_all(plain) if document), None)


def _first(keys: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((keys[name] for name in names if name in keys), None)


def _size(keys: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = _first(keys, _WIDTHS), _first(keys, _HEIGHTS)
    if width is None or height is None:
        width, height = _first(keys, _SIZES) or (None, None)
    return None if width is None or height is None else (int(height), int(width))


def _need(size: tuple[int, int] | None, name: str) -> tuple[int, int]:
    if size is None:
        raise InputError(f"{name} does not tell the size of the pictures; add width and height.")
    return size


def _polynomial(keys: Mapping[str, Any], name: str) -> list[float]:
    """k1, k2, p1, p2, k3 of OpenCV's distortion.

    Raises:
        InputError: the distortion of a fisheye or panorama, which is another function.
    """
    found = _first(keys, _DISTORTIONS)
    if isinstance(found, dict):
        found = found.get("data")
    if found is None:
        found = [keys.get(name) or 0 for name in _POLYNOMIAL]
    numbers = np.asarray(found, dtype=np.float64).reshape(-1).tolist()
    model = f"{keys.get('distortion_model', '')} {keys.get('camera_model', '')}".lower().strip()
    if "equirect" in model or (any(word in model for word in _NO_PINHOLES) and any(numbers)):
        raise InputError(
            f"{name}: a camera of the model {model}, and a pinhole is needed; undistort the "
            "pictures and give their camera."
        )
    return numbers
