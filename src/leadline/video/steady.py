"""Steady maps: each map of a film brought to the scale of those before, and averaged along motion.

Networks that see one picture at a time give the same wall a slightly other value in every frame.
``scale`` takes that from whole maps: a robust line (scale and shift) from each map to the last one.
``flow`` also averages what is the same thing over time: the last steady map is moved by the flow to
where its things are now, and mixed in where the flow returns to where it began, the picture agrees,
and the map has not changed there. Everything starts anew at a cut.

All of it is causal: no frame waits for a later one.

Source: Lang et al., Practical Temporal Consistency for Image-Based Graphics Applications, SIGGRAPH
2012 (averaging along motion); Luo et al., Consistent Video Depth Estimation, SIGGRAPH 2020, sec. 4
(scales of maps from their common points).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.geometry import Flow, is_cut
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.viz import nearness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Bool, Float, UInt8


Steady = Literal["off", "scale", "flow"]
STEADY: tuple[Steady, ...] = get_args(Steady)
"""Ways to make a film's maps steady."""


def check_steady(name: str) -> Steady:
    """The name as one of :data:`STEADY`.

    Raises:
        UnknownNameError: another name.
    """
    known = {str(word): word for word in STEADY}
    if name not in known:
        raise UnknownNameError("steadiness", name, STEADY)
    return known[name]


@dataclass(frozen=True, kw_only=True)
class SteadyConfig:
    """How maps are made steady.

    Attributes:
        keep: share of the line to the last map that is kept; what is left of it lets the network's
            own scale come back over about 1 / (1 - keep) frames.
        blend: weight of the new map where nothing has changed.
        change: deviations, in typical ones, from which a difference counts as a change.
        most: the largest typical deviation, in mean distances of the map from its mean.
        edge: steps of the maps within 7 pixels, likewise, from which it is not averaged, so that
            edges stay sharp.
        grey: difference of grey levels from which the picture does not agree.
        samples: pixels, about, that the line is fitted to.

    Raises:
        InputError: shares outside of 0 to 1.
    """

    keep: float = 0.97
    blend: float = 0.1
    change: float = 5.0
    most: float = 0.1
    edge: float = 0.4
    grey: float = 20.0
    samples: int = 6000

    def __post_init__(self) -> None:
        if not (0 <= self.keep <= 1 and 0 < self.blend <= 1):
            raise InputError(f"{self}: a keep of 0 to 1 and a blend above 0, up to 1, are needed.")


