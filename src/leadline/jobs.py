"""Long work: files that are whole or absent, and loops that keep what is done.

```python
with atomic_write("out/depth.npy") as file:      # a crash leaves the old file, or none
    np.save(file, values)

report = run_job(paths, prepare=read, work=run, finish=write, is_done=has_output)

for outcome in run_parts(parts, MakeWorker(model="lite"), workers=4):   # processes
    print(outcome.item, outcome.result)
```

:func:`run_parts` is the coarse loop, over parts of a job that each take minutes; what it does in
processes, :func:`leadline.cluster.run_parts` does on a Ray cluster, with the same callables.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Generic, TypeVar

from leadline.errors import JobError, LeadlineError
from leadline.whole_files import atomic_write as atomic_write
from leadline.whole_files import bytes_written, is_disk_full
from leadline.whole_files import write_text as write_text

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Made = TypeVar("Made")
Result = TypeVar("Result")


_ITS_OWN = (LeadlineError, OSError, MemoryError)
"""What fails one item of a job; all else is a fault of the job."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        total, done, skipped, failed: numbers of items.
        seconds: since the job began.
    """

    total: int
    done: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """Items that need no more work."""
        return self.done + self.skipped + self.failed

    @property
    def rate(self) -> float:
        """Items worked on per second; skipped ones do not count. 0 before the first."""
        worked = self.done + self.failed
        return worked / self.seconds if worked and self.seconds > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate, or None while it is unknown."""
        return (self.total - self.finished) / self.rate if self.rate else None


@dataclass(frozen=True, kw_only=True)
class Failure(Generic[Item]):
    """One item that could not be worked on, and why."""

    item: Item
    error: Exception


@dataclass(frozen=True, kw_only=True)
class JobReport(Generic[Item, Result]):
    """What a job did: results and failures in the items' order."""

    results: list[tuple[Item, Result]] = field(default_factory=list)
    skipped: list[Item] = field(default_factory=list)
    failures: list[Failure[Item]] = field(default_factory=list)
    seconds: float = 0.0

    def raise_failures(self) -> None:
        """Raise JobError when an item failed; it names the first and counts the rest."""
        if self.failures:
            first = self.failures[0]
            raise JobError(
                f"{len(self.failures)} of {len(self.results) + len(self.failures)} items failed; "
                f"the first, {first.item}: {first.error} Finished items are kept; run the same job "
                "again to do the rest."
            ) from first.error


def run_job(
    items: Iterable[Item],
    *,
    prepare: Callable[[Item], Ready],
    work: Callable[[Item, Ready], Made],
    finish: Callable[[Item, Made], Result],
    is_done: Callable[[Item], bool] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_failure: Callable[[Failure[Item]], None] | None = None,
    catch: tuple[type[Exception], ...] = _ITS_OWN,
    ahead: int = 2,
) -> JobReport[Item, Result]:
    """Work on every item in three steps, skipping what is done and going on past failures.

    The first and the last step of some items run in other threads while the second step of another
    runs in this one: reading, running a network, and writing overlap.

    Args:
        items: what to work on.
        prepare: first step, in other threads: reading and decoding, say.
        work: second step, in this thread and in the items' order.
        finish: third step, in other threads: encoding and writing, say.
        is_done: True for an item whose result is already there; no step is taken for it.
        on_progress: called in this thread once at the start and after every item.
        on_failure: called in this thread for every item that fails, when it fails.
        catch: exceptions that fail one item; any other ends the job.
        ahead: number of items that may wait before and after ``work``, with a thread each; 0 takes
            all steps in this thread.

    Returns:
        Results and failures in the items' order.

    Raises:
        JobError: the disk is full; the job ends with the first item that finds it so.
    """
    skipped: list[Item] = []
    todo: list[Item] = []
    for item in items:
        (skipped if is_done is not None and is_done(item) else todo).append(item)
    run = _Run(
        total=len(todo) + len(skipped),
        skipped=len(skipped),
        catch=catch,
        on_progress=on_progress,
        on_failure=on_failure,
    )
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="leadline-job") if ahead else _Inline()
    try:
        run.go(todo, prepare, work, finish, pool, ahead)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return JobReport(
        results=[run.results[index] for index in sorted(run.results)],
        skipped=skipped,
        failures=[run.failures[index] for index in sorted(run.failures)],
        seconds=time.perf_counter() - run.start,
    )


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Item, Result]):
    """What became of one part: ``result``, or the ``error`` in one line."""

    item: Item
    result: Result | None = None
    error: str | None = None


def attempt(work: Callable[[Item], Result], item: Item) -> Outcome[Item, Result]:
    """Work on one part; a LeadlineError, OSError or MemoryError becomes the outcome's error.

    Raises:
        JobError: the disk is full, so that no other part could be written either.
    """
    try:
        return Outcome(item=item, result=work(item))
    except _ITS_OWN as error:
        if is_disk_full(error):
            raise JobError(f"{_one_line(error).rstrip('.')}. {_AFTER_FULL}") from error
        return Outcome(item=item, error=f"{type(error).__name__}: {_one_line(error)}")


