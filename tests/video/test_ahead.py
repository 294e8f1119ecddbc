"""Steps in threads of their own: order, errors, and an early end."""

import threading
import time
from collections.abc import Iterator

import pytest

from leadline.video import keep_latest, run_ahead


def test_items_come_in_order_and_few_wait() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    ahead = []
    for number in run_ahead(source(), ahead=2):
        time.sleep(0.002)
        ahead.append(made[-1] - number)
    assert made == list(range(20))
    assert max(ahead) <= 4


def test_an_error_comes_after_what_was_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = run_ahead(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_an_early_end_ends_all_threads() -> None:
    before = threading.active_count()
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10_000)
        finally:
            closed.set()

    items = run_ahead(number + 1 for number in run_ahead(source()))
    assert next(items) == 1
    items.close()
    assert closed.wait(2)
    assert threading.active_count() == before


def test_the_latest_is_kept() -> None:
    def source() -> Iterator[int]:
        for number in range(30):
            time.sleep(0.005)
            yield number

    seen = []
    for number in keep_latest(source()):
        seen.append(number)
        time.sleep(0.03)
    assert seen == sorted(seen)
    assert len(seen) < 20
    assert seen[-1] == 29
