"""Speed of evaluation and reading, as ratios inside one run.

    python benchmarks/evaluation_speed.py [--maps 652] [--repeats 5] [--json FILE]

- `evaluate`: KITTI-size maps scored by `kitti-eigen-garg`, against the straightforward evaluator
  (whole-frame resize, clamp, masks, then seven numbers, one image after another), which resizes
  with Leadline's own `resize`.
- `evaluate_cv2`: the same evaluator with `cv2.resize`, as most scripts have it, and OpenCV's own
  threads. It gives 7 numbers, ours 12 with their sums in three ranges of depth.
- `velodyne`: a scan projected, against a loop over its points.
- `read`: 16-bit PNGs read as depth; the share of the time that Pillow decodes.

Both sides of a ratio take turns after one warm-up; medians and interquartile ranges are reported.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from leadline.datasets import project_velodyne
from leadline.datasets.frame import read_depth16
from leadline.evaluation import Accumulator, protocols
from leadline.resample import resize

Resizer = Callable[[np.ndarray, tuple[int, int]], np.ndarray]

SHAPE, SMALL = (375, 1242), (192, 640)
POINTS = 120_000


def maps(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Predictions at a network's size and sparse truths; 16 different ones, over and over."""
    rng = np.random.default_rng(0)
    preds = [rng.uniform(1, 80, SMALL).astype(np.float32) for _ in range(16)]
    truths = []
    for _ in range(16):
        truth = rng.uniform(1, 90, SHAPE).astype(np.float32)
        truth[rng.random(SHAPE) < 0.95] = 0
        truth[:150] = 0
        truths.append(truth)
    return [preds[i % 16] for i in range(count)], [truths[i % 16] for i in range(count)]


def own_resize(pred: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return resize(pred, size, "linear")


def cv2_resize(pred: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    return cv2.resize(pred, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def straightforward(pred: np.ndarray, truth: np.ndarray, resized: Resizer) -> list[float]:
    """Every step on the whole frame, as evaluation scripts do it."""
    pred = resized(pred, truth.shape)
    pred = np.clip(pred, 1e-3, 80)
    height, width = truth.shape
    crop = np.zeros(truth.shape)
    crop[
        int(0.40810811 * height) : int(0.99189189 * height),
        int(0.03594771 * width) : int(0.96405229 * width),
    ] = 1
    mask = np.logical_and(np.logical_and(truth > 1e-3, truth < 80), crop)
    p, t = pred[mask], truth[mask]
    far = np.maximum(t / p, p / t)
    deltas = [(far < 1.25**k).mean() for k in (1, 2, 3)]
    logs = np.log(t) - np.log(p)
    return [
        np.mean(np.abs(t - p) / t),
        np.mean((t - p) ** 2 / t),
        np.sqrt(((t - p) ** 2).mean()),
        np.sqrt((logs**2).mean()),
        *deltas,
    ]


def evaluate_ratio(
    count: int, threads: int, resized: Resizer = own_resize
) -> tuple[Callable[[], object], Callable[[], object]]:
    preds, truths = maps(count)
    # The straightforward evaluator resizes depth; the protocol's own rule resizes disparity.
    protocol = replace(protocols.get_depth("kitti-eigen-garg"), resized_as="given")

    def ours() -> object:
        gathered = Accumulator(protocol=protocol)
        with ThreadPoolExecutor(threads) as pool:
            for i, scored in enumerate(pool.map(protocol.measure, preds, truths)):
                gathered.add(str(i), scored)
        return gathered.mean()

    def theirs() -> object:
        rows = [straightforward(p, t, resized) for p, t in zip(preds, truths, strict=True)]
        return np.mean(rows, 0)

    a, b = ours(), theirs()
    if not isinstance(a, dict) or not np.isclose(a["abs_rel"], np.asarray(b)[0], rtol=1e-5):
        raise SystemExit("both evaluators should give the same number")
    return ours, theirs


def velodyne_ratio() -> tuple[Callable[[], object], Callable[[], object]]:
    rng = np.random.default_rng(0)
    points = rng.uniform((1, -30, -2), (80, 30, 1), (POINTS, 3))
    projection = np.array([[609.0, -721, 0, 0], [172, 0, -721, 0], [1, 0, 0, 0]])

    def loop() -> np.ndarray:
        depth = np.zeros(SHAPE)
        for x, y, z in points:
            u, v, w = projection @ (x, y, z, 1.0)
            column, row = round(u / w) - 1, round(v / w) - 1
            if 0 <= column < SHAPE[1] and 0 <= row < SHAPE[0]:
                before = depth[row, column]
                depth[row, column] = w if before == 0 else min(before, w)
        return depth

    return lambda: project_velodyne(points, projection, SHAPE), loop


def read_share(folder: Path, count: int = 40) -> dict[str, float]:
    """Seconds per map to read, and the share of them that decoding takes."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 20000, SHAPE).astype(np.uint16)
    codes[rng.random(SHAPE) < 0.8] = 0
    paths = [folder / f"{i}.png" for i in range(count)]
    for path in paths:
        PilImage.fromarray(codes).save(path)
    blobs = [path.read_bytes() for path in paths]
    whole, decode = [], []
    for path, blob in zip(paths, blobs, strict=True):  # in turns, so that load hits both
        start = time.perf_counter()
        read_depth16(path, per_unit=256)
        middle = time.perf_counter()
        PilImage.open(io.BytesIO(blob)).load()
        whole.append(middle - start)
        decode.append(time.perf_counter() - middle)
    read = statistics.median(whole)
    return {"read_ms": 1000 * read, "decode_share": statistics.median(decode) / read}


def alternate(
    sides: tuple[Callable[[], object], Callable[[], object]], repeats: int
) -> dict[str, Any]:
    """Take turns; the ratio of every turn, its median and quartiles."""
    for side in sides:
        side()
    times: tuple[list[float], list[float]] = [], []
    for _ in range(repeats):
        for side, kept in zip(sides, times, strict=True):
            start = time.perf_counter()
            side()
            kept.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(*times, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4) if repeats > 1 else [ratios[0]] * 3
    return {
        "ours_s": statistics.median(times[0]),
        "theirs_s": statistics.median(times[1]),
        "ratio": statistics.median(ratios),
        "ratio_iqr": [quartiles[0], quartiles[2]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=652)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = {
            "evaluate": alternate(
                evaluate_ratio(arguments.maps, arguments.threads), arguments.repeats
            ),
            "evaluate_cv2": alternate(
                evaluate_ratio(arguments.maps, arguments.threads, cv2_resize), arguments.repeats
            ),
            "velodyne": alternate(velodyne_ratio(), max(2, arguments.repeats // 2)),
            "read": read_share(Path(folder)),
            "machine": {
                "cpu": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "threads": arguments.threads,
                "load": os.getloadavg(),
                "numpy": np.__version__,
            },
        }
    print(json.dumps(record, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
