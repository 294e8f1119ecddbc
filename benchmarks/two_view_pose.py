"""Motion between two pictures, beside OpenCV's MAGSAC++ and recoverPose on the same matches.

    python benchmarks/two_view_pose.py --data ../shared/data [--trials 100] [--json FILE]

- `seven_scenes`: every-10th frames of a 7-Scenes kitchen and their neighbours, where the median
  parallax of the matches (by the true poses) is 2 degrees or more.
- `kitti_grey`: pairs 1, 2 and 3 frames apart of a KITTI street.
- `forward`, `sideways`: random scenes, 600 points 4 to 200 m away, 1 m forward or 0.5 m sideways,
  0.5 px noise, 30 % of the matches wrong.

Errors are angles in degrees: of the rotation, and between the directions of translation. OpenCV
gets the same threshold (1 px) and iterations, and a distance threshold that keeps far points.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from leadline.camera import Camera
from leadline.datasets.frame import read_numbers
from leadline.datasets.rgbd import seven_scenes_refs
from leadline.errors import LeadlineError
from leadline.geometry import Matches, match, relative_pose, second_from_first, triangulate
from leadline.geometry.epipolar import inverse_rigid
from leadline.io import list_images, read_image


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Matches, the camera, and the true motion."""

    name: str
    matches: Matches
    camera: Camera
    truth: np.ndarray  # 4x4, second from first


def opencv_pose(pair: Pair) -> np.ndarray | None:
    """4x4 by findEssentialMat(USAC_MAGSAC) and recoverPose."""
    first, second, K = pair.matches.first, pair.matches.second, pair.camera.matrix
    found: Any = cv2.findEssentialMat(
        first, second, K, method=cv2.USAC_MAGSAC, prob=0.999, threshold=1.0, maxIters=10_000
    )
    E = found[0]
    if E is None or E.shape[0] < 3:
        return None
    found = cv2.recoverPose(E[:3], first, second, K, distanceThresh=1e5)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = found[1], found[2][:, 0]
    return pose


def our_pose(pair: Pair) -> np.ndarray | None:
    """4x4 by leadline."""
    try:
        return relative_pose(pair.matches, pair.camera, check=False).second_from_first
    except LeadlineError:
        return None


def errors_deg(pose: np.ndarray | None, truth: np.ndarray) -> tuple[float, float]:
    """Rotation and direction; 180 where there is no answer."""
    if pose is None:
        return 180.0, 180.0
    turn = pose[:3, :3] @ truth[:3, :3].T
    a, b = pose[:3, 3], truth[:3, 3]
    rotation = np.arctan2(np.linalg.norm(turn - turn.T) / np.sqrt(8), (np.trace(turn) - 1) / 2)
    direction = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    return float(np.degrees(rotation)), float(np.degrees(direction))


def seven_scenes(root: Path) -> Iterator[Pair]:
    images = [ref.read().image for ref in seven_scenes_refs(root, every=10)]
    for a, b in itertools.pairwise(images):
        if a.camera is None or b.camera is None:
            continue
        matches = match(a, b)
        points = triangulate((matches.first, matches.second), (a.camera, b.camera))
        near = points.error_px < 3
        if near.any() and np.median(points.parallax_deg[near]) >= 2:
            name = f"{a.name} {b.name}"
            truth = second_from_first(a.camera, b.camera)
            yield Pair(name=name, matches=matches, camera=a.camera, truth=truth)


def kitti_grey(root: Path) -> Iterator[Pair]:
    fx, cx, fy, cy = read_numbers(root / "calib.txt")[0].reshape(3, 4)[[0, 0, 1, 1], [0, 2, 1, 2]]
    poses = [
        np.vstack([row.reshape(3, 4), [0, 0, 0, 1]]) for row in read_numbers(root / "poses.txt")
    ]
    images = [read_image(path) for path in list_images(root / "image_0")]
    height, width = images[0].size
    camera = Camera(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)
    for apart in (1, 2, 3):
        for i in range(len(images) - apart):
            truth = inverse_rigid(poses[i + apart]) @ poses[i]
            matches = match(images[i], images[i + apart])
            yield Pair(name=f"{i} {i + apart}", matches=matches, camera=camera, truth=truth)


def synthetic(step: list[float], trials: int) -> Iterator[Pair]:
    camera = Camera(width=1242, height=375, fx=720, fy=720, cx=620.5, cy=187)
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        z = rng.uniform(4, 200, 600)
        first = rng.uniform((0, 0), (1242, 375), (600, 2))
        world = np.column_stack([(first - [620.5, 187]) / 720 * z[:, None], z])
        R = cv2.Rodrigues(0.03 * rng.normal(size=3))[0] if step[0] else np.eye(3)
        truth = np.eye(4)
        truth[:3, :3], truth[:3, 3] = R, -R @ np.array(step)
        moved = world @ R.T + truth[:3, 3]
        seen = moved[:, 2] > 0.5
        second = moved[seen, :2] / moved[seen, 2:] * 720 + [620.5, 187]
        first, second = (p + 0.5 * rng.normal(size=p.shape) for p in (first[seen], second))
        wrong = rng.random(len(first)) < 0.3
        second[wrong] = rng.uniform((0, 0), (1242, 375), (int(wrong.sum()), 2))
        matches = Matches(first=first, second=second)
        yield Pair(name=str(seed), matches=matches, camera=camera, truth=truth)


def compare(pairs: Iterator[Pair]) -> dict[str, Any]:
    """Medians and 90 % quantiles of both, and the time they take in turn."""
    errors: dict[str, list[tuple[float, float]]] = {"leadline": [], "opencv_magsac": []}
    seconds = {"leadline": [], "opencv_magsac": []}
    for pair in pairs:
        for name, solve in (("leadline", our_pose), ("opencv_magsac", opencv_pose)):
            start = time.perf_counter()
            pose = solve(pair)
            seconds[name].append(time.perf_counter() - start)
            errors[name].append(errors_deg(pose, pair.truth))
    record: dict[str, Any] = {"pairs": len(errors["leadline"])}
    ours, theirs = (np.array(errors[name]) for name in ("leadline", "opencv_magsac"))
    for i, what in enumerate(("rotation", "direction")):
        record[f"{what}_median_less_opencv_deg_95"] = _interval(ours[:, i], theirs[:, i])
    for name, rows in errors.items():
        table = np.array(rows)
        record[name] = {
            "rotation_deg": _quantiles(table[:, 0]),
            "direction_deg": _quantiles(table[:, 1]),
            "median_ms": 1000 * float(np.median(seconds[name])),
        }
    return record


def _interval(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """95 % interval of the difference of both medians, by drawing pairs again (bootstrap)."""
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(ours), (2000, len(ours)))
    gaps = np.median(ours[draws], axis=1) - np.median(theirs[draws], axis=1)
    return [float(value) for value in np.quantile(gaps, [0.025, 0.975])]


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return {
        "median": float(np.median(values)),
        "p90": float(np.quantile(values, 0.9)),
        "mean": float(values.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    groups = {
        "seven_scenes": seven_scenes(arguments.data / "rgbd_7scenes_kitchen"),
        "kitti_grey": kitti_grey(arguments.data / "multiview" / "kitti_grey"),
        "forward": synthetic([0.0, 0.0, 1.0], arguments.trials),
        "sideways": synthetic([0.5, 0.0, 0.0], arguments.trials),
    }
    record: dict[str, Any] = {}
    for name, pairs in groups.items():
        record[name] = compare(pairs)
        print(name, json.dumps(record[name]), flush=True)
    record["versions"] = {"opencv": cv2.__version__, "numpy": np.__version__}
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
