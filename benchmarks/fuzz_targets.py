"""What the fuzz campaign reads: every reader of files, with small seeds that are written here.

A seed is a small folder; one of its files is damaged, and the reader gets the folder. So a reader
of one file and a reader of a whole data set are the same to the campaign.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from benchmarks.fuzz_sets import CODES as _CODES
from benchmarks.fuzz_sets import DEPTH as _DEPTH
from benchmarks.fuzz_sets import PINHOLE as _K
from benchmarks.fuzz_sets import RGB as _RGB
from benchmarks.fuzz_sets import SETS
from benchmarks.fuzz_sets import save as _save
from benchmarks.fuzz_trades import (
    SEEDS,
    read_bag_seed,
    read_trade,
    write_bag_seed,
    write_trade,
)
from leadline.camera import Camera
from leadline.datasets import open_dataset
from leadline.io import (
    Ledger,
    parse_list,
    read_cameras,
    read_depth_map,
    read_image,
    read_poses,
    read_video,
    write_pfm,
    write_poses,
)
from leadline.kinds import DepthKind
from leadline.prediction import Prediction, read_prediction

Read = Callable[[Path], object]
"""Reads the folder of a seed."""

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
"""More seeds, where they are there."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader and what it is tried on.

    Attributes:
        name: of the reader.
        write: fills a folder with a seed; called once for every number below ``seeds``.
        read: reads that folder.
        seeds: how many there are.
        weight: how many cases it gets; slow readers get fewer.
        suffixes: of files in the shared cases that are seeds too.
    """

    name: str
    write: Callable[[Path, int], None]
    read: Read
    seeds: int = 1
    weight: float = 1.0
    suffixes: tuple[str, ...] = ()


def _the_file(folder: Path) -> Path:
    return next(path for path in sorted(folder.iterdir()) if path.is_file())


def _write_picture(folder: Path, number: int) -> None:
    exif = PilImage.Exif()
    exif[0x0112], exif.get_ifd(0x8769)[0xA405] = 6, 28
    alpha = np.dstack([_RGB, _RGB[..., :1]])
    options: tuple[tuple[str, np.ndarray, dict[str, Any]], ...] = (
        ("a.png", _RGB, {}),
        ("a.jpg", _RGB, {"exif": exif}),
        ("a.png", alpha, {}),
        ("a.png", _CODES, {}),
        ("a.tif", _RGB, {}),
        ("a.tif", _CODES, {"compression": "tiff_lzw"}),
        ("a.tif", _DEPTH, {}),
        ("a.webp", _RGB, {}),
        ("a.gif", _RGB, {}),
        ("a.bmp", _RGB, {}),
        ("a.ppm", _RGB, {}),
        ("a.tga", _RGB, {}),
        ("a.jp2", _RGB, {}),
        ("a.avif", _RGB, {}),
    )
    name, array, more = options[number]
    _save(folder / name, array, **more)


def _write_depth(folder: Path, number: int) -> None:
    name = ("a.npy", "a.npz", "a.pfm", "a.dpt", "a.png", "a.pgm", "a.tif", "b.tif", "c.npz")[number]
    path = folder / name
    if name == "a.npy":
        np.save(path, _DEPTH)
    elif name.endswith("npz"):
        (np.savez if name == "a.npz" else np.savez_compressed)(path, depth=_DEPTH, other=_CODES)
    elif name == "a.pfm":
        write_pfm(path, _DEPTH)
    elif name == "a.dpt":
        size = np.array(_DEPTH.shape[::-1], "<i4").tobytes()
        path.write_bytes(np.array(202021.25, "<f4").tobytes() + size + _DEPTH.tobytes())
    else:
        _save(path, _DEPTH if name == "b.tif" else _CODES)


def _write_prediction(folder: Path, number: int) -> None:
    camera = Camera(width=16, height=12, fx=20, fy=20, cx=7.5, cy=5.5, source="exif")
    found = Prediction(values=_DEPTH, kind=DepthKind.METRIC_DEPTH, camera=camera, model="m")
    found.save(folder / ("a.npz", "a.depth.png", "a.npy", "a.pfm")[number])


def _read_prediction(folder: Path) -> object:
    path = _the_file(folder)
    raw = path.suffix in (".npy", ".pfm")
    return read_prediction(path, kind=DepthKind.METRIC_DEPTH if raw else None)


_CAMERAS = (
    ("a.txt", _K),
    ("a.txt", "525 525 8 6\n"),
    ("a.json", json.dumps({"fx": 525.0, "fy": 525.0, "cx": 8, "cy": 6, "width": 16, "height": 12})),
    ("a.json", json.dumps({"K": [[525, 0, 8], [0, 525, 6], [0, 0, 1]]})),
    (
        "a.yaml",
        "%YAML:1.0\nimage_width: 16\nimage_height: 12\ncamera_matrix: !!opencv-matrix\n  rows: 3\n"
        "  cols: 3\n  dt: d\n  data: [525., 0., 8., 0., 525., 6., 0., 0., 1.]\n",
    ),
    ("a.yaml", "cam0:\n  intrinsics: [525.0, 525.0, 8.0, 6.0]\n  resolution: [16, 12]\n"),
    ("calib.txt", "P0: 525 0 8 0 0 525 6 0 0 0 1 0\nP2: 525 0 8 4 0 525 6 0 0 0 1 0\n"),
    (
        "transforms.json",
        json.dumps(
            {
                "camera_angle_x": 0.9,
                "w": 16,
                "h": 12,
                "frames": [{"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}],
            }
        ),
    ),
    (
        "a.json",
        json.dumps(
            {
                "intrinsic": {
                    "width": 16,
                    "height": 12,
                    "intrinsic_matrix": [525, 0, 0, 0, 525, 0, 8, 6, 1],
                },
                "extrinsic": np.eye(4).ravel().tolist(),
            }
        ),
    ),
    ("cameras.txt", "# ids\n1 PINHOLE 16 12 525 525 8 6\n2 OPENCV 16 12 525 525 8 6 .1 0 0 0\n"),
)


def _write_camera(folder: Path, number: int) -> None:
    name, text = _CAMERAS[number]
    (folder / name).write_text(text)


def _write_colmap(folder: Path, number: int) -> None:
    if number == 0:
        (folder / "cameras.txt").write_text(_CAMERAS[-1][1])
        (folder / "images.txt").write_text("1 1 0 0 0 1 2 3 1 a.png\n8 6 -1\n")
        return
    camera = np.array([1], "<i4").tobytes() + np.array([1], "<i4").tobytes()
    sizes = np.array([16, 12], "<u8").tobytes() + np.array([525, 525, 8, 6], "<f8").tobytes()
    count = np.array([1], "<u8").tobytes()
    (folder / "cameras.bin").write_bytes(count + camera + sizes)
    pose = np.array([1, 0, 0, 0, 1, 2, 3], "<f8").tobytes()
    one = np.array([1], "<i4").tobytes()
    none = np.array([0], "<u8").tobytes()
    (folder / "images.bin").write_bytes(count + one + pose + one + b"a.png\0" + none)


def _write_poses(folder: Path, number: int) -> None:
    poses = {"a.png": np.eye(4), "b.png": np.eye(4)}
    if number < 2:
        write_poses(folder / ("a.txt", "a.json")[number], poses, metric=True)
    else:
        row = ("0 0 0 0 0 0 1", "1 0 0 0 0 1 0 0 0 0 1 0")[number - 2]
        rows = (row, row) if number == 2 else (f"a {row}", f"b {row}")
        (folder / "a.txt").write_text("\n".join(rows))


_SIDECAR = {
    "schema": 2,
    "name": "tiny",
    "kind": "affine_disparity",
    "preprocess": {"size": [64, 64], "resize": "short_side", "multiple_of": 32},
    "inputs": {"image": "image"},
    "outputs": {"depth": "depth"},
    "licence": "Apache-2.0",
}


def _write_sidecar(folder: Path, number: int) -> None:
    text = json.dumps(_SIDECAR if number == 0 else {**_SIDECAR, "schema": 1})
    (folder / "a.json").write_text(text)


def _read_sidecar(folder: Path) -> object:
    from leadline.spec import Sidecar

    path = _the_file(folder)
    return Sidecar.from_json(path.read_text(encoding="utf-8", errors="replace"), where=str(path))


def _write_onnx(folder: Path, number: int) -> None:
    from testing.tiny import write_tiny_model

    write_tiny_model(folder / "tiny.onnx")


def _read_onnx(runtime: str) -> Read:
    def read(folder: Path) -> object:
        from leadline.load_options import load

        network = load(folder / "tiny.onnx", runtime=runtime)
        return network.predict(np.zeros((12, 16, 3), np.uint8))

    return read


def _write_parameters(folder: Path, number: int) -> None:
    from leadline.superpixel.model import FORMAT

    settings = json.dumps({"format": FORMAT, "segments": {}}).encode()
    np.savez(folder / "a.npz", settings=np.frombuffer(settings, np.uint8))


def _read_parameters(folder: Path) -> object:
    from leadline.superpixel.model import open_model

    return open_model(_the_file(folder))


def _write_list(folder: Path, number: int) -> None:
    text = "a.png\nb/c.png\n"
    encoding = ("utf-8", "utf-16", "utf-8-sig")[number]
    (folder / "list.txt").write_bytes(text.encode(encoding))


def _write_shards(folder: Path, number: int) -> None:
    from leadline.load_options import LoadOptions
    from leadline.shards import BulkJob, Where, list_sources, run_bulk
    from testing.tiny import write_tiny_model

    model = write_tiny_model(folder.parent / f"tiny-{folder.name}.onnx")
    pictures = folder.parent / f"pictures-{folder.name}"
    _save(pictures / "a.png", _RGB)
    _save(pictures / "b.png", _RGB)
    job = BulkJob(model=LoadOptions(model=str(model)), out=str(folder), keep_pictures=True)
    run_bulk(job, list_sources([pictures]), where=Where(), per_part=2)


def _read_shards(folder: Path) -> object:
    from leadline.shards import plan, read_manifest, todo
    from leadline.shards.sources import pictures_of

    read_manifest(str(folder))
    todo(str(folder), plan(str(folder), []), ".tar")
    with pictures_of([str(folder / "shard-000000.tar")], 0) as pictures:
        for picture in pictures:
            read_image(picture.read())
    return None


def _read_labels(folder: Path) -> object:
    from leadline.datasets.labels import open_labels

    return [ref.read() for ref in open_labels(folder)[1]]


def _write_ledger(folder: Path, number: int) -> None:
    _save(folder / "a.png", _RGB)
    notes = Ledger(folder, {folder / "a.png": [folder / "a.png"]}, {}, resume=False)
    notes.add(folder / "a.png")
    (folder / "a.png").rename(folder / "z.png")


def _read_ledger(folder: Path) -> object:
    files = {folder / "z.png": [folder / "z.png"]}
    return Ledger(folder, files, {}, resume=True).done


def _write_settings(folder: Path, number: int) -> None:
    (folder / "a.toml").write_text('recipe = "relative"\nsteps = 10\n[world]\nsize = [96, 128]\n')


def _read_settings(folder: Path) -> object:
    from leadline.training.config import TrainConfig, read_settings

    return TrainConfig.from_dict(read_settings(_the_file(folder)))


def _write_entries(folder: Path, number: int) -> None:
    text = '[[set]]\nname = "s"\ndataset = "folder"\nroot = "set"\nper_metre = 1000\n'
    (folder / "a.toml").write_text(text)


def _read_entries(folder: Path) -> object:
    from leadline.evaluation.leaderboard import read_entries

    return [entry.options for entry in read_entries(_the_file(folder))]


def _write_index(folder: Path, number: int) -> None:
    if number == 0:
        text = json.dumps({"weight_map": {"a": "model-1.safetensors"}})
        (folder / "model.safetensors.index.json").write_text(text)
    else:
        text = json.dumps({"architectures": ["DepthAnythingForDepthEstimation"]})
        (folder / "config.json").write_text(text)


def _read_index(folder: Path) -> object:
    from leadline.hub import read_index
    from leadline.hub_config import read_config

    path = _the_file(folder)
    return read_config(path) if path.name == "config.json" else read_index(path)


def _write_weights(folder: Path, number: int) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.ones(2)}
    if number == 0:
        save_file(tensors, folder / "a.safetensors")
    else:
        torch.save({"model": tensors, "epoch": 3}, folder / "a.pth")


def _read_weights(folder: Path) -> object:
    from leadline.models.weights import read_weights

    return read_weights(_the_file(folder))


def _write_film(folder: Path, number: int) -> None:
    import av

    with av.open(str(folder / "a.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 32, 32
        for _ in range(3):
            pixels = np.zeros((32, 32, 3), np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        film.mux(stream.encode())


def _read_set(name: str) -> Read:
    def read(folder: Path) -> object:
        from leadline.datasets import Options

        splits = {"nyu-labelled": "all"}
        frames = open_dataset(name, folder, Options(split=splits.get(name)))
        return [frame.read() for frame in frames[:3]]

    return read


def _write_splits(folder: Path, number: int) -> None:
    from scipy.io import savemat

    splits = {"trainNdxs": np.arange(1, 9)[:, None], "testNdxs": np.arange(9, 12)[:, None]}
    savemat(folder / "splits.mat", splits, do_compression=number == 1)


def _read_splits(folder: Path) -> object:
    from leadline.datasets.frame import read_mat

    return read_mat(_the_file(folder), "testNdxs")


TARGETS: tuple[Target, ...] = (
    Target(
        name="picture",
        write=_write_picture,
        read=lambda folder: read_image(_the_file(folder)),
        seeds=14,
        weight=6,
        suffixes=(".png", ".jpg", ".tif", ".tiff"),
    ),
    Target(
        name="depth map",
        write=_write_depth,
        read=lambda folder: read_depth_map(_the_file(folder)),
        seeds=9,
        weight=6,
        suffixes=(".npy", ".npz", ".pfm", ".tif", ".tiff", ".exr", ".pgm", ".dpt"),
    ),
    Target(
        name="prediction",
        write=_write_prediction,
        read=_read_prediction,
        seeds=4,
        weight=5,
        suffixes=(".npz", ".npy"),
    ),
    Target(
        name="camera",
        write=_write_camera,
        read=lambda folder: read_cameras(_the_file(folder), size=(12, 16)),
        seeds=len(_CAMERAS),
        weight=8,
        suffixes=(".yaml", ".yml", ".txt"),
    ),
    Target(name="colmap", write=_write_colmap, read=read_cameras, seeds=2, weight=4),
    Target(
        name="poses",
        write=_write_poses,
        read=lambda folder: read_poses(_the_file(folder), ["a.png", "b.png"]),
        seeds=4,
        weight=5,
    ),
    Target(
        name="list",
        write=_write_list,
        read=lambda folder: parse_list(_the_file(folder).read_bytes()),
        seeds=3,
        weight=3,
    ),
    Target(name="sidecar", write=_write_sidecar, read=_read_sidecar, seeds=2, weight=6),
    Target(name="ledger", write=_write_ledger, read=_read_ledger, weight=3),
    Target(name="settings", write=_write_settings, read=_read_settings, weight=1),
    Target(name="sets", write=_write_entries, read=_read_entries, weight=3),
    Target(name="index", write=_write_index, read=_read_index, seeds=2, weight=3),
    Target(name="splits", write=_write_splits, read=_read_splits, seeds=2, weight=3),
    Target(name="superpixel", write=_write_parameters, read=_read_parameters, weight=2),
    Target(name="weights", write=_write_weights, read=_read_weights, seeds=2, weight=0.5),
    Target(
        name="trades",
        write=write_trade,
        read=read_trade,
        seeds=SEEDS,
        weight=3,
        suffixes=(".exr", ".heic"),
    ),
    Target(name="bag", write=write_bag_seed, read=read_bag_seed, weight=0.5),
    Target(name="shards", write=_write_shards, read=_read_shards, weight=2),
    Target(name="labels", write=_write_shards, read=_read_labels, weight=2),
    Target(
        name="film",
        write=_write_film,
        read=lambda folder: list(read_video(_the_file(folder))),
        weight=1,
        suffixes=(".mp4",),
    ),
    *(
        Target(name=f"set {name}", write=write, read=_read_set(name))
        for name, write in SETS.items()
    ),
    *(
        Target(name=name, write=_write_onnx, read=_read_onnx(name), weight=0.2)
        for name in ("openvino", "onnxruntime")
    ),
)


def find_shared_seeds(target: Target) -> Iterator[Path]:
    """Files and folders of the shared cases that the target reads; none without them."""
    if not CASES.is_dir():
        return
    for path in sorted(CASES.rglob("*")):
        if path.is_file() and path.suffix in target.suffixes and path.stat().st_size < 200_000:
            yield path
    kind = target.name.removeprefix("set ")
    if kind != target.name:
        yield from (path for path in sorted(CASES.glob(f"hostile/set_{kind}-*/*")) if path.is_dir())
