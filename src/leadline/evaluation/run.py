"""Evaluate a predictor over a set by a protocol.

```python
refs = open_dataset("nyu-labelled", "data/nyu")
predict = open_predictor(LoadOptions(model="lite"))
report = evaluate(predict, refs, protocols.get("midas-zero-shot"))
print(report.table())
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadline.errors import InputError, KindError, LeadlineError
from leadline.evaluation.accumulate import Accumulator
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.evaluation.normal_protocol import NormalProtocol
from leadline.evaluation.other_protocols import PairProtocol, StereoProtocol
from leadline.evaluation.predictors import adapt_to_protocol, refuse_disparity
from leadline.evaluation.report import Report, Skipped
from leadline.jobs import run_job
from leadline.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadline.datasets.frame import Frame, FrameRef
    from leadline.evaluation.predictors import Predictor
    from leadline.evaluation.protocol import MapScore, Protocol
    from leadline.jobs import Failure, Progress
    from leadline.prediction import Prediction


def evaluate(
    predict: Predictor,
    refs: Sequence[FrameRef],
    protocol: Protocol,
    *,
    model: str = "",
    dataset: str = "",
    metrics: Sequence[str] = (),
    skip_bad: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_failure: Callable[[Failure[FrameRef]], None] | None = None,
    ahead: int = 2,
) -> Report:
    """Score every frame; reading, predicting and scoring overlap.

    Args:
        predict: from a frame to a Prediction; a model (:func:`open_predictor`) is asked for the
            map that the protocol compares.
        refs: the frames, from :func:`leadline.datasets.open_dataset`.
        protocol: by which to compare.
        model: name for the report.
        dataset: name for the report.
        metrics: more metrics than the protocol's own, of :data:`leadline.metrics.METRICS`.
        skip_bad: go on past frames that cannot be read, predicted or scored, and list them in the
            report; otherwise the first of them ends the evaluation.
        on_progress: as of :func:`leadline.jobs.run_job`.
        on_failure: as of :func:`leadline.jobs.run_job`; called for frames that are left out.
        ahead: threads that read and score; 0 does everything in this one.

    Raises:
        InputError: no frame, or a frame that cannot be used; it names the file.
    """
    if not refs:
        raise InputError("no frames to evaluate; check the data set's folder.")

    def failed(failure: Failure[FrameRef]) -> None:
        if not skip_bad:
            raise _name_frame(failure.item.name, failure.error)
        if on_failure is not None:
            on_failure(failure)

    predict = adapt_to_protocol(predict, protocol)
    report = run_job(
        refs,
        prepare=lambda ref: ref.read(),
        work=lambda _, frame: (_predict(predict, frame), frame),
        finish=lambda _, made: score_frame(*made, protocol, metrics),
        on_progress=on_progress,
        on_failure=failed,
        ahead=ahead,
    )
    gathered = Accumulator(protocol=protocol)
    for ref, scored in report.results:
        gathered.add(ref.name, scored)
    if not gathered.rows:
        first = report.failures[0]
        raise _name_frame(first.item.name, first.error)
    skipped = [
        Skipped(name=f.item.name, error=" ".join(str(f.error).split())) for f in report.failures
    ]
    return Report(
        model=model,
        dataset=dataset,
        protocol=protocol,
        scores=gathered,
        skipped=tuple(skipped),
        seconds=report.seconds,
        version=__version__,
    )


def score_frame(
    pred: Prediction, frame: Frame, protocol: Protocol, metrics: Sequence[str] = ()
) -> MapScore:
    """Score one frame, with the data set's cap where the protocol takes it."""
    if isinstance(protocol, StereoProtocol):
        if frame.disparity is None:
            raise InputError(
                f"{frame.name} has no disparity, which {protocol.name} compares; take the data set "
                "kitti-stereo-2015."
            )
        return protocol.measure(pred, frame.disparity)
    if isinstance(protocol, NormalProtocol):
        if frame.normals is None:
            raise InputError(
                f"{frame.name} has no normals, which {protocol.name} compares; take the data set "
                "world-rooms or world-streets."
            )
        return protocol.measure(pred, frame.normals)
    if isinstance(protocol, PairProtocol):
        if not frame.pairs:
            raise InputError(
                f"{frame.name} has no pairs of points, which {protocol.name} compares; take the "
                "data set da-2k, or call the protocol's score(pred, pairs)."
            )
        return protocol.measure(pred, frame.pairs)
    if frame.pairs:
        raise InputError(
            f"{frame.name} has pairs of points and no depth; take --protocol da-2k in place of "
            f"{protocol.name}."
        )
    chosen = apply_frame_cap(protocol, frame)
    wanted = tuple(dict.fromkeys((*chosen.metrics, *metrics)))
    return chosen.measure(pred, frame.depth, baseline_m=frame.baseline_m, metrics=wanted)


def apply_frame_cap(protocol: Protocol, frame: Frame) -> DepthProtocol:
    """The protocol with the frame's cap, where it takes the data set's."""
    if not isinstance(protocol, DepthProtocol):
        raise InputError(f"{protocol.name} compares no depth maps; choose another protocol.")
    return protocol.with_cap(frame.max_depth) if protocol.cap_from_data else protocol


def _predict(predict: Predictor, frame: Frame) -> Prediction:
    pred = predict(frame)
    refuse_disparity(pred, frame)
    return pred


def _name_frame(name: str, error: Exception) -> Exception:
    """The error with the frame's name, in its own class."""
    text = " ".join(str(error).split())
    if name not in text:
        text = f"{name}: {text}"
    made: Any = KindError if isinstance(error, KindError) else InputError
    if isinstance(error, LeadlineError) and not isinstance(error, InputError):
        return error
    return made(f"{text} (--skip-bad leaves such frames out and counts them.)")
