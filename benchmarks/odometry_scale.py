"""Odometry of a KITTI street from grey pictures alone, in metres by the camera's height.

    python benchmarks/odometry_scale.py --data ../shared/data [--camera-height 1.65] [--json FILE]

Reported: the relative error of the length of every step against the poses (the scale error), the
scatter of the steps' scale without it, and the errors of rotation and direction per step: of the
direction also its scatter about a constant, since the poses' axes are not exactly the camera's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from leadline.camera import Camera
from leadline.datasets.frame import read_numbers
from leadline.geometry.epipolar import inverse_rigid
from leadline.io import list_images, read_image, read_poses
from leadline.sequence import scale_by_height, track


def _direction(step: np.ndarray) -> np.ndarray:
    return step[:3, 3] / np.linalg.norm(step[:3, 3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--camera-height", type=float, default=1.65)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    root = arguments.data / "multiview" / "kitti_grey"
    fx, cx, fy, cy = read_numbers(root / "calib.txt")[0].reshape(3, 4)[[0, 0, 1, 1], [0, 2, 1, 2]]
    paths = list_images(root / "image_0")
    truth = read_poses(root / "poses.txt", [str(path) for path in paths])
    images = []
    for path in paths:
        image = read_image(path)
        camera = Camera(width=image.size[1], height=image.size[0], fx=fx, fy=fy, cx=cx, cy=cy)
        images.append(replace(image, camera=camera))
    start = time.perf_counter()
    free = track(images)
    middle = time.perf_counter()
    metric = scale_by_height(free, lambda i: images[i], arguments.camera_height)
    end = time.perf_counter()
    true_steps = [inverse_rigid(a) @ b for a, b in itertools.pairwise(truth)]
    poses = [np.asarray(camera.world_from_camera) for camera in metric.cameras]
    steps = [inverse_rigid(a) @ b for a, b in itertools.pairwise(poses)]
    lengths = np.array([np.linalg.norm(s[:3, 3]) for s in steps])
    true_lengths = np.array([np.linalg.norm(s[:3, 3]) for s in true_steps])
    error = np.abs(lengths / true_lengths - 1)
    unscaled = np.linalg.norm(np.diff(free.positions(), axis=0), axis=1) / true_lengths
    turns = [a[:3, :3].T @ b[:3, :3] for a, b in zip(steps, true_steps, strict=True)]
    rotation = [np.degrees(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1))) for R in turns]
    ours, theirs = (np.array([_direction(s) for s in some]) for some in (steps, true_steps))
    cosines = (ours * theirs).sum(1)
    apart = np.degrees(ours - theirs)  # across the way: angles; the poses' axes may be turned
    scatter = np.linalg.norm(apart - np.median(apart, axis=0), axis=1)
    end_error = np.linalg.norm(
        metric.positions()[-1] - (inverse_rigid(truth[0]) @ truth[-1])[:3, 3]
    )
    record = {
        "frames": len(images),
        "keyframes": len(metric.keyframes),
        "points": len(metric.points),
        "scale_error_median": float(np.median(error)),
        "scale_error_p90": float(np.quantile(error, 0.9)),
        "scale_error_mean_signed": float(np.mean(lengths / true_lengths - 1)),
        "drift_of_unscaled": float(np.std(unscaled) / np.mean(unscaled)),
        "rotation_deg_per_step_median": float(np.median(rotation)),
        "direction_deg_per_step_median": float(np.median(np.degrees(np.arccos(cosines)))),
        "direction_scatter_deg_median": float(np.median(scatter)),
        "end_error_share_of_way": float(end_error / true_lengths.sum()),
        "seconds": {"track": middle - start, "ground": end - middle},
    }
    print(json.dumps(record, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
