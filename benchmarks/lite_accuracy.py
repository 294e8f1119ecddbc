"""Accuracy of models of affine disparity on real frames, beside two baselines that see nothing.

    python benchmarks/lite_accuracy.py --data ../shared/data [--model [TITLE=]NAME|FILE ...]

Prints AbsRel, delta1 and ordinal accuracy per folder of frames, and the mean over folders. AbsRel
and delta1 are those of the protocol `depth-anything-zero-shot`: the disparity is fitted to the
known depths by least squares over scale and shift, inverted and clamped to the data set's cap (80 m
KITTI, 10 m indoors). The order of pixel pairs is judged on the disparity itself: a fit would invert
a reversed map.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

import leadline
from leadline.datasets import Frame, FrameRef, Options, open_dataset
from leadline.errors import InputError
from leadline.evaluation import evaluate, protocols
from leadline.evaluation.predictors import BASELINES, Predictor
from leadline.metrics import ordinal
from leadline.prediction import Prediction

PROTOCOL = protocols.get("depth-anything-zero-shot")

GROUPS: Mapping[str, tuple[str, Options]] = MappingProxyType(
    {
        "kitti_depth": ("kitti-depth", Options()),
        "kitti_raw": ("kitti-raw", Options()),
        "kitti_object": ("kitti-object", Options()),
        "nyu": ("nyu-folder", Options()),
        "rgbd_7scenes_kitchen": ("7scenes", Options(every=10)),
        "rgbd_kinect_5": ("kinect-poses", Options()),
    }
)
"""Folder of real frames -> its data set, and what of it is read."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over frames.

    Attributes:
        abs_rel: mean of abs(pred - target) / target; less is better.
        delta1: share of pixels within a factor of 1.25; more is better.
        ordinal: share of pixel pairs in the right order; .5 is guessing.
    """

    abs_rel: float
    delta1: float
    ordinal: float


@dataclass(frozen=True, kw_only=True)
class GroupScore:
    """Mean score of a group's frames."""

    group: str
    frames: int
    score: Score


def open_group(data: Path, group: str) -> list[FrameRef]:
    """The frames of one of :data:`GROUPS` below the folder ``data``."""
    name, options = GROUPS[group]
    return open_dataset(name, data / group, options)


def open_model(source: str, size: int | None = None) -> Predictor:
    """The disparity that a model of the catalogue, a file, or a training run gives."""
    estimator = leadline.load(source, size=size)
    return lambda frame: estimator.predict(frame.image).to_disparity()


def score_group(predict: Predictor, refs: Sequence[FrameRef], *, group: str = "") -> GroupScore:
    """Mean score of disparities on frames; the frame's number seeds the choice of its pairs."""
    order: list[float] = []

    def predict_ordered(frame: Frame) -> Prediction:
        pred = predict(frame)
        order.append(ordinal(-pred.values, frame.depth, frame.valid, seed=len(order)))
        return pred

    mean = evaluate(predict_ordered, refs, PROTOCOL).scores.mean()
    score = Score(abs_rel=mean["abs_rel"], delta1=mean["delta1"], ordinal=float(np.nanmean(order)))
    return GroupScore(group=group, frames=len(refs), score=score)


def macro_mean(groups: Sequence[GroupScore]) -> Score:
    """Mean over groups, each counting once whatever its number of frames."""
    if not groups:
        raise InputError("no group was scored; name one with --groups.")
    names = ("abs_rel", "delta1", "ordinal")
    scores = [asdict(group.score) for group in groups]
    return Score(**{name: float(np.mean([score[name] for score in scores])) for name in names})


def run(predict: Predictor, data: Path, groups: Sequence[str]) -> list[GroupScore]:
    """Score every group."""
    return [score_group(predict, open_group(data, group), group=group) for group in groups]


def table(results: Mapping[str, Sequence[GroupScore]]) -> str:
    """A plain-text table: groups down, predictors across, AbsRel / delta1 / ordinal."""
    names = list(results)
    lines = [f"{'group':24}{'frames':>7}" + "".join(f"{name:>22}" for name in names)]
    for row in zip(*results.values(), strict=True):
        cells = "".join(f"{_text(group.score):>22}" for group in row)
        lines.append(f"{row[0].group:24}{row[0].frames:7}{cells}")
    means = "".join(f"{_text(macro_mean(groups)):>22}" for groups in results.values())
    return "\n".join([*lines, f"{'mean over groups':31}{means}"])


def _text(score: Score) -> str:
    return f"{score.abs_rel:.3f} / {score.delta1:.3f} / {score.ordinal:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the groups")
    parser.add_argument(
        "--model",
        nargs="+",
        default=["lite"],
        metavar="[TITLE=]SOURCE",
        help="names, files or runs; default: the embedded model",
    )
    parser.add_argument("--size", type=int, help="of the input, in place of the models' own")
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--baselines-only", action="store_true", help="no model")
    parser.add_argument("--json", type=Path, default=None, help="also write the numbers here")
    arguments = parser.parse_args()
    predictors = {name.replace("-", " "): predict for name, predict in BASELINES.items()}
    if not arguments.baselines_only:
        for given in arguments.model:
            title, _, source = given.rpartition("=")
            predictors[title or source] = open_model(source, arguments.size)
    results = {name: run(p, arguments.data, arguments.groups) for name, p in predictors.items()}
    print(table(results))
    if arguments.json:
        record = {
            name: {"groups": [asdict(g) for g in groups], "mean": asdict(macro_mean(groups))}
            for name, groups in results.items()
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
