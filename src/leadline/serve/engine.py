"""Engine: pictures of many requests through one model at a time, those of one size together.

```
request -> decode (threads) -> wait -> run (one thread, in batches) -> encode (threads) -> answer
```

A request is admitted or refused at once: at most ``Limits.queue_size`` are between the two ends.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from leadline.estimator import DepthEstimator
from leadline.prediction import Prediction
from leadline.prepared import Prepared
from leadline.serve.faults import Fault
from leadline.serve.limits import Limits
from leadline.serve.models import ServedModel

log = logging.getLogger("leadline.serve")
Made = TypeVar("Made")
Work = TypeVar("Work")


@dataclass(eq=False)
class _Job:
    """A picture that waits for the network."""

    model: ServedModel
    prepared: Prepared
    done: Future[Prediction] = field(default_factory=Future)

    @property
    def group(self) -> tuple[object, ...]:
        """Jobs with the same can run together."""
        return (self.model.name, self.prepared.shapes)


class Engine:
    """Runs the models for all requests of a server.

    Args:
        models: what is served.
        limits: how many pictures wait, run together, and how long.
        on_batch: called with the number of pictures and the seconds of every run.
        on_queue: called with the number of requests, when it has changed.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        limits: Limits,
        *,
        on_batch: Callable[[int, float], None] = lambda pictures, seconds: None,
        on_queue: Callable[[int], None] = lambda depth: None,
    ) -> None:
        self.limits = limits
        self._models = models
        self._on_batch = on_batch
        self._on_queue = on_queue
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._open = 0
        self._seconds = 0.1  # of a picture, a running mean
        self._threads: list[threading.Thread] = []
        self._pool: ThreadPoolExecutor | None = None
        self._prepared: asyncio.Semaphore | None = None

    def start(self) -> None:
        """Open the models and take pictures; needs a running event loop."""
        limits = self.limits
        self._pool = ThreadPoolExecutor(limits.decoders, thread_name_prefix="leadline-codec")
        self._prepared = asyncio.Semaphore(2 * limits.batch_size)
        for name, work in (("load", self._load), ("run", self._run)):
            thread = threading.Thread(target=work, name=f"leadline-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the threads; what still waits fails."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def ready(self) -> bool:
        """Whether every model can predict."""
        return all(model.state == "ready" for model in self._models)

    def check_room(self) -> None:
        """Refuse where the queue is full.

        Raises:
            Fault: 429 with ``Retry-After``.
        """
        if self._open >= self.limits.queue_size:
            wait = min(60, max(1, math.ceil(self._open * self._seconds)))
            raise Fault(
                429,
                "busy",
                f"{self._open} pictures wait already; try again in {wait} s.",
                {"Retry-After": str(wait)},
            )

    async def predict(
        self,
        model: ServedModel,
        prepare: Callable[[DepthEstimator], Prepared],
        finish: Callable[[Prediction], Made],
    ) -> Made:
        """One picture's way.

        Args:
            model: of the picture.
            prepare: reads the picture; runs in a thread.
            finish: makes the answer; runs in a thread.

        Raises:
            Fault: no room (429), the model is not there yet (503), or too late (504).
            LeadlineError: as ``prepare``, the network and ``finish`` raise it.
        """
        estimator = model.estimator
        async with self._admitted():
            async with self._gate():
                prepared = await self.in_thread(prepare, estimator)
                prediction = await self._wait(_Job(model, prepared))
            return await self.in_thread(finish, prediction)

    async def work(self, function: Callable[[Work], Made], argument: Work) -> Made:
        """Work without a network, in a thread; it counts as a picture of the queue.

        Raises:
            Fault: no room (429), or too late (504).
            LeadlineError: as the function raises it.
        """
        async with self._admitted(), self._gate():
            return await self.in_thread(function, argument)

    @asynccontextmanager
    async def _admitted(self) -> AsyncGenerator[None]:
        """A place in the queue, for a bounded time."""
        self.check_room()
        self._open += 1
        self._on_queue(self._open)
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                yield
        except TimeoutError:
            raise Fault(
                504,
                "timeout",
                f"no answer within {self.limits.timeout_s:g} s; give a smaller picture, or try "
                "again when less is waiting.",
            ) from None
        finally:
            self._open -= 1
            self._on_queue(self._open)

    async def in_thread(self, function: Callable[[Work], Made], argument: Work) -> Made:
        """Call a function in one of the threads that decode and encode."""
        if self._pool is None:
            raise RuntimeError("the engine has not been started")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, argument)

    def _gate(self) -> asyncio.Semaphore:
        """Bounds the decoded pictures in memory."""
        if self._prepared is None:
            raise RuntimeError("the engine has not been started")
        return self._prepared

    async def _wait(self, job: _Job) -> Prediction:
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        return await asyncio.wrap_future(job.done)  # cancelling it cancels the job

    def _load(self) -> None:
        for model in self._models:
            model.load()

    def _run(self) -> None:
        while batch := self._take():
            jobs = [job for job in batch if job.done.set_running_or_notify_cancel()]
            if not jobs:
                continue
            start = time.perf_counter()
            _fill(jobs)
            seconds = time.perf_counter() - start
            self._seconds += 0.1 * (seconds / len(jobs) - self._seconds)
            self._on_batch(len(jobs), seconds)

    def _take(self) -> list[_Job]:
        """The longest-waiting picture, and those that fit a full batch with it; [] at the end.

        A batch is full or of one: runtimes compile for every shape that they meet often.
        """
        with self._changed:
            while not self._jobs and not self._stopping:
                self._changed.wait()
            if self._stopping:
                for job in self._jobs:
                    job.done.cancel()
                return []
            first = self._jobs[0]
            alike = [job for job in self._jobs if job.group == first.group]
            size = self.limits.batch_size
            batch = alike[:size] if len(alike) >= size else [first]
            for job in batch:
                self._jobs.remove(job)
            return batch


def _fill(jobs: list[_Job]) -> None:
    """Run the network; where a batch fails, each of its pictures alone."""
    estimator = jobs[0].model.estimator
    try:
        made = estimator.predict_group([job.prepared for job in jobs])
    except Exception as error:
        if len(jobs) == 1:
            jobs[0].done.set_exception(error)
        else:
            for job in jobs:
                _fill([job])
        return
    for job, prediction in zip(jobs, made, strict=True):
        job.done.set_result(prediction)
