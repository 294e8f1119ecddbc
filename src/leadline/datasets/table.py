"""The table of data sets, and how one of them is opened.

Sets with a file of their own say what they are there (``SPECS``); the rest stands here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from leadline.datasets import (
    da2k,
    diode,
    eth3d,
    folder,
    ibims,
    kitti,
    make3d,
    nyu,
    nyu_raw,
    rendered,
    rgbd,
    sintel,
    stereo,
    sunrgbd,
    synthetic,
)
from leadline.datasets.spec import DatasetSpec, Open, Options
from leadline.errors import InputError, UnknownNameError
from leadline.io.boundary import reading

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from leadline.datasets.frame import Frame, FrameRef


_KITTI_TERMS = "CC BY-NC-SA 3.0"
_KITTI_RAW = "175 GB for all drives"
_KITTI_SPLITS = ("test", "benchmark-test", "zhou-train", "zhou-val", "full-train", "full-val")
_RAW_LAYOUT = (
    "DATE/calib_cam_to_cam.txt, DATE/calib_velo_to_cam.txt\n"
    "DATE/DATE_drive_NNNN_sync/image_02/data/NNNNNNNNNN.png (or .jpg; image_03: right)\n"
    "DATE/DATE_drive_NNNN_sync/velodyne_points/data/NNNNNNNNNN.bin"
)


_WHOLE = "its files are damaged, or of another data set; copy them again."


def _eigen(target: Literal["lidar", "annotated"]) -> Open:
    def open_(root: Path, options: Options) -> list[FrameRef]:
        name = f"kitti-eigen-{options.split or 'test'}"
        if options.split == "bts-train":
            name = "kitti-bts-train"
        return kitti.kitti_eigen_refs(
            root,
            name,
            target=target,
            right=options.right,
        )

    return open_


def _world(kind: str) -> Open:
    def open_(root: Path, options: Options) -> list[FrameRef]:
        return rendered.world_refs(
            kind,
            count=options.count,
            seed=options.seed,
            right=options.right,
            following=options.following,
            normals=options.normals,
        )

    return open_


_NYU_LABELLED = DatasetSpec(
    name="nyu-labelled",
    summary="NYU Depth v2, 1449 labelled frames; official 654 test and 795 training frames",
    layout="nyu_depth_v2_labeled.mat",
    source="cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
    terms="research",
    download="2.8 GB",
    protocol="nyu-eigen",
    splits=("test", "train", "all"),
    training="train",
    validation="test",
    open=lambda root, options: nyu.nyu_labelled_refs(root, options.split or "test"),
)
_WORLD_ROOMS = DatasetSpec(
    name="world-rooms",
    summary="rendered rooms, to 10 m: exact depth, right view, next frame, poses, normals",
    layout="nothing: rendered here",
    source="leadline.world",
    terms="as Leadline",
    protocol="depth-anything-v2-metric",
    open=_world("room"),
    applies_every=True,
    needs_root=False,
)

_ALL = (
    _NYU_LABELLED,
    replace(
        _NYU_LABELLED,
        name="nyu-labelled-raw",
        summary="the same frames with depth as measured, holes left open",
        open=lambda root, options: nyu.nyu_labelled_refs(
            root, options.split or "test", depth="raw"
        ),
    ),
    DatasetSpec(
        name="nyu-sync",
        summary="NYU Depth v2 as BTS, AdaBins and ZoeDepth take it: 654 test, 24,231 training",
        layout="SCENE/rgb_NNNNN.jpg\nSCENE/sync_depth_NNNNN.png (millimetres)",
        source="BTS's sync archive and its extractor of the official test frames",
        terms="research",
        protocol="nyu-eigen",
        splits=("test", "train"),
        training="train",
        validation="test",
        open=lambda root, options: nyu.nyu_sync_refs(root, options.split or "test"),
    ),
    DatasetSpec(
        name="nyu-raw",
        summary="NYU Depth v2, raw dumps: synchronised, undistorted and projected here",
        layout="SCENE/r-*.ppm\nSCENE/d-*.pgm",
        source="cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
        terms="research",
        protocol="nyu-official-mask",
        open=lambda root, options: nyu_raw.nyu_raw_refs(root, every=options.every),
        applies_every=True,
    ),
    DatasetSpec(
        name="nyu-folder",
        summary="NYU frames as pictures, millimetre depth and camera.json",
        layout="rgb/NAME.jpg\ndepth/NAME.png (millimetres)\ncamera.json (fx, fy, cx, cy)",
        source="made from any of the above",
        terms="research",
        protocol="nyu-eigen",
        open=lambda root, options: nyu.nyu_folder_refs(root),
    ),
    DatasetSpec(
        name="kitti-eigen",
        summary="KITTI, Eigen's 697 test frames against LiDAR as the public evaluations project it",
        layout=_RAW_LAYOUT,
        source="cvlibs.net/datasets/kitti/raw_data.php",
        terms=_KITTI_TERMS,
        download=_KITTI_RAW,
        protocol="kitti-eigen-garg",
        splits=(*_KITTI_SPLITS, "bts-train"),
        training="zhou-train",
        validation="zhou-val",
        open=_eigen("lidar"),
    ),
    DatasetSpec(
        name="kitti-eigen-annotated",
        summary="KITTI's annotated depth: 652 of Eigen's test frames, BTS's 23,158 training frames",
        layout=(
            f"{_RAW_LAYOUT}\n"
            "[train|val/]DATE_drive_NNNN_sync/proj_depth/groundtruth/image_02/NNNNNNNNNN.png"
        ),
        source="cvlibs.net/datasets/kitti/eval_depth.php",
        terms=_KITTI_TERMS,
        download=f"14 GB, and the pictures of the raw drives, {_KITTI_RAW}",
        protocol="kitti-eigen-benchmark",
        splits=(*_KITTI_SPLITS, "bts-train"),
        training="bts-train",
        open=_eigen("annotated"),
    ),
    DatasetSpec(
        name="kitti-raw",
        summary="every frame of KITTI raw drives that has a scan, depth along the optical axis",
        layout=_RAW_LAYOUT,
        source="cvlibs.net/datasets/kitti/raw_data.php",
        terms=_KITTI_TERMS,
        download=_KITTI_RAW,
        protocol="kitti-eigen-garg",
        open=lambda root, options: kitti.kitti_raw_refs(root, right=options.right),
    ),
    DatasetSpec(
        name="kitti-depth",
        summary="annotated KITTI frames in one folder with camera.json",
        layout="image_02/N.png\ngroundtruth/N.png (256 per metre)\ncamera.json",
        source="cvlibs.net/datasets/kitti/eval_depth.php",
        terms=_KITTI_TERMS,
        protocol="kitti-eigen-benchmark",
        open=lambda root, options: kitti.kitti_depth_refs(root),
    ),
    DatasetSpec(
        name="kitti-object",
        summary="KITTI's object benchmark with its scans projected",
        layout="training/image_2/N.png\ntraining/velodyne/N.bin\ntraining/calib/N.txt",
        source="cvlibs.net/datasets/kitti/eval_object.php",
        terms=_KITTI_TERMS,
        protocol="kitti-eigen-garg",
        open=lambda root, options: kitti.kitti_object_refs(root),
    ),
    DatasetSpec(
        name="kitti-odometry",
        summary="a sequence of KITTI odometry with scans and poses",
        layout="sequences/SS/{image_2,velodyne,calib.txt}\nposes/SS.txt",
        source="cvlibs.net/datasets/kitti/eval_odometry.php",
        terms=_KITTI_TERMS,
        protocol="kitti-eigen-garg",
        splits=tuple(f"{number:02d}" for number in range(22)),
        open=lambda root, options: kitti.kitti_odometry_refs(root, options.split or "00"),
    ),
    DatasetSpec(
        name="kitti-stereo-2015",
        summary="the 200 training pairs of KITTI stereo 2015",
        layout="training/{image_2,image_3,disp_noc_0}/N_10.png\ntraining/calib_cam_to_cam/N.txt",
        source="cvlibs.net/datasets/kitti/eval_scene_flow.php?benchmark=stereo",
        terms=_KITTI_TERMS,
        protocol="kitti-eigen-garg",
        open=lambda root, options: kitti.kitti_stereo_refs(root),
    ),
    DatasetSpec(
        name="7scenes",
        summary="a 7-Scenes sequence: colour, depth and poses",
        layout="frame-NNNNNN.{color.png,depth.png,pose.txt}\n[camera-intrinsics.txt]",
        source="microsoft.com, RGB-D Dataset 7-Scenes",
        terms="non-commercial research",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: rgbd.seven_scenes_refs(
            root, every=options.every, following=options.following
        ),
        applies_every=True,
    ),
    DatasetSpec(
        name="tum",
        summary="a TUM RGB-D sequence, associated by time",
        layout="rgb.txt, depth.txt, [groundtruth.txt], [camera.json]\nrgb/*.png\ndepth/*.png",
        source="cvg.cit.tum.de/data/datasets/rgbd-dataset",
        terms="CC BY 4.0",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: rgbd.tum_refs(root),
    ),
    DatasetSpec(
        name="kinect-poses",
        summary="a small Kinect collection with poses",
        layout="color/N.png\ndepth/N.pgm (millimetres)\npose.txt (tx ty tz qx qy qz qw)",
        source="the sample of a public SLAM tutorial",
        terms="see its repository",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: rgbd.kinect_refs(root),
    ),
    DatasetSpec(
        name="icl-nuim",
        summary="a rendered living room or office of ICL-NUIM",
        layout="color/N.jpg\ndepth/N.png (millimetres)",
        source="doc.ic.ac.uk/~ahanda/VaFRIC/iclnuim.html, Open3D's copy",
        terms="CC BY 3.0",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: rgbd.icl_refs(root),
    ),
    DatasetSpec(
        name="middlebury",
        summary="Middlebury stereo pairs of 2003 and 2014",
        layout=(
            "SCENE/{im2,im6,disp2}.png (2003)\n"
            "SCENE/{im0.png,im1.png,disp0.pfm,calib.txt} (2014)\n"
            "SCENE/NAME_{left,right}.png, NAME_disp.npz"
        ),
        source="vision.middlebury.edu/stereo/data",
        terms="research",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: stereo.middlebury_refs(root),
    ),
    DatasetSpec(
        name="diode",
        summary="DIODE, dense scans indoors (to 10 m) and outdoors (to 80 m)",
        layout=(
            "{indoors,outdoor}/scene_N/scan_N/NAME.png\n"
            "beside it NAME_depth.npy, NAME_depth_mask.npy"
        ),
        source="diode-dataset.org",
        terms="MIT",
        download="2.6 GB for the validation part, 81 GB for the training part",
        protocol="depth-anything-v2-metric",
        splits=("indoors", "outdoor"),
        open=lambda root, options: diode.diode_refs(root, options.split or "indoors"),
    ),
    DatasetSpec(
        name="vkitti2",
        summary="Virtual KITTI 2, rendered drives, to 80 m",
        layout="SceneNN/VARIANT/frames/{rgb,depth}/Camera_0/{rgb_N.jpg,depth_N.png}",
        source="europe.naverlabs.com, proxy virtual worlds",
        terms="CC BY-NC-SA 3.0",
        protocol="kitti-eigen-garg-kbcrop",
        open=lambda root, options: synthetic.vkitti2_refs(root),
    ),
    DatasetSpec(
        name="hypersim",
        summary="Hypersim, rendered rooms, distances along the ray turned into depth",
        layout=(
            "ai_N_N/images/scene_cam_NN_final_preview/frame.N.tonemap.jpg\n"
            "ai_N_N/images/scene_cam_NN_geometry_hdf5/frame.N.depth_meters.hdf5"
        ),
        source="github.com/apple/ml-hypersim",
        terms="CC BY-SA 3.0",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: synthetic.hypersim_refs(root),
    ),
    *sintel.SPECS,
    *eth3d.SPECS,
    *ibims.SPECS,
    *sunrgbd.SPECS,
    *make3d.SPECS,
    *da2k.SPECS,
    DatasetSpec(
        name="folder",
        summary="pictures and depth files of the same name in two folders",
        layout=(
            "rgb/NAME.* (or image, color ...)\n"
            "depth/NAME.{png,npy,npz,pfm,tif,exr,dpt} (or groundtruth ...)\n"
            "[camera.json: fx, fy, cx, cy, depth_png_per_metre, holes, max_depth]"
        ),
        source="yours",
        terms="yours",
        protocol="depth-anything-v2-metric",
        open=lambda root, options: folder.folder_refs(
            root,
            per_metre=options.per_metre,
            holes=options.holes,
            intrinsics=options.intrinsics,
        ),
    ),
    _WORLD_ROOMS,
    replace(
        _WORLD_ROOMS,
        name="world-streets",
        summary="rendered streets, to 80 m",
        open=_world("street"),
    ),
)

DATASETS: Mapping[str, DatasetSpec] = MappingProxyType({spec.name: spec for spec in _ALL})
"""Every data set by name."""


def get(name: str) -> DatasetSpec:
    """A data set by name.

    Raises:
        UnknownNameError: no such data set; the message lists all.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    return DATASETS[name]


