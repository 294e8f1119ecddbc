"""Maps of frames with poses, all in the metres of the poses, for what joins them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leadline.errors import KindError
from leadline.kinds import DepthKind
from leadline.sequence.motion_metres import motion_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadline.image import Image
    from leadline.prediction import Prediction


def predict_posed(
    frames: Sequence[Image],
    predict: Callable[[Image], Prediction],
    *,
    from_motion: bool = True,
) -> list[Prediction]:
    """Metric depth of every frame, with its camera and pose.

    Args:
        frames: pictures in the order of time, of one size, with posed cameras in metres.
        predict: gives a frame's map of any kind.
        from_motion: fit scale and shift of every map to points that the poses triangulate, so that
            maps of neighbouring frames agree; False: take the network's own metres.

    Raises:
        InputError: as of :func:`~leadline.sequence.motion_fit`.
        DegenerateError: no parallax, with ``from_motion``.
        KindError: a network without metres, without ``from_motion``.
    """
    if not from_motion:
        maps = [_in_view(predict(frame), frame) for frame in frames]
        for made in maps:
            if not made.kind.is_metric:
                raise KindError(
                    f"{made.model} gives {made.kind}, which has no metres of its own; take them "
                    "from the motion (--metres-from motion), or a metric model with --fov."
                )
        return maps

    def predict_relative(frame: Image) -> Prediction:
        made = predict(frame)
        return replace(made, kind=DepthKind.SCALED_DEPTH) if made.kind.is_metric else made

    fit = motion_fit(frames, predict_relative)
    maps = []
    for frame, line in zip(frames, fit.alignments, strict=True):
        made = predict_relative(frame)
        shift = None if made.kind is DepthKind.SCALED_DEPTH else line.shift
        maps.append(_in_view(made.to_metric(scale=line.scale, shift=shift), frame))
    return maps


def _in_view(prediction: Prediction, frame: Image) -> Prediction:
    return replace(prediction, camera=frame.camera, image=frame)
