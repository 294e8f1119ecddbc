"""The statistical model: accuracy against two guesses, and what its parts cost.

    python benchmarks/superpixel.py --data ../shared/data [--weights FILE] [--json FILE]

Accuracy: share of pixels within a factor 1.25 after a least-squares fit of scale and shift in
disparity, mean over groups of frames; the difference to a vertical ramp with its 95 % interval from
a paired bootstrap (frames drawn anew inside their groups). Parts: seconds for a picture of 640x480
(median of five after one), features against a Python loop over segments in turn, and the planes'
objective against linear programming.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import leadline
from benchmarks.lite_accuracy import GROUPS, PROTOCOL, open_group
from leadline.evaluation import score_frame
from leadline.evaluation.predictors import BASELINES
from leadline.speed.machine import facts
from leadline.superpixel import Evidence, PlaneConfig, Segments, segment, solve_planes
from leadline.superpixel.features import filter_responses, segment_shapes, segment_statistics

if TYPE_CHECKING:
    from leadline.evaluation.predictors import Predictor

ROOT = Path(__file__).parents[1]
DRAWS = 5000


def accuracy(data: Path, predict: dict[str, Predictor]) -> dict[str, Any]:
    """delta1 of every frame, by group and predictor, and what they come to."""
    groups: dict[str, dict[str, list[float]]] = {}
    for group in GROUPS:
        found: dict[str, list[float]] = {name: [] for name in predict}
        for ref in open_group(data, group):
            frame = ref.read()
            for name, function in predict.items():
                score = score_frame(function(frame), frame, PROTOCOL)
                found[name].append(score.metrics["delta1"])
        groups[group] = found
    ramp, ours = "vertical ramp", "superpixel"
    means = {g: {n: float(np.mean(v)) for n, v in found.items()} for g, found in groups.items()}
    return {
        "groups": {g: {"frames": len(found[ramp]), **means[g]} for g, found in groups.items()},
        "mean": {n: float(np.mean([means[g][n] for g in groups])) for n in predict},
        "difference": bootstrap(groups, ours, ramp),
        "worst set": min(means[g][ours] - means[g][ramp] for g in groups),
    }


def bootstrap(groups: dict[str, dict[str, list[float]]], ours: str, other: str) -> dict[str, float]:
    """Mean over groups of delta1's difference, and its 95 % interval."""
    rng = np.random.default_rng(0)
    draws = np.zeros(DRAWS)
    centre = []
    for found in groups.values():
        differences = np.array(found[ours]) - np.array(found[other])
        picks = rng.integers(len(differences), size=(DRAWS, len(differences)))
        draws += differences[picks].mean(axis=1) / len(groups)
        centre.append(differences.mean())
    low, high = np.percentile(draws, (2.5, 97.5))
    return {"mean": float(np.mean(centre)), "low": float(low), "high": float(high)}


def seconds(estimator: leadline.DepthEstimator, picture: np.ndarray) -> dict[str, float]:
    """Of one picture, after one that does not count."""
    estimator.predict(picture)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        estimator.predict(picture)
        times.append(time.perf_counter() - start)
    return {"median": float(np.median(times)), "worst": max(times)}


def feature_speed(picture: np.ndarray) -> dict[str, float]:
    """Statistics and shapes of all segments at once, and segment by segment, in turn."""
    segments = segment(picture)
    responses = filter_responses(picture.astype(np.float32) / 255)
    ours, loop = [], []
    for _ in range(7):
        start = time.perf_counter()
        segment_statistics(responses, segments)
        segment_shapes(segments)
        middle = time.perf_counter()
        segment_by_segment(responses, segments)
        ours.append(middle - start)
        loop.append(time.perf_counter() - middle)
    return {
        "segments": segments.count,
        "seconds": float(np.median(ours)),
        "loop seconds": float(np.median(loop)),
        "times faster": float(np.median(loop) / np.median(ours)),
    }


def segment_by_segment(responses: np.ndarray, segments: Segments) -> np.ndarray:
    """The same numbers, as one would first write them."""
    height, width = segments.size
    y, x = np.mgrid[:height, :width]
    rows = []
    for number in range(segments.count):
        inside = segments.labels == number
        power = responses[inside] ** 2
        px, py = x[inside] / width * 2 - 1, y[inside] / height * 2 - 1
        moments = np.cov(np.stack([px, py])) if inside.sum() > 1 else np.zeros((2, 2))
        longer = np.linalg.eigvalsh(moments)
        quantiles = [np.percentile(v, q) for q in (10, 50, 90) for v in (px, py)]
        rows.append([*power.mean(0), *(power**2).mean(0), *quantiles, *longer, inside.sum()])
    return np.array(rows)


def solver_gap() -> dict[str, float]:
    """Objective of ADMM over that of linear programming, on small pictures."""
    ratios, ours, theirs = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:48, :60]
        labels = (rows // (8 + seed)) * 8 + columns // 12
        segments = Segments(labels=np.unique(labels, return_inverse=True)[1].reshape(48, 60))
        evidence = random_evidence(segments, rng)
        start = time.perf_counter()
        found = solve_planes(segments, evidence)
        middle = time.perf_counter()
        best = solve_planes(segments, evidence, PlaneConfig(solver="highs"))
        theirs.append(time.perf_counter() - middle)
        ours.append(middle - start)
        ratios.append(found.objective / best.objective)
    return {
        "worst ratio": max(ratios),
        "seconds": float(np.median(ours)),
        "HiGHS seconds": float(np.median(theirs)),
    }


def random_evidence(segments: Segments, rng: np.random.Generator) -> Evidence:
    """Noisy points on a ramp, random probabilities."""
    y, x = (a.ravel() for a in np.mgrid[1:48:3, 1:60:3])
    return Evidence(
        x=2 * (x + 0.5) / 60 - 1,
        y=2 * (y + 0.5) / 48 - 1,
        owner=segments.labels[y, x],
        log_depth=-np.log(0.2 + y / 48) + rng.normal(0, 0.4, len(x)),
        weight=rng.uniform(0.05, 0.25, len(x)),
        ground=rng.random(segments.count),
        sky=np.zeros(segments.count),
        together=rng.random(len(segments.touching[0])),
        horizon=-0.1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the groups")
    parser.add_argument("--weights", default=None, help="file of `leadline train superpixel`")
    parser.add_argument("--json", type=Path, default=None, help="also write the numbers here")
    arguments = parser.parse_args()
    estimator = leadline.load("superpixel", weights=arguments.weights)
    prior = leadline.load("superpixel-prior")
    room = np.asarray(photograph(ROOT / "examples" / "room.jpg"))
    record = {
        "machine": facts() | {"load": os.getloadavg()[0]},
        "accuracy": accuracy(
            arguments.data,
            {
                "vertical ramp": BASELINES["vertical-ramp"],
                "superpixel-prior": lambda frame: prior.predict(frame.image),
                "superpixel": lambda frame: estimator.predict(frame.image),
            },
        ),
        "seconds of 640x480": seconds(estimator, room),
        "features": feature_speed(room),
        "planes": solver_gap(),
    }
    print(json.dumps(record, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def photograph(path: Path) -> np.ndarray:
    """RGB of a file, 640x480."""
    from PIL import Image

    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB").resize((640, 480)))


if __name__ == "__main__":
    main()
