"""What a data set is: its name, where its files go, how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadline.datasets.frame import FrameRef


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to read; a data set that has no such thing leaves it out.

    Attributes:
        split: part of the set; default: its test part.
        every: only every n-th frame of a sequence.
        right: the other picture of a stereo pair too.
        following: the next picture of a sequence too.
        normals: surface normals too, where they are known.
        per_metre: numbers per metre of a folder's depth files.
        holes: codes of a folder's depth files that stand for "nothing is known"; empty: none does;
            None: as its camera.json says.
        intrinsics: fx, fy, cx, cy of a folder's pictures in pixels; None: as its camera.json says.
        count, seed: of rendered frames.
    """

    split: str | None = None
    every: int = 1
    right: bool = False
    following: bool = False
    normals: bool = False
    per_metre: float | None = None
    holes: tuple[float, ...] | None = None
    intrinsics: Mapping[str, float] | None = None
    count: int = 20
    seed: int = 0


Open = Callable[[Path, Options], "list[FrameRef]"]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set.

    Attributes:
        name: as the command line takes it.
        summary: one line.
        layout: where its files go below the root, one place a line.
        source: who publishes it.
        terms: of its licence, in words.
        download: how large the archives are, in words; empty: unknown.
        protocol: by which it is usually evaluated.
        splits: its parts, the first by default; empty when it has none.
        training, validation: those to learn from and to validate on; empty: none of its own.
        open: lists its frames.
        applies_every: ``open`` itself obeys ``Options.every``: by scene, by the frames'
            numbers, or not at all (rendered frames are no sequence).
        needs_root: False for what is rendered.
    """

    name: str
    summary: str
    layout: str
    source: str
    terms: str
    protocol: str
    open: Open
    applies_every: bool = False
    splits: tuple[str, ...] = ()
    training: str = ""
    validation: str = ""
    needs_root: bool = True
    download: str = ""