def open_dataset(
    name: str, root: str | os.PathLike[str] | None = None, options: Options | None = None
) -> list[FrameRef]:
    """The frames of a data set, not read yet.

    Args:
        name: one of :data:`DATASETS`.
        root: its folder; see ``leadline datasets NAME`` for what belongs there.
        options: see :class:`Options`.

    Raises:
        UnknownNameError: no such data set or split.
        InputError: no folder, or nothing in it.
    """
    spec, options = get(name), options or Options()
    if options.split is not None and options.split not in spec.splits:
        raise UnknownNameError(f"split of {name}", options.split, spec.splits)
    if options.every < 1:
        raise InputError(f"every={options.every}: 1 or more is needed.")
    if spec.needs_root and root is None:
        raise InputError(f"{name} needs its folder; give --root PATH. Below it:\n{spec.layout}")
    folder_ = Path(root or ".")
    if spec.needs_root and not folder_.exists():
        raise InputError(f"{folder_}: no such folder. {name} has below it:\n{spec.layout}")
    with reading(f"{name} in {folder_}", _WHOLE):
        refs = spec.open(folder_, options)
    if not refs:
        raise InputError(
            f"{folder_} holds no frame of {name}, which has below it:\n{spec.layout}\n"
            "Give the folder that holds these, or another --dataset."
        )
    refs = refs if spec.applies_every else refs[:: options.every]
    return [replace(ref, read=partial(_read_frame, ref, f"{name} in {folder_}")) for ref in refs]


def _read_frame(ref: FrameRef, where: str) -> Frame:
    """The frame; whatever its files hold, one line where they cannot be read."""
    with reading(f"{where}: {ref.name}", _WHOLE):
        return ref.read()


def iter_dataset(
    name: str, root: str | os.PathLike[str] | None = None, options: Options | None = None
) -> Iterator[Frame]:
    """Read the frames of a data set one after another; see :func:`open_dataset`."""
    return (ref.read() for ref in open_dataset(name, root, options))
