"""Labels per second: one process against workers on a local Ray cluster, and bytes per label.

    python benchmarks/label_throughput.py [--model lite] [--workers 2] [--device cpu] \
        [--json benchmarks/results/label_throughput.json]

The example photographs at 640x480 are labelled into WebDataset shards, by turns here and on the
cluster. The rate is that between the first and the last finished shard, so that starting Ray and
opening the network count for nothing; their time is told beside it. A run replaces the one of
the same model, device, workers and side in the JSON. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from leadline.jobs import Progress
from leadline.load_options import LoadOptions
from leadline.shards import BulkJob, Where, list_sources, run_bulk

ROOT = Path(__file__).resolve().parents[1]


def pictures(folder: Path, count: int) -> Path:
    """``count`` photographs of 640x480: the examples again and again, each a file of its own."""
    folder.mkdir(parents=True)
    photos = [Image.open(path) for path in sorted((ROOT / "examples").glob("*.jpg"))]
    for number in range(count):
        photo = photos[number % len(photos)].convert("RGB").resize((640, 480))
        photo.save(folder / f"{number:05d}.jpg", quality=90)
    return folder


def labelled(job: BulkJob, sources: list[str], where: Where, per_part: int) -> dict[str, float]:
    """Label everything into a fresh folder; rates and bytes."""
    shutil.rmtree(job.out, ignore_errors=True)
    finished: list[float] = []

    def note(progress: Progress) -> None:
        finished.append(time.perf_counter())

    began = time.perf_counter()
    report = run_bulk(job, sources, where=where, per_part=per_part, on_progress=note)
    steady = (len(finished) - 1) * per_part / (finished[-1] - finished[0])
    return {
        "pictures_per_s": steady,
        "until_first_shard_s": finished[0] - began,
        "total_s": report.seconds,
        "bytes_per_label": report.tally.size / report.tally.count,
    }


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Rounds of both, by turns."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sources = list_sources([pictures(place / "in", given.pictures)])
        size = sum(Path(source).stat().st_size for source in sources) / len(sources)
        choice = LoadOptions(
            model=given.model, weights=given.weights, device=given.device, threads=given.threads
        )
        job = BulkJob(
            model=choice,
            out=str(place / "out"),
            disparity=True,
            side=given.side,
            batch_size=given.batch,
        )
        rounds: dict[str, list[dict[str, float]]] = {"one process": [], "cluster": []}
        cluster = Where(address="local", workers=given.workers, gpus_per_worker=given.gpus)
        for _ in range(given.rounds):
            rounds["one process"].append(labelled(job, sources, Where(), given.shard))
            other = replace(job, out=str(place / "cluster"))
            rounds["cluster"].append(labelled(other, sources, cluster, given.shard))
    ratios = [
        b["pictures_per_s"] / a["pictures_per_s"]
        for a, b in zip(rounds["one process"], rounds["cluster"], strict=True)
    ]
    return {
        "model": given.model,
        "device": given.device,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": given.threads,
        "workers": given.workers,
        "pictures": given.pictures,
        "shard": given.shard,
        "side": given.side,
        "bytes_per_picture": size,
        "one process": middle(rounds["one process"]),
        "cluster": middle(rounds["cluster"]),
        "ratio": statistics.median(ratios),
        "rounds": rounds,
        "quiet_machine": given.quiet,
    }


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Medians over rounds."""
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def keep(path: Path, result: dict[str, Any]) -> None:
    """Put the run into the file, in place of the one of the same model, device and workers."""
    runs = json.loads(path.read_text())["runs"] if path.is_file() else []
    same = ("model", "device", "workers", "side")
    runs = [run for run in runs if any(run[key] != result[key] for key in same)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": [*runs, result]}, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the network, in every worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpus", type=float, default=0.0, help="of a worker")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=192)
    parser.add_argument("--shard", type=int, default=16, help="pictures of a shard")
    parser.add_argument("--side", type=int, default=None, help="short side of the labels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quiet", action="store_true", help="say that nothing else was running")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    result = measure(given)
    print(json.dumps({k: v for k, v in result.items() if k != "rounds"}, indent=2))
    if given.json is not None:
        keep(given.json, result)


if __name__ == "__main__":
    main()
