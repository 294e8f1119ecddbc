"""Metres for a network that gives affine maps, from the camera's own known motion.

A network knows shapes but no scale; motion knows metres, but only at points that are found again.
So: at keyframes, points are triangulated from the neighbouring keyframes, whose poses are in
metres; a scale and a shift take the network's values there to those depths, robustly; over time
scale and shift may change a little from keyframe to keyframe, and the frames between are on the
line between their keyframes. Frames are looked at one after another, so that a video needs no
memory of its pictures.

Source: Ranftl et al., MiDaS, PAMI 2022, sec. 5 (affine disparity); Rauch, Tung and Striebel,
Maximum Likelihood Estimates of Linear Dynamic Systems, AIAA 1965 (the smoother, here in its
least-squares form); Holland and Welsch, Robust Regression, 1977 (Cauchy weights).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leadline.alignment import Alignment
from leadline.errors import DegenerateError, InputError, KindError
from leadline.geometry import Features, RefinementConfig, detect, match_features, sparse_depth
from leadline.geometry.epipolar import second_from_first
from leadline.geometry.inputs import check_size, posed_camera, rays_of
from leadline.geometry.pose import measure_parallax
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jaxtyping import Float

    from leadline.camera import Camera
    from leadline.image import Image
    from leadline.prediction import Prediction

_CELLS = 8  # across the picture; points in one cell count as one together
_ACCEPTED = (
    *(DepthKind.AFFINE_DISPARITY, DepthKind.AFFINE_DEPTH, DepthKind.SCALED_DEPTH),
    *(DepthKind.SCALED_DISPARITY, DepthKind.PIXEL_DISPARITY),
)


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """How to find metres.

    Attributes:
        keyframe_parallax_deg: a new keyframe when rays to the same points have turned so much in
            the median, the camera's own turning taken out.
        keyframe_gap: ... or after so many frames.
        neighbours: keyframes on either side whose points are triangulated.
        features: points per keyframe at most.
        least_points: points that a keyframe needs to be fitted.
        depth_error: relative deviation of a triangulated depth up to which it counts.
        network_error: relative error that a network's map has of itself.
        scale_drift: relative change of scale and shift from keyframe to keyframe that is usual;
            infinite fits every keyframe alone.
        refinement: how far poses are trusted.
    """

    keyframe_parallax_deg: float = 1.5
    keyframe_gap: int = 30
    neighbours: int = 2
    features: int = 2000
    least_points: int = 12
    depth_error: float = 0.2
    network_error: float = 0.1
    scale_drift: float = 0.05
    refinement: RefinementConfig = field(default_factory=RefinementConfig)

    def __post_init__(self) -> None:
        numbers = (self.keyframe_parallax_deg, self.depth_error, self.network_error)
        if (
            min(numbers) <= 0
            or self.scale_drift <= 0
            or min(self.neighbours, self.keyframe_gap) < 1
        ):
            raise InputError(f"{self}: positive numbers, and counts of at least 1, are needed.")


@dataclass(frozen=True, kw_only=True)
class KeyframeFit:
    """What one keyframe gave.

    Attributes:
        frame: its number.
        points: triangulated points that took part; 0: it follows its neighbours.
        error: median relative error of the fitted map at those points, nan without any.
    """

    frame: int
    points: int
    error: float


@dataclass(frozen=True, kw_only=True)
class MotionFit:
    """Scale and shift of every frame.

    Attributes:
        alignments: one per frame; ``apply`` gives metres.
        keyframes: how well they were found.
    """

    alignments: list[Alignment]
    keyframes: list[KeyframeFit]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Key:
    """A keyframe: its features and what the network says at them, in inverse or plain depth."""

    frame: int
    features: Features
    camera: Camera
    values: np.ndarray
    name: str


def motion_fit(
    frames: Iterable[Image],
    predict: Callable[[Image], Prediction],
    *,
    config: MotionConfig | None = None,
) -> MotionFit:
    """Scale and shift that take every frame's map to metres.

    Args:
        frames: pictures in the order of time, of one size, whose cameras have intrinsics and
            poses (``world_from_camera``) in metres.
        predict: gives a frame's map; asked for keyframes only.
        config: see :class:`MotionConfig`.

    Returns:
        An alignment per frame, in the space of the map's kind.

    Raises:
        InputError: a frame without a camera or pose, mixed sizes, poses or intrinsics that
            contradict the pictures, or a network whose maps contradict the points.
        DegenerateError: fewer than two frames, or no parallax.
        KindError: a network that gives metres already.
    """
    config = config or MotionConfig()
    keys, count, kind = _keyframes(frames, predict, config)
    if len(keys) < 2:
        raise DegenerateError(
            f"{count} frames with {len(keys)} keyframe: the camera needs to move between them for "
            f"metres to show (rays turn by {config.keyframe_parallax_deg:g} degrees). Give frames "
            "farther apart; turning the camera alone gives no depth."
        )
    inverse = kind.larger_is_nearer
    free = kind not in (DepthKind.SCALED_DEPTH, DepthKind.SCALED_DISPARITY)
    systems = [_system(keys, k, config, inverse, free) for k in range(len(keys))]
    if not any(system.points for system in systems):
        raise DegenerateError(
            f"none of {len(keys)} keyframes has {config.least_points} points with a known depth: "
            "there is too little parallax or structure. Give frames farther apart, and check that "
            "the poses are in metres and belong to these pictures."
        )
    lines = _smooth(systems, config.scale_drift, free)
    space = "disparity" if inverse else "depth"
    places = np.array([key.frame for key in keys])
    scale, shift = (np.interp(np.arange(count), places, lines[:, c]) for c in (0, 1))
    return MotionFit(
        alignments=[
            Alignment(scale=float(s), shift=float(t), space=space)
            for s, t in zip(scale, shift, strict=True)
        ],
        keyframes=[
            KeyframeFit(frame=key.frame, points=system.points, error=system.error_of(line))
            for key, system, line in zip(keys, systems, lines, strict=True)
        ],
    )


def metres_from_motion(
    frames: Sequence[Image],
    predict: Callable[[Image], Prediction],
    *,
    max_depth: float | None = None,
    config: MotionConfig | None = None,
) -> list[Prediction]:
    """Every frame's depth in metres; see :func:`motion_fit`, which needs less memory.

    Args:
        frames: pictures in the order of time, whose cameras have intrinsics and poses in metres.
        predict: gives a frame's map, ``leadline.load().predict`` say.
        max_depth: metres; what lies beyond becomes this.
        config: see :class:`MotionConfig`.

    Raises:
        InputError, DegenerateError, KindError: see :func:`motion_fit`.
    """
    fit = motion_fit(frames, predict, config=config)
    return [
        predict(image).to_metric(scale=line.scale, shift=line.shift, max_depth=max_depth)
        for image, line in zip(frames, fit.alignments, strict=True)
    ]


def _keyframes(
    frames: Iterable[Image], predict: Callable[[Image], Prediction], config: MotionConfig
) -> tuple[list[_Key], int, DepthKind]:
    keys: list[_Key] = []
    count, kind, size = 0, DepthKind.AFFINE_DISPARITY, (0, 0)
    for number, image in enumerate(frames):
        camera, count = posed_camera(image, f"frame {number}"), number + 1
        size = size if keys else image.size
        check_size(image, size, f"frame {number}")
        features = _features(image, config.features)
        if features is None:
            continue
        if keys and number - keys[-1].frame < config.keyframe_gap:
            turned = _parallax_deg(keys[-1], features, camera)
            if turned is not None and turned < config.keyframe_parallax_deg:
                continue
        prediction = predict(image)
        kind = prediction.kind
        if kind not in _ACCEPTED:
            raise KindError(
                f"{prediction.model or 'the network'} gives {kind}, which needs no metres from "
                f"motion; this is for {', '.join(_ACCEPTED)}."
            )
        values = _sample_at(prediction, features.points)
        name = image.name or f"frame {number}"
        keys.append(_Key(frame=number, features=features, camera=camera, values=values, name=name))
    return keys, count, kind


def _features(image: Image, limit: int) -> Features | None:
    try:
        return detect(image, limit=limit)
    except InputError:  # a blank or blurred frame is no keyframe
        return None


def _parallax_deg(key: _Key, features: Features, camera: Camera) -> float | None:
    """Median angle between rays to the same points with the turning taken out; None: unknown."""
    found = match_features(key.features, features)
    if len(found) < 20:
        return None
    turn = second_from_first(key.camera, camera)[:3, :3]
    rays = rays_of(found.first, key.camera), rays_of(found.second, camera)
    return float(np.median(measure_parallax(turn, rays)))


def _sample_at(prediction: Prediction, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """The map at points, by the nearest pixel; nan where it has no value."""
    h, w = prediction.size
    x = np.clip(np.rint(points[:, 0]).astype(np.int64), 0, w - 1)
    y = np.clip(np.rint(points[:, 1]).astype(np.int64), 0, h - 1)
    return np.where(prediction.known[y, x], prediction.values[y, x], np.nan).astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _System:
    """One keyframe: its points, their targets and weights, and the line through them."""

    values: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    line: np.ndarray

    @property
    def points(self) -> int:
        return len(self.values)

    def error_of(self, line: np.ndarray) -> float:
        if not self.points:
            return float("nan")
        fitted = line[0] * self.values + line[1]
        return float(np.median(np.abs(fitted - self.targets) / self.targets))


_NOTHING = _System(values=np.zeros(0), targets=np.zeros(0), weights=np.zeros(0), line=np.zeros(2))


def _system(
    keys: list[_Key], place: int, config: MotionConfig, inverse: bool, free: bool
) -> _System:
    """Points of one keyframe that its neighbours triangulate, weighted so that outliers fall."""
    low, high = max(0, place - config.neighbours), place + config.neighbours + 1
    key, others = keys[place], [k for k in keys[low:high] if k is not keys[place]]
    try:
        found = sparse_depth(
            [key.features, *(k.features for k in others)],
            [key.camera, *(k.camera for k in others)],
            config=config.refinement,
        )
    except InputError as error:
        names = ", ".join(k.name for k in others)
        raise InputError(f"{key.name} beside {names}: {error}") from error
    values = key.values[found.rows]
    relative = found.deviation / found.inverse
    keep = np.isfinite(values) & (relative < config.depth_error)
    values, relative = values[keep], relative[keep]
    targets = found.inverse[keep] if inverse else 1 / found.inverse[keep]
    if len(values) < config.least_points or np.ptp(values) == 0:
        return _NOTHING
    sigma = np.hypot(relative, config.network_error) * targets
    weights = 1 / (sigma**2 * _crowd(found.points[keep], key.camera.width / _CELLS))
    line, weights = _robust_line(values, targets, weights, free)
    if line[0] <= 0:
        return _NOTHING
    return _System(values=values, targets=targets, weights=weights, line=line)


def _crowd(points: Float[np.ndarray, "n 2"], cell: float) -> Float[np.ndarray, " n"]:
    """Number of points in the cell of every point: a poster has many and a table none."""
    cells = np.floor(points / cell).astype(np.int64)
    _, which, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    return counts[which.ravel()].astype(np.float64)


def _robust_line(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, free: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Line with Cauchy weights whose width follows the residuals; (scale, shift) and weights."""
    unit = np.sqrt(weights)
    line = _line(x, y, weights, free)  # absolute deviations next: outliers hardly move these
    for _ in range(30):
        apart = np.abs(line[0] * x + line[1] - y) * unit
        line = _line(x, y, weights / np.maximum(apart, 1e-3 * apart.max() + 1e-12), free)
    final = weights
    for _ in range(30):
        apart = (line[0] * x + line[1] - y) * unit
        width = max(1.4826 * float(np.median(np.abs(apart))), 1e-3 * float(unit.mean()) * y.mean())
        final = weights / (1 + (apart / (1.5 * width)) ** 2)
        line = _line(x, y, final, free)
    return line, final / width**2


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray, free: bool) -> np.ndarray:
    """The standard major axis; without a shift, the weighted mean ratio.

    Both the network and the points err. A regression of one on the other would flatten the line
    where depths are nearly the same, and so put what is near too far away.
    """
    if not free:
        return np.array([(weights * x * y).sum() / max((weights * x * x).sum(), 1e-300), 0.0])
    total = weights.sum()
    mean_x, mean_y = (weights * x).sum() / total, (weights * y).sum() / total
    xx = (weights * (x - mean_x) ** 2).sum()
    yy = (weights * (y - mean_y) ** 2).sum()
    xy = (weights * (x - mean_x) * (y - mean_y)).sum()
    scale = np.sign(xy) * np.sqrt(yy / max(xx, 1e-300))
    return np.array([scale, mean_y - scale * mean_x])


