"""How wrong a metric model's depths are on held-out pictures, as measures of length need it.

    python benchmarks/measure_errors.py --model lite-metric

Three numbers, of which :mod:`leadline.cloud.measures` makes intervals: how far the scale of a whole
map is off, how far single pixels are off beside that, and over how much of the picture's diagonal
such errors stay alike. Odd frames give them, even frames say how many true distances lie within the
90 % intervals that follow. Rendered rooms and streets that no training saw, and the real frames
beside the repository. Writes benchmarks/results/measure_errors.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import leadline
from benchmarks.harness import REAL, RESULTS, frames
from leadline.catalog import DepthError
from leadline.cloud.measures import lift_pixels, measure_points
from leadline.datasets import Frame, open_dataset
from leadline.evaluation.leaderboard import read_entries
from leadline.prediction import Prediction

PAIRS, PER_SET = 400, 12
NORMAL_90 = 1.645  # standard deviations that hold 90 % of a normal distribution
Case = tuple[np.ndarray, np.ndarray, Frame, Prediction, np.ndarray]
BINS = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8])  # of separations, in diagonals


def held_out_frames() -> dict[str, list[Frame]]:
    """Set -> frames whose camera is known."""
    found = {f"rendered {kind}": list(frames(kind)) for kind in ("room", "street")}
    for entry in read_entries(REAL):
        root = REAL.parent / entry.root
        if root.exists() and "trained on" not in entry.name:
            refs = list(open_dataset(entry.dataset, root, entry.options))
            step = max(1, len(refs) // PER_SET)
            loaded = [ref.read() for ref in refs[::step]]
            found[entry.name] = [frame for frame in loaded if frame.image.camera is not None]
    return {name: some for name, some in found.items() if some}


def draw_pairs(frame: Frame, seed: int) -> np.ndarray:
    """Pixels (PAIRS, 2, 2) as x, y whose depth is known, near and far from one another alike."""
    rng = np.random.default_rng(seed)
    v, u = np.nonzero(frame.valid & (frame.depth < frame.max_depth))
    places = np.stack([u, v], axis=1)
    first = places[rng.integers(len(places), size=PAIRS)]
    candidates = places[rng.integers(len(places), size=(PAIRS, 40))]
    length = np.linalg.norm(candidates - first[:, None], axis=2)
    wanted = np.hypot(*frame.depth.shape) * np.exp(rng.uniform(np.log(0.03), np.log(0.6), PAIRS))
    return np.stack(
        [first, candidates[np.arange(PAIRS), np.argmin(abs(length - wanted[:, None]), 1)]], 1
    )


def fit_error(logs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Scale, local and reach of errors log(pred / truth) at pairs (n, 2), n separations each."""
    scales = np.array([np.median(log) for log, _ in logs])
    rest = [log - scale for (log, _), scale in zip(logs, scales, strict=True)]
    scale, local = (
        float(np.quantile(np.abs(each), 0.9) / NORMAL_90)
        for each in (scales, np.concatenate([r.ravel() for r in rest]))
    )
    apart = np.concatenate([separation for _, separation in logs])
    change = np.abs(np.concatenate([r[:, 1] - r[:, 0] for r in rest]))
    shares, weights = [], []
    place = np.digitize(apart, BINS)
    for number in range(1, len(BINS)):
        some = change[place == number]
        if len(some) > 50:
            spread = np.quantile(some, 0.9) / NORMAL_90
            share = min(spread**2 / (2 * local**2), 0.99)
            shares.append(-np.median(apart[place == number]) / np.log(1 - share))
            weights.append(len(some))
    reach = float(np.average(shares, weights=weights))
    return {"scale": scale, "local": local, "reach": round(reach, 3)}


def widen(error: DepthError, some: list[Case]) -> DepthError:
    """The errors times the least factor with which 90 % of the true distances lie inside.

    Errors have longer tails than the normal distribution that is drawn from.
    """
    wider = error
    for factor in np.arange(1, 2, 0.05):
        wider = replace(
            error, scale=round(error.scale * factor, 3), local=round(error.local * factor, 3)
        )
        if coverage(some, wider) >= 0.9:
            break
    return wider


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite-metric", help="name, file or run")
    given = parser.parse_args()
    estimator = leadline.load(given.model)
    odd, even, sets = [], [], {}
    for name, some in held_out_frames().items():
        for number, frame in enumerate(some):
            prediction = estimator.predict(frame.image)
            pairs = draw_pairs(frame, number)
            u, v = pairs[..., 0], pairs[..., 1]
            logs = np.log(prediction.values[v, u] / frame.depth[v, u])
            apart = np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1) / np.hypot(*prediction.size)
            sets.setdefault(name, []).append((logs, apart))
            (odd if number % 2 else even).append((logs, apart, frame, prediction, pairs))
    error = widen(DepthError(**fit_error([each[:2] for each in odd])), odd)
    record = {
        "model": given.model,
        "frames": {name: len(each) for name, each in sets.items()},
        "scale": error.scale,
        "local": error.local,
        "reach": error.reach,
        "coverage_90": round(coverage(even, error), 3),
        "median_ratio_of_bounds": round(coverage(even, error, widths=True), 2),
    }
    path = RESULTS / "measure_errors.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


def coverage(some: list[Case], error: DepthError, *, widths: bool = False) -> float:
    """Share of true distances within the intervals; or the median of upper over lower bounds."""
    hits, ratios = [], []
    for _, _, frame, prediction, pairs in some:
        camera = frame.image.camera
        if camera is None:
            continue
        for pair in pairs[::20]:
            truth = lift_pixels(frame.depth, camera, pair)
            found = measure_points(prediction.values, camera, pair, error=error, focal_error=0.0)
            true = float(np.linalg.norm(truth[1] - truth[0]))
            low, high = found.low or 0.0, found.high or 0.0
            hits.append(low <= true <= high)
            ratios.append(high / max(low, 1e-9))
    return float(np.median(ratios)) if widths else float(np.mean(hits))


if __name__ == "__main__":
    main()
