"""What a run says while it learns: loss, speed, waiting, memory, time left."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from leadline.errors import MissingDependencyError
from leadline.training.engine.checkpoint import disk

if TYPE_CHECKING:
    import numpy as np

    from leadline.training.config import TrainConfig


class Progress:
    """Writes ``log.jsonl``, TensorBoard when asked for, and a line for people.

    Args:
        config: of the run.
        start: steps that were done before.
        out: run directory.
        report: takes a line; None writes nothing anywhere, in all processes but the first.
    """

    def __init__(
        self, config: TrainConfig, start: int, out: Path, report: Callable[[str], None] | None
    ) -> None:
        self.config, self.start, self.out, self.report = config, start, out, report
        self.board = _board(out) if config.tensorboard and report is not None else None
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._began = self._asked = time.perf_counter()
        self._waited = self._aside = 0.0

    def batch_came(self) -> None:
        """The loop has got the batch it asked for."""
        self._waited += time.perf_counter() - self._asked

    def aside(self, seconds: float) -> None:
        """Time that was spent on something else than steps: validation, checkpoints."""
        self._aside += seconds
        self._asked = time.perf_counter()

    def step_done(self, step: int, values: Mapping[str, float], rate: float) -> None:
        """The step is done; every ``log_every`` steps the mean of ``values`` is written."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1
        done = step + 1
        if done % self.config.log_every == 0 or done == self.config.steps:
            means = {name: round(total / self._steps, 6) for name, total in self._sums.items()}
            self._sums, self._steps = {}, 0
            self._write({"step": done, **means, "rate": round(rate, 6), **self._pace(done)})
        self._asked = time.perf_counter()

    def validated(self, step: int, metrics: Mapping[str, float], sheet: np.ndarray | None) -> None:
        """Metrics and pictures after ``step`` steps."""
        plain = {name: round(value, 5) for name, value in metrics.items()}
        self._write({"step": step, "validation": plain})
        if self.board is not None and sheet is not None:
            self.board.add_image("pictures", sheet, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self.board is not None:
            self.board.close()

    def _pace(self, done: int) -> dict[str, float]:
        seconds = max(1e-9, time.perf_counter() - self._began - self._aside)
        steps = done - self.start
        return {
            "samples_per_s": round(steps * self.config.batch / seconds, 2),
            "wait_share": round(self._waited / seconds, 3),
            "memory_mb": round(memory_mb()),
            "eta_min": round(seconds / steps * (self.config.steps - done) / 60, 1),
        }

    def _write(self, line: dict[str, Any]) -> None:
        if self.report is None:
            return
        with disk(self.out, line["step"]), (self.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        flat = {**line, **line.get("validation", {})}
        numbers = {key: value for key, value in flat.items() if isinstance(value, (int, float))}
        if self.board is not None:
            for key, value in numbers.items():
                if key != "step":
                    self.board.add_scalar(key, value, line["step"])
        self.report(" ".join(f"{key}={value:g}" for key, value in numbers.items()))


def memory_mb() -> float:
    """Largest memory so far in 10^6 bytes: of the GPU where one is used, else of this process.

    0 where the system does not say.
    """
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e6
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _board(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError("tensorboard", "tensorboard = true", "train") from error
    return SummaryWriter(str(out / "tensorboard"))
