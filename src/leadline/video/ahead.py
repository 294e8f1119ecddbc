"""Steps of a film that overlap: each in a thread of its own, joined by short queues.

```python
frames = run_ahead(source.frames())
maps = run_ahead(map(predict, frames))
for depth in maps:
    write(depth)
```
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")

_WAIT_S = 0.1  # after which a step looks whether it is still wanted


class _End:
    """What the last item of a queue is: the error that ended the step, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def run_ahead(items: Iterable[Item], *, ahead: int = 2) -> Generator[Item]:
    """The same items, which another thread takes from ``items`` before they are asked for.

    An error in ``items`` is raised here, after the items before it. Closing the generator ends the
    thread, and closes ``items`` where that is a generator.

    Args:
        items: iterated over in the other thread alone.
        ahead: items that may wait; memory is bounded by them.
    """
    return _take(items, ahead, replace=False)


def keep_latest(items: Iterable[Item]) -> Generator[Item]:
    """As :func:`run_ahead`, but an item that nobody took when the next comes is dropped.

    What is taken is never older than one item: a camera is seen live, however slow the rest is.
    """
    return _take(items, 1, replace=True)


def _take(items: Iterable[Item], size: int, *, replace: bool) -> Generator[Item]:
    waiting: queue.Queue[Item | _End] = queue.Queue(size)
    stopped = threading.Event()

    def run() -> None:
        source = iter(items)
        error: BaseException | None = None
        try:
            for item in source:
                if replace:
                    _put_replacing(waiting, item)
                else:
                    _put_waiting(waiting, item, stopped)
                if stopped.is_set():
                    break
        except BaseException as caught:  # is raised where the items are taken
            error = caught
        finally:
            _close(source)
        _put_waiting(waiting, _End(error), stopped)

    thread = threading.Thread(target=run, daemon=True, name="leadline-film")
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()


def _put_waiting(waiting: queue.Queue[Any], item: object, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_WAIT_S)
        except queue.Full:
            continue
        return


def _put_replacing(waiting: queue.Queue[Any], item: object) -> None:
    while True:
        try:
            waiting.put_nowait(item)
        except queue.Full:
            try:
                waiting.get_nowait()
            except queue.Empty:
                continue
        else:
            return


def _close(source: Iterator[object]) -> None:
    if isinstance(source, Generator):
        source.close()
