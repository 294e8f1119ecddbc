"""Metres for `lite` on 7-Scenes from the camera's known motion, with and without it.

    python benchmarks/metres_from_motion.py --data ../shared/data [--json FILE]

Frames are every tenth of the sequence, poses are the data set's. AbsRel is over all pixels with a
known depth, in metres, without any fit to the truth:

- `constant`: one depth for all, the median of the frames' true medians: sees nothing, knows metres.
- `without motion`: the network with one scale and shift for every frame, the medians of those that
  another camera's five frames (rgbd_kinect_5) ask for.
- `motion, each keyframe alone`, `motion, poses as given`: parts left out.
- `motion`: as `leadline predict --metres-from motion` does it.
- `truth`: every frame fitted to its own true depth; no scale and shift can do much better.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

import leadline
from leadline.alignment import Alignment
from leadline.datasets.frame import Frame
from leadline.datasets.rgbd import kinect_refs, seven_scenes_refs
from leadline.geometry import RefinementConfig
from leadline.image import Image
from leadline.prediction import Prediction
from leadline.sequence import MotionConfig, motion_fit

CAP_M = 10.0
RIGID = RefinementConfig(rotation_deg=1e-3, translation=1e-5)


def errors(
    frames: Sequence[Frame], maps: Sequence[Prediction], lines: Sequence[Alignment]
) -> list[float]:
    """AbsRel of every frame."""
    found = []
    for frame, prediction, line in zip(frames, maps, lines, strict=True):
        depth = prediction.to_metric(scale=line.scale, shift=line.shift, max_depth=CAP_M).values
        valid = frame.valid
        found.append(float((np.abs(depth - frame.depth)[valid] / frame.depth[valid]).mean()))
    return found


def flicker(lines: Sequence[Alignment], maps: Sequence[Prediction]) -> float:
    """Mean relative change of a median pixel's depth by the change of the line between frames."""
    changes = []
    for before, after, prediction in zip(lines, lines[1:], maps[1:], strict=False):
        middle = float(np.median(prediction.values))
        old, new = (line.scale * middle + line.shift for line in (before, after))
        changes.append(abs(new - old) / abs(new))
    return float(np.mean(changes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    estimator = leadline.load(arguments.model)
    refs = seven_scenes_refs(arguments.data / "rgbd_7scenes_kitchen", every=10)
    frames = [ref.read() for ref in refs]
    maps = [estimator.predict(frame.image) for frame in frames]
    by_name = {frame.image.name: found for frame, found in zip(frames, maps, strict=True)}

    def predict(image: Image) -> Prediction:
        return by_name[image.name]

    images = [frame.image for frame in frames]
    config = MotionConfig()
    others = [ref.read() for ref in kinect_refs(arguments.data / "rgbd_kinect_5")]
    fits = [
        estimator.predict(frame.image).alignment_to(frame.depth, frame.valid) for frame in others
    ]
    fixed = Alignment(
        scale=float(np.median([fit.scale for fit in fits])),
        shift=float(np.median([fit.shift for fit in fits])),
    )
    variants = {
        "motion, poses as given": replace(config, refinement=RIGID),
        "motion, each keyframe alone": replace(config, scale_drift=float("inf")),
        "motion": config,
    }
    lines = {"without motion": [fixed] * len(frames)}
    keyframes = {}
    for name, variant in variants.items():
        fit = motion_fit(images, predict, config=variant)
        lines[name] = fit.alignments
        keyframes[name] = len(fit.keyframes)
    lines["truth"] = [
        found.alignment_to(frame.depth, frame.valid)
        for found, frame in zip(maps, frames, strict=True)
    ]
    middle = float(np.median([np.median(frame.depth[frame.valid]) for frame in frames]))
    constant = [
        float((np.abs(middle - frame.depth) / np.maximum(frame.depth, 1e-3))[frame.valid].mean())
        for frame in frames
    ]
    methods = {"constant": {"abs_rel": float(np.mean(constant)), "worst": max(constant)}}
    for name, found in lines.items():
        scores = errors(frames, maps, found)
        methods[name] = {
            "abs_rel": float(np.mean(scores)),
            "worst": float(max(scores)),
            "flicker": flicker(found, maps),
        }
    for name, row in methods.items():
        print(f"{name:30}", {key: round(value, 3) for key, value in row.items()})
    record = {
        "model": arguments.model,
        "frames": len(frames),
        "keyframes": keyframes["motion"],
        "config": asdict(config),
        "methods": methods,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
