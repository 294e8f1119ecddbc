"""When a run goes wrong: which step, which samples, which files, and what was in them."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from leadline.errors import JobError, LeadlineError
from leadline.jobs import write_text

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.training.config import TrainConfig
    from leadline.training.data.source import Batch, BatchSource

Parts = Sequence[tuple[range, "Batch"]]

_MOST_OVERFLOWS = 40  # the scale halves each time: from 2**16 to below any use
_MOST_STILL = 50  # steps without any gradient: one batch without truth is no reason to stop


class Watch:
    """Looks at every loss and gradient; what is not finite, or a spike, ends the run.

    Args:
        config: of the run.
        out: run directory; the diagnosis is written there.
    """

    def __init__(self, config: TrainConfig, out: Path) -> None:
        self.config, self.out = config, out
        self._losses: deque[float] = deque(maxlen=100)
        self._overflows = 0
        self._still = 0

    def stop_at(
        self,
        loss: Tensor,
        rows: range,
        batch: Batch,
        step: int,
        source: BatchSource,
        value: Callable[[Batch], float],
    ) -> None:
        """Raise JobError for a loss that is not finite, naming the samples whose own is not.

        Args:
            loss: of the part.
            rows: of the part.
            batch: its tensors.
            step: at which it came.
            source: says where its samples came from.
            value: gives the loss of a batch.

        Raises:
            JobError: always.
        """
        single = []
        for n in range(len(rows)):
            try:
                # Twice, because batch norm refuses a single value per channel.
                single.append(value({name: array[[n, n]] for name, array in batch.items()}))
            except (LeadlineError, ValueError, RuntimeError):
                single.append(math.nan)
        self._stop(f"the loss is {float(loss.detach())}", [(rows, batch)], step, source, single)

    def check_gradient(
        self, norm: Tensor | None, parts: Parts, step: int, source: BatchSource
    ) -> None:
        """Raise JobError when the gradient is not finite, or has long been exactly zero.

        Args:
            norm: of the gradient; None says that fp16 overflowed.
            parts: of the step.
            step: which.
            source: says where samples came from.
        """
        self._overflows = self._overflows + 1 if norm is None else 0
        if self._overflows >= _MOST_OVERFLOWS:
            self._stop(f"fp16 overflowed {_MOST_OVERFLOWS} steps in a row", parts, step, source)
        if norm is not None and not math.isfinite(float(norm)):
            self._stop(f"the gradient's norm is {float(norm)}", parts, step, source)
        self._still = self._still + 1 if norm is not None and float(norm) == 0 else 0
        if self._still >= _MOST_STILL:
            what = (
                f"every gradient has been 0 for {_MOST_STILL} steps, as when an output has run "
                "into the end of its range (then a longer warmup helps) or no truth is valid"
            )
            self._stop(what, parts, step, source)

    def check_spike(self, loss: float, parts: Parts, step: int, source: BatchSource) -> None:
        """Raise JobError when the loss is many times its recent median."""
        limit = self.config.max_loss_spike
        if limit and len(self._losses) >= 20:
            median = sorted(self._losses)[len(self._losses) // 2]
            if loss > limit * median:
                self._stop(
                    f"the loss is {loss:.4g}, {loss / median:.0f} times its recent median",
                    parts,
                    step,
                    source,
                )
        self._losses.append(loss)

    def _stop(
        self,
        what: str,
        parts: Parts,
        step: int,
        source: BatchSource,
        single: Sequence[float] = (),
    ) -> None:
        rows = [row for some, _ in parts for row in some]
        samples: list[dict[str, Any]] = [
            {"row": row, "origin": source.origin(step, row)} for row in rows
        ]
        for sample, loss in zip(samples, single, strict=False):
            sample["loss"] = loss
        for (some, batch), first in zip(parts, _firsts(parts), strict=True):
            for n in range(len(some)):
                samples[first + n]["ranges"] = {k: _range(v[n]) for k, v in batch.items()}
        bad = [s for s in samples if not math.isfinite(s.get("loss", 0.0))] or samples
        report = {"step": step, "what": what, "lr": self.config.lr, "samples": samples}
        path = self.out / "diagnosis.json"
        write_text(path, json.dumps(report, indent=2) + "\n")
        named = "; ".join(f"row {s['row']} ({s['origin']})" for s in bad[:3])
        raise JobError(
            f"{what} at step {step}: {named}{' ...' if len(bad) > 3 else ''}. {path} describes "
            f"every sample. Look at these, or lower lr ({self.config.lr}) or clip "
            f"({self.config.clip}), and go on from the last checkpoint with --resume."
        )


def _firsts(parts: Parts) -> list[int]:
    firsts, total = [], 0
    for rows, _ in parts:
        firsts.append(total)
        total += len(rows)
    return firsts


def _range(values: Tensor) -> list[float | str]:
    """Smallest and largest value, and how many are not finite."""
    flat = values.detach().float().flatten()
    finite = flat[torch.isfinite(flat)]
    if not len(finite):
        return ["nothing finite"]
    bad = len(flat) - len(finite)
    ends: list[float | str] = [float(finite.min()), float(finite.max())]
    return [*ends, f"{bad} not finite"] if bad else ends
