"""Rendered data sets of others: Virtual KITTI 2 and Hypersim.

Source: Cabon et al., Virtual KITTI 2, 2020; Roberts et al., Hypersim, ICCV 2021.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_depth16,
    read_picture,
    set_intrinsics,
    zero_unknown,
)
from leadline.errors import InputError, MissingDependencyError
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

_VKITTI = {"fx": 725.0087, "fy": 725.0087, "cx": 620.5, "cy": 187.0}
_HYPERSIM_FOCAL_PX = 886.81
_VKITTI_PER_METRE = 100


def vkitti2_refs(root: Path) -> list[FrameRef]:
    """Frames ``SceneNN/VARIANT/frames/rgb/Camera_0/rgb_N.jpg`` with ``depth_N.png`` (cm)."""

    def read(path: Path, name: str) -> Frame:
        number = path.stem.partition("_")[2]
        target = path.parents[2] / "depth" / "Camera_0" / f"depth_{number}.png"
        return Frame(
            image=read_picture(path, **_VKITTI),
            depth=read_depth16(target, per_unit=_VKITTI_PER_METRE),
            max_depth=80.0,
            group="vkitti2",
            name=name,
        )

    found = []
    for path in sorted(root.glob("Scene*/*/frames/rgb/Camera_0/rgb_*.jpg")):
        scene, variant = path.relative_to(root).parts[:2]
        name = f"{scene}/{variant}/{path.stem.partition('_')[2]}"
        found.append(FrameRef(name=name, read=partial(read, path, name)))
    return found


def hypersim_refs(root: Path) -> list[FrameRef]:
    """Frames of ``ai_*/images/scene_cam_NN_final_preview`` with their ``_geometry_hdf5``.

    The files hold distances along the ray; they become depth along the axis here.
    """

    def read(path: Path, name: str) -> Frame:
        image = read_image(path)
        height, width = image.size
        camera = path.parent.name.removesuffix("_final_preview")
        stem = ".".join(path.name.split(".")[:2])
        target = path.parents[1] / f"{camera}_geometry_hdf5" / f"{stem}.depth_meters.hdf5"
        distance = _read_hdf5(target)
        focal = _HYPERSIM_FOCAL_PX * width / 1024
        depth = distance_to_depth(distance, focal)
        centre = {"cx": (width - 1) / 2, "cy": (height - 1) / 2}
        return Frame(
            image=set_intrinsics(image, fx=focal, fy=focal, **centre),
            depth=zero_unknown(depth),
            max_depth=20.0,
            group="hypersim",
            name=name,
        )

    found = []
    for path in sorted(root.glob("ai_*/images/*_final_preview/frame.*.tonemap.jpg")):
        scene, camera = path.parents[2].name, path.parent.name.removesuffix("_final_preview")
        name = f"{scene}/{camera}/{path.name.split('.')[1]}"
        found.append(FrameRef(name=name, read=partial(read, path, name)))
    return found


def distance_to_depth(
    distance: Float[np.ndarray, "h w"], focal_px: float
) -> Float[np.ndarray, "h w"]:
    """Depth along the optical axis of distances along the ray, for a centred principal point."""
    height, width = distance.shape
    v, u = np.mgrid[:height, :width].astype(np.float64)
    x, y = u - (width - 1) / 2, v - (height - 1) / 2
    return distance * focal_px / np.sqrt(x * x + y * y + focal_px * focal_px)


def _read_hdf5(path: Path) -> np.ndarray:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError("h5py", "reading Hypersim", "data") from error
    try:
        with h5py.File(path, "r") as file:
            return file["dataset"][()].astype(np.float64)
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as Hypersim's depth ({error}); download the scene's geometry."
        ) from error
