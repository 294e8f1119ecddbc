"""Figures of a film's maps: how steady they are over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.alignment import MIN_DEPTH, Alignment, scale_and_shift
from leadline.geometry import Flow
from leadline.metrics import mean_change, temporal_alignment_error, warping_error
from leadline.resample import resize

if TYPE_CHECKING:
    from leadline.camera import Camera
    from leadline.datasets import Frame
    from leadline.prediction import Prediction


class FilmScores:
    """Gathers TAE, OPW and the mean change, frame by frame.

    The maps are kept until :meth:`result`, for TAE fits one scale and one shift to all of them.
    """

    def __init__(self) -> None:
        self._flow = Flow()
        self._maps: list[np.ndarray] = []
        self._truths: list[tuple[np.ndarray, np.ndarray]] = []
        self._cameras: list[Camera | None] = []
        self._kind: Any = None
        self._cap = 0.0
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._opw: list[float] = []
        self._change: list[float] = []

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """The next frame and its map."""
        pixels = frame.image.pixels
        values = prediction.values
        if values.shape != frame.image.size:
            values = resize(values, frame.image.size)
        grey = self._flow.shrink(pixels)
        if self._last is not None and self._last[2].shape == grey.shape:
            before, picture, old = self._last
            flow = self._flow.between(old, grey)
            sizes = [self._flow.resize(each, grey.shape) for each in (before, values)]
            pictures = [self._flow.resize(each, grey.shape) for each in (picture, pixels)]
            self._opw.append(warping_error((sizes[0], sizes[1]), (pictures[0], pictures[1]), flow))
            spread = float(np.nanmean(np.abs(values - np.nanmedian(values))))
            self._change.append(mean_change(before, values) / max(spread, 1e-12))
        self._last = values, pixels, grey
        self._maps.append(values)
        self._truths.append((frame.depth, frame.valid))
        self._cameras.append(frame.image.camera)
        self._kind, self._cap = prediction.kind, max(self._cap, frame.max_depth)

    def result(self) -> dict[str, Any]:
        """``tae`` in percent (None without poses), ``opw``, and ``mean_change``: the mean change
        from frame to frame, in mean distances of the map from its median.
        """
        return {
            "frames": len(self._maps),
            "tae": self._tae(),
            "opw": _mean(self._opw),
            "mean_change": _mean(self._change),
        }

    def _tae(self) -> float | None:
        cameras = [one for one in self._cameras if one is not None]
        posed = [one for one in cameras if one.world_from_camera is not None]
        if len(posed) != len(self._maps) or len(posed) < 2:
            return None
        depths = self._maps
        if not self._kind.is_metric:
            line = self._fit()
            depths = [line.apply(values, max_depth=self._cap) for values in self._maps]
        return round(temporal_alignment_error(depths, posed, max_depth=self._cap), 4)

    def _fit(self) -> Alignment:
        """One scale and one shift for the film, by least squares in the maps' own domain."""
        inverse = self._kind.larger_is_nearer
        known = np.stack([valid for _, valid in self._truths])
        target = np.stack([depth for depth, _ in self._truths]).astype(np.float64)
        target = np.maximum(target, MIN_DEPTH)
        target = 1 / target if inverse else target
        pred = np.stack(self._maps)
        known &= np.isfinite(pred)
        shape = (1, -1)
        scale, shift = scale_and_shift(
            pred.reshape(shape), target.reshape(shape), known.reshape(shape)
        )
        space = "disparity" if inverse else "depth"
        return Alignment(scale=float(scale), shift=float(shift), space=space)


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return round(float(np.mean(known)), 5) if known else None