def _smooth(systems: list[_System], drift: float, free: bool) -> Float[np.ndarray, "k 2"]:
    """Scale and shift of all keyframes at once: their lines, and ties between neighbours.

    A line counts as much as its points say, which err alike in one cell of the picture.
    """
    count = len(systems)
    matrix, right = np.zeros((2 * count, 2 * count)), np.zeros(2 * count)
    here = [system for system in systems if system.points]
    typical = float(np.median([system.line[0] for system in here]))
    level = float(np.median([np.median(system.targets) for system in here]))
    unit = np.array([typical, level if free else 1.0])  # unknowns in units of what is usual
    for k, system in enumerate(systems):
        if system.points:
            rows = np.stack([system.values, np.full(system.points, float(free))], 1) * unit
            information = (rows * system.weights[:, None]).T @ rows
            block = slice(2 * k, 2 * k + 2)
            matrix[block, block] += information
            right[block] += information @ (system.line / unit)
    tie = 1 / min(drift, 1e3) ** 2
    for k in range(count - 1):
        for c in (0, 1):
            i, j = 2 * k + c, 2 * (k + 1) + c
            matrix[[i, j], [i, j]] += tie
            matrix[[i, j], [j, i]] -= tie
    matrix[np.diag_indices_from(matrix)] += 1e-9  # a shift that nothing asks for is 0
    solved = np.linalg.solve(matrix, right).reshape(count, 2) * unit
    if (solved[:, 0] <= 0).any():
        raise InputError(
            f"the fitted scale is {solved[:, 0].min():.3g} at a keyframe: what the motion puts "
            "nearer, the network shows farther away. Check the poses' order and direction "
            "(world_from_camera), or take a better network."
        )
    return solved
