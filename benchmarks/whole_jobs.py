"""Whole jobs as users run them, in turns against another checkout: a folder, the first picture.

    python benchmarks/whole_jobs.py --against ../leadline-before [--rounds 5] [--json FILE]

Every time is that of a fresh process of ``leadline predict``. The folder holds 60 pictures of
0.8 megapixels on average in four shapes, made of the examples. Ratios are taken round by round.
*network* is the time that the network alone takes for these pictures in one process. The first
picture has a warm disk; *cold* also has no compiled network in the cache. Run it on a quiet
machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

import leadline
from leadline.runtime.compiled import CACHE
from leadline.speed.machine import facts

ROOT = Path(__file__).resolve().parents[1]
SHAPES = ((1024, 768), (768, 1024), (1120, 720), (900, 900))
FORMATS = ("npz,color", "npz", "png16")


def make_pictures(folder: Path, count: int) -> list[Path]:
    """The example photographs again and again, each a file of its own."""
    folder.mkdir(parents=True)
    photos = [Image.open(path).convert("RGB") for path in sorted((ROOT / "examples").glob("*.jpg"))]
    made = []
    for number in range(count):
        photo = photos[number % len(photos)].resize(SHAPES[number % len(SHAPES)])
        made.append(folder / f"{number:03d}.jpg")
        photo.save(made[-1], quality=92)
    return made


def predict(checkout: Path, inputs: Path, out: Path, formats: str, cache: Path) -> float:
    """Seconds of ``leadline predict`` in a process of its own, with the code of a checkout."""
    shutil.rmtree(out, ignore_errors=True)
    words = ["predict", str(inputs), "--out", str(out), "--format", formats]
    env = {**os.environ, "PYTHONPATH": str(checkout / "src"), CACHE: str(cache)}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "leadline", *words], check=True, env=env, capture_output=True
    )
    return time.perf_counter() - began


def time_network(pictures: list[Path]) -> float:
    """Seconds that the network alone takes for the pictures."""
    estimator = leadline.load()
    prepared = [estimator.prepare(path) for path in pictures]
    for one in prepared[: len(SHAPES) * 2]:
        estimator.runtime.run(one.arrays)
    began = time.perf_counter()
    for one in prepared:
        estimator.runtime.run(one.arrays)
    return time.perf_counter() - began


def measure_round(
    checkouts: dict[str, Path], folder: Path, pictures: list[Path], work: Path
) -> dict[str, dict[str, float]]:
    """Every job once for each checkout, in turn."""
    seconds: dict[str, dict[str, float]] = {name: {} for name in checkouts}
    for formats in FORMATS:
        for name, checkout in checkouts.items():
            made = predict(checkout, folder, work / "out", formats, work / f"cache-{name}")
            seconds[name][formats] = made
    for name, checkout in checkouts.items():
        cold = work / "cold"
        shutil.rmtree(cold, ignore_errors=True)
        one = (checkout, pictures[0], work / "out", "npz,color")
        seconds[name]["first, cold"] = predict(*one, cold)
        seconds[name]["first"] = predict(*one, work / f"cache-{name}")
    seconds["now"]["network"] = time_network(pictures)
    return seconds


def summarise(rounds: list[dict[str, dict[str, float]]], count: int) -> dict[str, Any]:
    """Medians, and ratios of before to now taken round by round."""
    jobs = {}
    for job in rounds[0]["now"]:
        jobs[job] = {"now_s": statistics.median(one["now"][job] for one in rounds)}
        if job in rounds[0].get("before", {}):
            pairs = [(one["before"][job], one["now"][job]) for one in rounds]
            jobs[job]["before_s"] = statistics.median(before for before, _ in pairs)
            jobs[job]["times_faster"] = statistics.median(before / now for before, now in pairs)
    return {"pictures": count, "rounds": len(rounds), "machine": facts(), "jobs": jobs}


def main() -> None:
    """Run and print; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="a checkout of before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    checkouts = {"now": ROOT}
    if given.against is not None:
        checkouts = {"before": given.against.resolve(), "now": ROOT}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        pictures = make_pictures(work / "pictures", given.count)
        for name, checkout in checkouts.items():  # fills the caches
            predict(checkout, work / "pictures", work / "out", "npz", work / f"cache-{name}")
        rounds = []
        for number in range(given.rounds):
            rounds.append(measure_round(checkouts, work / "pictures", pictures, work))
            print(f"round {number + 1}: {json.dumps(rounds[-1])}", flush=True)
    found = summarise(rounds, given.count)
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
