"""How a command ends when it is told to."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDED = 128
"""Exit codes of signals are this and their number: 130 interrupted, 143 asked to end."""


@contextmanager
def end_on_signals() -> Generator[None]:
    """End on SIGINT and SIGTERM alike: open files are taken back, workers ended, 130 or 143."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second ends it at once
        said = "ended; what is done is kept, and the same command (with --resume) does the rest."
        print(f"leadline: {said}", file=sys.stderr)
        sys.exit(ENDED + number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_early_on_interrupt() -> None:
    """For commands that end with what there is: SIGINT raises KeyboardInterrupt, as in Python."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
