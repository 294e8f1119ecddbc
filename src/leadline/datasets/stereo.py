"""Stereo pairs with disparity: Middlebury 2003 and 2014, and pairs with a plain array.

Source: Scharstein and Szeliski, CVPR 2003; Scharstein et al., GCPR 2014.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import Frame, FrameRef, read_lines, set_intrinsics, zero_unknown
from leadline.errors import InputError
from leadline.io import read_depth_map, read_depth_png, read_image, read_pfm

if TYPE_CHECKING:
    from pathlib import Path

_PER_PIXEL_2003 = 4  # quarter-size pictures of 2003 store disparity times 4
_FOCAL_2003, _BASELINE_2003 = 937.5, 0.16  # nominal
_MOTORCYCLE = {"focal_px": 994.978, "baseline_m": 0.193001, "doffs_px": 31.086}
MAX_DEPTH_M = 10.0


def middlebury_refs(root: Path) -> list[FrameRef]:
    """Pairs below ``root``, each in a folder of its own.

    ``im2, im6, disp2`` (2003, disparity x 4; no calibration is known, so depth is right up to one
    factor), ``im0, im1, disp0.pfm, calib.txt`` (2014), or ``*_left, *_right, *_disp.npz``
    (scikit-image's motorcycle).
    """
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    found = []
    for folder in folders:
        if (folder / "disp2.png").is_file():
            found.append(FrameRef(name=folder.name, read=partial(_of_2003, folder)))
        elif (folder / "disp0.pfm").is_file():
            found.append(FrameRef(name=folder.name, read=partial(_of_2014, folder)))
        else:
            found += [
                FrameRef(name=path.stem.removesuffix("_disp"), read=partial(_of_array, path))
                for path in sorted(folder.glob("*_disp.npz"))
            ]
    return found


def read_middlebury_calibration(path: Path) -> dict[str, float]:
    """Focal length, ``doffs`` and baseline of a 2014 ``calib.txt``: px, px and metres."""
    text = "\n".join(read_lines(path))
    values = dict(re.findall(r"^(doffs|baseline)\s*=\s*([-+.\deE]+)", text, re.MULTILINE))
    matrix = re.search(r"cam0\s*=\s*\[([^\]]+)\]", text)
    if matrix is None or set(values) != {"doffs", "baseline"}:
        raise InputError(f"{path}: cam0, doffs and baseline are needed; it is not a calib.txt.")
    rows = [[float(word) for word in row.split()] for row in matrix.group(1).split(";")]
    return {
        "focal_px": rows[0][0],
        "cx": rows[0][2],
        "cy": rows[1][2],
        "doffs_px": float(values["doffs"]),
        "baseline_m": float(values["baseline"]) / 1000,
    }


def _of_2003(folder: Path) -> Frame:
    disparity = read_depth_png(folder / "disp2.png", per_unit=_PER_PIXEL_2003)
    # No calibration of 2003 is published: focal length and baseline are nominal, and depth is right
    # up to one factor. Protocols that find the scale are the ones to use.
    return _pair(
        folder / "im2.png",
        folder / "im6.png",
        disparity,
        {"focal_px": _FOCAL_2003, "baseline_m": _BASELINE_2003, "doffs_px": 0.0},
        folder.name,
    )


def _of_2014(folder: Path) -> Frame:
    calibration = read_middlebury_calibration(folder / "calib.txt")
    disparity = read_pfm(folder / "disp0.pfm")
    if disparity.ndim != 2:
        raise InputError(f"{folder / 'disp0.pfm'}: one channel is needed.")
    return _pair(
        folder / "im0.png", folder / "im1.png", np.asarray(disparity), calibration, folder.name
    )


def _of_array(path: Path) -> Frame:
    stem = path.stem.removesuffix("_disp")
    disparity = read_depth_map(path)
    left, right = (path.parent / f"{stem}_{side}.png" for side in ("left", "right"))
    return _pair(left, right, disparity, _MOTORCYCLE, stem)


def _pair(
    left: Path, right: Path, disparity: np.ndarray, calibration: dict[str, float], name: str
) -> Frame:
    image = read_image(left)
    height, width = image.size
    focal_px = calibration["focal_px"]
    cx = calibration.get("cx", (width - 1) / 2)
    cy = calibration.get("cy", (height - 1) / 2)
    disparity = zero_unknown(disparity)
    known = disparity > 0
    away = np.where(known, disparity + calibration["doffs_px"], 1)
    depth = np.where(known, focal_px * calibration["baseline_m"] / away, 0)
    return Frame(
        image=set_intrinsics(image, fx=focal_px, fy=focal_px, cx=cx, cy=cy),
        depth=depth.astype(np.float32),
        max_depth=MAX_DEPTH_M,
        group="middlebury",
        name=name,
        right=read_image(right),
        baseline_m=calibration["baseline_m"],
        disparity=disparity,
    )
