"""Two films of a stereo pair, rectified by their camera's calibration into a folder of pairs.

The folder holds ``calib.json`` (a DepthAI calibration, as OAK-D cameras store it), ``left.mp4`` and
``right.mp4``. Pairs are written once; how well their rows meet is measured with matched points and
stands in ``camera.json`` beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from leadline.camera import Camera
from leadline.datasets.frame import Frame, FrameRef, read_json, set_intrinsics
from leadline.errors import InputError
from leadline.geometry.matching import match
from leadline.image import Image
from leadline.io import read_image
from leadline.jobs import atomic_write

_MAX_DEPTH_M = 20.0
_SAME_POINT_PX = 20  # rows that are farther apart belong to a wrong match
_BRIGHTEST = 0.35  # share of white pixels above which a picture is overexposed


@dataclass(frozen=True, kw_only=True)
class RectifiedRig:
    """Maps from two raw pictures to a rectified pair.

    Attributes:
        maps: per camera, the two maps of ``cv2.remap``.
        camera: of both rectified pictures.
        baseline_m: metres between them.
    """

    maps: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    camera: Camera
    baseline_m: float

    def pair(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rectify two pictures (h, w, 3)."""
        made = [
            cv2.remap(picture, *maps, cv2.INTER_LINEAR)
            for picture, maps in zip((left, right), self.maps, strict=True)
        ]
        return made[0], made[1]


def depthai_rig(calibration: Mapping[str, Any], *, width: int = 640) -> RectifiedRig:
    """The rectified rig of a DepthAI calibration.

    Args:
        calibration: the content of ``calib.json``.
        width: of the rectified pictures; their height follows.

    Raises:
        InputError: no such calibration.
    """
    lenses, size, rotation, shift = _read_calibration(calibration)
    (k1, d1), (k2, d2) = lenses
    out = (width, round(width * size[1] / size[0] / 2) * 2)
    found = cv2.stereoRectify(
        k1,
        d1,
        k2,
        d2,
        size,
        rotation,
        shift,
        alpha=0,
        newImageSize=out,
        flags=cv2.CALIB_ZERO_DISPARITY,
    )
    r1, r2, p1, p2 = found[:4]
    maps = [
        cv2.initUndistortRectifyMap(k, d, r, p, out, cv2.CV_32FC1)
        for (k, d), r, p in zip(lenses, (r1, r2), (p1, p2), strict=True)
    ]
    camera = Camera(
        width=out[0],
        height=out[1],
        fx=float(p1[0, 0]),
        fy=float(p1[1, 1]),
        cx=float(p1[0, 2]),
        cy=float(p1[1, 2]),
        source="calibration",
    )
    baseline = abs(float(p2[0, 3] / p2[0, 0]))
    return RectifiedRig(maps=(tuple(maps[0]), tuple(maps[1])), camera=camera, baseline_m=baseline)


