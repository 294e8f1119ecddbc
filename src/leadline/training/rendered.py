"""Pictures of the procedural world, rendered ahead of training into shards on disk.

Shard k holds ``config.shard`` pictures of one size and is a function of (seed, k) alone, so a run
can be stopped, resumed and repeated. A picture is drawn from the newest ``window`` shards: each is
used a few times, with another crop and other colours each time, and then forgotten.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from leadline.errors import JobError
from leadline.jobs import atomic_write
from leadline.training.config import TrainConfig
from leadline.world import TextureBank, sample_scene, sample_view

Frame = tuple[np.ndarray, np.ndarray]
"""(rgb (h, w, 3) uint8, disparity (h, w) float16 in 1/m, NaN where unknown)."""


def shard_size(config: TrainConfig, index: int) -> tuple[int, int]:
    """Input size (height, width) that shard ``index`` is rendered for."""
    rng = np.random.default_rng([config.seed, 1, index])
    return config.sizes[int(rng.integers(len(config.sizes)))]


def shards_needed(config: TrainConfig) -> int:
    """How many shards the whole run draws from."""
    return newest_shard(config, config.steps - 1) + 1


def newest_shard(config: TrainConfig, step: int) -> int:
    """The newest shard that step ``step`` may draw from; the first steps share a few."""
    return 2 + step // config.shard_steps


def render_shard(config: TrainConfig, index: int, textures: TextureBank) -> dict[str, np.ndarray]:
    """Render shard ``index``: ``rgb`` (n, h, w, 3) uint8 and ``disparity`` (n, h, w) float16."""
    height, width = shard_size(config, index)
    size = (_even(height * config.margin), _even(width * config.margin))
    rgb = np.empty((config.shard, *size, 3), np.uint8)
    disparity = np.empty((config.shard, *size), np.float16)
    rng = np.random.default_rng([config.seed, 3, index])
    for first in range(0, config.shard, config.views):
        # Very wide pictures are taken from cars.
        kind = "street" if width > 2.3 * height and rng.random() < 0.75 else None
        scene = sample_scene(int(rng.integers(2**62)), kind, bank=textures)
        for n in range(first, min(first + config.views, config.shard)):
            view = sample_view(scene, seed=n, size=size)
            rgb[n] = view.rgb
            disparity[n] = 1.0 / np.maximum(view.depth, 0.05)  # 0 where the depth is inf: sky
    return {"rgb": rgb, "disparity": disparity}


def render_ahead(config: TrainConfig, folder: Path, worker: int, first: int) -> None:
    """Render the missing shards ``first + worker, first + worker + workers ...`` of the run."""
    textures = TextureBank.load(config.textures) if config.textures else TextureBank.procedural(0)
    for index in range(first + worker, shards_needed(config), config.workers):
        trainer = multiprocessing.parent_process()
        if trainer is not None and not trainer.is_alive():
            return  # killed without a chance to stop its renderers
        if all(_path(folder, index, name).exists() for name in ("rgb", "disparity")):
            continue
        for name, array in render_shard(config, index, textures).items():
            with atomic_write(_path(folder, index, name)) as file:
                np.save(file, array)


@dataclass(kw_only=True)
class RenderedWorld:
    """The shards of a run: starts the renderers, waits for what a step needs, forgets the old."""

    config: TrainConfig
    folder: Path
    _processes: list[BaseProcess] = field(default_factory=list)

    @contextmanager
    def rendering(self, step: int) -> Generator[RenderedWorld]:
        """Processes render what a run resumed at ``step`` still needs, while the block lasts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        first = max(0, newest_shard(self.config, step) - self.config.window + 1)
        context = multiprocessing.get_context("spawn")
        self._processes = [
            context.Process(
                target=render_ahead, args=(self.config, self.folder, worker, first), daemon=True
            )
            for worker in range(self.config.workers)
        ]
        for process in self._processes:
            process.start()
        try:
            yield self
        finally:
            for process in self._processes:
                process.terminate()
                process.join()

    def draw(
        self, rng: np.random.Generator, step: int, count: int
    ) -> tuple[list[Frame], tuple[int, int]]:
        """``count`` pictures for ``step``, all of one size, and the input size they are for."""
        newest = newest_shard(self.config, step)
        oldest = max(0, newest - self.config.window + 1)
        lead = int(rng.integers(oldest, newest + 1))
        size = shard_size(self.config, lead)
        same = [k for k in range(oldest, newest + 1) if shard_size(self.config, k) == size]
        frames = []
        for _ in range(count):
            shard = self._open(int(rng.choice(same)))
            n = int(rng.integers(self.config.shard))
            frames.append((shard[0][n], shard[1][n]))
        return frames, size

    def forget(self, step: int) -> None:
        """Delete the shards that no later step draws from."""
        oldest = newest_shard(self.config, step) - self.config.window
        for index in range(max(0, oldest - 4), max(0, oldest)):
            for name in ("rgb", "disparity"):
                _path(self.folder, index, name).unlink(missing_ok=True)

    def _open(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        paths = [_path(self.folder, index, name) for name in ("rgb", "disparity")]
        while not all(path.exists() for path in paths):
            if not any(process.is_alive() for process in self._processes):
                raise JobError(
                    f"shard {index} is missing and no renderer is running any more; see the "
                    "renderer's error above, then start again with --resume."
                )
            time.sleep(0.2)
        return np.load(paths[0], mmap_mode="r"), np.load(paths[1], mmap_mode="r")


def _path(folder: Path, index: int, name: str) -> Path:
    return folder / f"shard-{index:05d}.{name}.npy"


def _even(length: float) -> int:
    return round(length / 2) * 2