class Stabiliser:
    """Makes the maps of a film steady, one after another.

    Args:
        mode: ``off``, ``scale`` or ``flow``.
        config: see :class:`SteadyConfig`.

    Attributes:
        cut: whether the last map began a new shot.
    """

    def __init__(self, mode: Steady = "flow", config: SteadyConfig | None = None) -> None:
        self.mode: Steady = check_steady(mode)
        self.cut = True
        self._config = config or SteadyConfig()
        self._flow = Flow()
        self._grey: np.ndarray | None = None
        self._last: np.ndarray | None = None  # steady nearness at the flow's size

    def __call__(self, prediction: Prediction, pixels: UInt8[np.ndarray, "h w 3"]) -> Prediction:
        """The steady map of the next frame.

        Args:
            prediction: its map, of the picture's shape but any size.
            pixels: its picture.

        Returns:
            The map, of at least the same detail; its size may grow to that of the flow.
        """
        grey = self._flow.shrink(pixels)
        before, self._grey = self._grey, grey
        if before is None or before.shape != grey.shape:
            self.cut, self._last = True, None
        elif self.mode == "off":
            explained = self._flow.warp(before, self._flow.between(grey, before))
            self.cut = is_cut(grey, before, explained)
        if self.mode == "off":
            return prediction
        near = nearness(prediction.values, prediction.kind)
        known = prediction.known & np.isfinite(near)
        whole = bool(known.all())
        near = near if whole else np.where(known, near, 0)
        low = self._flow.resize(near, grey.shape)
        seen = None if whole else self._flow.resize(known.astype(np.float32), grey.shape) > 0.999
        line, steady = self._steady(low, seen, grey, before, prediction.kind)
        self._last = steady
        if near.size < steady.size and whole:
            values = steady
        else:
            values = line[0] * near + line[1]
            values += self._flow.resize(steady - (line[0] * low + line[1]), near.shape)
        return _of_nearness(prediction, values, known)

    def _steady(
        self,
        low: np.ndarray,
        seen: Bool[np.ndarray, "h w"] | None,
        grey: np.ndarray,
        before: np.ndarray | None,
        kind: DepthKind,
    ) -> tuple[tuple[float, float], np.ndarray]:
        """The line that the map gets, and the steady map at the flow's size."""
        same = (1.0, 0.0), low
        if self._last is None or before is None:
            return same
        flow, config = self._flow, self._config
        back = flow.between(grey, before)
        explained = flow.warp(before, back)
        self.cut = is_cut(grey, before, explained)
        if self.cut:
            return same
        last = flow.warp(self._last, back, sharp=True)
        trusted = flow.trusted(back, flow.between(before, grey))
        trusted &= np.abs(grey.astype(np.int16) - explained) < config.grey
        if seen is not None:
            trusted &= seen & (last != 0)
        line = self._line(low, last, trusted, kind)
        aligned = np.float32(line[0]) * low + np.float32(line[1])
        if self.mode == "scale":
            return line, aligned
        return line, self._average(aligned, last, trusted)

    def _line(
        self, low: np.ndarray, last: np.ndarray, trusted: np.ndarray, kind: DepthKind
    ) -> tuple[float, float]:
        """Scale and shift to the last map, part of the way; metric maps get no shift."""
        step = max(1, int(np.sqrt(low.size / self._config.samples)))
        keep = trusted[::step, ::step]
        x, y = low[::step, ::step][keep], last[::step, ::step][keep]
        if len(x) < 50:
            return 1.0, 0.0
        free = kind in (DepthKind.AFFINE_DISPARITY, DepthKind.AFFINE_DEPTH)
        scale, shift = _robust_line(x.astype(np.float64), y.astype(np.float64), free)
        share = self._config.keep
        return scale**share, shift * share

    def _average(self, aligned: np.ndarray, last: np.ndarray, trusted: np.ndarray) -> np.ndarray:
        """The new map and the last one, mixed where they say the same."""
        config = self._config
        apart = aligned - last
        local = np.abs(self._flow.smooth(apart, 5))  # noise averages out, a change does not
        step = max(1, int(np.sqrt(apart.size / config.samples)))
        some = local[::step, ::step][trusted[::step, ::step]]
        spread = float(np.abs(aligned - aligned.mean()).mean())
        usual = float(np.median(some)) if len(some) else 0.0
        usual = min(max(usual, 1e-3 * spread), config.most * spread) + 1e-12
        changed = np.clip(local / (usual * config.change) - 1, 0, 1)
        doubt = self._flow.smooth(1 - trusted.astype(np.float32), 9)  # no hard edges of patches
        steps = np.maximum(self._flow.steps(aligned, 7), self._flow.steps(last, 7))
        edges = np.clip(steps / (config.edge * spread + 1e-12) - 1, 0, 1)
        own = np.maximum(np.maximum(changed, np.minimum(2 * doubt, 1)), edges)
        weight = config.blend + (1 - config.blend) * self._flow.smooth(own.astype(np.float32), 5)
        return (last + weight * apart).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """What the next frame needs of this one, to go on later."""
        arrays = {"grey": self._grey, "last": self._last}
        return {name: array for name, array in arrays.items() if array is not None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self._grey, self._last = state.get("grey"), state.get("last")


def _robust_line(x: np.ndarray, y: np.ndarray, free: bool) -> tuple[float, float]:
    """The standard major axis with Cauchy weights, or the weighted ratio without a shift.

    Both maps err alike: a regression of one on the other would flatten a film frame by frame.
    """
    weight = np.ones_like(x)
    scale, shift = 1.0, 0.0
    for _ in range(6):
        total = weight.sum()
        mean_x, mean_y = (weight * x).sum() / total, (weight * y).sum() / total
        if free:
            xx = (weight * (x - mean_x) ** 2).sum()
            yy = (weight * (y - mean_y) ** 2).sum()
            scale = float(np.sqrt(yy / xx)) if xx > 1e-12 * total else 1.0
            shift = float(mean_y - scale * mean_x)
        else:
            scale = float(mean_y / mean_x) if mean_x > 0 and mean_y > 0 else 1.0
        apart = scale * x + shift - y
        width = 2 * 1.4826 * float(np.median(np.abs(apart))) + 1e-9
        weight = 1 / (1 + (apart / width) ** 2)
    scale = float(np.clip(scale, 0.2, 5.0))
    return scale, shift


def _of_nearness(
    prediction: Prediction, values: Float[np.ndarray, "h w"], known: np.ndarray
) -> Prediction:
    """The prediction with other values, which are given as nearness."""
    kind = prediction.kind
    valid = None if known.all() else known
    if kind is DepthKind.AFFINE_DEPTH:
        values = -values
    elif not kind.larger_is_nearer:
        positive = values > 0
        values = np.divide(1, values, out=np.full_like(values, np.nan), where=positive)
        if not positive.all():
            valid = positive if valid is None else valid & positive
    if values.shape == prediction.values.shape:
        return replace(prediction, values=values, valid=valid, points=None)
    return Prediction(values=values, kind=kind, valid=valid, model=prediction.model)
