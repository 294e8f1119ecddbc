"""A progress bar with rate and time left, on terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from leadline.jobs import Progress


@contextmanager
def progress_bar(
    label: str, *, unit: str = "pictures"
) -> Generator[tuple[Callable[[Progress], None], Callable[[str], None]]]:
    """Yield ``show(progress)`` and ``say(line)``; both write to standard error.

    Off a terminal ``show`` does nothing and ``say`` prints plain lines.
    """
    if not sys.stderr.isatty():
        yield lambda progress: None, lambda line: print(line, file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TextColumn("{task.fields[speed]}"), console=console) as bar:
        task = bar.add_task(label, total=None, speed="")

        def show(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.total,
                completed=progress.finished,
                speed=speed(progress, unit),
            )

        yield show, lambda line: console.print(line, markup=False, soft_wrap=True)


def speed(progress: Progress, unit: str = "pictures") -> str:
    """Rate and time left for people: ``"12.3 pictures/s, 0:41 left"``."""
    if progress.eta_s is None:
        return ""
    rate = progress.rate
    pace = f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit.removesuffix('s')}"
    minutes, seconds = divmod(round(progress.eta_s), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{pace}, {left} left" if progress.finished < progress.total else pace
