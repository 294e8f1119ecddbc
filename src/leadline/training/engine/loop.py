"""The training loop: one function from a config to a run directory."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image as PilImage
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.evaluation import protocols
from leadline.jobs import atomic_write, write_text
from leadline.training.data.seeds import part_seed
from leadline.training.engine.checkpoint import (
    MovingAverage,
    checkpoints,
    disk,
    load_state,
    save_network,
    save_state,
    trim_log,
)
from leadline.training.engine.diagnosis import Watch
from leadline.training.engine.forward import Forwarding, checkpoint_activations
from leadline.training.engine.memory import keep_freed_memory
from leadline.training.engine.optimise import freeze, make_optimizer, set_rates
from leadline.training.engine.parallel import (
    Place,
    copy_into,
    distribute,
    gather_whole,
    mean_over_processes,
    optimizer_state,
    processes,
    restore_optimizer,
)
from leadline.training.engine.progress import Progress
from leadline.training.engine.resume import changes
from leadline.training.recipes import RECIPES

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig
    from leadline.training.data.source import Batch, BatchSource
    from leadline.training.network import Delivery
    from leadline.training.recipes.base import Recipe


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a network; see :mod:`leadline.training.engine.checkpoint` for what is written where.

    Args:
        config: every choice of the run.
        out: run directory.
        resume: go on from the directory's newest checkpoint that is whole, if there is one.
        stop_after: save and stop after this many steps in all; a later ``resume`` goes on.
        report: takes one line of progress at a time.

    Returns:
        The path of the delivered weights, ``out/model.safetensors``.

    Raises:
        InputError: the directory holds another run, or one that ``resume`` was not given for.
        JobError: the loss is not finite or explodes, the renderer stopped, or the disk is full.
    """
    out = Path(out)
    if not resume and (found := checkpoints(out)):
        raise InputError(
            f"{out} holds a run (its newest checkpoint is {found[0].name}); --resume goes on with "
            "it. Give another --out for a new one, or move that folder away."
        )
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    with processes(config) as place:
        run = Run(config, place)
        lines = run.resume(out) if resume else []
        if run.step == config.steps:  # killed before it delivered, perhaps
            run.write_network(out, gather_whole(run.average.state))
        if place.first:
            for line in lines:
                report(line)
            if config.validate_every >= 0 and run.step < config.steps:
                run.recipe.rehearse(run.module)
            with disk(out, run.step):
                write_text(out / "config.json", json.dumps(config.to_dict(), indent=2) + "\n")
                trim_log(out / "log.jsonl", run.step)
        with run.recipe.data(out, run.step) as source:
            _go(run, source, out, stop_after, report)
    return out / "model.safetensors"


def _go(
    run: Run,
    source: BatchSource,
    out: Path,
    stop_after: int | None,
    report: Callable[[str], None],
) -> None:
    config, last = run.config, min(run.config.steps, stop_after or run.config.steps)
    progress = Progress(config, run.step, out, report if run.place.first else None)
    watch = Watch(config, out)
    for step, parts in batches(run, source, last):
        progress.batch_came()
        values = run.learn(parts, source, watch)
        progress.step_done(step, values, run.rate)
        began = time.perf_counter()
        end = run.step == last
        due = config.validate_every > 0 and run.step % config.validate_every == 0
        if due or (run.step == config.steps and config.validate_every >= 0):
            run.validate(source, out, progress)
        if end or run.step % config.checkpoint_every == 0:
            run.save(out)
            source.forget(step)
        progress.aside(time.perf_counter() - began)
    progress.close()