def run_parts(
    parts: Iterable[Item],
    make_work: Callable[[], Callable[[Item], Result]],
    *,
    workers: int = 0,
) -> Iterator[Outcome[Item, Result]]:
    """Work on every part of a job, here or in processes; outcomes come as they are ready.

    A part is worked on as a whole. So that nothing is lost or doubled when something is killed, it
    writes its result under a name that depends on the part alone, whole or not at all.

    Args:
        parts: what to work on; picklable with ``workers``.
        make_work: makes the callable that works on a part; called once in every process, which is
            where a network is opened. Picklable with ``workers``.
        workers: number of processes; 0 works in this one.

    Raises:
        JobError: a process died; finished parts are kept.
    """
    if workers == 0:
        work = make_work()
        yield from (attempt(work, part) for part in parts)
        return
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, _make_in_process, (make_work,)) as pool:
        futures = {pool.submit(_work_in_process, part): part for part in parts}
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            if not isinstance(error, BrokenProcessPool):
                raise
            raise JobError(
                f"one of {workers} worker processes died (killed, or out of memory). Finished "
                "parts are kept; run the same job again, with fewer workers if memory was short."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_AFTER_FULL = (
    "What is done is kept: free some space, and the same command (with --resume) does the rest."
)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return text


_process_work: list[Callable[[Any], Any]] = []


_PATIENCE_S = 5.0
"""Seconds that a worker has to take its open files back when it is to end."""


def _make_in_process(make_work: Callable[[], Callable[[Any], Any]]) -> None:
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the parent ends its workers
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _process_work[:] = [make_work()]


def _leave(number: int, frame: FrameType | None) -> None:
    """End this worker: what is being written is taken back, then the process ends in any case."""
    _process_work.clear()  # so that no other part begins
    timer = threading.Timer(1.0, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _leave_with_parent() -> None:
    """End this worker when the process that started it is gone, however that was ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE_S)  # the handler waits for native code to return
        os._exit(128 + signal.SIGTERM)


def _work_in_process(part: Any) -> Outcome[Any, Any]:
    if not _process_work:
        os._exit(128 + signal.SIGTERM)
    return attempt(_process_work[0], part)


class _Inline(Executor):
    """An executor without threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class _Run(Generic[Item, Result]):
    """One run of a job: what came of its items so far."""

    def __init__(
        self,
        *,
        total: int,
        skipped: int,
        catch: tuple[type[Exception], ...],
        on_progress: Callable[[Progress], None] | None,
        on_failure: Callable[[Failure[Item]], None] | None,
    ) -> None:
        self.start = time.perf_counter()
        self.results: dict[int, tuple[Item, Result]] = {}
        self.failures: dict[int, Failure[Item]] = {}
        self._total, self._skipped, self._catch = total, skipped, catch
        self._written = bytes_written()
        self._on_progress, self._on_failure = on_progress, on_failure

    def go(
        self,
        items: Sequence[Item],
        prepare: Callable[[Item], Ready],
        work: Callable[[Item, Ready], Made],
        finish: Callable[[Item, Made], Result],
        pool: Executor,
        ahead: int,
    ) -> None:
        self._report()
        before: deque[Future[Ready]] = deque()
        after: deque[tuple[int, Future[Result]]] = deque()
        for index, item in enumerate(items):
            while index + len(before) < len(items) and len(before) <= ahead:
                before.append(pool.submit(prepare, items[index + len(before)]))
            try:
                made = work(item, before.popleft().result())
            except self._catch as error:
                self._fail(index, item, error)
                continue
            after.append((index, pool.submit(finish, item, made)))
            while len(after) > ahead:
                self._settle(items, *after.popleft())
        for index, future in after:
            self._settle(items, index, future)

    def _settle(self, items: Sequence[Item], index: int, future: Future[Result]) -> None:
        try:
            self.results[index] = (items[index], future.result())
        except self._catch as error:
            self._fail(index, items[index], error)
        else:
            self._report()

    def _fail(self, index: int, item: Item, error: Exception) -> None:
        if is_disk_full(error):
            left = self._total - self._skipped - len(self.results) - len(self.failures)
            done = f"{len(self.results)} items are done, and {left} are left"
            raise JobError(
                f"{_one_line(error).rstrip('.')}. {done}{self._space_for(left)}. {_AFTER_FULL}"
            ) from error
        failure = Failure(item=item, error=error)
        self.failures[index] = failure
        if self._on_failure is not None:
            self._on_failure(failure)
        self._report()

    def _space_for(self, items: int) -> str:
        """How much the items will take, as those that are done did."""
        count = len(self.results)
        each = (bytes_written() - self._written) / count if count else 0
        return f", which take about {items * each / 1e6:.1f} MB" if each else ""

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(
                Progress(
                    total=self._total,
                    done=len(self.results),
                    skipped=self._skipped,
                    failed=len(self.failures),
                    seconds=time.perf_counter() - self.start,
                )
            )