def _read_calibration(calibration: Mapping[str, Any]) -> tuple[Any, tuple[int, int], Any, Any]:
    """Matrix and distortion of both cameras, (width, height), and the right one from the left."""
    try:
        cameras = dict(calibration["cameraData"])
        pair = calibration["stereoRectificationData"]
        left, right = (cameras[pair[f"{side}CameraSocket"]] for side in ("left", "right"))
        if left["extrinsics"]["toCameraSocket"] != pair["rightCameraSocket"]:
            raise KeyError("extrinsics from the left to the right camera")
        places = left["extrinsics"]
        rotation = np.array(places["rotationMatrix"], dtype=np.float64)
        # centimetres
        shift = np.array([[places["translation"][axis] / 100] for axis in "xyz"])
        lenses = [
            (np.array(c["intrinsicMatrix"]), np.array(c["distortionCoeff"])) for c in (left, right)
        ]
        size = (int(left["width"]), int(left["height"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"this is no DepthAI calibration of a stereo pair ({error} is missing or wrong): "
            "cameraData and stereoRectificationData are needed, as dai.CalibrationHandler writes."
        ) from error
    return lenses, size, rotation, shift


def rectified_refs(root: Path, cache: Path, *, every: int = 1) -> list[FrameRef]:
    """The pairs of a film, rectified into ``cache`` if they are not there yet.

    Overexposed frames, with which a film from a cold camera begins, are left out.

    Args:
        root: folder of ``left.mp4``, ``right.mp4`` and ``calib.json``.
        cache: where pairs go.
        every: only every n-th frame.

    Raises:
        InputError: a file is missing or cannot be read.
    """
    listing = cache / "camera.json"
    wanted = {"root": str(root), "every": every}
    if not listing.is_file() or read_json(listing).get("made_from") != wanted:
        _write_pairs(root, cache, every=every)
    stored = read_json(listing)
    return [
        FrameRef(name=f"film/{name}", read=partial(_read, cache, name, stored))
        for name in stored["pairs"]
    ]


def row_error(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """How far matched points of rectified pairs lie from each other's row, in pixels.

    Returns:
        ``points``, how many; ``median`` of the difference (above 0: lower in the left picture) and
        ``median_abs``; NaN without points.
    """
    found: list[np.ndarray] = []
    for left, right in pairs:
        try:
            matches = match(Image(pixels=left), Image(pixels=right), limit=1000, ratio=0.7)
        except InputError:  # too little to see in one of the two
            continue
        away = matches.first[:, 1] - matches.second[:, 1]
        found.append(away[np.abs(away) < _SAME_POINT_PX])
    away = np.concatenate(found) if found else np.zeros(0)
    if not len(away):
        return {"points": 0, "median": math.nan, "median_abs": math.nan}
    return {
        "points": len(away),
        "median": float(np.median(away)),
        "median_abs": float(np.median(np.abs(away))),
    }


def _write_pairs(root: Path, cache: Path, *, every: int) -> None:
    rig = depthai_rig(read_json(root / "calib.json"))
    names: list[str] = []
    checked: list[tuple[np.ndarray, np.ndarray]] = []
    for side in ("left", "right"):
        (cache / side).mkdir(parents=True, exist_ok=True)
    for number, raw in enumerate(_frames(root)):
        if number % every or any((each > 250).mean() > _BRIGHTEST for each in raw):
            continue
        pair = rig.pair(*raw)
        names.append(f"{number:06d}")
        for side, picture in zip(("left", "right"), pair, strict=True):
            _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            with atomic_write(cache / side / f"{names[-1]}.png") as file:
                file.write(data.tobytes())
        if len(names) % 40 == 1:
            checked.append(pair)
    if not names:
        raise InputError(f"{root}: no frame of left.mp4 and right.mp4 can be used.")
    stored = {
        "made_from": {"root": str(root), "every": every},
        "pairs": names,
        "camera": rig.camera.to_dict(),
        "baseline_m": rig.baseline_m,
        "row_error_px": row_error(checked),
    }
    with atomic_write(cache / "camera.json") as file:
        file.write(json.dumps(stored, indent=2).encode())


def _frames(root: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of raw RGB pictures, in the order of time."""
    films = [cv2.VideoCapture(str(root / f"{side}.mp4")) for side in ("left", "right")]
    try:
        if not all(film.isOpened() for film in films):
            raise InputError(f"{root}: left.mp4 and right.mp4 are needed and cannot be opened.")
        while True:
            read = [film.read() for film in films]
            if not all(good for good, _ in read):
                return
            left, right = (cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for _, picture in read)
            yield left, right
    finally:
        for film in films:
            film.release()


def _read(cache: Path, name: str, stored: Mapping[str, Any]) -> Frame:
    camera = stored["camera"]
    lens = {key: float(camera[key]) for key in ("fx", "fy", "cx", "cy")}
    left, right = (
        set_intrinsics(read_image(cache / side / f"{name}.png"), **lens)
        for side in ("left", "right")
    )
    return Frame(
        image=left,
        depth=np.zeros(left.size, np.float32),
        max_depth=_MAX_DEPTH_M,
        group="stereo-video",
        name=name,
        right=right,
        baseline_m=float(stored["baseline_m"]),
    )
