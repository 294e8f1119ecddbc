"""The embedded model in one command: data, training, measuring, export.

    python benchmarks/make_lite.py --out runs/lite [--minutes 20] [--data ../shared/data]
        [--set key=value ...]

Renderers on all cores but two make the world while the network learns, on the GPU where there is
one. The run's own first steps tell how many fit into --minutes. A checkpoint is kept every minute,
and the same command goes on from the newest. In --out are then ``log.txt``, ``model.safetensors``,
what ships (``lite.onnx``, ``lite.safetensors``) and ``report.json``: accuracy on real frames beside
two baselines and the model that ships today, in float32 and as exported.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import lite_accuracy
from leadline.evaluation.predictors import BASELINES
from leadline.training import TrainConfig, train
from leadline.training.engine.checkpoint import load_state
from tools.bundle import bundle_run

ON_A_GPU = {
    "batch": 128,
    "amp": "bf16",
    "lr": 1.5e-3,
    "encoder_lr": 2e-4,
    "threads": 2,
    "world.shard": 64,
    "world.window": 4096,
    "world.shard_steps": 9,
    "world.device": "cuda",
}
"""A step of 128 pictures takes little longer than one of 16, and all pictures may find room in its
memory: each is used some 18 times."""


def settings_for(changes: dict[str, str]) -> TrainConfig:
    """The preset as it runs best here, with the changes that were asked for."""
    here: dict[str, Any] = {"render_workers": max(1, (os.cpu_count() or 2) - 2), "num_workers": 2}
    if torch.cuda.is_available():
        here |= ON_A_GPU
    return TrainConfig.from_toml("lite").updated({**here, **changes})


FAR = 1_000_000
"""Steps that a run is given while it is not known how many it can take."""


class Reporter:
    """Takes a run's lines: prints them, writes them down, and knows when which step was done."""

    def __init__(self, log: TextIO) -> None:
        self.log = log
        self.steps: list[tuple[int, float]] = []

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        self.log.write(line + "\n")
        self.log.flush()
        if found := re.match(r"step=(\d+) ", line):
            self.steps.append((int(found[1]), time.perf_counter()))

    def seconds_per_step(self) -> float:
        """Of the usual stretch between two lines: the first batch of a size takes a GPU seconds."""
        pairs = zip(self.steps, self.steps[1:], strict=False)
        return median(
            (end - start) / (late - early) for (early, start), (late, end) in pairs if late > early
        )


def learn(config: TrainConfig, out: Path, minutes: float, report: Reporter) -> TrainConfig:
    """Train, or go on; returns the settings with the number of steps that fitted."""
    began = time.perf_counter()
    file = out / "config.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"steps": FAR}
    if minutes and kept["steps"] == FAR:
        trial = 240 if torch.cuda.is_available() else 24
        little = {"steps": FAR, "checkpoint_every": trial, "log_every": max(1, trial // 12)}
        saved = load_state(out)  # of a trial that was stopped
        trial += 0 if saved is None else saved["step"]
        train(config.updated(little), out, resume=True, stop_after=trial, report=report)
        seconds = report.seconds_per_step()
        left = 60 * minutes - (time.perf_counter() - began)
        kept = {
            "steps": trial + max(1, round(left / seconds)),
            "checkpoint_every": max(20, round(60 / seconds)),
        }
    if kept["steps"] != FAR:
        config = config.updated({key: kept[key] for key in ("steps", "checkpoint_every")})
    train(config, out, resume=True, report=report)
    return config


def measured(data: Path, models: dict[str, str]) -> dict[str, Any]:
    """Scores of the baselines and the models on the real frames that are here."""
    groups = [name for name in lite_accuracy.GROUPS if (data / name).is_dir()]
    predictors = {
        "constant": BASELINES["constant"],
        "vertical ramp": BASELINES["vertical-ramp"],
        **{title: lite_accuracy.open_model(source) for title, source in models.items()},
    }
    results = {name: lite_accuracy.run(p, data, groups) for name, p in predictors.items()}
    print(lite_accuracy.table(results))
    return {name: asdict(lite_accuracy.macro_mean(found)) for name, found in results.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--minutes", type=float, default=0.0, help="of learning; 0: the preset's")
    parser.add_argument("--data", type=Path, help="folder of the real frames; none: not measured")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="as of train")
    given = parser.parse_args()
    began = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    changes = dict(pair.split("=", 1) for pair in given.set)
    with (given.out / "log.txt").open("a", encoding="utf-8") as log:
        report = Reporter(log)
        config = learn(settings_for(changes), given.out, given.minutes, report)
        learned = time.perf_counter() - began
        shipped = bundle_run(given.out, given.out / "lite.onnx", licence="Apache-2.0")
        record: dict[str, Any] = {"steps": config.steps, "batch": config.batch}
        if given.data is not None:
            record["scores"] = measured(
                given.data,
                {"lite of today": "lite", "new": str(given.out), "new, exported": str(shipped)},
            )
        record |= {
            "minutes_learning": round(learned / 60, 1),
            "minutes_in_all": round((time.perf_counter() - began) / 60, 1),
        }
        (given.out / "report.json").write_text(json.dumps(record, indent=2) + "\n")
        report(json.dumps(record))


if __name__ == "__main__":
    main()
