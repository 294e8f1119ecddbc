"""KITTI: raw drives, Eigen's split, annotated depth, object, odometry and stereo 2015.

Source: Geiger et al., CVPR 2012 and IJRR 2013; Uhrig et al., Sparsity Invariant CNNs, 3DV 2017
(annotated depth); Menze and Geiger, Object Scene Flow, CVPR 2015 (stereo 2015).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.datasets.frame import (
    Frame,
    FrameRef,
    read_depth16,
    read_intrinsics,
    read_numbers,
    read_picture,
    set_pose,
)
from leadline.datasets.lists import KittiFrame, kitti_frames
from leadline.datasets.velodyne import (
    Measure,
    get_entry,
    pixel_from_velodyne,
    project_velodyne,
    read_calibration,
    read_velodyne,
)
from leadline.errors import InputError, UnknownNameError
from leadline.io import list_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from leadline.image import Image

    Calibration = Mapping[str, np.ndarray]

MAX_DEPTH_M = 80.0
_TESTS = ("kitti-eigen-test", "kitti-eigen-benchmark-test")


def kitti_raw_refs(root: Path, *, right: bool = False) -> list[FrameRef]:
    """Every frame of ``DATE/DATE_drive_NNNN_sync`` that has a scan, as camera z.

    Args:
        root: folder of the days.
        right: read the right picture too.
    """
    found = []
    read = partial(_drive_frame, measure=_project_scan, group="kitti_raw", right=right)
    for drive in sorted(root.glob("????_??_??/*_drive_*_sync")):
        date, number = drive.parent.name, drive.name.split("_")[-2]
        for path in sorted((drive / "image_02" / "data").glob("*.*")):
            scan = drive / "velodyne_points" / "data" / f"{path.stem}.bin"
            if path.suffix in (".png", ".jpg") and scan.is_file():
                frame = KittiFrame(date=date, drive=number, number=int(path.stem), side="l")
                name = f"{drive.name}/{path.stem}"
                found.append(FrameRef(name=name, read=partial(read, root, frame, name=name)))
    return found


def kitti_eigen_refs(
    root: Path,
    split: str,
    *,
    target: Literal["lidar", "annotated"] = "lidar",
    right: bool = False,
) -> list[FrameRef]:
    """The frames of a list, whether their files are there or not.

    Args:
        root: folder of the days; annotated depth is looked for in it and in ``train``, ``val`` and
            ``data_depth_annotated`` below.
        split: one of :data:`leadline.datasets.lists.KITTI_LISTS`.
        target: ``lidar``: the scan, of the test frames exactly as the public evaluations project it
            (``lidar_x``), of all others depth along the optical axis, as training takes it;
            ``annotated``: Uhrig's depth maps; frames of the 697 that have none are left out.
        right: read the other picture of the pair too.
    """
    if target not in ("lidar", "annotated"):
        raise UnknownNameError("target", target, ("lidar", "annotated"))
    if target == "annotated" and split == "kitti-eigen-test":
        split = "kitti-eigen-benchmark-test"
    measure = partial(_project_scan, depth="lidar_x" if split in _TESTS else "camera_z", origin=1)
    read = partial(_drive_frame, measure=measure, group="kitti-eigen", right=right)
    if target == "annotated":
        read = partial(_annotated_frame, right=right)
    return [FrameRef(name=f.name, read=partial(read, root, f)) for f in kitti_frames(split)]


def kitti_film_refs(
    root: Path, split: str, *, right: bool = False, neighbours: bool = False
) -> list[tuple[FrameRef, ...]]:
    """Pictures of a list without depth, as self-supervised training takes them; no scan is read.

    Args:
        root: folder of the days.
        split: one of :data:`leadline.datasets.lists.KITTI_LISTS`.
        right: read the pair's right picture too; frames that the list names by the right camera
            are then read as the pair that they belong to, each pair once.
        neighbours: the frames before and after too; frames that lack one are left out.

    Returns:
        ``(frame,)`` each, or ``(before, frame, after)``; all depths are 0, so unknown.
    """
    frames = kitti_frames(split)
    if right:
        frames = list(dict.fromkeys(replace(frame, side="l") for frame in frames))
    if not neighbours:
        return [(_picture_ref(root, frame, right=right),) for frame in frames]
    found = []
    for frame in frames:
        around = [replace(frame, number=frame.number + step) for step in (-1, 1) if frame.number]
        if len(around) == 2 and all(_find_picture(root, each) for each in around):
            before, after = (_picture_ref(root, each, right=False) for each in around)
            found.append((before, _picture_ref(root, frame, right=right), after))
    return found


def kitti_object_refs(root: Path) -> list[FrameRef]:
    """Frames of ``training/{image_2,calib,velodyne}``."""
    return [
        FrameRef(name=path.stem, read=partial(_object_frame, root, path))
        for path in list_images(root / "training" / "image_2")
    ]


def kitti_odometry_refs(root: Path, split: str = "00") -> list[FrameRef]:
    """Frames of ``sequences/SS/{image_2,velodyne,calib.txt}`` with ``poses/SS.txt``.

    The poses are of camera 0's axes in the first frame's; depth is the projected scan.
    """
    folder = root / "sequences" / split
    poses_file = root / "poses" / f"{split}.txt"
    poses = read_numbers(poses_file) if poses_file.is_file() else None
    return [
        FrameRef(
            name=f"{split}/{path.stem}",
            read=partial(_odometry_frame, folder, path, None if poses is None else poses[i]),
        )
        for i, path in enumerate(list_images(folder / "image_2"))
    ]


def kitti_stereo_refs(root: Path) -> list[FrameRef]:
    """The 200 pairs ``training/{image_2,image_3,disp_noc_0,calib_cam_to_cam}/NNNNNN_10``."""
    return [
        FrameRef(name=path.stem, read=partial(_stereo_frame, root / "training", path))
        for path in list_images(root / "training" / "image_2")
        if path.stem.endswith("_10")
    ]


def kitti_depth_refs(root: Path) -> list[FrameRef]:
    """Frames of ``image_02``, ``groundtruth`` (256 per metre) and camera.json."""
    intrinsics = read_intrinsics(root / "camera.json")

    def read(path: Path) -> Frame:
        depth = read_depth16(root / "groundtruth" / f"{path.stem}.png", per_unit=256)
        return Frame(
            image=read_picture(path, **intrinsics),
            depth=depth,
            max_depth=MAX_DEPTH_M,
            group="kitti_depth",
            name=path.stem,
        )

    return [
        FrameRef(name=path.stem, read=partial(read, path))
        for path in list_images(root / "image_02")
    ]


def _drive_frame(
    root: Path,
    frame: KittiFrame,
    *,
    measure: Callable[..., np.ndarray],
    group: str,
    name: str = "",
    right: bool = False,
) -> Frame:
    """A frame of a raw drive, whose depth ``measure`` gives."""
    calibration = _calibration(root / frame.date)
    image = _drive_picture(root, frame, calibration)
    other = replace(frame, side="r" if frame.side == "l" else "l")
    return Frame(
        image=image,
        depth=measure(root, frame, calibration, image.size),
        max_depth=MAX_DEPTH_M,
        group=group,
        name=name or frame.name,
        right=_drive_picture(root, other, calibration) if right else None,
        baseline_m=_baseline_m(calibration),
    )


def _project_scan(
    root: Path,
    frame: KittiFrame,
    calibration: Calibration,
    size: tuple[int, int],
    *,
    depth: Measure = "camera_z",
    origin: Literal[0, 1] = 0,
) -> np.ndarray:
    folder = root / frame.date / frame.sync / "velodyne_points" / "data"
    side = "left" if frame.side == "l" else "right"
    return project_velodyne(
        read_velodyne(folder / f"{frame.number:010d}.bin"),
        pixel_from_velodyne(calibration, side=side),
        size,
        depth=depth,
        pixel_origin=origin,
    ).astype(np.float32)


def _annotated_frame(root: Path, frame: KittiFrame, *, right: bool) -> Frame:
    inside = f"{frame.sync}/proj_depth/groundtruth/image_{frame.camera:02d}/{frame.number:010d}.png"
    places = [root / p / inside for p in ("", "train", "val", frame.date)]
    places += [root / "data_depth_annotated" / p / inside for p in ("", "train", "val")]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        raise InputError(
            f"{places[0]}: no such file, nor below train/, val/ or data_depth_annotated/. "
            "Download KITTI's data_depth_annotated.zip and unpack it in the data set's folder."
        )
    depth = read_depth16(path, per_unit=256)
    return _drive_frame(
        root, frame, measure=lambda *_: depth, group="kitti-eigen-annotated", right=right
    )


def _leave_unknown(
    _root: Path, _frame: KittiFrame, _calibration: Calibration, size: tuple[int, int]
) -> np.ndarray:
    return np.zeros(size, np.float32)


def _picture_ref(root: Path, frame: KittiFrame, *, right: bool) -> FrameRef:
    read = partial(_drive_frame, measure=_leave_unknown, group="kitti-film", right=right)
    return FrameRef(name=frame.name, read=partial(read, root, frame))


def _drive_picture(root: Path, frame: KittiFrame, calibration: Calibration) -> Image:
    matrix = get_entry(calibration, f"P_rect_{frame.camera:02d}", (3, 4))
    return _picture(_picture_path(root, frame), matrix)


def _baseline_m(
    calibration: Calibration, views: tuple[str, str] = ("P_rect_02", "P_rect_03")
) -> float | None:
    """Metres between the two colour cameras; None where only one is calibrated."""
    if not set(views) <= set(calibration):
        return None
    left, right = (get_entry(calibration, view, (3, 4)) for view in views)
    return float(left[0, 3] / left[0, 0] - right[0, 3] / right[0, 0])


def _object_frame(root: Path, path: Path) -> Frame:
    calibration = read_calibration(root / "training" / "calib" / f"{path.stem}.txt")
    scan = root / "training" / "velodyne" / f"{path.stem}.bin"
    return _scan_frame(path, calibration, scan, group="kitti_object", name=path.stem)


def _odometry_frame(folder: Path, path: Path, pose: np.ndarray | None) -> Frame:
    calibration = read_calibration(folder / "calib.txt")
    scan, name = folder / "velodyne" / f"{path.stem}.bin", f"{folder.name}/{path.stem}"
    frame = _scan_frame(path, calibration, scan, group="kitti-odometry", name=name)
    if pose is None:
        return frame
    matrix = np.vstack([pose.reshape(3, 4), [0, 0, 0, 1]])
    return replace(frame, image=set_pose(frame.image, matrix))


def _scan_frame(
    path: Path, calibration: Calibration, scan: Path, *, group: str, name: str
) -> Frame:
    """A picture of the object or odometry benchmark with its scan projected."""
    image = _picture(path, get_entry(calibration, "P2", (3, 4)))
    depth = project_velodyne(read_velodyne(scan), calibration, image.size, pixel_origin=0)
    return Frame(
        image=image,
        depth=depth.astype(np.float32),
        max_depth=MAX_DEPTH_M,
        group=group,
        name=name,
        baseline_m=_baseline_m(calibration, ("P2", "P3")),
    )


def _stereo_frame(folder: Path, path: Path) -> Frame:
    calibration = read_calibration(folder / "calib_cam_to_cam" / f"{path.stem[:6]}.txt")
    p2, p3 = (get_entry(calibration, f"P_rect_0{i}", (3, 4)) for i in (2, 3))
    image, baseline = _picture(path, p2), p2[0, 3] / p2[0, 0] - p3[0, 3] / p3[0, 0]
    disparity = read_depth16(folder / "disp_noc_0" / f"{path.stem}.png", per_unit=256)
    known = disparity > 0
    depth = np.where(known, p2[0, 0] * baseline / np.where(known, disparity, 1), 0)
    return Frame(
        image=image,
        depth=depth.astype(np.float32),
        max_depth=MAX_DEPTH_M,
        group="kitti-stereo-2015",
        name=path.stem,
        right=_picture(folder / "image_3" / path.name, p3),
        baseline_m=float(baseline),
        disparity=disparity,
    )


@lru_cache(maxsize=16)
def _calibration(day: Path) -> dict[str, np.ndarray]:
    return read_calibration(day)


def _find_picture(root: Path, frame: KittiFrame) -> Path | None:
    folder = root / frame.date / frame.sync / f"image_{frame.camera:02d}" / "data"
    paths = [folder / f"{frame.number:010d}{suffix}" for suffix in (".png", ".jpg")]
    return next((path for path in paths if path.is_file()), None)


def _picture_path(root: Path, frame: KittiFrame) -> Path:
    path = _find_picture(root, frame)
    if path is None:
        folder = root / frame.date / frame.sync / f"image_{frame.camera:02d}" / "data"
        raise InputError(
            f"{folder / f'{frame.number:010d}.png'}: no such file, nor .jpg. Download the drive "
            f"{frame.sync} of KITTI raw and unpack it in the data set's folder."
        )
    return path


def _picture(path: Path, projection: np.ndarray) -> Image:
    fx, fy, cx, cy = projection[[0, 1, 0, 1], [0, 1, 2, 2]]
    return read_picture(path, fx=fx, fy=fy, cx=cx, cy=cy)
