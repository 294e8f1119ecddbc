"""Data sets of one frame each, which the fuzz campaign damages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image as PilImage

from leadline.io import write_pfm

_RNG = np.random.default_rng(0)
RGB = _RNG.integers(0, 256, (12, 16, 3)).astype(np.uint8)
DEPTH = _RNG.uniform(1, 9, (12, 16)).astype(np.float32)
CODES = (DEPTH * 1000).astype(np.uint16)
PINHOLE = "525 0 8\n0 525 6\n0 0 1\n"
_CAMERA = {"fx": 525.0, "fy": 525.0, "cx": 8.0, "cy": 6.0}
_DPT_TAG = np.array(202021.25, "<f4").tobytes()


def save(path: Path, array: np.ndarray, **options: Any) -> None:
    """Write a picture, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(array).save(path, **options)


def _put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _folder(root: Path, number: int) -> None:
    for stem in "abcd":
        save(root / f"rgb/{stem}.png", RGB)
        save(root / f"depth/{stem}.png", CODES)
    _put(root / "camera.json", json.dumps({**_CAMERA, "depth_png_per_metre": 1000}))


def _nyu_folder(root: Path, number: int) -> None:
    save(root / "rgb/0.jpg", RGB)
    save(root / "depth/0.png", CODES)
    _put(root / "camera.json", json.dumps(_CAMERA))


def _kitti_depth(root: Path, number: int) -> None:
    save(root / "image_02/0.png", RGB)
    save(root / "groundtruth/0.png", CODES)
    _put(root / "camera.json", json.dumps(_CAMERA))


def _seven_scenes(root: Path, number: int) -> None:
    save(root / "frame-000000.color.png", RGB)
    save(root / "frame-000000.depth.png", CODES)
    _put(root / "frame-000000.pose.txt", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    _put(root / "camera-intrinsics.txt", PINHOLE)


def _middlebury(root: Path, number: int) -> None:
    save(root / "m/im0.png", RGB)
    save(root / "m/im1.png", RGB)
    write_pfm(root / "m/disp0.pfm", DEPTH)
    cameras = "cam0=[525 0 8; 0 525 6; 0 0 1]\ncam1=[525 0 9; 0 525 6; 0 0 1]\n"
    _put(root / "m/calib.txt", f"{cameras}doffs=1\nbaseline=100\nwidth=16\nheight=12\nndisp=9\n")


def _diode(root: Path, number: int) -> None:
    stem = root / "indoors/scene_0/scan_0"
    save(stem / "a.png", RGB)
    np.save(stem / "a_depth.npy", DEPTH[..., None])
    np.save(stem / "a_depth_mask.npy", np.ones_like(DEPTH))


def _ibims(root: Path, number: int) -> None:
    save(root / "rgb/a.png", RGB)
    save(root / "depth/a.png", CODES)
    for mask in ("mask_invalid", "mask_transp"):
        save(root / mask / "a.png", np.ones((12, 16), bool))
    _put(root / "calib/a.txt", "550.5,551.5,8.0,6.0\n")


def _sintel(root: Path, number: int) -> None:
    frame = "alley_1/frame_0001"
    size = np.array([16, 12], "<i4").tobytes()
    numbers = np.concatenate([np.eye(3).ravel() * 500, np.eye(4)[:3].ravel()])
    save(root / f"training/final/{frame}.png", RGB)
    _put(root / f"training/depth/{frame}.dpt", _DPT_TAG + size + DEPTH.tobytes())
    camera = _DPT_TAG + numbers.astype("<f8").tobytes()
    _put(root / f"training/camdata_left/{frame}.cam", camera)


def _tum(root: Path, number: int) -> None:
    save(root / "rgb/1.png", RGB)
    save(root / "depth/1.png", CODES)
    _put(root / "rgb.txt", "# a\n1.0 rgb/1.png\n")
    _put(root / "depth.txt", "1.01 depth/1.png\n")
    _put(root / "groundtruth.txt", "1.0 0 0 0 0 0 0 1\n")
    _put(root / "camera.json", json.dumps(_CAMERA))


def _sunrgbd(root: Path, number: int) -> None:
    place = root / "kv2/data/0"
    save(place / "image/0.jpg", RGB)
    save(place / "depth_bfx/0.png", CODES << 3)
    _put(place / "intrinsics.txt", PINHOLE.replace("\n", " "))


def _da_2k(root: Path, number: int) -> None:
    save(root / "images/a.png", RGB)
    pair = {"point1": [1, 2], "point2": [3, 4], "closer_point": "point1"}
    _put(root / "annotations.json", json.dumps({"images/a.png": [pair]}))


def _make3d(root: Path, number: int) -> None:
    from scipy.io import savemat

    save(root / "Test134/img-op-a.jpg", RGB)
    (root / "Gridlaserdata").mkdir()
    grid = {"Position3DGrid": np.ones((55, 305, 4))}
    savemat(root / "Gridlaserdata/depth_sph_corr-op-a.mat", grid)


def _nyu_labelled(root: Path, number: int) -> None:
    import h5py

    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.zeros((1, 3, 16, 12), np.uint8)
        file["depths"] = file["rawDepths"] = np.ones((1, 16, 12), np.float32)


SETS: Mapping[str, Callable[[Path, int], None]] = MappingProxyType(
    {
        "folder": _folder,
        "nyu-folder": _nyu_folder,
        "kitti-depth": _kitti_depth,
        "7scenes": _seven_scenes,
        "middlebury": _middlebury,
        "diode": _diode,
        "ibims": _ibims,
        "sintel": _sintel,
        "tum": _tum,
        "sunrgbd": _sunrgbd,
        "da-2k": _da_2k,
        "make3d": _make3d,
        "nyu-labelled": _nyu_labelled,
    }
)
"""Name of a data set -> what writes one of one frame."""
