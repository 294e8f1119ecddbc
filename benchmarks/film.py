"""Film: how steady, how true, how fast, and in how much memory.

    python benchmarks/film.py --data ../shared/data [--json FILE] [--frames N] [--vit]

Steadiness. Flicker is the mean |difference| of a map and the last one, moved by the flow to where
its things are now, over the mean distance of the map from its median:

- `minmax`: every map stretched by its own least and largest value, as many tools do;
- `least squares`: every map fitted to its own truth;
- `scale`, `flow`: `leadline video --steady`.

The films: 7-Scenes frames (flow by DIS, where it returns to where it began), a rendered room in
which the camera turns and a block flies before it (true flow of the room), and a still picture with
new noise in every frame. Accuracy is AbsRel after a fit of each map to its truth; edges are
boundary F1 at the block.

Speed. `network` repeats `prepare` and `predict_prepared` on frames in memory; `film` is `leadline
video` from a 1920x1080 h264 film to a colour h264 film, in a process of its own, whose peak memory
is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

import leadline
from leadline import world
from leadline.alignment import MIN_DEPTH
from leadline.camera import Camera
from leadline.catalog import MODELS
from leadline.datasets.rgbd import seven_scenes_refs
from leadline.estimator import DepthEstimator
from leadline.geometry import Flow
from leadline.image import Image
from leadline.metrics import boundary_f1
from leadline.prediction import Prediction
from leadline.video import Stabiliser

BARS = {
    "minmax over flow": 5.0,
    "least squares over flow": 2.0,
    "abs_rel, relative rise": 0.01,
    "edges, relative loss": 0.02,
    "film over network": 0.8,
    "peak_mb": 700,
    "steady over network": 0.4,
}


@dataclass(frozen=True, kw_only=True)
class Film:
    """Frames with their truth; ``flows`` lead from each frame to the one before, where known."""

    name: str
    pictures: list[np.ndarray]
    depths: list[np.ndarray]
    flows: list[tuple[np.ndarray, np.ndarray]]


def kitchen(data: Path, count: int) -> Film:
    """Neighbouring frames of 7-Scenes."""
    frames = [ref.read() for ref in seven_scenes_refs(data / "rgbd_7scenes_kitchen")[:count]]
    pictures = [frame.image.pixels for frame in frames]
    flow = Flow()
    greys = [flow.shrink(picture) for picture in pictures]
    flows = []
    for before, now in pairwise(greys):
        back = flow.between(now, before)
        flows.append((back, flow.trusted(back, flow.between(before, now))))
    return Film(
        name="7-Scenes", pictures=pictures, depths=[frame.depth for frame in frames], flows=flows
    )


def still(film: Film, count: int) -> Film:
    """Its first frame, with new noise in every frame."""
    rng = np.random.default_rng(0)
    first = film.pictures[0].astype(np.float32)
    pictures = [
        np.clip(first + rng.normal(0, 8, first.shape), 0, 255).astype(np.uint8)
        for _ in range(count)
    ]
    nothing = np.zeros((*first.shape[:2], 2), np.float32), np.ones(first.shape[:2], bool)
    return Film(
        name="still",
        pictures=pictures,
        depths=film.depths[:1] * count,
        flows=[nothing] * (count - 1),
    )


def room(count: int, size: tuple[int, int] = (240, 320)) -> Film:
    """A rendered room: the camera turns, and a block flies through the picture before it."""
    scene = world.sample_scene(3, "room")
    camera = world.sample_view(scene, 1, size).camera
    pose = np.asarray(camera.world_from_camera)
    rng = np.random.default_rng(0)
    paint = rng.integers(0, 255, (10, 10, 3)).repeat(6, 0).repeat(6, 1).astype(np.uint8)
    pictures, depths, masks, cameras = [], [], [], []
    for number in range(count):
        angle = np.radians(0.4 * number)
        turn = np.eye(4)
        turn[[0, 0, 2, 2], [0, 2, 0, 2]] = (
            np.cos(angle),
            np.sin(angle),
            -np.sin(angle),
            np.cos(angle),
        )
        cameras.append(camera.moved(pose @ turn))
        view = world.render(scene, cameras[-1], size, 0, factor=1)
        picture, depth = view.rgb.copy(), np.minimum(view.depth, 20).astype(np.float32)
        left = 20 + 4 * number
        block = slice(90, 150), slice(left, left + 60)
        picture[block], depth[block] = paint[:, : picture[block].shape[1]], 0.6 * depth.min()
        mask = np.zeros(size, bool)
        mask[block] = True
        pictures.append(picture)
        depths.append(depth)
        masks.append(mask)
    flows = []
    for number in range(1, count):
        flow = true_flow(depths[number], cameras[number], cameras[number - 1])
        inside = _inside(flow)
        for mask in masks[number - 1 : number + 1]:
            inside &= ~_grown(mask)
        flows.append((flow, inside))
    return Film(name="room", pictures=pictures, depths=depths, flows=flows)


def true_flow(depth: np.ndarray, camera: Camera, other: Camera) -> np.ndarray:
    """Pixels from each place of a frame to the same thing in another camera's picture."""
    h, w = depth.shape
    v, u = np.mgrid[:h, :w]
    rays = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones((h, w))], axis=-1
    )
    motion = np.linalg.inv(np.asarray(other.world_from_camera)) @ np.asarray(
        camera.world_from_camera
    )
    points = (rays * depth[..., None]) @ motion[:3, :3].T + motion[:3, 3]
    x = points[..., 0] / points[..., 2] * other.fx + other.cx
    y = points[..., 1] / points[..., 2] * other.fy + other.cy
    return np.stack([x - u, y - v], axis=-1).astype(np.float32)


