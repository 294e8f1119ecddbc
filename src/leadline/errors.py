"""Every error that Leadline raises on purpose.

```
LeadlineError
├── InputError               (ValueError)   a picture, map, file or argument that cannot be used
│   ├── KindError                           an operation that makes no sense for this DepthKind
│   ├── TooLargeError                       more pixels or bytes than may be decoded
│   └── DegenerateError                     pictures without depth: no motion, one plane, one line
├── UnknownNameError         (LookupError)  no such model, dataset, protocol, format ...
├── WeightsError                            weights that are missing, damaged or of another model
│   └── MissingWeightsError                 they exist, but not on this machine
├── MissingDependencyError   (ImportError)  an optional package that this feature needs
├── DeviceError                             a runtime or device that is not here
└── JobError                                a long job that could not go on; what is done is kept
```

Each message says what was given, what is needed, and what to do. What is worth knowing but no
error is a LeadlineWarning (UserWarning), also one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LeadlineError(Exception):
    """Base of every error raised on purpose; the command line prints it as one line."""


class LeadlineWarning(UserWarning):
    """A result that is there, but not as it should be; the command line prints it as one line."""


class InputError(LeadlineError, ValueError):
    """A picture, map, file or argument that cannot be used."""


class KindError(InputError):
    """An operation that makes no sense for this kind of depth map."""


class TooLargeError(InputError):
    """A picture or file that would take more memory than it may; nothing of it was decoded."""


class DegenerateError(InputError):
    """Pictures that tell no depth or motion: one place, one plane, one line, no parallax."""


class UnknownNameError(LeadlineError, LookupError):
    """A name that is in no table.

    Args:
        what: what the name should have been, e.g. ``"model"``.
        name: what was given.
        options: every accepted name. The message lists all of a short list, and of a long one the
            five that are spelt most alike, with the command that lists the rest.
    """

    def __init__(self, what: str, name: object, options: Iterable[str]) -> None:
        known = [str(option) for option in options]
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        super().__init__(f"unknown {what} {name!r}.{hint} {_list_names(what, str(name), known)}")
        self.name = name
        self.options = tuple(known)


_SHORT_LIST, _NEAREST = 16, 5
_LISTED_BY = {"model": "models", "data set": "datasets"}
"""What a name should have been -> the command that lists all of them."""


def _list_names(what: str, name: str, known: list[str]) -> str:
    """The names that could be meant, in one sentence."""
    if len(known) <= _SHORT_LIST:
        return f"Known: {', '.join(known) or 'none'}."
    nearest = difflib.get_close_matches(name, known, n=_NEAREST, cutoff=0.0)
    rest = f"and {len(known) - len(nearest)} more"
    if what in _LISTED_BY:
        rest += f", which `leadline {_LISTED_BY[what]}` lists"
    return f"Known: {', '.join(nearest)} {rest}."


class WeightsError(LeadlineError):
    """Weights that are damaged, or belong to another model."""


class MissingWeightsError(WeightsError):
    """Weights that exist, but are not on this machine."""


class MissingDependencyError(LeadlineError, ImportError):
    """An optional package that this feature needs.

    Args:
        package: the import name that failed.
        feature: what needs it, in words.
        extra: the extra of Leadline that installs it.
    """

    def __init__(self, package: str, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'leadline[{extra}]'; in a checkout of Leadline: "
            f"pip install -e '.[{extra}]'"
        )


class DeviceError(LeadlineError):
    """A runtime or device that is not available here."""


class JobError(LeadlineError):
    """A long job that could not go on; finished items are kept and a rerun resumes."""
