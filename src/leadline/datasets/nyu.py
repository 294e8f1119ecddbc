"""NYU Depth v2: the labelled .mat, the synchronised layout of BTS, and folders of frames.

Source: Silberman et al., Indoor Segmentation and Support Inference, ECCV 2012 (data, splits,
camera); Lee et al., BTS, 2019 (layout of the synchronised set).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_depth16,
    read_intrinsics,
    read_picture,
    set_intrinsics,
)
from leadline.datasets.lists import read_list
from leadline.errors import InputError, MissingDependencyError, UnknownNameError
from leadline.image import Image
from leadline.io import list_images

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH_M = 10.0
CAMERA = {"fx": 518.8579, "fy": 519.4696, "cx": 325.5824, "cy": 253.7362}
"""Intrinsics of the colour camera in the toolbox; its pixel numbers begin at 1, as used by all."""


def nyu_folder_refs(root: Path) -> list[FrameRef]:
    """Frames of ``rgb``, ``depth`` (1000 per metre) and camera.json."""
    intrinsics = read_intrinsics(root / "camera.json")

    def read(path: Path) -> Frame:
        image = read_picture(path, **intrinsics)
        return _frame(
            image,
            read_depth16(root / "depth" / f"{path.stem}.png", per_unit=1000),
            "nyu",
            path.stem,
        )

    return [
        FrameRef(name=path.stem, read=partial(read, path)) for path in list_images(root / "rgb")
    ]


def nyu_sync_refs(root: Path, split: str = "test") -> list[FrameRef]:
    """The frames of BTS's list: ``<scene>/rgb_NNNNN.jpg`` and ``sync_depth_NNNNN.png`` (mm).

    Args:
        root: folder of the scenes (``official_splits/test`` for the test part).
        split: ``test``, 654 frames, or ``train``, 24,231, without the white border of their
            pictures: rows 45 to 471, columns 43 to 607, as BTS and those after it train.
    """
    if split not in ("test", "train"):
        raise UnknownNameError("split of nyu-sync", split, ("test", "train"))
    found = []
    for line in read_list(f"nyu-sync-{split}"):
        scene, number = line.split()
        read = partial(_sync_frame, root, scene, number, inner=split == "train")
        found.append(FrameRef(name=f"{scene}/{number}", read=read))
    return found


def nyu_labelled_refs(
    path: Path,
    split: str = "test",
    *,
    depth: Literal["filled", "raw"] = "filled",
) -> list[FrameRef]:
    """Frames of ``nyu_depth_v2_labeled.mat`` (MATLAB 7.3, which is HDF5); read one by one.

    Args:
        path: the file, or the folder that holds it.
        split: ``test``, 654 frames, ``train``, 795, or ``all``, in the official lists' order.
        depth: ``filled``: in-painted, as most evaluations take it; ``raw``: as measured.

    Raises:
        InputError: not that file.
    """
    if depth not in ("filled", "raw"):
        raise UnknownNameError("depth of nyu-labelled", depth, ("filled", "raw"))
    if path.is_dir():
        path = path / "nyu_depth_v2_labeled.mat"
    count = _count(path)
    if split == "all":
        indices = list(range(count))
    elif split in ("test", "train"):
        indices = [int(line) for line in read_list(f"nyu-labelled-{split}")]
    else:
        raise UnknownNameError("split of nyu-labelled", split, ("test", "train", "all"))
    key = "depths" if depth == "filled" else "rawDepths"
    return [
        FrameRef(name=f"{index:05d}", read=partial(_labelled_frame, path, index, key))
        for index in indices
    ]


def open_mat(path: Path) -> Any:
    """The HDF5 file behind a MATLAB 7.3 file, as a context manager.

    Raises:
        InputError: missing, or of another format.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError("h5py", "reading nyu_depth_v2_labeled.mat", "data") from error
    if not path.is_file():
        raise InputError(
            f"{path}: no such file. Download nyu_depth_v2_labeled.mat (2.8 GB) from the data set's "
            "page and give its folder as --root."
        )
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{path} is not HDF5 ({error}); nyu_depth_v2_labeled.mat is MATLAB 7.3. Download it "
            "again; splits.mat is another file."
        ) from error


def _count(path: Path) -> int:
    with open_mat(path) as file:
        missing = [key for key in ("images", "depths", "rawDepths") if key not in file]
        if missing:
            raise InputError(f"{path} holds {sorted(file)} but not {missing}; another file?")
        return int(file["images"].shape[0])


def _labelled_frame(path: Path, index: int, key: str) -> Frame:
    with open_mat(path) as file:
        if index >= file["images"].shape[0]:
            raise InputError(
                f"{path} holds {file['images'].shape[0]} frames, and the list asks for {index}; "
                "download the file again."
            )
        pixels = file["images"][index].transpose(2, 1, 0)  # 3, 640, 480 -> 480, 640, 3
        depth = file[key][index].T
    image = Image(pixels=np.ascontiguousarray(pixels), name=f"{path.name}[{index}]")
    return _frame(
        set_intrinsics(image, **CAMERA),
        np.ascontiguousarray(depth, dtype=np.float32),
        "nyu-labelled",
        f"{index:05d}",
    )


def _sync_frame(root: Path, scene: str, number: str, *, inner: bool) -> Frame:
    path = root / scene / f"rgb_{number}.jpg"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file. Unpack BTS's sync archive (or the test part made by its "
            "extractor) so that the scenes are folders of the data set's folder."
        )
    depth = read_depth16(root / scene / f"sync_depth_{number}.png", per_unit=1000)
    image = read_picture(path, **CAMERA)
    if inner:
        part = np.s_[45:472, 43:608]
        pixels, depth = np.ascontiguousarray(image.pixels[part]), depth[part].copy()
        camera = image.camera and image.camera.cropped(43, 45, 565, 427)
        image = replace(image, pixels=pixels, camera=camera)
    return _frame(image, depth, "nyu-sync", f"{scene}/{number}")


def _frame(image: Image, depth: np.ndarray, group: str, name: str) -> Frame:
    return Frame(image=image, depth=depth, max_depth=MAX_DEPTH_M, group=group, name=name)