def _inside(flow: np.ndarray) -> np.ndarray:
    h, w = flow.shape[:2]
    v, u = np.mgrid[:h, :w]
    x, y = u + flow[..., 0], v + flow[..., 1]
    return (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)


def _grown(mask: np.ndarray, by: int = 8) -> np.ndarray:
    return Flow().smooth(mask.astype(np.float32), 2 * by + 1) > 0


def flicker(maps: Sequence[np.ndarray], film: Film) -> float:
    """See the module."""
    flow, found = Flow(), []
    for (back, trusted), before, now in zip(film.flows, maps, maps[1:], strict=False):
        size = back.shape[:2]
        old, new = flow.resize(before, size), flow.resize(now, size)
        apart = np.abs(new - flow.warp(old, back))[trusted].mean()
        found.append(apart / np.abs(new - np.median(new)).mean())
    return float(np.mean(found))


def score(film: Film, maps: Sequence[Prediction]) -> dict[str, float]:
    """Flicker of maps under each treatment; accuracy, and edges, of raw and steady ones."""
    stretched = [(m.values - m.values.min()) / np.ptp(m.values) for m in maps]
    fitted = [_fit(m, depth) for m, depth in zip(maps, film.depths, strict=True)]
    row = {
        "minmax": flicker(stretched, film),
        "least squares": flicker([1 / np.maximum(m, MIN_DEPTH) for m in fitted], film),
        "abs_rel": _abs_rel(fitted, film),
        "edges": _edges(fitted, film),
    }
    for mode in ("scale", "flow"):
        stabiliser = Stabiliser(mode)
        steady = [stabiliser(m, p) for m, p in zip(maps, film.pictures, strict=True)]
        fitted = [_fit(m, depth) for m, depth in zip(steady, film.depths, strict=True)]
        row |= {
            mode: flicker([m.values for m in steady], film),
            f"{mode} abs_rel": _abs_rel(fitted, film),
            f"{mode} edges": _edges(fitted, film),
        }
    row["minmax over flow"] = row["minmax"] / row["flow"]
    row["least squares over flow"] = row["least squares"] / row["flow"]
    row["abs_rel, relative rise"] = row["flow abs_rel"] / row["abs_rel"] - 1
    row["edges, relative loss"] = 1 - row["flow edges"] / row["edges"]
    return row


def _fit(prediction: Prediction, depth: np.ndarray) -> np.ndarray:
    """Metres by the best line of this map alone."""
    values = Flow().resize(prediction.values, depth.shape)
    whole = Prediction(values=values, kind=prediction.kind)
    return whole.aligned_to(depth, depth > 0, max_depth=20).values


def _abs_rel(fitted: Sequence[np.ndarray], film: Film) -> float:
    errors = [
        (np.abs(m - d)[d > 0] / d[d > 0]).mean() for m, d in zip(fitted, film.depths, strict=True)
    ]
    return float(np.mean(errors))


def _edges(fitted: Sequence[np.ndarray], film: Film) -> float:
    return float(
        np.nanmean([boundary_f1(m, d, d > 0) for m, d in zip(fitted, film.depths, strict=True)])
    )


