"""Proof that a recipe learns: train its networks small, measure them where they have not been.

    python benchmarks/recipes.py supervised [--seeds 3] [--minutes 8] [--json FILE]

Numbers are of held-out scenes of the world and, where ``../shared/data`` is there, of real frames
with 95 % intervals. Sets and finished runs are kept under runs/recipes and taken up again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.harness import Settings, machine
from benchmarks.recipe_depth_anything import depth_anything
from benchmarks.recipe_metric import metric
from benchmarks.recipe_self_supervised import noisy, stereo, video
from benchmarks.recipe_supervised import supervised

BENCHMARKS: Mapping[str, Callable[[Settings], dict[str, Any]]] = {
    "depth-anything": depth_anything,
    "metric": metric,
    "noisy": noisy,
    "stereo": stereo,
    "supervised": supervised,
    "supervised-roads": partial(supervised, where="roads"),
    "video": video,
}
"""Name -> what trains and measures; each gives what goes into its JSON."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=8.0, help="of training per run")
    parser.add_argument("--steps", type=int, default=0, help="in place of --minutes")
    parser.add_argument("--pictures", type=int, default=1536, help="in the training set")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    settings = Settings(
        seeds=given.seeds,
        minutes=given.minutes,
        steps=given.steps,
        device=given.device,
        threads=given.threads,
        pictures=given.pictures,
    )
    if settings.threads:
        torch.set_num_threads(settings.threads)
    result = {
        "benchmark": given.name,
        "machine": machine(settings),
        **BENCHMARKS[given.name](settings),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(json.dumps(result.get("verdict", {}), indent=2))
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
