"""The command line: ``leadline predict``, ``leadline models``, ``leadline doctor``.

Nothing heavy is imported before a command runs: every command imports what it needs inside.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from leadline.cli.foreign_flags import answer_to
from leadline.errors import LeadlineError, LeadlineWarning

FAILED_SOME = 1
"""Exit code when some inputs failed and the rest was done."""

CANNOT_START = 2
"""Exit code when the command could not start: usage, unknown names, missing weights."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    answer = answer_to(given)
    if answer is not None:
        print(f"leadline: {answer}", file=sys.stderr)
        sys.exit(CANNOT_START)
    from leadline.cli.app import app

    warnings.showwarning = _show_warning  # ty: ignore[invalid-assignment]
    try:
        app(args=given, prog_name="leadline")
    except LeadlineError as error:
        print(f"leadline: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)


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