def random_vit() -> DepthEstimator:
    """Depth Anything's small network with random weights."""
    import torch

    from leadline.models import build
    from leadline.runtime.torch import TorchRuntime

    torch.manual_seed(0)
    spec = MODELS["depth-anything-v2-vits"]
    return DepthEstimator(TorchRuntime(build("depth-anything-v2-vits")), spec)


def write_hd(path: Path, pictures: Sequence[np.ndarray], count: int) -> None:
    """A 1920x1080 film of pictures that go to and fro."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=Fraction(25), options={"preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
        for number in range(count):
            picture = pictures[order[number % len(order)]]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame.reformat(1920, 1080, "yuv420p")))
        container.mux(stream.encode())


def measure_speed(pictures: Sequence[np.ndarray], count: int) -> dict[str, float]:
    """Frames a second of the network alone and of the whole film, peak memory, steadying."""
    estimator = leadline.load()
    with tempfile.TemporaryDirectory() as folder:
        film, out = Path(folder) / "in.mp4", Path(folder) / "out.mp4"
        write_hd(film, pictures, count)
        command = [sys.executable, "-m", "leadline", "video", str(film), "--out", str(out)]
        before = _network_rate(estimator, film)
        begin = time.perf_counter()
        told = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        after = _network_rate(estimator, film)
    network = (before + after) / 2
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    steady = _steady_seconds(estimator, pictures)
    rate = json.loads(told.stdout)["frames_per_second"]
    return {
        "network frames/s": network,
        "film frames/s": rate,
        "film frames/s with start": count / seconds,
        "film over network": rate / network,
        "peak_mb": peak,
        "steady over network": steady * network,
    }


def _network_rate(estimator: DepthEstimator, film: Path) -> float:
    from itertools import islice

    from leadline.io import open_source

    with open_source(film) as source:
        frames = [frame.image for frame in islice(source.frames(), 6)]
    estimator.predict(frames[0])
    begin = time.perf_counter()
    for image in frames * 4:
        estimator.predict_prepared(estimator.prepare(image), resized=False)
    return 4 * len(frames) / (time.perf_counter() - begin)


def _steady_seconds(estimator: DepthEstimator, pictures: Sequence[np.ndarray]) -> float:
    """Seconds of a frame's steadying at a flow of 640x360."""
    flow = Flow()
    small = [flow.resize(picture, (360, 640)) for picture in pictures[:12]]
    maps = [estimator.predict(picture) for picture in small]
    stabiliser = Stabiliser("flow")
    stabiliser(maps[0], small[0])
    begin = time.perf_counter()
    for prediction, picture in zip(maps[1:], small[1:], strict=True):
        stabiliser(prediction, picture)
    return (time.perf_counter() - begin) / (len(small) - 1)


def judge(record: dict[str, dict[str, float]]) -> list[str]:
    """What misses its bar."""
    missed = []
    for name, row in record.items():
        for key, bar in BARS.items():
            value = row.get(key)
            if value is None or not np.isfinite(value):
                continue
            at_least = " over flow" in key or key == "film over network"
            if value < bar if at_least else value > bar:
                missed.append(f"{name}: {key} {value:.3g}, bar {bar:g}")
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--hd-frames", type=int, default=300, help="0 leaves speed out")
    parser.add_argument("--vit", action="store_true", help="also a ViT with random weights (torch)")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    real = kitchen(arguments.data, arguments.frames)
    films = [real, room(arguments.frames), still(real, arguments.frames // 2)]
    networks: dict[str, Callable[[], DepthEstimator]] = {"lite": leadline.load}
    if arguments.vit:
        networks["random ViT"] = random_vit
    record: dict[str, dict[str, float]] = {}
    for name, make in networks.items():
        estimator = make()
        for film in films:
            maps = [estimator.predict(Image(pixels=picture)) for picture in film.pictures]
            record[f"{name}, {film.name}"] = score(film, maps)
    if arguments.hd_frames:
        record["speed"] = measure_speed(real.pictures, arguments.hd_frames)
    for name, row in record.items():
        print(name, {key: round(value, 4) for key, value in row.items()})
    missed = judge(record)
    print("\n".join(missed) or "every bar is met")
    if arguments.json:
        text = json.dumps({"bars": BARS, "missed": missed, "rows": record}, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
