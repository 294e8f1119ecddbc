"""Stereo on Middlebury's cones, teddy and motorcycle, beside cv2.StereoSGBM.

    python benchmarks/stereo.py --data ../shared/data/stereo [--json FILE]

`bad-2.0` is the share of pixels with a known disparity whose error is above 2 pixels, at full
density: every pixel needs a value. SGBM leaves holes; they are filled from the farther of the two
neighbours in the row, as KITTI's development kit does. SGBM runs with the parameters of OpenCV's
sample `stereo_match.cpp` (numbers from the picture's width) in its modes, and with those of
`stereo_match.py`; the best of the first is what `fewer` counts against. Both run in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from leadline.datasets.frame import Frame
from leadline.datasets.stereo import middlebury_refs
from leadline.geometry import CONFIDENT, StereoConfig, stereo_disparity
from leadline.image import Image
from leadline.prediction import Prediction

MODES = {
    "SGBM": cv2.STEREO_SGBM_MODE_SGBM,
    "SGBM, HH": cv2.STEREO_SGBM_MODE_HH,
    "SGBM, 3WAY": cv2.STEREO_SGBM_MODE_SGBM_3WAY,
}
BAD_PX = 2.0


def sgbm(left: Image, right: Image, mode: int, python_sample: bool = False) -> np.ndarray:
    """Disparity by OpenCV with its sample's parameters, NaN where it has none."""
    width, channels = left.size[1], 3
    lowest, count, block, window = 0, ((width // 8) + 15) & -16, 3, 3
    if python_sample:
        lowest, count, block = 16, 96, 16
    matcher = cv2.StereoSGBM.create(
        minDisparity=lowest,
        numDisparities=count,
        blockSize=block,
        P1=8 * channels * window**2,
        P2=32 * channels * window**2,
        disp12MaxDiff=1,
        preFilterCap=0 if python_sample else 63,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=32,
        mode=mode,
    )
    found = matcher.compute(left.pixels, right.pixels).astype(np.float32) / 16
    return np.where(found >= lowest, found, np.nan)


def filled(disparity: np.ndarray) -> np.ndarray:
    """Holes take the farther of the nearest values to the left and right in the row."""
    height, width = disparity.shape
    known = np.isfinite(disparity)
    columns, rows = np.arange(width), np.arange(height)[:, None]
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    at_left = np.where(left >= 0, disparity[rows, np.maximum(left, 0)], np.inf)
    at_right = np.where(right < width, disparity[rows, np.minimum(right, width - 1)], np.inf)
    either = np.minimum(at_left, at_right)
    return np.where(known, disparity, np.where(np.isfinite(either), either, 0))


def bad(disparity: np.ndarray, truth: np.ndarray) -> float:
    """Share of the known pixels that are off by more than 2 pixels or have no value."""
    error = np.abs(disparity - truth)
    return float((~(error <= BAD_PX))[truth > 0].mean())


def score(ours: Prediction, truth: np.ndarray) -> dict[str, float]:
    """Share of bad pixels, everywhere and among the confident ones."""
    sure = np.zeros(ours.size) if ours.confidence is None else ours.confidence
    counts = (truth > 0) & (sure >= CONFIDENT)
    wrong = np.abs(ours.values - truth) > BAD_PX
    return {
        "bad": bad(ours.values, truth),
        "bad_confident": float(wrong[counts].mean()),
        "confident": float((sure >= CONFIDENT).mean()),
    }


def measure(frame: Frame, repeats: int) -> dict[str, Any]:
    """Every method on one pair."""
    left, right, truth = frame.image, frame.right, frame.disparity
    if right is None or truth is None:
        raise SystemExit(f"{frame.name}: a pair with disparities is needed")
    methods: dict[str, Callable[[], np.ndarray]] = {
        name: lambda mode=mode: sgbm(left, right, mode) for name, mode in MODES.items()
    }
    methods["SGBM, Python sample"] = lambda: sgbm(left, right, MODES["SGBM"], True)
    seconds: dict[str, list[float]] = {name: [] for name in [*methods, "leadline"]}
    rows: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for name, run in methods.items():
            start = time.perf_counter()
            found = run()
            seconds[name].append(time.perf_counter() - start)
            rows[name] = {
                "bad": bad(filled(found), truth),
                "bad_or_empty": bad(found, truth),
            }
        start = time.perf_counter()
        ours = stereo_disparity(left, right, check=False)
        seconds["leadline"].append(time.perf_counter() - start)
        rows["leadline"] = score(ours, truth)
    best = min(rows[name]["bad"] for name in MODES)
    return {
        "pair": frame.name,
        "methods": {
            name: {**row, "seconds": statistics.median(seconds[name])} for name, row in rows.items()
        },
        "fewer": 1 - rows["leadline"]["bad"] / best,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of cones, teddy ...")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    pairs = [measure(ref.read(), arguments.repeats) for ref in middlebury_refs(arguments.data)]
    for pair in pairs:
        cells = ", ".join(f"{n} {100 * m['bad']:.2f}" for n, m in pair["methods"].items())
        print(f"{pair['pair']}: bad-2.0 %: {cells}; {100 * pair['fewer']:.0f} % fewer")
    record = {"config": asdict(StereoConfig()), "opencv": cv2.__version__, "pairs": pairs}
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
