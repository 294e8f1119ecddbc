"""The parts of a film that is being made: closed segments, and what is needed to go on.

``STEM.parts/`` lies beside the results until they are whole. After every segment its state is
written, last and whole or not at all, so that a run that is killed loses one segment at most and
goes on with what it would have made.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.io.film_writer import FilmFormat, FilmWriter, Segment, segment_suffix
from leadline.jobs import atomic_write, write_text

if TYPE_CHECKING:
    from jaxtyping import Shaped

_RECORD = "film.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """Where a film stands after a segment.

    Attributes:
        segment: number of the segment.
        done: frames that are made.
        number, time: of the last one; see :class:`leadline.io.SourceFrame`.
        begins: times of the first frames of all segments.
        undecodable: frames so far that could not be read.
        range: what the colours' range has come to.
        arrays: of the steady maps.
    """

    segment: int
    done: int
    number: int
    time: Fraction
    begins: tuple[Fraction, ...]
    undecodable: int = 0
    range: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Shaped[np.ndarray, ...]] = field(default_factory=dict)


class Parts:
    """The folder of a film's parts.

    Args:
        folder: of the parts.
        way: all that decides what they hold; JSON-able. Parts that were made in another way are
            taken away.
        resume: keep parts that are there.

    Attributes:
        record: notes that stay the same over a film; they are kept with :meth:`note`.
        state: after the last whole segment; None before the first.
    """

    def __init__(self, folder: Path, way: Mapping[str, Any], *, resume: bool) -> None:
        self._folder = folder
        digest = hashlib.sha256(json.dumps(way, sort_keys=True).encode()).hexdigest()
        self.record: dict[str, Any] = {"way": digest}
        self.state: State | None = None
        found = _read_record(folder / _RECORD)
        if resume and found.get("way") == digest:
            self.record, self.state = found, self._last_state()
        else:
            self.remove()
        folder.mkdir(parents=True, exist_ok=True)
        self.note()

    def note(self, **more: Any) -> None:
        """Keep notes."""
        self.record |= more
        write_text(self._folder / _RECORD, json.dumps(self.record))

    def writer(self, name: str, number: int, form: FilmFormat) -> FilmWriter:
        """The writer of a segment of the format ``name``."""
        return FilmWriter(self._segment(name, number, form), form)

    def segments(self, name: str, form: FilmFormat, begins: Sequence[Fraction]) -> list[Segment]:
        """All segments of a format."""
        return [
            Segment(path=self._segment(name, number, form), begin=begin)
            for number, begin in enumerate(begins)
        ]

    def _segment(self, name: str, number: int, form: FilmFormat) -> Path:
        return self._folder / f"{name}-{number:05d}{segment_suffix(form.codec)}"

    def save(self, state: State) -> None:
        """Write a state: its segment counts from now on."""
        plain = {
            "segment": state.segment,
            "done": state.done,
            "number": state.number,
            "time": str(state.time),
            "begins": [str(begin) for begin in state.begins],
            "undecodable": state.undecodable,
            "range": dict(state.range),
        }
        with atomic_write(self._folder / "state.npz") as file:
            arrays: dict[str, Any] = {"record": json.dumps(plain), **state.arrays}
            np.savez(file, **arrays)
        self.state = state

    def _last_state(self) -> State | None:
        path = self._folder / "state.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as stored:
            plain = json.loads(str(stored["record"]))
            arrays = {name: stored[name] for name in stored.files if name != "record"}
        times = {"time": Fraction(plain.pop("time"))}
        begins = tuple(Fraction(text) for text in plain.pop("begins"))
        return State(**plain, **times, begins=begins, arrays=arrays)

    def remove(self) -> None:
        """Take all parts away."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
