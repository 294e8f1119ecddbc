"""``made.jsonl``: of which source, and in which way, the files of a folder were made.

A result's name does not tell which of two pictures of that name it shows, nor which network made
it. So whoever makes files of pictures notes both, and a later run keeps what it would make again:

    {"files": ["a.npz", "a.png"], "source": "/photos/a.jpg", "stamp": [81234, 1711], "way": "3f09"}

A line is taken out before its files are written anew, and appended when they are whole. A run that
is killed in between leaves files without a line; they are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leadline.jobs import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LEDGER = "made.jsonl"


class Making(NamedTuple):
    """What a file was made from, and how.

    Attributes:
        source: absolute path.
        stamp: bytes and time of change (ns) of the source then; empty when it was not there.
        way: digest of all else that decides what the file holds.
    """

    source: str
    stamp: tuple[int, ...]
    way: str


class Ledger:
    """The notes of a folder during one run; may be used in several threads.

    Args:
        folder: of all files.
        files: source -> the files that are made of it.
        way: all but the source that decides what they hold; JSON-able.
        resume: keep files that are there, of the same source and made in the same way.
        adopt: with ``resume``, whether the files of a source are kept that are there without any
            notes in the folder, as those of before there were notes; they get their lines.

    Attributes:
        done: the sources whose files are kept.
        foreign: how many of the others have files there, of another source or made in another way;
            counted with ``resume``.
    """

    def __init__(
        self,
        folder: Path,
        files: Mapping[Path, Sequence[Path]],
        way: Mapping[str, Any],
        *,
        resume: bool,
        adopt: Callable[[Path], bool] | None = None,
    ) -> None:
        text = json.dumps(way, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._path = folder / LEDGER
        self._files = files
        self._now = {source: _making(source, digest) for source in files}
        self._lock = threading.Lock()
        there = {source for source in files if resume and _all_there(files[source])}
        if adopt is not None and not self._path.is_file():
            lines = [self._line_of(source) for source in sorted(filter(adopt, there))]
            if lines:
                write_text(self._path, "".join(lines))
        made = _read(self._path)
        self.done = frozenset(source for source in there if self._noted(source, made))
        self.foreign = len(there) - len(self.done)
        self._forget(made)

    def add(self, source: Path) -> None:
        """Note that the files of ``source`` are whole."""
        line = self._line_of(source)
        with self._lock, self._path.open("a", encoding="utf-8") as ledger:
            ledger.write(line)

    def _line_of(self, source: Path) -> str:
        return _line((file.name for file in self._files[source]), self._now[source])

    def _noted(self, source: Path, made: Mapping[str, Making]) -> bool:
        now = self._now[source]
        return all(made.get(file.name) == now for file in self._files[source])

    def _forget(self, made: Mapping[str, Making]) -> None:
        """Take out the lines of all files that this run makes anew."""
        anew = {
            file.name
            for source in self._files
            if source not in self.done
            for file in self._files[source]
        }
        if not anew or not self._path.is_file():
            return
        kept = [(name, making) for name, making in made.items() if name not in anew]
        groups = groupby(kept, key=lambda entry: entry[1])
        lines = [_line((name for name, _ in entries), making) for making, entries in groups]
        write_text(self._path, "".join(lines))


def _making(source: Path, way: str) -> Making:
    try:
        status = source.stat()
    except OSError:
        stamp: tuple[int, ...] = ()
    else:
        stamp = (status.st_size, status.st_mtime_ns)
    return Making(os.path.abspath(source), stamp, way)  # noqa: PTH100 - keeps symbolic links


def _all_there(files: Iterable[Path]) -> bool:
    return all(file.is_file() for file in files)


def _line(files: Iterable[str], making: Making) -> str:
    return json.dumps({"files": list(files), **making._asdict()}) + "\n"


def _read(path: Path) -> dict[str, Making]:
    """File name -> its making; a line that a kill cut short counts for nothing."""
    if not path.is_file():
        return {}
    made: dict[str, Making] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            note = json.loads(line)
            making = Making(note["source"], tuple(note["stamp"]), note["way"])
            made.update(dict.fromkeys(note["files"], making))
        except (ValueError, KeyError, TypeError):
            continue
    return made
