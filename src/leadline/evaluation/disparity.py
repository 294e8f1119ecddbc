"""Scores of affine disparity on real frames: fitted in disparity, measured in depth.

For every frame the prediction is fitted to the inverse of the known depths by least squares over
scale and shift, inverted, clamped to [1 mm, the data set's cap], and compared. The order of pixel
pairs is judged on the prediction itself, before the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.alignment import fit
from leadline.errors import InputError
from leadline.metrics import abs_rel, delta1, ordinal

if TYPE_CHECKING:
    from jaxtyping import Float

    from leadline.datasets import Frame

    Predict = Callable[[Frame], Float[np.ndarray, "h w"]]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Numbers of one frame, or means of several.

    Attributes:
        abs_rel: mean of abs(pred - target) / target; less is better.
        delta1: share of pixels within a factor of 1.25; more is better.
        ordinal: share of pixel pairs in the right order; .5 is guessing.
    """

    abs_rel: float
    delta1: float
    ordinal: float


@dataclass(frozen=True, kw_only=True)
class GroupScore:
    """Mean score of a group's frames."""

    group: str
    frames: int
    score: Score


def score_disparity(disparity: Float[np.ndarray, "h w"], frame: Frame, *, seed: int = 0) -> Score:
    """Score one map of larger-is-nearer values against a frame of the same size.

    Args:
        disparity: any affine disparity; it need not be positive.
        frame: picture and depth.
        seed: of the pixel pairs.

    Raises:
        InputError: another size, or no known depth.
    """
    valid = frame.valid
    alignment = fit(disparity, frame.depth, valid, space="disparity")
    depth = alignment.apply(disparity, max_depth=frame.max_depth)
    return Score(
        abs_rel=abs_rel(depth, frame.depth, valid),
        delta1=delta1(depth, frame.depth, valid),
        ordinal=ordinal(-np.asarray(disparity), frame.depth, valid, seed=seed),
    )


def score_group(predict: Predict, frames: Iterable[Frame], *, group: str = "") -> GroupScore:
    """Mean score of a function from a frame to affine disparity at the frame's size."""
    scores = [score_disparity(predict(frame), frame, seed=i) for i, frame in enumerate(frames)]
    return GroupScore(group=group, frames=len(scores), score=_mean(scores))


def macro_mean(groups: Sequence[GroupScore]) -> Score:
    """Mean over groups, each counting once whatever its number of frames."""
    return _mean([group.score for group in groups])


def _mean(scores: Sequence[Score]) -> Score:
    if not scores:
        raise InputError("no frames to score; check the folder.")
    return Score(
        abs_rel=float(np.mean([s.abs_rel for s in scores])),
        delta1=float(np.mean([s.delta1 for s in scores])),
        ordinal=float(np.nanmean([s.ordinal for s in scores])),
    )
