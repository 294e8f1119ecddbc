"""The embedded model in one command: data, training, measuring, export.

    python benchmarks/make_lite.py --out runs/lite [--minutes 20] [--data ../shared/data]
        [--set key=value ...]

Renderers on all cores but two make the world while the network learns; both use the GPU where
there is one. A checkpoint is kept every minute, and the same command goes on from the newest. In
--out are then ``log.txt``, ``model.safetensors``, what ships (``lite.onnx``,
``lite.safetensors``) and ``report.json``: accuracy on real frames beside two baselines and the
model that ships today, in float32 and as exported.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import lite_accuracy
from leadline.bundle import bundle_run
from leadline.datasets import GROUPS
from leadline.evaluation import macro_mean
from leadline.training import TrainConfig, train
from leadline.training.dry_run import seconds_per_step


def settings_for(minutes: float, changes: dict[str, str], out: Path) -> TrainConfig:
    """The preset, as long as ``minutes`` allow here; a run that was begun keeps its length."""
    here = {
        "workers": max(1, (os.cpu_count() or 2) - 2),
        "loaders": 2,
        "world.device": "cuda" if torch.cuda.is_available() else "",
    }
    config = TrainConfig.from_toml("lite").updated({**here, **changes})
    begun = out / "config.json"
    if begun.exists():
        kept = json.loads(begun.read_text(encoding="utf-8"))
        return config.updated(
            {"steps": kept["steps"], "checkpoint_every": kept["checkpoint_every"]}
        )
    seconds = seconds_per_step(config)
    if minutes:
        config = config.updated({"steps": max(200, round(60 * minutes / seconds))})
    return config.updated({"checkpoint_every": max(20, round(60 / seconds))})


def measured(data: Path, models: dict[str, str]) -> dict[str, Any]:
    """Scores of the baselines and the models on the real frames that are here."""
    groups = [name for name in GROUPS if (data / name).is_dir()]
    predictors = {
        "constant": lite_accuracy.constant,
        "vertical ramp": lite_accuracy.vertical_ramp,
        **{title: lite_accuracy.of_model(source) for title, source in models.items()},
    }
    results = {name: lite_accuracy.run(p, data, groups) for name, p in predictors.items()}
    print(lite_accuracy.table(results))
    return {name: asdict(macro_mean(found)) for name, found in results.items()}


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
    config = settings_for(given.minutes, changes, given.out)
    with (given.out / "log.txt").open("a", encoding="utf-8") as log:

        def report(line: str) -> None:
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()

        train(config, given.out, resume=True, report=report)
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
