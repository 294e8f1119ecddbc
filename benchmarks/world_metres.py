"""A metric model on held-out scenes of the world and on real frames: metres, and after medians.

    python benchmarks/world_metres.py --model fastdepth-world [--kinds room street]

Prints AbsRel on 60 rendered frames a kind, as they are and scaled by each picture's medians, and on
the real frames beside the repository as metres and after a fit of scale and shift.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import leadline
from benchmarks.harness import REAL, frames, real_scores
from leadline.datasets import Frame
from leadline.evaluation.leaderboard import read_entries
from leadline.prediction import Prediction

METRES, FITTED = "depth-anything-v2-metric", "depth-anything-zero-shot"


def errors(values: np.ndarray, frame: Frame) -> tuple[float, float]:
    """AbsRel of (h, w) metres, as they are and scaled by medians."""
    known = frame.valid & (frame.depth < frame.max_depth)
    pred, truth = values[known], frame.depth[known]
    scaled = pred * (np.median(truth) / np.median(pred))
    plain, fitted = (float(np.mean(np.abs(each - truth) / truth)) for each in (pred, scaled))
    return plain, fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name, file or run")
    parser.add_argument("--kinds", nargs="+", default=["room"], help="of the world's scenes")
    given = parser.parse_args()
    estimator = leadline.load(given.model)

    def predict(frame: Frame) -> Prediction:
        return estimator.predict(frame.image)

    for kind in given.kinds:
        found = np.array([errors(predict(frame).values, frame) for frame in frames(kind)])
        metres, scaled = found.mean(axis=0)
        print(f"{kind:32} metres {metres:.3f}  after medians {scaled:.3f}")
    sets = tuple(entry.name for entry in read_entries(REAL))
    fitted = real_scores(predict, sets=sets, protocol=FITTED)
    for name, found in real_scores(predict, sets=sets, protocol=METRES).items():
        both = found["abs_rel"][0], fitted[name]["abs_rel"][0]
        print(f"{name:32} metres {both[0]:.3f}  after a fit {both[1]:.3f}")


if __name__ == "__main__":
    main()
