"""Long work: files that are whole or absent, and loops that keep what is done.

```python
with atomic_write("out/depth.npy") as file:      # a crash leaves the old file, or none
    np.save(file, values)

report = run_job(paths, work, is_done=has_output, on_progress=show)
```
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from leadline.errors import InputError, JobError, LeadlineError

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Result = TypeVar("Result")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open ``path`` for writing bytes so that it is replaced as a whole or not at all.

    The bytes go to a new file in the same folder (made when missing), reach the disk, and take the
    name at the end of the ``with`` block. An exception inside the block removes them.

    Raises:
        InputError: the folder cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = temporary.open("xb")
    except OSError as error:
        raise InputError(
            f"cannot write {target}: {error.strerror or error}. A folder that may be written to is "
            "needed; give another one."
        ) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


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
        """Seconds left at this rate, or None when nothing tells."""
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
    work: Callable[[Item, Ready], Result],
    *,
    prepare: Callable[[Item], Ready],
    is_done: Callable[[Item], bool] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_failure: Callable[[Failure[Item]], None] | None = None,
    catch: tuple[type[Exception], ...] = (LeadlineError, OSError),
    ahead: int = 2,
) -> JobReport[Item, Result]:
    """Work on every item, skipping those that are done and going on past those that fail.

    Args:
        items: what to work on.
        work: called in this thread as ``work(item, prepare(item))``, in the items' order.
        prepare: called in other threads, up to ``ahead`` items before ``work`` needs the answer:
            reading and decoding files, say.
        is_done: True for an item whose result is already there; it is neither prepared nor worked.
        on_progress: called once at the start and after every item.
        on_failure: called for every failed item when it fails.
        catch: exceptions that fail one item; any other ends the job.
        ahead: number of items prepared early, each in its own thread; 0 prepares in this thread.
    """
    todo, skipped = _split(items, is_done)
    total = len(todo) + len(skipped)
    report: JobReport[Item, Result] = JobReport(skipped=skipped)
    start = time.perf_counter()

    def tell() -> None:
        if on_progress is not None:
            on_progress(
                Progress(
                    total=total,
                    done=len(report.results),
                    skipped=len(skipped),
                    failed=len(report.failures),
                    seconds=time.perf_counter() - start,
                )
            )

    tell()
    for item, ready in _prepared(todo, prepare, ahead):
        try:
            report.results.append((item, work(item, ready())))
        except catch as error:
            failure = Failure(item=item, error=error)
            report.failures.append(failure)
            if on_failure is not None:
                on_failure(failure)
        tell()
    seconds = time.perf_counter() - start
    return JobReport(
        results=report.results, skipped=skipped, failures=report.failures, seconds=seconds
    )


def _split(
    items: Iterable[Item], is_done: Callable[[Item], bool] | None
) -> tuple[list[Item], list[Item]]:
    todo: list[Item] = []
    skipped: list[Item] = []
    for item in items:
        (skipped if is_done is not None and is_done(item) else todo).append(item)
    return todo, skipped


def _prepared(
    items: Sequence[Item], prepare: Callable[[Item], Ready], ahead: int
) -> Iterator[tuple[Item, Callable[[], Ready]]]:
    """Yield every item with a function that gives what ``prepare`` made of it, or raises."""
    if ahead < 1:
        for item in items:
            yield item, lambda item=item: prepare(item)
        return
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="leadline-prepare")
    waiting: deque[tuple[Item, Future[Ready]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(prepare, item)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable where the system allows opening folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
