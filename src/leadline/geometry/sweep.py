"""Dense depth of a picture from any number of others with known poses, whatever the motion.

Planes of equal depth, evenly spaced in inverse depth, carry every other picture into the reference
picture; where a plane meets the surface both look alike. Likeness is the structure term of SSIM
(blind to brightness and contrast of exposure) or the census; a pixel that some pictures do not see
is judged by those that see it best. Semi-global aggregation then joins neighbours, the minimum is
found between planes, and maps made the same way from the other pictures confirm or contradict it.

Source: Collins, A Space-Sweep Approach to True Multi-Image Matching, CVPR 1996; Gallup et al.,
Real-Time Plane-Sweeping Stereo with Multiple Sweeping Directions, CVPR 2007; Hirschmueller, PAMI
2008 (aggregation); Schoenberger et al., Pixelwise View Selection, ECCV 2016 (consistency).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import DegenerateError, InputError, UnknownNameError
from leadline.geometry.agreement import SweptMap, agreement, confidence
from leadline.geometry.epipolar import (
    fundamental_from_cameras,
    sampson_error,
    second_from_first,
)
from leadline.geometry.inputs import camera_of, check_size, posed_camera
from leadline.geometry.matching import match
from leadline.geometry.opencv import grey_of, opencv
from leadline.geometry.pose_refinement import contradiction, refine_poses
from leadline.geometry.semi_global import (
    CENSUS_BITS,
    COST_RANGE,
    aggregate,
    census,
    differing_bits,
    margin,
    subpixel,
)
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Int16

    from leadline.camera import Camera

Likeness = Literal["ssim", "census"]
LIKENESSES = ("ssim", "census")
_REFINED_AT = 1000  # pixels of the long side; points are found more exactly than surfaces
_SSIM_C2 = (0.03 * 255) ** 2


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """How to sweep.

    Attributes:
        likeness: ``"ssim"`` or ``"census"``.
        window_px: side of the window of SSIM.
        planes: number of depths; None: as many as keep two neighbours one pixel apart.
        long_side: larger pictures are swept at this size, in pixels.
        small_step, large_step: what a depth that differs by one plane, or by more, costs a path.
        agree: relative difference of depths at which two maps agree by half.
    """

    likeness: Likeness = "ssim"
    window_px: int = 7
    planes: int | None = None
    long_side: int = 400
    small_step: int = 12
    large_step: int = 90
    agree: float = 0.03

    def __post_init__(self) -> None:
        if self.likeness not in LIKENESSES:
            raise UnknownNameError("likeness", self.likeness, LIKENESSES)
        if self.planes is not None and not 4 <= self.planes <= 1024:
            raise InputError(f"planes={self.planes}: from 4 to 1024 are needed.")


@dataclass(frozen=True, kw_only=True)
class _Depths:
    """``count`` inverse depths from ``low`` to ``high``, which move a point by ``span`` pixels."""

    low: float
    high: float
    count: int
    span: float

    @property
    def apart(self) -> int:
        """Planes that a pixel has room for; the neighbours in it are no rivals."""
        return max(1, round((self.count - 1) / self.span))


def plane_sweep(
    reference: Image,
    sources: Sequence[Image],
    *,
    near: float,
    far: float,
    metric: bool = True,
    refine: bool = True,
    consistent: bool = True,
    check: bool = True,
    config: SweepConfig | None = None,
) -> Prediction:
    """Depth of ``reference``.

    Args:
        reference: a picture whose camera has intrinsics and ``world_from_camera``.
        sources: one or more others of the same size, with theirs; a few centimetres per metre of
            depth apart is good.
        near: the smallest depth looked for, in the unit of the poses.
        far: the largest.
        metric: whether that unit is the metre; otherwise the result is ``scaled_depth``.
        refine: correct small errors of the sources' poses by matched points first; see
            :func:`refine_poses`. Their scale stays.
        consistent: sweep the sources too, at half the size, and doubt what they contradict.
        check: refuse poses or intrinsics that contradict matched points.
        config: see :class:`SweepConfig`.

    Returns:
        Depth with a confidence from 0 to 1 that ranks errors; from
        :data:`leadline.geometry.CONFIDENT` on it is confirmed. Not valid where no source looks.

    Raises:
        InputError: missing cameras or poses, mixed sizes, impossible depths, or poses and
            intrinsics that contradict the pictures.
        DegenerateError: no parallax: the cameras stand at one place, or too near for these depths.
        MissingDependencyError: OpenCV is not installed.
    """
    config = config or SweepConfig()
    opencv("plane sweep")
    _check_inputs(reference, sources, near, far)
    frames = [_shrink(image, config.long_side) for image in (reference, *sources)]
    span = _check_parallax(frames, near, far)
    if check:
        for image in frames[1:]:
            check_poses(frames[0], image)
    if refine:
        detail = max(_REFINED_AT, config.long_side)
        better = refine_poses(_shrink(reference, detail), [_shrink(i, detail) for i in sources])
        frames[1:] = [_take_pose(a, b) for a, b in zip(frames[1:], better, strict=True)]
    count = config.planes or int(np.clip(np.ceil(span) + 1, 32, 192))
    depths = _Depths(low=1 / far, high=1 / near, count=count, span=span)
    sweep = _sweep(frames[0], frames[1:], depths, config)
    confirmed = np.ones_like(sweep.sure)
    if consistent:
        confirmed = agreement(sweep, _sweep_sources(frames, depths, config), config.agree)
    sure = confidence(sweep, confirmed, (depths.high - depths.low) / span)
    return _restore(sweep, sure, reference, metric)


def _take_pose(image: Image, other: Image) -> Image:
    camera = camera_of(image).moved(camera_of(other).world_from_camera)
    return replace(image, camera=camera)


def check_poses(first: Image, second: Image, *, tolerance: float = 0.01) -> None:
    """Refuse poses and intrinsics that matched points contradict.

    Pictures with too little structure to decide (fewer than 30 matches) pass.

    Raises:
        InputError: half of the matches are farther from their epipolar lines than ``tolerance`` of
            the picture's long side.
    """
    try:
        found = match(first, second, limit=1500)
    except InputError:
        return
    if len(found) < 30:
        return
    matrix = fundamental_from_cameras(camera_of(first), camera_of(second))
    error = float(np.median(sampson_error(matrix, found.first, found.second)))
    limit = tolerance * max(first.size)
    if not error <= limit:
        names = f"{first.name or 'reference'} and {second.name or 'source'}"
        raise contradiction(names, error, limit)


def _check_inputs(reference: Image, sources: Sequence[Image], near: float, far: float) -> None:
    if not sources:
        raise InputError("plane_sweep was given no sources: one or more other pictures are needed.")
    for number, image in enumerate((reference, *sources)):
        name = f"source {number}" if number else "reference"
        posed_camera(image, name)
        check_size(image, reference.size, name)
    if min(reference.size) < 16:
        raise InputError(f"pictures of {reference.size}: 16 or more pixels a side are needed.")
    if not (np.isfinite([near, far]).all() and 0 < near < far):
        raise InputError(
            f"near={near}, far={far}: 0 < near < far is needed, in the unit of the poses."
        )


def _check_parallax(frames: Sequence[Image], near: float, far: float) -> float:
    """Pixels that a surface moves between ``near`` and ``far``, in the best source."""
    spans = [_span_px(camera_of(frames[0]), camera_of(image), near, far) for image in frames[1:]]
    if max(spans) < 2:
        raise DegenerateError(
            f"no parallax: from {near:g} to {far:g} away, points move by {max(spans):.2f} pixels "
            "between the pictures, and 2 or more are needed. Take pictures farther apart (turning "
            "alone gives no depth), or check the poses' unit against near and far."
        )
    return max(spans)


def _span_px(first: Camera, second: Camera, near: float, far: float) -> float:
    x, y = np.meshgrid(
        np.linspace(0, first.width - 1, 9), np.linspace(0, first.height - 1, 9), indexing="xy"
    )
    grid = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    ends = []
    for inverse in (1 / near, 1 / far):
        mapped = _homography(first, second, inverse) @ grid
        ends.append(np.where(mapped[2] > 0, mapped[:2] / np.maximum(mapped[2], 1e-12), np.nan))
    moved = np.linalg.norm(ends[0] - ends[1], axis=0)
    moved = moved[np.isfinite(moved)]
    return float(np.percentile(moved, 80)) if moved.size else 0.0


def _homography(first: Camera, second: Camera, inverse: float) -> Float[np.ndarray, "3 3"]:
    """Pixels of ``first`` to pixels of ``second`` by the plane of this inverse depth."""
    move = second_from_first(first, second)
    plane = move[:3, :3] + np.outer(move[:3, 3], (0.0, 0.0, inverse))
    return second.matrix @ plane @ np.linalg.inv(first.matrix)


def _shrink(image: Image, long_side: int) -> Image:
    h, w = image.size
    if max(h, w) <= long_side:
        return image
    scale = long_side / max(h, w)
    size = (max(16, round(w * scale)), max(16, round(h * scale)))
    cv2 = opencv()
    pixels = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA)
    return replace(image, pixels=pixels, camera=camera_of(image).resized(*size))


def _sweep(
    reference: Image,
    sources: Sequence[Image],
    depths: _Depths,
    config: SweepConfig,
) -> SweptMap:
    low, high, count = depths.low, depths.high, depths.count
    steps = np.linspace(low, high, count)
    cost, seen = _volume(reference, sources, steps, config)
    total = aggregate(cost, grey_of(reference), small=config.small_step, large=config.large_step)
    index = total.argmin(axis=2)
    at = subpixel(total, index)
    inverse = low + at * (high - low) / (count - 1)
    inside = (index > 0) & (index < count - 1)
    sure = np.sqrt(margin(total, index, apart=depths.apart)) * np.where(inside, 1, 0.3)
    return SweptMap(camera=camera_of(reference), inverse=inverse, seen=seen, sure=sure)


def _volume(
    reference: Image, sources: Sequence[Image], steps: np.ndarray, config: SweepConfig
) -> tuple[Int16[np.ndarray, "h w d"], Bool[np.ndarray, "h w"]]:
    """Cost of every pixel and inverse depth, and which pixels a source sees at any."""
    cv2 = opencv()
    h, w = reference.size
    compare = _Comparison(grey_of(reference), config)
    pictures = [grey_of(image) for image in sources]
    inside = np.full((h, w), 255, np.uint8)
    volume = np.empty((h, w, len(steps)), np.int16)
    seen = np.zeros((h, w), np.uint16)
    best = (len(sources) + 1) // 2
    costs = np.empty((len(sources), h, w), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for d, inverse in enumerate(steps):
        for k, (image, grey) in enumerate(zip(sources, pictures, strict=True)):
            matrix = _homography(camera_of(reference), camera_of(image), inverse)
            warped = cv2.warpPerspective(
                grey, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            there = cv2.warpPerspective(
                inside, matrix, (w, h), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            )
            costs[k] = np.where(there > 0, compare.cost(warped), np.inf)
        volume[:, :, d] = _mean_of_best(costs, best)
        seen += np.isfinite(costs).any(axis=0)
    return volume, seen * 2 > len(steps)


def _mean_of_best(costs: Float[np.ndarray, "n h w"], best: int) -> np.ndarray:
    """Mean of the ``best`` smallest that are finite; half the range where none is."""
    if best < len(costs):
        costs = np.sort(costs, axis=0)[:best]
    finite = np.isfinite(costs)
    number = finite.sum(axis=0)
    total = np.where(finite, costs, 0).sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), COST_RANGE / 2)


class _Comparison:
    """Cost of a warped picture against one reference, from 0 to COST_RANGE."""

    def __init__(self, grey: np.ndarray, config: SweepConfig) -> None:
        self.side = (config.window_px, config.window_px)
        self.by_census = config.likeness == "census"
        self.code = census(grey) if self.by_census else None
        self.grey = grey.astype(np.float32)
        self.mean, self.variance = self._moments(self.grey)

    def cost(self, warped: np.ndarray) -> np.ndarray:
        if self.code is not None:
            bits = differing_bits(self.code, census(warped))
            # A few bits differ by the warp's blur alone, and half of them between any two places.
            share = (bits.astype(np.float32) / CENSUS_BITS - 0.1) / 0.4
            return np.clip(share, 0, 1) * COST_RANGE
        other = warped.astype(np.float32)
        mean, variance = self._moments(other)
        together = self._box(self.grey * other) - self.mean * mean
        alike = (2 * together + _SSIM_C2) / (self.variance + variance + _SSIM_C2)
        return np.clip((1 - alike) * (COST_RANGE / 2), 0, COST_RANGE)

    def _moments(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = self._box(grey)
        return mean, np.maximum(self._box(grey * grey) - mean * mean, 0)

    def _box(self, grey: np.ndarray) -> np.ndarray:
        cv2 = opencv()
        return cv2.boxFilter(grey, cv2.CV_32F, self.side, borderType=cv2.BORDER_REFLECT_101)


def _sweep_sources(frames: Sequence[Image], depths: _Depths, config: SweepConfig) -> list[SweptMap]:
    """Maps of the sources, each from the reference and the others, at half the size."""
    half = [_shrink(image, max(16, max(image.size) // 2)) for image in frames]
    fewer = replace(depths, count=max(16, depths.count // 2), span=depths.span / 2)
    made = []
    for number in range(1, len(half)):
        others = [image for i, image in enumerate(half) if i != number]
        made.append(_sweep(half[number], others, fewer, config))
    return made


def _restore(sweep: SweptMap, sure: np.ndarray, reference: Image, metric: bool) -> Prediction:
    """The map at the picture's own size."""
    cv2 = opencv()
    h, w = reference.size
    inverse, seen = sweep.inverse.astype(np.float32), sweep.seen
    if inverse.shape != (h, w):
        inverse = cv2.resize(inverse, (w, h), interpolation=cv2.INTER_LINEAR)
        sure = cv2.resize(sure.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)
        nearest = cv2.resize(seen.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
        seen = nearest > 0
    return Prediction(
        values=np.where(seen, 1 / inverse, np.nan),
        kind=DepthKind.METRIC_DEPTH if metric else DepthKind.SCALED_DEPTH,
        camera=reference.camera,
        valid=seen,
        confidence=np.where(seen, sure, 0),
        model="plane-sweep",
        image=reference,
    )
