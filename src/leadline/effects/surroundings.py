"""Depth of field and fog: what air and a large lens make of a picture.

Source: Potmesil and Chakravarty, A lens and aperture camera model for synthetic image generation,
SIGGRAPH 1981 (the circle of confusion grows with the difference of inverse depths); Koschmieder,
Theorie der horizontalen Sichtweite, 1924 (light fades exponentially with distance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leadline import viz
from leadline.errors import InputError
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from leadline.prediction import Prediction

    Picture = UInt8[np.ndarray, "h w 3"]

_GAMMA = 2.2  # light adds up, grey levels do not
_MOST_SAMPLES = 150
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def find_photo(prediction: Prediction) -> Picture:
    """The picture of a prediction.

    Raises:
        InputError: it holds none.
    """
    if prediction.image is None:
        raise InputError(
            "this prediction holds no picture (it was read from a file, say); give one: "
            "dataclasses.replace(prediction, image=leadline.read_image(path))."
        )
    return prediction.image.pixels


def nearness_share(
    prediction: Prediction, *, limits: tuple[float, float] | None = None
) -> Float[np.ndarray, "h w"]:
    """Nearness from 0 (farthest) to 1 (nearest); pixels without a value are farthest.

    Args:
        prediction: a map of any kind.
        limits: what counts as 0 and 1, in the domain of :func:`leadline.viz.nearness`; default: the
            0.5th and 99.5th percentile. Give the frames of a film the same.

    Raises:
        InputError: a map without any value.
    """
    near = viz.nearness(prediction.values, prediction.kind)
    known = prediction.known & np.isfinite(near)
    if not known.any():
        raise InputError(
            "the map holds no value at all, so nothing is nearer; use another picture."
        )
    low, high = limits or viz.value_range(near, known, percentiles=(0.5, 99.5))
    share = (np.where(known, near, low) - low) / max(high - low, 1e-12)
    return np.clip(share, 0, 1).astype(np.float32)


def refocus(
    prediction: Prediction, focus: tuple[float, float], *, aperture: float = 1.0
) -> Picture:
    """The picture as a large lens takes it: sharp at one depth, soft before and behind it.

    What is sharp keeps its outline before a soft background; soft things before it spill over it.

    Args:
        prediction: a map of any kind with its picture.
        focus: x and y of a pixel that is to be sharp.
        aperture: radius of the largest blur in percent of the long side; 0.1 to 5.

    Raises:
        InputError: no picture, a pixel outside of it, or an aperture out of range.
    """
    photo, near = find_photo(prediction), nearness_share(prediction)
    (h, w), (x, y) = prediction.size, focus
    if not (-0.5 <= x < w - 0.5 and -0.5 <= y < h - 0.5):
        raise InputError(f"focus ({x:g}, {y:g}) in a picture of {w}x{h}: a pixel of it is needed.")
    if not 0.1 <= aperture <= 5:
        raise InputError(f"aperture={aperture:g}: 0.1 to 5 percent of the long side are needed.")
    most = aperture * 0.01 * max(h, w)
    sharp = float(near[round(y), round(x)])
    radius = np.abs(near - sharp) / max(sharp, 1 - sharp) * np.float32(most)
    light = (photo / np.float32(255)) ** _GAMMA
    offsets = _spread_offsets(most)
    reach = int(np.ceil(most))
    per_sample = np.float32(most**2 / max(len(offsets), 1))  # pixels that each stands for, over pi
    weights = 1 / (np.pi * np.maximum(radius, 0.5) ** 2)  # a disk's light is spread over its area
    total = light * weights[..., None]
    padded = [np.pad(a, ((reach, reach), (reach, reach)), mode="edge") for a in (near, radius)]
    wide = np.pad(light, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    for dy, dx in offsets:
        there = slice(reach + dy, reach + dy + h), slice(reach + dx, reach + dx + w)
        other_near, other_radius = padded[0][there], padded[1][there]
        before = other_near > near + 0.02
        disk = np.where(before, other_radius, np.minimum(other_radius, radius))
        weight = np.clip(disk - np.float32(np.hypot(dy, dx)) + 1, 0, 1)
        weight *= per_sample / np.maximum(disk, 0.5) ** 2
        total += wide[there] * weight[..., None]
        weights += weight
    mixed = (total / weights[..., None]) ** (1 / _GAMMA)
    return np.clip(np.rint(mixed * 255), 0, 255).astype(np.uint8)


def add_fog(
    prediction: Prediction,
    strength: float = 0.7,
    *,
    color: tuple[int, int, int] = (214, 219, 224),
) -> Picture:
    """The picture in fog, thicker with distance.

    Depths fade as air does, by distance; disparities, which have none, by nearness.

    Args:
        prediction: a map of any kind with its picture.
        strength: share of the light of the farthest that the fog takes, above 0 and below 1.
        color: RGB of the fog.

    Raises:
        InputError: no picture, or a strength out of range.
    """
    if not 0 < strength < 1:
        raise InputError(f"fog strength={strength:g}: above 0 and below 1 is needed.")
    photo, far = find_photo(prediction), 1 - nearness_share(prediction)
    if prediction.kind in (DepthKind.METRIC_DEPTH, DepthKind.SCALED_DEPTH):
        known = prediction.known & (prediction.values > 0)
        _, end = viz.value_range(prediction.values, known)
        far = np.where(known, prediction.values / max(end, 1e-12), 1.0)
    clear = (1 - strength) ** np.minimum(far, 1)[..., None]
    mixed = photo * clear + np.array(color) * (1 - clear)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _spread_offsets(radius: float) -> list[tuple[int, int]]:
    """Whole offsets (dy, dx) evenly over a disk, without its centre: a sunflower's seeds."""
    count = int(min(_MOST_SAMPLES, np.pi * (radius + 1) ** 2))
    number = np.arange(1, count + 1)
    length, angle = radius * np.sqrt(number / count), number * _GOLDEN_ANGLE
    places = np.rint(np.stack([length * np.sin(angle), length * np.cos(angle)], axis=1))
    pairs = [(int(dy), int(dx)) for dy, dx in places]
    return [pair for pair in dict.fromkeys(pairs) if pair != (0, 0)]
