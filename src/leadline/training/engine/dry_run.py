"""What a run would take here, from a few steps of it: parameters, memory, speed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from leadline.training.devices import choose_device
from leadline.training.engine.diagnosis import Watch
from leadline.training.engine.loop import Run
from leadline.training.engine.parallel import Place
from leadline.training.engine.progress import memory_mb

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig


def dry_run(config: TrainConfig, *, steps: int = 3) -> list[str]:
    """Lines for people; nothing of the run is written, a few pictures are rendered and dropped.

    Args:
        config: of the run.
        steps: that are measured, after one to warm up.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = _try(config, Path(folder), steps)
    seconds, rendered = found["seconds_per_step"], found["first_batch_s"]
    hours = config.steps * seconds / 3600
    return [
        f"{config.recipe} trains {config.model} on {found['device']}",
        f"parameters: {found['parameters']:,}, of which {found['learning']:,} learn",
        f"memory: {found['memory_mb']:,.0f} MB at batch {config.batch}"
        + (f" in {config.accumulate} parts" if config.accumulate > 1 else ""),
        f"speed: {1 / seconds:.2f} steps/s, {config.batch / seconds:.1f} samples/s",
        f"the run's {config.steps:,} steps: {hours:.1f} h, if its data keep up",
        f"first batch after {rendered:.1f} s",
    ]


def seconds_per_step(config: TrainConfig, *, steps: int = 3) -> float:
    """Seconds that a step takes here, data apart."""
    with tempfile.TemporaryDirectory() as folder:
        return float(_try(config, Path(folder), steps)["seconds_per_step"])


def _try(config: TrainConfig, folder: Path, steps: int) -> dict[str, Any]:
    """Build the run and take a few steps on one batch."""
    little = config.updated(
        {
            "world.shard": min(config.world.shard, max(3, config.world.views)),
            "world.window": 1,
            "world.shards": 1,
            "world.folder": "",
            "render_workers": 1,
        }
    )
    if config.threads:
        torch.set_num_threads(config.threads)
    run = Run(little, Place(device=choose_device(config.device)))
    parameters = list(run.module.parameters())
    began = time.perf_counter()
    with run.recipe.data(folder, 0) as source:
        parts = [(rows, source.batch(0, rows)) for rows in run.rows()]
        first = time.perf_counter() - began
        watch = Watch(little, folder)
        run.learn(parts, source, watch)
        began = time.perf_counter()
        for _ in range(steps):
            run.learn(parts, source, watch)
        seconds = (time.perf_counter() - began) / steps
    return {
        "device": str(run.place.device),
        "parameters": sum(p.numel() for p in parameters),
        "learning": sum(p.numel() for p in parameters if p.requires_grad),
        "memory_mb": memory_mb(),
        "seconds_per_step": seconds,
        "first_batch_s": first,
    }
