"""Steady ranges of colours and grey codes: the same nearness has the same colour over a film.

Two ways: before the film is made, its maps are looked at here and there and one range is taken for
all of it; or, live, the range follows slowly what has been seen so far, and starts anew at a cut.
Ranges are in the domain of :func:`leadline.viz.nearness`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.viz import nearness, value_range

if TYPE_CHECKING:
    from leadline.image import Image
    from leadline.prediction import Prediction

_DECAY = 0.95
_SAMPLES = 20_000  # pixels that percentiles are taken from
_MARGIN = 0.05  # of grey codes beyond what was seen


@dataclass(frozen=True, kw_only=True)
class Range:
    """What colours and what grey codes reach from and to.

    Attributes:
        colors: nearness of the first and the last colour.
        codes: nearness of the codes 0 and 65535.
    """

    colors: tuple[float, float]
    codes: tuple[float, float]

    def to_dict(self) -> dict[str, list[float]]:
        """As JSON has it."""
        return {"colors": list(self.colors), "codes": list(self.codes)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Range:
        """Back from :meth:`to_dict`."""
        colors, codes = (tuple(map(float, record[name])) for name in ("colors", "codes"))
        return cls(colors=(colors[0], colors[1]), codes=(codes[0], codes[1]))


def measure_range(prediction: Prediction) -> Range | None:
    """The range of one map; None where nothing is known."""
    near = nearness(prediction.values, prediction.kind)
    step = max(1, int(np.sqrt(near.size / _SAMPLES)))
    near = near[::step, ::step]
    known = prediction.known[::step, ::step] & np.isfinite(near)
    if not known.any():
        return None
    values = near[known]
    return Range(colors=value_range(near, known), codes=(float(values.min()), float(values.max())))


def find_range(pictures: Iterable[Image], predict: Callable[[Image], Prediction]) -> Range | None:
    """One range for a film, from some of its frames."""
    found = [measure_range(predict(picture)) for picture in pictures]
    seen = [one for one in found if one is not None]
    if not seen:
        return None
    colors, codes = (np.array([getattr(one, name) for one in seen]) for name in ("colors", "codes"))
    low, high = codes[:, 0].min(), codes[:, 1].max()
    room = _MARGIN * (high - low)
    return Range(
        colors=(float(np.percentile(colors[:, 0], 10)), float(np.percentile(colors[:, 1], 90))),
        codes=(float(low - room), float(high + room)),
    )


class RangeTracker:
    """The range of a film as it comes.

    Args:
        fixed: of all of it, where it is known; nothing is tracked then.
    """

    def __init__(self, fixed: Range | None = None) -> None:
        self._range, self._fixed = fixed, fixed is not None

    def __call__(self, prediction: Prediction, *, cut: bool) -> Range:
        """The range for the next map.

        Args:
            prediction: the map.
            cut: whether it begins a new shot.
        """
        now = None if self._fixed else measure_range(prediction)
        if now is not None:
            before = None if cut else self._range
            self._range = now if before is None else _mix(before, now)
        return self._range or Range(colors=(0.0, 0.0), codes=(0.0, 0.0))

    def state(self) -> dict[str, Any]:
        """What the next frame needs, to go on later."""
        return {} if self._range is None or self._fixed else self._range.to_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        if state:
            self._range = Range.from_dict(state)


def _mix(before: Range, now: Range) -> Range:
    """Colours follow slowly; codes only widen, and at once."""
    low, high = (
        _DECAY * a + (1 - _DECAY) * b for a, b in zip(before.colors, now.colors, strict=True)
    )
    codes = min(before.codes[0], now.codes[0]), max(before.codes[1], now.codes[1])
    return Range(colors=(low, high), codes=codes)