class Run:
    """The module, its optimiser and its moving average at one step.

    Args:
        config: of the run.
        place: which of the processes this is.

    Attributes:
        step: steps done.
        rate: factor of the learning rates at the last step.
    """

    def __init__(self, config: TrainConfig, place: Place | None = None) -> None:
        self.config = config
        self.place = place or Place()
        self.recipe: Recipe = RECIPES[config.recipe](config)
        if config.protocol:  # a name that is mistyped is refused before anything learns
            protocols.get(config.protocol)
        self.step = 0
        self.rate = 0.0
        self.best: float | None = None
        torch.manual_seed(config.seed)
        module = self.recipe.build()
        # Networks of the wrong kind and sizes that they do not take are refused before they learn.
        delivered = self.recipe.deliver(module).module
        for size in config.sizes:
            delivered.check_size(*size)
        module = module.train().to(self.place.device)
        sharded = config.parallel == "fsdp" and self.place.world_size > 1
        if config.channels_last and not sharded:  # FSDP cuts tensors along their first axis
            module = module.to(memory_format=torch.channels_last)
        if config.activation_checkpointing:
            checkpoint_activations(module)
        self.module = module
        self.wrapped = distribute(module, self.place, config)
        groups = self.recipe.parameter_groups(module)
        freeze(module, config.freeze, frozen=True)
        self.optimizer = make_optimizer(groups, config)
        self.forward = Forwarding(self.wrapped, config.amp, self.place.device)
        self._alone = Forwarding(module, config.amp, self.place.device)
        self.average = MovingAverage(module, config.ema)
        self._judged: nn.Module | None = None

    def learn(
        self, parts: list[tuple[range, Batch]], source: BatchSource, watch: Watch
    ) -> dict[str, float]:
        """One step of the optimiser; returns the loss and its parts."""
        config, step = self.config, self.step
        self._begin_step()
        self.rate = set_rates(self.optimizer, config, step)
        self.optimizer.zero_grad(set_to_none=True)
        values: dict[str, Tensor] = {}
        for number, (rows, batch) in enumerate(parts):
            on_device = self._to_device(batch)
            last = number == len(parts) - 1
            torch.manual_seed(part_seed(config.seed, step, self.place.rank, number))
            with self.forward.gradients(synchronise=last):
                loss, named = self.recipe.loss(self.forward, on_device, step)
                if not torch.isfinite(loss):
                    watch.stop_at(loss, rows, batch, step, source, self._value)
                self.forward.backward(loss / len(parts))
            for name, value in {"loss": loss, **named}.items():
                share = value.detach().float() / len(parts)
                values[name] = values[name] + share if name in values else share
        norm = self.forward.finish(self.optimizer, config.clip)
        watch.check_gradient(norm, parts, step, source)
        if norm is not None:
            values["grad_norm"] = norm
        self.average.update(self.module, step)
        self.step += 1
        means = mean_over_processes(torch.stack([v.float() for v in values.values()]), self.place)
        found = dict(zip(values, means.tolist(), strict=True))
        watch.check_spike(found["loss"], parts, step, source)
        return found

    def rows(self) -> list[range]:
        """The rows of a batch that this process takes, one range per part."""
        return [self.place.rows(self.config, part) for part in range(self.config.accumulate)]

    def deliver(self, average: dict[str, Any] | None = None) -> Delivery:
        """The network with the moving average of its weights, in eval mode.

        Args:
            average: of the weights, whole; None asks all processes for it.
        """
        if self._judged is None:
            self._judged = self.recipe.build().to(self.place.device)
        self._judged.load_state_dict(
            gather_whole(self.average.state) if average is None else average
        )
        return self.recipe.deliver(self._judged.eval())

    def validate(self, source: BatchSource, out: Path, progress: Progress) -> None:
        """Measure the averaged network, keep it when it is the best, and make a sheet."""
        average = gather_whole(self.average.state)
        if not self.place.first:
            return
        delivered = self.deliver(average)
        judged: Any = self._judged
        with torch.no_grad():
            metrics = self.recipe.validate(judged)
            rows = range(min(6, self.config.batch))
            sheet = self.recipe.pictures(judged, self._to_device(source.batch(self.step - 1, rows)))
        if sheet is not None:
            with disk(out, self.step):
                save_picture(out / "pictures" / f"step-{self.step:08d}.png", sheet)
        progress.validated(self.step, metrics, sheet)
        score = metrics.get(self.recipe.score)
        if score is not None and (self.best is None or score < self.best):
            self.best = score
            weights = delivered.module.state_dict()
            save_network(out / "best", weights, delivered.spec, step=self.step)

    def save(self, out: Path) -> None:
        """Write the checkpoint and the delivered network."""
        state = self.state()
        if self.place.first:
            save_state(out, self.step, state)
        self.write_network(out, state["average"])

    def write_network(self, out: Path, average: dict[str, Any]) -> None:
        """Write the delivered network, with the moving average of its weights (whole)."""
        if self.place.first:
            delivered = self.deliver(average)
            save_network(out, delivered.module.state_dict(), delivered.spec, step=self.step)

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`restore` needs."""
        return {
            "module": gather_whole(self.module.state_dict()),
            "optimizer": optimizer_state(self.module, self.optimizer, self.config, self.place),
            "scaler": self.forward.scaler.state_dict(),
            "average": gather_whole(self.average.state),
            "step": self.step,
            "best": self.best,
            "config": json.dumps(self.config.to_dict()),
        }

    def resume(self, out: Path) -> list[str]:
        """Go on from the run's newest whole checkpoint; from the start when there is none.

        Returns:
            Where it goes on and which settings are others now, a line each.

        Raises:
            InputError: settings with which it cannot go on.
        """
        saved = load_state(out)
        if saved is None:
            return [f"{out} holds no checkpoint: the run begins"]
        lines = changes(out, saved, self.config)
        self.restore(saved)
        if self.step == self.config.steps:
            return [*lines, f"all {self.step} steps are done; --set steps=MORE goes on"]
        return [*lines, f"going on at step {self.step}"]

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken.

        Raises:
            InputError: the state of another network, or of an optimiser of other groups.
        """
        with torch.no_grad():
            copy_into(self.module.state_dict(), saved["module"])
            copy_into(self.average.state, saved["average"])
        restore_optimizer(self.module, self.optimizer, saved["optimizer"], self.config, self.place)
        if saved["scaler"]:  # a run without fp16 so far has none
            self.forward.scaler.load_state_dict(saved["scaler"])
        self.step, self.best = saved["step"], saved["best"]

    def _begin_step(self) -> None:
        config = self.config
        if config.freeze and config.unfreeze_step and self.step >= config.unfreeze_step:
            freeze(self.module, config.freeze, frozen=False)
        self.recipe.begin_step(self.module, self.step)

    def _value(self, batch: Batch) -> float:
        with torch.no_grad():
            return float(self.recipe.loss(self._alone, self._to_device(batch), self.step)[0])

    def _to_device(self, batch: Batch) -> Batch:
        moved = {k: v.to(self.place.device, non_blocking=True) for k, v in batch.items()}
        if self.config.channels_last:
            for name, value in moved.items():
                if value.ndim == 4:
                    moved[name] = value.contiguous(memory_format=torch.channels_last)
        return moved


def batches(
    run: Run, source: BatchSource, last: int
) -> Iterator[tuple[int, list[tuple[range, Batch]]]]:
    """(step, parts) from the run's step to ``last``, made by threads a few steps ahead."""
    rows = run.rows()

    def make(step: int) -> list[tuple[range, Batch]]:
        return [(part, source.batch(step, part)) for part in rows]

    ahead, first = run.config.num_workers + 2, run.step
    with ThreadPoolExecutor(run.config.num_workers, thread_name_prefix="loader") as pool:
        waiting: deque[Future[Any]] = deque(
            pool.submit(make, step) for step in range(first, min(first + ahead, last))
        )
        try:
            for step in range(first, last):
                parts = waiting.popleft().result()
                if step + ahead < last:
                    waiting.append(pool.submit(make, step + ahead))
                yield step, parts
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def save_picture(path: Path, pixels: np.ndarray) -> None:
    """Write (h, w, 3) uint8 as a PNG."""
    with atomic_write(path) as file:
        PilImage.fromarray(pixels).save(file, format="PNG")
