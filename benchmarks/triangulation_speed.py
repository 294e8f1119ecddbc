"""A million points triangulated, beside cv2.triangulatePoints and a loop over the points.

    python benchmarks/triangulation_speed.py [--points 1000000] [--repeats 5] [--json FILE]

`leadline` gives points, depths in both cameras, errors, parallax and which to keep; OpenCV gives
homogeneous points alone. The loop calls cv2.triangulatePoints for every point, on 10,000 of them,
and its time is scaled up. All take turns; medians and quartiles of the ratios are reported.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from leadline.camera import Camera
from leadline.geometry import triangulate
from leadline.geometry.epipolar import inverse_rigid

_LOOPED = 10_000


def scene(count: int) -> tuple[list[np.ndarray], list[Camera], list[np.ndarray]]:
    """Noisy pixels of two views, the cameras, and their projection matrices."""
    rng = np.random.default_rng(0)
    camera = Camera(width=1242, height=375, fx=720, fy=720, cx=620.5, cy=187)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.02, 0.05, -0.01]))[0]
    pose[:3, 3] = [0.8, 0.05, 0.3]
    cameras = [camera.moved(np.eye(4)), camera.moved(pose)]
    pixels = rng.uniform((0, 0), (1242, 375), (count, 2))
    z = rng.uniform(4, 60, count)
    world = np.column_stack([(pixels - [620.5, 187]) / 720 * z[:, None], z])
    views, matrices = [], []
    for one in cameras:
        P = one.matrix @ inverse_rigid(np.asarray(one.world_from_camera))[:3]
        seen = world @ P[:, :3].T + P[:, 3]
        views.append(seen[:, :2] / seen[:, 2:] + 0.5 * rng.normal(size=(count, 2)))
        matrices.append(P)
    return views, cameras, matrices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    views, cameras, (P1, P2) = scene(arguments.points)
    first, second = (np.ascontiguousarray(view.T) for view in views)

    def loop() -> None:
        for i in range(_LOOPED):
            cv2.triangulatePoints(P1, P2, first[:, i : i + 1], second[:, i : i + 1])

    sides: dict[str, tuple[Callable[[], object], float]] = {
        "leadline_optimal": (lambda: triangulate(views, cameras), 1),
        "leadline_linear": (lambda: triangulate(views, cameras, method="linear"), 1),
        "leadline_midpoint": (lambda: triangulate(views, cameras, method="midpoint"), 1),
        "opencv": (lambda: cv2.triangulatePoints(P1, P2, first, second), 1),
        "loop": (loop, arguments.points / _LOOPED),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(arguments.repeats + 1):
        for name, (run, factor) in sides.items():
            start = time.perf_counter()
            run()
            if turn:  # the first warms up
                times[name].append(factor * (time.perf_counter() - start))
    record: dict[str, object] = {
        "points": arguments.points,
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "load": os.getloadavg(),
    }
    for other in ("opencv", "loop"):
        pairs = zip(times["leadline_optimal"], times[other], strict=True)
        ratios = [theirs / ours for ours, theirs in pairs]
        record[f"{other}_over_leadline_optimal"] = {
            "median": statistics.median(ratios),
            "quartiles": statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3,
        }
    print(json.dumps(record, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
