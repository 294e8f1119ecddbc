"""One process per contender, so that thread pools and memory stay apart.

The parent sends one request at a time through a pipe and waits for its answer; whoever is not asked
sleeps.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from leadline.errors import JobError, LeadlineError
from leadline.speed.contenders import CONTENDERS
from leadline.speed.inputs import Setup

Task = Callable[..., Any]
"""A function of a module: its name is what travels."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """What went wrong in a worker, in words."""

    message: str
    expected: bool


class Worker:
    """A process that does what it is asked.

    Args:
        name: for messages.
    """

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def process_id(self) -> int:
        """To keep its CPU time apart from that of others."""
        return self._process.pid or 0

    def ask(self, task: Task, *arguments: Any) -> Any:
        """Run ``task(*arguments)`` there and return what it returns.

        Raises:
            LeadlineError: it failed there as it would have here.
            JobError: it failed in another way, or the process ended.
        """
        try:
            self._pipe.send((task, arguments))
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(timeout=5)
            raise JobError(
                f"the process of {self.name} ended by itself (exit code {self._process.exitcode}); "
                "perhaps memory ran out. Leave this contender out, or take a smaller model or size."
            ) from error
        if isinstance(answer, _Failure):
            raise (LeadlineError if answer.expected else JobError)(f"{self.name}: {answer.message}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


_STATE: dict[str, Any] = {}
"""What a worker keeps between requests: its contender's call and the pictures."""


def open_contender(name: str, setup: Setup) -> float:
    """Make a contender ready; returns the seconds that it took, imports included."""
    start = time.perf_counter()
    _STATE["run"] = CONTENDERS[name].open(setup)
    taken = time.perf_counter() - start
    _STATE["batches"] = np.load(setup.folder / "batches.npy")
    return taken


def time_call(index: int) -> float:
    """Seconds that the contender takes for one picture, array in to array out."""
    batch = _STATE["batches"][index % len(_STATE["batches"])]
    start = time.perf_counter()
    _STATE["run"](batch)
    return time.perf_counter() - start


def relative_error(folder: Path) -> float:
    """Relative L2 distance to PyTorch's float32 maps, over all pictures."""
    expected = np.load(folder / "maps.npy").astype(np.float64)
    given = np.stack([_STATE["run"](batch) for batch in _STATE["batches"]]).astype(np.float64)
    return float(np.linalg.norm(given - expected) / max(np.linalg.norm(expected), 1e-30))


def _serve(pipe: Connection) -> None:
    while True:
        try:
            task, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = task(*arguments)
        except LeadlineError as error:
            answer = _Failure(message=str(error), expected=True)
        except Exception as error:  # goes to the parent, which raises it in words
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            message = f"{type(error).__name__}: {error} ({place})"
            answer = _Failure(message=" ".join(message.split())[:600], expected=False)
        pipe.send(answer)
