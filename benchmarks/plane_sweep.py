"""Plane sweep on 7-Scenes: five posed frames, depth of the middle one, how far it is to be trusted.

    python benchmarks/plane_sweep.py --data ../shared/data/rgbd_7scenes_kitchen [--json FILE]

Frames are every tenth of the sequence (about 8 cm apart); every reference has two frames before it
and two after. `confident` are pixels whose confidence is at least `leadline.geometry.CONFIDENT`.
AUSE is the area between the error that remains when the least confident pixels are dropped and the
least that could remain; AURG is what the confidence gains against dropping at random.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

from leadline.datasets.rgbd import seven_scenes_refs
from leadline.geometry import CONFIDENT, SweepConfig, plane_sweep

NEAR, FAR = 0.4, 6.0
WAYS = {  # poses refined, other maps asked
    "full": (True, True),
    "poses as given": (False, True),
    "one map alone": (True, False),
}


def sparsification(error: np.ndarray, confidence: np.ndarray) -> tuple[float, float]:
    """AUSE and AURG of an error per pixel; 0 is perfect for the first."""
    kept = np.arange(1, len(error) + 1, dtype=np.float64)
    by_confidence = np.cumsum(error[np.argsort(-confidence, kind="stable")])
    best = np.cumsum(error[np.argsort(error, kind="stable")])
    ause = ((by_confidence - best) / kept).mean()
    return float(ause), float(error.mean() - (by_confidence / kept).mean())


def score(values: np.ndarray, confidence: np.ndarray, depth: np.ndarray) -> dict[str, float]:
    """Errors of one map at the pixels with a known depth that it gives a value."""
    error = np.abs(values - depth) / depth
    sure = confidence >= CONFIDENT
    ause, aurg = sparsification(error, confidence)
    return {
        "abs_rel": float(error.mean()),
        "abs_rel_confident": float(error[sure].mean()),
        "confident": float(sure.mean()),
        "delta1_confident": float((np.maximum(values / depth, depth / values) < 1.25)[sure].mean()),
        "ause": ause,
        "aurg": aurg,
    }


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over frames; the error of confident pixels is over all of them together."""
    total = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    weights = [row["confident"] for row in rows]
    for key in ("abs_rel_confident", "delta1_confident"):
        total[key] = float(np.average([row[key] for row in rows], weights=weights))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3, help="take every n-th reference")
    parser.add_argument("--variants", default=",".join(WAYS))
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("error", RuntimeWarning)
    refs = seven_scenes_refs(arguments.data, every=10)
    ways = {name: WAYS[name] for name in arguments.variants.split(",")}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    numbers = range(2, len(refs) - 2, arguments.every)
    for number in numbers:
        frames = [refs[number + step].read() for step in (0, -2, -1, 1, 2)]
        first, *others = frames
        for name, (refine, consistent) in ways.items():
            start = time.perf_counter()
            found = plane_sweep(
                first.image,
                [frame.image for frame in others],
                near=NEAR,
                far=FAR,
                refine=refine,
                consistent=consistent,
                check=False,
            )
            seconds[name].append(time.perf_counter() - start)
            valid = first.valid & found.known
            confidence = np.zeros(found.size) if found.confidence is None else found.confidence
            rows[name].append(score(found.values[valid], confidence[valid], first.depth[valid]))
        last = rows[next(iter(ways))][-1]
        print(first.name, {key: round(value, 3) for key, value in last.items()}, flush=True)
    means = {
        name: {**mean(rows[name]), "seconds": float(np.median(seconds[name]))} for name in ways
    }
    for name, result in means.items():
        print(name, {key: round(value, 4) for key, value in result.items()})
    record = {
        "config": asdict(SweepConfig()),
        "near_far": [NEAR, FAR],
        "references": [refs[number].name for number in numbers],
        "variants": {name: {**means[name], "frames": rows[name]} for name in ways},
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
