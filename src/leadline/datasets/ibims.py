"""iBims-1: a hundred indoor scenes with laser depth, made for looking at edges and planes.

Source: Koch et al., Evaluation of CNN-based Single-Image Depth Estimation Methods, ECCV-W 2018.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_depth16,
    read_lines,
    read_mat_fields,
    read_picture,
    set_intrinsics,
    zero_unknown,
)
from leadline.datasets.spec import DatasetSpec
from leadline.errors import InputError
from leadline.image import Image
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH_M = 50.0
PER_METRE = 65535 / 50
"""Codes per metre of the depth files."""


def ibims_refs(root: Path) -> list[FrameRef]:
    """Frames of ``ibims1_core_raw`` (pictures in folders) or of ``ibims1_core_mat`` (NAME.mat).

    What is invalid or transparent by the set's own masks has no depth.
    """
    if (root / "rgb").is_dir():
        paths = sorted((root / "rgb").glob("*.png"))
        return [FrameRef(name=p.stem, read=partial(_of_folders, root, p.stem)) for p in paths]
    return [FrameRef(name=p.stem, read=partial(_of_mat, p)) for p in sorted(root.glob("*.mat"))]


def _of_folders(root: Path, name: str) -> Frame:
    path = root / "calib" / f"{name}.txt"
    try:
        numbers = [float(word) for word in read_lines(path)[0].split(",")]
        fx, fy, cx, cy = numbers
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: one line fx,fy,cx,cy is needed ({error}).") from error
    depth = read_depth16(root / "depth" / f"{name}.png", per_unit=PER_METRE)
    masks = [_mask(root / kind / f"{name}.png") for kind in ("mask_invalid", "mask_transp")]
    return _frame(
        read_picture(root / "rgb" / f"{name}.png", fx=fx, fy=fy, cx=cx, cy=cy), depth, masks
    )


def _of_mat(path: Path) -> Frame:
    kinds = ("mask_invalid", "mask_transp")
    fields = read_mat_fields(path, "data", ("rgb", "depth", "calib", *kinds))
    masks = [fields[kind] > 0 for kind in kinds]
    k = np.asarray(fields["calib"], np.float64)
    if k.shape != (3, 3):
        raise InputError(f"{path}: calib has the shape {k.shape}; a 3x3 matrix is needed.")
    k = k.T if k[2, 0] > k[0, 2] else k  # the files hold MATLAB's transpose
    image = Image(pixels=np.ascontiguousarray(fields["rgb"], np.uint8), name=str(path))
    image = set_intrinsics(image, fx=k[0, 0], fy=k[1, 1], cx=k[0, 2], cy=k[1, 2])
    return _frame(image, np.asarray(fields["depth"], np.float32), masks, path.stem)


def _mask(path: Path) -> np.ndarray:
    return np.any(read_image(path).pixels, axis=2)


def _frame(image: Image, depth: np.ndarray, masks: list[np.ndarray], name: str = "") -> Frame:
    if any(mask.shape != depth.shape for mask in masks):
        raise InputError(
            f"{name or image.name}: masks of {[m.shape for m in masks]} for depth of "
            f"{depth.shape}; unpack the archive again."
        )
    return Frame(
        image=image,
        depth=zero_unknown(depth, np.logical_and.reduce(masks)),
        max_depth=MAX_DEPTH_M,
        group="ibims",
        name=name or image.name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0],
    )


SPECS = (
    DatasetSpec(
        name="ibims",
        summary="iBims-1, 100 indoor scenes with laser depth, to 50 m, masks applied",
        layout=(
            "{rgb,depth,mask_invalid,mask_transp}/NAME.png, calib/NAME.txt (ibims1_core_raw)\n"
            "NAME.mat (ibims1_core_mat)"
        ),
        source="asg.ed.tum.de/lmf/ibims1",
        terms="see its page",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: ibims_refs(root),
    ),
)
