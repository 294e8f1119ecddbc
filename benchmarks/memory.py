"""Resident memory of opening a large network, and of predicting with it, each in a fresh process.

    python benchmarks/memory.py --json benchmarks/results/memory.json

Weights are made here, deterministic ones of the published shapes, and removed afterwards; the
largest file needs 5.3 GB of disk. Peaks are the kernel's (VmHWM), Python and PyTorch included. At
the end ``file_mb`` is mapped from files, which the system can drop and read again; ``own_mb`` is
not.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MODELS = {
    "depth-anything-v2-vitl": ("open", "predict"),
    "depth-anything-v2-vitg": ("open",),
    "da3-giant": ("open",),
}
"""Model -> what is measured of it."""


@dataclass(frozen=True)
class Bound:
    """The most that a step may hold, 10^6 bytes or times the file."""

    mb: float | None = None
    files: float | None = None

    def limit_mb(self, file_mb: float) -> float:
        return self.mb if self.mb is not None else (self.files or 0) * file_mb


BOUNDS = {"open": Bound(files=1.3), "predict": Bound(mb=2600)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--folder", type=Path, help="for the weights; default: a temporary one")
    parser.add_argument("--size", type=int, default=518, help="sides of the picture")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        model, file, step = arguments.worker
        print(json.dumps(run(model, Path(file), step, arguments.size, arguments.threads)))
        return
    from leadline.speed.machine import facts

    rows = [row for model in arguments.models for row in measure_model(model, arguments)]
    record = {"machine": facts(), "size": arguments.size, "rows": rows}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if any(row["peak_mb"] > row["limit_mb"] for row in rows):
        sys.exit("a bound is missed")


def measure_model(model: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every step of a model, each in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        file = Path(folder) / "model.safetensors"
        write_weights(model, file)
        file_mb = file.stat().st_size / 1e6
        for step in MODELS[model]:
            words = [sys.executable, __file__, "--worker", model, str(file), step]
            words += ["--size", str(arguments.size), "--threads", str(arguments.threads)]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            row: dict[str, Any] = {"model": model, "step": step, "weights_mb": round(file_mb, 1)}
            row |= json.loads(done.stdout.splitlines()[-1])
            row["limit_mb"] = round(BOUNDS[step].limit_mb(file_mb), 1)
            print(row, flush=True)
            rows.append(row)
    return rows


def write_weights(model: str, file: Path) -> None:
    """A safetensors file of the model's shapes, a tensor at a time: this process stays small."""
    import torch

    from leadline import catalog, models

    spec = catalog.get(model)
    with torch.device("meta"):
        state = models.build(str(spec.architecture), **spec.options).state_dict()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in state.items():
        start, end = end, end + 4 * tensor.numel()
        place = {"shape": list(tensor.shape), "data_offsets": [start, end], "dtype": "F32"}
        header[name] = place
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = np.random.default_rng(0).normal(0, 0.02, 1 << 20).astype(np.float32)
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, tensor in state.items():
            count = tensor.numel()
            if tensor.ndim < 2:
                scale = 1 if name.endswith("weight") else 0
                out.write(np.full(count, scale, np.float32).tobytes())
                continue
            for start in range(0, count, len(block)):
                out.write(block[: count - start].tobytes())


def run(model: str, file: Path, step: str, size: int, threads: int) -> dict[str, float]:
    """Open a model from its weights, and predict where asked; what held."""
    import leadline
    from leadline.speed.machine import peak_memory_mb

    estimator = leadline.load(model, weights=file, runtime="torch", threads=threads)
    if step == "predict":
        pixels = np.random.default_rng(1).integers(0, 256, (size, size, 3), np.uint8)
        estimator.predict(pixels)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = {key: int(status[key].split()[0]) * 1024 / 1e6 for key in ("RssAnon", "RssFile")}
    return {
        "peak_mb": round(peak_memory_mb() or 0, 1),
        "own_mb": round(held["RssAnon"], 1),
        "file_mb": round(held["RssFile"], 1),
    }


if __name__ == "__main__":
    main()
