"""A camera seen live: what is shown is never much older than what the network needs for a frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.io.film_writer import FilmFormat, FilmWriter, Segment, join_segments, segment_suffix
from leadline.io.frame_source import EVERYTHING, Source, SourceFrame
from leadline.video.ahead import keep_latest
from leadline.video.paint import FILM_FORMATS, Look, Shot, painted_size
from leadline.video.ranges import RangeTracker
from leadline.video.steady import Stabiliser, Steady

if TYPE_CHECKING:
    import numpy as np

    from leadline.estimator import DepthEstimator


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveFrame:
    """What is shown: the painted picture, its frame, and the seconds since that came."""

    picture: np.ndarray
    frame: SourceFrame
    age_s: float
    dropped: int


def watch(
    source: Source,
    estimator: DepthEstimator,
    *,
    format: str = "side",  # noqa: A002 (the word of every command)
    steady: Steady = "flow",
    look: Look | None = None,
) -> Iterator[LiveFrame]:
    """Painted frames of a source as they come; frames that nobody has time for are dropped.

    Args:
        source: a camera.
        estimator: the network.
        format: what to paint, of the formats that are films.
        steady: see :mod:`leadline.video.steady`.
        look: how to paint.
    """
    look, tracker, stabiliser = look or Look(), RangeTracker(), Stabiliser(steady)
    paint = FILM_FORMATS[format].paint

    def stamped() -> Iterator[tuple[float, SourceFrame]]:
        for frame in source.frames(EVERYTHING):
            yield time.monotonic(), frame

    for taken, (came, frame) in enumerate(keep_latest(stamped()), 1):
        prepared = estimator.prepare(frame.image)
        raw = estimator.predict_prepared(prepared, resized=False)
        prediction = stabiliser(raw, frame.image.pixels)
        span = tracker(prediction, cut=stabiliser.cut)
        shot = Shot(image=frame.image, prediction=prediction, range=span)
        picture = shot.image.pixels if paint is None else paint(shot, look)
        age = time.monotonic() - came
        yield LiveFrame(picture=picture, frame=frame, age_s=age, dropped=frame.number + 1 - taken)


class Recorder:
    """Records what is shown as a film.

    Args:
        path: the film.
        source: whose frames are shown.
        format: of what is shown.
        codec: see :data:`leadline.io.film_writer.CODECS`.
    """

    def __init__(
        self,
        path: Path,
        source: Source,
        *,
        format: str,  # noqa: A002
        codec: str = "h264",
    ) -> None:
        content = FILM_FORMATS[format].content or "color"
        size = painted_size(format, source.info.size)
        self._form = FilmFormat.of(source.info, codec, content, size=size)
        self._path = path
        self._part = path.with_name(f".{path.stem}.part{segment_suffix(codec)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = FilmWriter(self._part, self._form)
        self._begin: SourceFrame | None = None

    def add(self, shown: LiveFrame) -> None:
        """One more picture, at the time of its frame."""
        self._begin = self._begin or shown.frame
        self._writer.add(shown.picture, shown.frame.time)

    def close(self) -> None:
        """Finish the film; without a picture there is none."""
        self._writer.close()
        if self._begin is not None:
            segment = Segment(path=self._part, begin=self._begin.time - self._begin.time)
            whole = self._path.with_name(f".{self._path.stem}.whole{self._path.suffix}")
            join_segments([segment], whole, self._form)
            whole.replace(self._path)
        self._part.unlink(missing_ok=True)
