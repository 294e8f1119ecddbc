"""Accuracy of models of affine disparity on real frames, beside two baselines that see nothing.

    python benchmarks/lite_accuracy.py --data ../shared/data [--model [TITLE=]NAME|FILE ...]

Prints AbsRel, delta1 and ordinal accuracy per folder of frames, and the mean over folders: the
prediction is fitted to the known depths by least squares over scale and shift in disparity,
inverted and clamped to the data set's cap (80 m KITTI, 10 m indoors).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets import GROUPS, Frame, iter_frames
from leadline.evaluation import GroupScore, macro_mean, score_group

if TYPE_CHECKING:
    from leadline.evaluation.disparity import Predict


def constant(frame: Frame) -> np.ndarray:
    """The same everywhere."""
    return np.ones(frame.image.size, dtype=np.float32)


def vertical_ramp(frame: Frame) -> np.ndarray:
    """Nearer towards the lower edge, as on a floor or a road."""
    height, width = frame.image.size
    return np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)


def of_model(source: str, size: int | None = None) -> Predict:
    """The disparity that a model of the catalogue, a file, or a training run gives."""
    import leadline

    estimator = leadline.load(source, size=size)
    return lambda frame: estimator.predict(frame.image).to_disparity().values


def run(predict: Predict, data: Path, groups: list[str]) -> list[GroupScore]:
    """Score every group."""
    return [score_group(predict, iter_frames(data, group), group=group) for group in groups]


def table(results: dict[str, list[GroupScore]]) -> str:
    """A plain-text table: groups down, predictors across, AbsRel / delta1 / ordinal."""
    names = list(results)
    lines = [f"{'group':24}{'frames':>7}" + "".join(f"{name:>22}" for name in names)]
    for row in zip(*results.values(), strict=True):
        cells = "".join(f"{_text(group.score):>22}" for group in row)
        lines.append(f"{row[0].group:24}{row[0].frames:7}{cells}")
    means = "".join(f"{_text(macro_mean(groups)):>22}" for groups in results.values())
    return "\n".join([*lines, f"{'mean over groups':31}{means}"])


def _text(score) -> str:
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
    predictors: dict[str, Predict] = {"constant": constant, "vertical ramp": vertical_ramp}
    if not arguments.baselines_only:
        for given in arguments.model:
            title, _, source = given.rpartition("=")
            predictors[title or source] = of_model(source, arguments.size)
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
