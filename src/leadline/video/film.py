"""A film through a network: decode, predict, make steady, paint and encode, all at once.

Each step has a thread of its own and short queues join them, so that memory does not grow with the
film. Results are made in segments (:mod:`leadline.video.parts`) and joined at the end, also when a
run is interrupted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError
from leadline.io.film_writer import FilmFormat, FilmWriter, Sound, join_segments
from leadline.io.frame_source import EVERYTHING, Selection, Source, SourceFrame
from leadline.jobs import Progress
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.video.ahead import run_ahead
from leadline.video.paint import FILM_FORMATS, Look, Shot, painted_size
from leadline.video.parts import Parts, State
from leadline.video.ranges import Range, RangeTracker, find_range
from leadline.video.steady import Stabiliser, Steady
from leadline.video.windows import predict_film

if TYPE_CHECKING:
    import numpy as np

    from leadline.estimator import DepthEstimator

SEGMENT = 256
"""Frames of a segment."""

_LOOKS = 32  # frames that the range of a film is taken from


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """How a film is made.

    Attributes:
        outputs: format -> film, or folder of a file per frame.
        codecs: format -> codec, of those that are films.
        steady: see :mod:`leadline.video.steady`.
        live: take ranges from what has been seen alone.
        selection: which frames.
        look: how they are painted.
        metres: makes metres of a frame's map, by the frame's number.
        segment: frames of a segment.
    """

    outputs: Mapping[str, Path]
    codecs: Mapping[str, str]
    steady: Steady = "flow"
    live: bool = False
    selection: Selection = EVERYTHING
    look: Look = field(default_factory=Look)
    metres: Callable[[int, Prediction], Prediction] | None = None
    segment: int = SEGMENT


@dataclass(kw_only=True)
class FilmReport:
    """What became of a film.

    Attributes:
        frames: that the results hold.
        undecodable: frames that could not be read.
        seconds: that it took, this time.
        resumed: frames that were there from before.
        interrupted: whether it was stopped before the end.
        kind: of the maps.
        notes: what was left out, a line each.
        range: nearness of the first and last grey code.
    """

    frames: int = 0
    undecodable: int = 0
    seconds: float = 0.0
    resumed: int = 0
    interrupted: bool = False
    kind: str = ""
    notes: list[str] = field(default_factory=list)
    range: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """A painted frame; ``state`` where a segment ends with it."""

    frame: SourceFrame
    pictures: Mapping[str, np.ndarray]
    prediction: Prediction
    state: Mapping[str, Any] | None
    range: Range


class FilmJob:
    """One film from source to files.

    Args:
        source: of the frames.
        estimator: the network.
        options: see :class:`FilmOptions`.
        parts: of an earlier run, or empty.
    """

    def __init__(
        self, source: Source, estimator: DepthEstimator, options: FilmOptions, parts: Parts
    ) -> None:
        self._source, self._estimator = source, estimator
        self._options, self._parts = options, parts
        self._clips = estimator.spec.clip_frames > 1
        if self._clips and parts.state is not None:
            parts.state = None  # its windows lean on all frames before
        self._forms = {
            name: FilmFormat.of(
                source.info,
                options.codecs[name],
                content,
                size=painted_size(name, source.info.size),
                rate=options.selection.rate_of(source.info),
            )
            for name in options.outputs
            if (content := FILM_FORMATS[name].content) is not None
        }
        self._stabiliser = Stabiliser(options.steady)
        self._lost = 0 if parts.state is None else parts.state.undecodable
        self.report = FilmReport()

    def run(self, on_progress: Callable[[Progress], None] | None = None) -> FilmReport:
        """Make all of it; KeyboardInterrupt ends it early with what there is.

        Raises:
            InputError: no frame.
        """
        begin = time.perf_counter()
        report, state = self.report, self._parts.state
        done = report.resumed = 0 if state is None else state.done
        begins = [] if state is None else list(state.begins)
        total = self._options.selection.count_of(self._source.info)
        last: SourceFrame | None = None
        writers: dict[str, FilmWriter] = {}
        made_frames = self._steps(done)
        try:
            for made in made_frames:
                if done % self._options.segment == 0:
                    begins.append(made.frame.time)
                    writers = self._open_segment(len(begins) - 1)
                self._write(made, writers)
                last, done = made.frame, done + 1
                report.kind, report.range = str(made.prediction.kind), made.range.codes
                if made.state is not None:
                    self._close(writers)
                    self._save(made, done, begins)
                if on_progress is not None:
                    spent = time.perf_counter() - begin
                    on_progress(
                        Progress(
                            total=max(total or 0, done),
                            done=done - report.resumed,
                            skipped=report.resumed,
                            seconds=spent,
                        )
                    )
        except KeyboardInterrupt:
            report.interrupted = True
        finally:
            made_frames.close()
            self._close(writers)
        report.frames = done
        report.undecodable = self._lost + self._source.undecodable
        self._join(begins, last)
        if not report.interrupted:
            self._parts.remove()
        report.seconds = time.perf_counter() - begin
        return report

    # --- the steps, each of which may run in a thread ---------------------------------------------

    def _steps(self, done: int) -> Any:
        state = self._parts.state
        tracker = RangeTracker(self._fixed_range())
        if state is not None:
            self._stabiliser.restore(state.arrays)
            tracker.restore(state.range)
        after = None if state is None else (state.number, state.time)
        frames = run_ahead(self._source.frames(self._options.selection, after=after))
        return run_ahead(self._paint(run_ahead(self._predict(frames)), tracker, done))

    def _fixed_range(self) -> Range | None:
        """The range of the whole film, from a first look at some of its frames."""
        options, info = self._options, self._source.info
        if options.live or info.live or self._clips or options.metres is not None:
            return None
        if "range" not in self._parts.record:
            found = find_range(
                self._source.glance(options.selection, _LOOKS), self._estimator.predict
            )
            self._parts.note(range=found and found.to_dict())
        record = self._parts.record["range"]
        return None if record is None else Range.from_dict(record)

    def _predict(self, frames: Iterator[SourceFrame]) -> Iterator[tuple[SourceFrame, Prediction]]:
        if self._clips:
            yield from _predict_clips(self._estimator, frames)
            return
        resized = "npz" in self._options.outputs or self._options.metres is not None
        resized = resized or self._estimator.spec.kind is DepthKind.PIXEL_DISPARITY
        prepare = self._estimator.prepare
        for frame, prepared in run_ahead((frame, prepare(frame.image)) for frame in frames):
            prediction = self._estimator.predict_prepared(prepared, resized=resized)
            if self._options.metres is not None:
                prediction = self._options.metres(frame.number, prediction)
            yield frame, prediction

    def _paint(
        self, maps: Iterator[tuple[SourceFrame, Prediction]], tracker: RangeTracker, done: int
    ) -> Iterator[_Made]:
        options = self._options
        for frame, raw in maps:
            done += 1
            prediction = self._stabiliser(raw, frame.image.pixels)
            span = tracker(prediction, cut=self._stabiliser.cut)
            shot = Shot(image=frame.image, prediction=prediction, range=span)
            paints = {name: FILM_FORMATS[name].paint for name in self._forms}
            pictures = {name: paint(shot, options.look) for name, paint in paints.items() if paint}
            ends = done % options.segment == 0
            state = {"arrays": self._stabiliser.state(), "range": tracker.state()} if ends else None
            whole = prediction if len(paints) == len(options.outputs) else shot.at_size()
            yield _Made(frame=frame, pictures=pictures, prediction=whole, state=state, range=span)

    # --- results ----------------------------------------------------------------------------------

    def _open_segment(self, number: int) -> dict[str, FilmWriter]:
        return {name: self._parts.writer(name, number, form) for name, form in self._forms.items()}

    def _write(self, made: _Made, writers: Mapping[str, FilmWriter]) -> None:
        for name, writer in writers.items():
            writer.add(made.pictures[name], made.frame.time)
        for name in self._options.outputs.keys() - self._forms.keys():
            file = self._options.outputs[name] / f"{made.frame.image.name}.{name}"
            made.prediction.save(file, format=name)

    def _close(self, writers: dict[str, FilmWriter]) -> None:
        while writers:
            writers.popitem()[1].close()

    def _save(self, made: _Made, done: int, begins: list[Fraction]) -> None:
        state = made.state or {}
        self._parts.save(
            State(
                segment=len(begins) - 1,
                done=done,
                number=made.frame.number,
                time=made.frame.time,
                begins=tuple(begins),
                undecodable=self._lost + made.frame.undecodable,
                **state,
            )
        )

    def _join(self, begins: list[Fraction], last: SourceFrame | None) -> None:
        """Make the films of their segments."""
        if not begins:
            if self.report.interrupted:
                return
            raise InputError(
                f"{self._source.info.name}: no frame was taken; give an earlier --start, or a "
                "complete film."
            )
        info, selection = self._source.info, self._options.selection
        shift = begins[0] if selection.start else Fraction(0)
        sound = None
        if info.film is not None:
            end = None if selection.end is None else info.begin + selection.end
            if self.report.interrupted and last is not None:
                end = last.time + 1 / info.rate
            start = begins[0] if selection.start else None
            sound = Sound(film=info.film, start=start, end=end, shift=shift)
        moved = [begin - shift for begin in begins]
        for name, form in self._forms.items():
            path = self._options.outputs[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = path.with_name(f".{path.stem}.part{path.suffix}")
            segments = self._parts.segments(name, form, moved)
            note = join_segments(segments, whole, form, sound=sound, comment=self._comment(name))
            whole.replace(path)
            if note and note not in self.report.notes:
                self.report.notes.append(note)

    def _comment(self, name: str) -> str:
        """What the codes of a film mean."""
        if name != "gray16" or self.report.range is None:
            return ""
        low, high = self.report.range
        what = "disparity" if DepthKind(self.report.kind).larger_is_nearer else "inverse depth"
        return f"leadline {self.report.kind}: {what} = {low:.9g} + code / 65535 * {high - low:.9g}"


def _predict_clips(
    estimator: DepthEstimator, frames: Iterator[SourceFrame]
) -> Iterator[tuple[SourceFrame, Prediction]]:
    """Maps of a network that takes clips; frames wait for theirs."""
    spec, held = estimator.spec, deque[SourceFrame]()

    def images() -> Iterator[Any]:
        for frame in frames:
            held.append(frame)
            yield frame.image

    def network(clip: np.ndarray) -> np.ndarray:
        return estimator.runtime.run({"image": clip})["depth"]

    for values in predict_film(images(), network, spec.preprocess, kind=spec.kind):
        frame = held.popleft()
        yield (
            frame,
            Prediction(values=values, kind=spec.kind, camera=frame.image.camera, model=spec.name),
        )


def way_of(
    source: Source, options: FilmOptions, load: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """All that decides what a film's results hold; JSON-able.

    Args:
        source: of the frames.
        options: how they are made.
        load: what says how the network was opened; see ``LoadOptions.stamp``.
        more: what else counts.
    """
    film, selection = source.info.film, options.selection
    stat = None if film is None else film.stat()
    return {
        **load,
        "source": [source.info.name, str(source.info.size), str(source.info.rate)],
        "stamp": stat and [str(film and film.absolute()), stat.st_size, stat.st_mtime_ns],
        "outputs": {name: str(path) for name, path in sorted(options.outputs.items())},
        "codecs": dict(sorted(options.codecs.items())),
        "steady": options.steady,
        "live": options.live,
        "selection": [str(v) for v in (selection.start, selection.end, selection.every)],
        "fps": str(selection.fps),
        "look": [options.look.cmap, options.look.divergence, options.look.convergence],
        "segment": options.segment,
        **more,
    }
