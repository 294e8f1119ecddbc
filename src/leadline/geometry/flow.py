"""Motion between neighbouring frames: flow, where it can be trusted, and cuts.

Source: Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016 (the flow, in
OpenCV); Sundaram et al., Dense point trajectories by GPU-accelerated large displacement optical
flow, ECCV 2010, sec. 3 (the check forward and backward).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.geometry.opencv import opencv

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

FLOW_SIDE = 640
"""Long side in pixels at which motion is looked for."""

_CUT_CORRELATION = 0.45
_CUT_HISTOGRAM = 0.25


class Flow:
    """Finds motion; keeps the algorithm's buffers from frame to frame."""

    def __init__(self) -> None:
        cv2 = opencv("flow between frames")
        self._cv2 = cv2
        self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._grid: np.ndarray = np.zeros((0, 0, 2), np.float32)

    def shrink(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W"]:
        """A grey picture of at most :data:`FLOW_SIDE`."""
        cv2 = self._cv2
        height, width = pixels.shape[:2]
        scale = min(1.0, FLOW_SIDE / max(height, width))
        size = max(8, round(width * scale)), max(8, round(height * scale))
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)

    def resize(self, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A map at another (height, width)."""
        if values.shape[:2] == size:
            return values
        cv2 = self._cv2
        shrinks = values.shape[0] >= size[0] and values.shape[1] >= size[1]
        rule = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(values, size[::-1], interpolation=rule)

    def between(
        self, now: UInt8[np.ndarray, "h w"], before: UInt8[np.ndarray, "h w"]
    ) -> Float[np.ndarray, "h w 2"]:
        """Pixels (x, y) from each place of ``now`` to the same thing in ``before``."""
        return self._search.calc(now, before, None)

    def smooth(self, values: np.ndarray, side: int) -> np.ndarray:
        """Means over squares of ``side`` pixels."""
        return self._cv2.blur(values, (side, side))

    def warp(self, values: np.ndarray, flow: Float[np.ndarray, "h w 2"]) -> np.ndarray:
        """``values`` of the frame before, where its things are now."""
        if self._grid.shape != flow.shape:
            height, width = flow.shape[:2]
            x, y = np.meshgrid(np.arange(width), np.arange(height))
            self._grid = np.stack([x, y], axis=-1).astype(np.float32)
        cv2 = self._cv2
        border: Any = cv2.BORDER_REPLICATE
        return cv2.remap(values, self._grid + flow, None, cv2.INTER_LINEAR, borderMode=border)

    def trusted(
        self, back: Float[np.ndarray, "h w 2"], forth: Float[np.ndarray, "h w 2"]
    ) -> Bool[np.ndarray, "h w"]:
        """Where going back and forth ends near where it began, and inside the frame."""
        returned = back + self.warp(forth, back)
        error = (returned**2).sum(-1)
        length = (back**2).sum(-1) + (forth**2).sum(-1)
        place = self._grid + back
        height, width = back.shape[:2]
        inside = (place >= 0).all(-1) & (place[..., 0] < width) & (place[..., 1] < height)
        return inside & (error < 0.01 * length + 0.5)


def is_cut(
    now: UInt8[np.ndarray, "h w"],
    before: UInt8[np.ndarray, "h w"],
    explained: UInt8[np.ndarray, "h w"],
) -> bool:
    """Whether a new shot begins: other grey levels, and motion explains little of the picture.

    Args:
        now: the picture.
        before: the one before.
        explained: that one, moved by the flow to where its things are now.
    """
    shares = [np.histogram(each[::2, ::2], 32, (0, 256))[0] for each in (now, before)]
    apart = 0.5 * float(np.abs(shares[0] - shares[1]).sum()) / max(1, int(shares[0].sum()))
    a, b = (each[::2, ::2].astype(np.float32) for each in (now, explained))
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a**2).mean() * (b**2).mean()))
    if spread < 4:  # black, fog, a blank wall: nothing to correlate
        return apart > 0.9
    correlation = float((a * b).mean()) / spread
    return (correlation < _CUT_CORRELATION and apart > _CUT_HISTOGRAM) or correlation < 0.2
