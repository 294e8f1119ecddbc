"""Any folder of pictures and depth files: the data sets that nobody has written a reader for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.datasets.frame import (
    INTRINSICS,
    Frame,
    FrameRef,
    read_depth16,
    read_depth_array,
    read_intrinsics,
    read_json,
    set_intrinsics,
    zero_unknown,
)
from leadline.errors import InputError
from leadline.io import list_images, read_image
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from collections.abc import Mapping

PICTURES = ("rgb", "image", "images", "color", "colour", "image_02", "img", "left")
DEPTHS = ("depth", "depths", "groundtruth", "gt", "depth_gt")
IN_METRES = (".npy", ".npz", ".pfm")
"""Suffixes of depth files that hold metres; the others hold integers of some scale."""

_DEPTH_SUFFIXES = (".png", *IN_METRES, ".pgm", ".tif", ".tiff")


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
            holds it.
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
    pictures, depths = picture_files(root), depth_files(root)
    read = partial(
        _frame,
        group=Path(root).name,
        per_metre=per_metre,
        max_depth=float(record.get("max_depth", max_depth)),
        intrinsics=read_intrinsics(root / "camera.json") if set(INTRINSICS) <= set(record) else {},
    )
    return [
        FrameRef(name=stem, read=partial(read, path, depths.get(stem)))
        for stem, path in pictures.items()
    ]


def picture_files(root: Path) -> dict[str, Path]:
    """Stem -> picture, in natural order, of the folder of pictures below ``root``.

    Raises:
        InputError: no such folder, or two pictures of one stem.
    """
    return _by_stem(list_images(_one_of(root, PICTURES, "pictures")))


def depth_files(root: Path) -> dict[str, Path]:
    """Stem -> depth file, of the folder of depth below ``root``; files of other formats are passed.

    Raises:
        InputError: no such folder, or two depth files of one stem.
    """
    files = sorted(_one_of(root, DEPTHS, "depth").iterdir())
    return _by_stem([path for path in files if path.suffix.lower() in _DEPTH_SUFFIXES])


def _by_stem(files: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"{other} and {path.name} have the same stem, so it is not known which is meant; "
                "one file of each stem is needed: move the other away."
            )
    return found


def _one_of(root: Path, names: tuple[str, ...], what: str) -> Path:
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None:
        raise InputError(
            f"{root} holds no folder of {what}; one of {', '.join(names)} is needed. Rename yours."
        )
    return found


def _frame(
    path: Path,
    target: Path | None,
    *,
    group: str,
    per_metre: float | None,
    max_depth: float,
    intrinsics: Mapping[str, float],
) -> Frame:
    if target is None:
        raise InputError(
            f"{path} has no depth file of the same stem ({', '.join(_DEPTH_SUFFIXES)}); add it, or "
            "take the picture out."
        )
    if target.suffix.lower() in IN_METRES:
        depth = read_depth_array(target)
    elif per_metre is None:
        raise InputError(
            f"{target}: integers of unknown scale; say it, --per-metre 1000 (256 for KITTI), or "
            'put {"depth_png_per_metre": 1000} into camera.json.'
        )
    else:
        depth = read_depth16(target, per_unit=per_metre)
    image = read_image(path)
    if intrinsics:
        image = set_intrinsics(image, **intrinsics)
    if depth.shape != image.size:
        raise InputError(
            f"{target} is a map of {depth.shape} for a picture of {image.size} ({path.name}); the "
            "same size is needed: resize the picture to the depth."
        )
    return Frame(
        image=image,
        depth=zero_unknown(depth),
        max_depth=max_depth,
        group=group,
        name=path.stem,
    )
