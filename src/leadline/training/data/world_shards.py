"""Pictures of the procedural world, rendered ahead of training into shards on disk.

Shard k holds ``world.shard`` samples of one size and is a function of (seed, k) alone, so a run
can be stopped, resumed and repeated. A sample is drawn from the newest ``window`` shards: each is
used a few times, with another crop and other colours each time, and then forgotten.

What a sample holds is the recipe's affair: it hands in a function ``render(rng, size, count)``
that gives named arrays of ``count`` samples (first axis) from pictures of ``size`` (height, width)
pixels. The function is pickled for the renderers' processes: a function of a module, or a
``functools.partial`` of one. Texture banks are set up for it with ``leadline.world.use_bank``.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leadline import world
from leadline.errors import InputError, JobError, LeadlineError
from leadline.jobs import atomic_write, write_text
from leadline.training.config import TrainConfig, WorldConfig
from leadline.training.data.rendering import Render, Sample
from leadline.training.data.seeds import (
    shard_generator,
    shard_size_generator,
    step_generator,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a renderer's process needs to know.

    Attributes:
        world: what the config says of it.
        sizes: (height, width) of what is cut out of the pictures; repeats weigh.
        margin: pictures are rendered this much larger.
        seed, steps, render_workers: of the run.
        render: see the module.
    """

    world: WorldConfig
    sizes: tuple[tuple[int, int], ...]
    margin: float
    seed: int
    steps: int
    render_workers: int
    render: Render

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        render: Render,
        *,
        sizes: tuple[tuple[int, int], ...] = (),
        margin: float | None = None,
    ) -> Plan:
        """The plan of a run; ``sizes`` and ``margin`` in place of the config's."""
        own = config.world
        return cls(
            world=own,
            sizes=sizes or config.sizes,
            margin=own.margin if margin is None else margin,
            seed=config.seed if own.seed < 0 else own.seed,
            steps=config.steps,
            render_workers=config.render_workers,
            render=render,
        )

    @property
    def window(self) -> int:
        """Shards to draw from at a time."""
        return self.world.shards or self.world.window

    def pictures(self) -> dict[str, str]:
        """Everything that the content of a shard follows from, but its number."""
        render: Any = partial(self.render)
        given = {key: value for key, value in render.keywords.items() if key != "device"}
        own = {"sizes": self.sizes, "margin": self.margin, "shard": self.world.shard}
        textures = Path(self.world.textures).name
        made = {"render": render.func.__name__, "textures": textures, **own, "seed": self.seed}
        return {name: str(value) for name, value in (made | given).items()}

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) that shard ``index`` is rendered for, without the margin."""
        return self.sizes[_drawn(self.seed, index, len(self.sizes))]

    def window_bytes(self) -> float:
        """About what the pictures of a window take: three bytes of colour and two of disparity."""
        pixels = sum(h * w for h, w in self.sizes) / len(self.sizes) * self.margin**2
        shards = min(self.window, self.newest(self.steps - 1) + 1)
        return 5 * pixels * self.world.shard * shards

    def newest(self, step: int) -> int:
        """The newest shard that step ``step`` may draw from; the first steps share a few."""
        return self.world.shards - 1 if self.world.shards else 2 + step // self.world.shard_steps

    def oldest(self, step: int) -> int:
        """The oldest shard that step ``step`` may draw from."""
        return max(0, self.newest(step) - self.window + 1)

    def make(self, index: int) -> dict[str, np.ndarray]:
        """Render shard ``index``; the texture bank is the world's default one."""
        height, width = self.size(index)
        size = (_even(height * self.margin), _even(width * self.margin))
        return self.render(shard_generator(self.seed, index), size, self.world.shard)


@cache
def _drawn(seed: int, index: int, among: int) -> int:
    return int(shard_size_generator(seed, index).integers(among))


LEAD = 16
"""Shards that are rendered before the step that may draw from them, or twice as many as there are
renderers if that is more: enough that no renderer waits for another, and disks do not fill."""


def render_ahead(plan: Plan, folder: Path, worker: int, start: int, asked: Any) -> None:
    """Render the missing shards of a run, from what ``start`` needs on, and not too far ahead.

    Args:
        plan: of the run.
        folder: where shards go.
        worker: number of this process, below ``plan.render_workers``.
        start: step at which the run goes on.
        asked: shared number, the newest step that was drawn for.
    """
    bank = world.TextureBank
    world.use_bank(bank.load(plan.world.textures) if plan.world.textures else bank.procedural(0))
    trainer = multiprocessing.parent_process()
    lead = max(LEAD, 2 * plan.render_workers)
    for index in range(
        plan.oldest(start) + worker, plan.newest(plan.steps - 1) + 1, plan.render_workers
    ):
        while index > plan.newest(asked.value) + lead and (trainer is None or trainer.is_alive()):
            time.sleep(0.2)
        if trainer is not None and not trainer.is_alive():
            return  # killed without a chance to stop its renderers
        if not _listing(folder, index).exists():
            write_shard(folder, index, plan.make(index))


def _renderer(*what: Any) -> None:
    """A renderer's process; what stops it is one line."""
    try:
        render_ahead(*what)
    except (LeadlineError, OSError) as error:
        raise SystemExit(f"leadline: the renderer stopped: {error}") from error


