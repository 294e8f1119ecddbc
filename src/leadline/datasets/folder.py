"""Any folder of pictures and depth files: the data sets that nobody has written a reader for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    depth_array,
    depth_png,
    read_json,
    with_intrinsics,
)
from leadline.errors import InputError
from leadline.io import list_images, read_image
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from collections.abc import Mapping

PICTURES = ("rgb", "image", "images", "color", "colour", "image_02", "img", "left")
DEPTHS = ("depth", "depths", "groundtruth", "gt", "depth_gt")
_DEPTH_SUFFIXES = (".png", ".npy", ".npz", ".pfm", ".pgm", ".tif", ".tiff")


def folder_refs(
    root: Path,
    *,
    per_metre: float | None = None,
    max_depth: float = 80.0,
    kind: DepthKind | str = DepthKind.METRIC_DEPTH,
) -> list[FrameRef]:
    """Pictures and depth files of the same stem, in two folders below ``root``.

    Folders are looked for by name: :data:`PICTURES` and :data:`DEPTHS`. ``camera.json`` may hold
    ``fx, fy, cx, cy`` in pixels, ``depth_png_per_metre``, ``max_depth`` and ``kind``.

    Args:
        root: the folder.
        per_metre: codes per metre of integer depth files; needed for those unless camera.json
            tells it.
        max_depth: metres up to which depths count.
        kind: what the files hold, ``metric_depth``; others cannot be a target.

    Raises:
        InputError: no such folders, a picture without depth, or an unknown scale.
    """
    record = read_json(root / "camera.json") if (root / "camera.json").is_file() else {}
    kind = DepthKind(record.get("kind", kind))
    if kind is not DepthKind.METRIC_DEPTH:
        raise InputError(
            f"{root}: depth files of kind {kind}; a truth in metres is needed to measure against. "
            "Convert the files first (1 / disparity with focal length and baseline)."
        )
    per_metre = per_metre or record.get("depth_png_per_metre")
    pictures, depths = _one_of(root, PICTURES, "pictures"), _one_of(root, DEPTHS, "depth")
    files = {path.stem: path for path in sorted(depths.iterdir()) if path.suffix in _DEPTH_SUFFIXES}
    cap = float(record.get("max_depth", max_depth))
    return [
        FrameRef(
            name=path.stem,
            read=partial(_frame, root, path, files.get(path.stem), per_metre, cap, record),
        )
        for path in list_images(pictures)
    ]


def _one_of(root: Path, names: tuple[str, ...], what: str) -> Path:
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None:
        raise InputError(
            f"{root} holds no folder of {what}; one of {', '.join(names)} is needed. Rename yours."
        )
    return found


def _frame(
    root: Path,
    path: Path,
    target: Path | None,
    per_metre: float | None,
    max_depth: float,
    record: Mapping[str, float],
) -> Frame:
    if target is None:
        raise InputError(
            f"{path} has no depth file of the same stem ({', '.join(_DEPTH_SUFFIXES)}); add it, or "
            "take the picture out."
        )
    if target.suffix in (".npy", ".npz", ".pfm"):
        depth = depth_array(target)
    elif per_metre is None:
        raise InputError(
            f"{target}: integers of unknown scale; say it, --per-metre 1000 (256 for KITTI), or "
            'put {"depth_png_per_metre": 1000} into camera.json.'
        )
    else:
        depth = depth_png(target, per_unit=per_metre)
    image = read_image(path)
    if all(key in record for key in ("fx", "fy", "cx", "cy")):
        numbers = {key: float(record[key]) for key in ("fx", "fy", "cx", "cy")}
        image = with_intrinsics(image, **numbers)
    if depth.shape != image.size:
        raise InputError(
            f"{target} is a map of {depth.shape} for a picture of {image.size} ({path.name}); the "
            "same size is needed: resize the picture to the depth."
        )
    return Frame(
        image=image,
        depth=np.where(depth > 0, depth, 0),
        max_depth=max_depth,
        group=Path(root).name,
        name=path.stem,
    )
