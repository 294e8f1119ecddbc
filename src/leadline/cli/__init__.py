"""The command line: ``leadline predict``, ``leadline models``, ``leadline doctor``.

Nothing heavy is imported before a command runs: every command imports what it needs inside.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from leadline.cli.foreign_flags import answer_to
from leadline.cli.signals import end_on_signals
from leadline.errors import JobError, LeadlineError, LeadlineWarning

FAILED_SOME = 1
"""Exit code when some inputs failed, or a job broke off, and what was done is kept."""

CANNOT_START = 2
"""Exit code when the command could not start: usage, unknown names, missing weights."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _print_any_name()
    answer = answer_to(given)
    if answer is not None:
        _say(answer)
        sys.exit(CANNOT_START)
    from leadline.cli.app import app

    warnings.showwarning = _show_warning  # ty: ignore[invalid-assignment]
    try:
        with end_on_signals():
            app(args=given, prog_name="leadline")
    except JobError as error:
        _say(error)
        sys.exit(FAILED_SOME)
    except LeadlineError as error:
        _say(error)
        sys.exit(CANNOT_START)
    except OSError as error:
        _say(f"{error.filename or 'a file'}: {error.strerror or error}.")
        sys.exit(CANNOT_START)
    except MemoryError:
        _say("memory ran out; give smaller or fewer pictures, or a smaller --size or --batch.")
        sys.exit(CANNOT_START)


def _say(text: object) -> None:
    print(f"leadline: {text}", file=sys.stderr)


def _print_any_name() -> None:
    """Print names whose bytes are no UTF-8 as those bytes in place of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")


_show_any = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Our own warnings as one line, others as Python shows them."""
    if isinstance(message, LeadlineWarning):
        print(f"leadline: {message}", file=sys.stderr)
    else:
        _show_any(message, category, filename, lineno, file, line)