def write_shard(folder: Path, index: int, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays, and last the file that lists them."""
    for name, array in arrays.items():
        with atomic_write(_path(folder, index, name)) as file:
            np.save(file, array)
    with atomic_write(_listing(folder, index)) as file:
        file.write(json.dumps(sorted(arrays)).encode())


@dataclass(kw_only=True)
class RenderedWorld:
    """The shards of a run: starts the renderers, waits for what a step needs, forgets the old."""

    plan: Plan
    folder: Path
    _processes: list[BaseProcess] = field(default_factory=list)
    _here: bool = True
    _asked: Any = None
    _shards: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    _alike: dict[int, list[int]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, config: TrainConfig, plan: Plan, folder: Path) -> RenderedWorld:
        """The world of a run in ``folder``, its shards where the config says."""
        return cls(plan=plan, folder=Path(config.world.folder or folder / "world"))

    @contextmanager
    def rendering(self, step: int, *, here: bool = True) -> Generator[RenderedWorld]:
        """Processes render what a run resumed at ``step`` still needs, while the block lasts.

        Args:
            step: first that will be drawn for.
            here: False where another process of this machine renders into the same folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if here and self.plan.render_workers:
            self._claim()
        context = multiprocessing.get_context("spawn")
        self._asked = context.Value("q", step)
        self._processes = [
            context.Process(
                target=_renderer,
                args=(self.plan, self.folder, worker, step, self._asked),
                daemon=True,
            )
            for worker in range(self.plan.render_workers if here else 0)
        ]
        for process in self._processes:
            process.start()
        self._here = here
        try:
            yield self
        finally:
            for process in self._processes:
                process.terminate()
                process.join()

    def _claim(self) -> None:
        """Write down what is rendered into the folder, unless it is something else so far."""
        file, ours = self.folder / "pictures.json", self.plan.pictures()
        theirs = json.loads(file.read_text()) if file.exists() else ours
        if other := [name for name in ours if theirs.get(name) != ours[name]]:
            name = other[0]
            raise InputError(
                f"{self.folder} holds pictures rendered with {name}={theirs.get(name)}, and "
                f"{ours[name]} is given. Move that folder away, give --set world.folder=DIR, or "
                "the settings as they were."
            )
        if not file.exists():
            write_text(file, json.dumps(ours, indent=2) + "\n")

    def size(self, step: int) -> tuple[int, int]:
        """(height, width) of all samples of ``step``, without the margin."""
        rng = step_generator(self.plan.seed, step)
        return self.plan.size(int(rng.integers(self.plan.oldest(step), self.plan.newest(step) + 1)))

    def draw(self, rng: np.random.Generator, step: int) -> Sample:
        """A sample for ``step`` of the step's size, margin included; ``rng`` says which."""
        index, n = self._place(rng, step)
        return {name: array[n] for name, array in self._open(index).items()}

    def gather(
        self, rngs: Sequence[np.random.Generator], step: int, device: torch.device
    ) -> dict[str, Tensor]:
        """The samples that :meth:`draw` gives, together, from shards that are kept on a device."""
        places = [self._place(rng, step) for rng in rngs]
        shards = {index: self._on_device(index, step, device) for index in {k for k, _ in places}}
        names = next(iter(shards.values()))
        return {
            name: torch.stack([shards[index][name][n] for index, n in places]) for name in names
        }

    def place(self, rng: np.random.Generator, step: int) -> tuple[int, int]:
        """Which sample :meth:`draw` takes: its shard, and its place there."""
        alike = self._alike.get(step)
        if alike is None:
            size, plan = self.size(step), self.plan
            window = range(plan.oldest(step), plan.newest(step) + 1)
            alike = [k for k in window if plan.size(k) == size]
            if len(self._alike) > 32:  # threads make batches for a few steps at a time
                self._alike.clear()
            self._alike[step] = alike
        return int(rng.choice(alike)), int(rng.integers(self.plan.world.shard))

    def _place(self, rng: np.random.Generator, step: int) -> tuple[int, int]:
        if self._asked is not None:
            self._asked.value = max(self._asked.value, step)
        return self.place(rng, step)

    def forget(self, step: int) -> None:
        """Delete the shards that no later step draws from; a fixed set is kept."""
        if self.plan.world.shards:
            return
        oldest = self.plan.newest(step) - self.plan.window
        for index in range(max(0, oldest - 4), max(0, oldest)):
            listing = _listing(self.folder, index)
            if listing.exists():
                names = json.loads(listing.read_text())
                listing.unlink()
                for name in names:
                    _path(self.folder, index, name).unlink(missing_ok=True)

    def _on_device(self, index: int, step: int, device: torch.device) -> dict[str, Tensor]:
        """The arrays of a shard as tensors there; those that are too old for the step go."""
        if index not in self._shards:
            self._wait_for(index)  # outside of the lock: other shards are there already
        with self._lock:
            if index not in self._shards:
                for old in [k for k in self._shards if k < self.plan.oldest(step)]:
                    del self._shards[old]
                arrays = self._open(index)
                self._shards[index] = {
                    name: torch.from_numpy(np.array(array)).to(device)
                    for name, array in arrays.items()
                }
            return self._shards[index]

    def _open(self, index: int) -> dict[str, np.ndarray]:
        self._wait_for(index)
        names = json.loads(_listing(self.folder, index).read_text())
        return {name: np.load(_path(self.folder, index, name), mmap_mode="r") for name in names}

    def _wait_for(self, index: int) -> None:
        while not _listing(self.folder, index).exists():
            if self._here and not any(process.is_alive() for process in self._processes):
                full = shutil.disk_usage(self.folder).free < _FULL
                why = "the disk is full" if full else "see the renderer's error above"
                raise JobError(
                    f"shard {index} is missing in {self.folder} and no renderer is running any "
                    f"more: {why}. Put that right and go on with --resume."
                )
            time.sleep(0.1)


_FULL = 64_000_000  # bytes; fewer do not hold a shard


def _path(folder: Path, index: int, name: str) -> Path:
    return folder / f"shard-{index:05d}.{name}.npy"


def _listing(folder: Path, index: int) -> Path:
    return folder / f"shard-{index:05d}.json"


def _even(length: float) -> int:
    return round(length / 2) * 2
