"""Small errors of given poses, corrected by matched points; their scale stays.

Trackers of depth cameras and phones leave a few tenths of a degree, which is several pixels: enough
to make a plane sweep miss. Points of the reference picture, each with one unknown, its inverse
depth, and the sources' poses are fitted together to where the points are seen; the given poses hold
the fit where the points say little, and hold the scale.

Source: Triggs et al., Bundle Adjustment - A Modern Synthesis, 1999 (robust least squares, points
eliminated first); Civera et al., Inverse Depth Parametrization for Monocular SLAM, TRO 2008.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.geometry.epipolar import (
    fundamental_from_cameras,
    inverse_rigid,
    sampson_error,
    second_from_first,
)
from leadline.geometry.inputs import camera_of, rays_of, slopes_of
from leadline.geometry.matching import Features, detect, match_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

    from leadline.camera import Camera
    from leadline.image import Image

_ROUNDS = 30
_LEAST = 30  # matches that a source needs; with fewer its pose stays
_CONTRADICTS = 3.0  # a match that ends so many deviations off


@dataclass(frozen=True, kw_only=True)
class RefinementConfig:
    """How far to trust what.

    Attributes:
        noise_px: of a matched point.
        rotation_deg: how far a given rotation may be off.
        translation: how far a given place may be off, as a share of the mean baseline.
        refuse: poses are refused, not corrected, when half of the matches are farther from their
            epipolar lines than this share of the picture's long side.
    """

    noise_px: float = 1.0
    rotation_deg: float = 0.5
    translation: float = 0.02
    refuse: float = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseDepth:
    """Depth of the points that a picture shares with others, and the others' corrected cameras.

    Attributes:
        rows: (n,) which features of the reference they are.
        points: (n, 2) x and y in the reference picture, in pixels.
        inverse: (n,) inverse depths along its optical axis, in 1 / unit of the poses.
        deviation: (n,) standard deviations of them.
        views: (n,) number of other pictures that see them.
        cameras: of the other pictures, with corrected poses.
    """

    rows: Int[np.ndarray, " n"]
    points: Float[np.ndarray, "n 2"]
    inverse: Float[np.ndarray, " n"]
    deviation: Float[np.ndarray, " n"]
    views: Int[np.ndarray, " n"]
    cameras: list[Camera]

    def __len__(self) -> int:
        return len(self.rows)


def refine_poses(
    reference: Image, sources: Sequence[Image], *, config: RefinementConfig | None = None
) -> list[Image]:
    """The sources with corrected poses; the reference's pose and the scale stay.

    Args:
        reference: a picture with a camera and a pose.
        sources: others, with theirs. One that shares too few points keeps its pose.
        config: see :class:`RefinementConfig`.

    Raises:
        InputError: a picture without a camera or a pose, or poses or intrinsics that contradict
            the pictures.
    """
    images = (reference, *sources)
    cameras = [camera_of(image) for image in images]
    try:
        features = [detect(image, limit=3000) for image in images]
    except InputError:  # too little structure to correct anything
        return list(sources)
    fit = sparse_depth(features, cameras, config=config)
    pairs = zip(sources, fit.cameras, strict=True)
    return [replace(source, camera=camera) for source, camera in pairs]


def sparse_depth(
    features: Sequence[Features],
    cameras: Sequence[Camera],
    *,
    config: RefinementConfig | None = None,
) -> SparseDepth:
    """Depth of the first picture's features from the others, whose poses are corrected meanwhile.

    Points that move the wrong way or that one match contradicts are left out.

    Args:
        features: of every picture, the reference first.
        cameras: their cameras, with poses.
        config: see :class:`RefinementConfig`.

    Raises:
        InputError: a camera without a pose, or poses or intrinsics that contradict the matches.
    """
    config = config or RefinementConfig()
    own, camera = features[0], cameras[0]
    others = list(zip(features[1:], cameras[1:], strict=True))
    moves = np.array([second_from_first(camera, other) for _, other in others])
    seen = [_match_source(own, camera, *other, config.refuse) for other in others]
    used = [k for k, (rows, _) in enumerate(seen) if len(rows) >= _LEAST]
    corrected = list(cameras[1:])
    if not used:
        none = np.zeros(0)
        whole = none.astype(np.int64)
        return SparseDepth(
            rows=whole,
            points=np.zeros((0, 2)),
            inverse=none,
            deviation=none,
            views=whole,
            cameras=corrected,
        )
    fit = _Fit(
        rays=rays_of(own.points, camera),
        rows=[seen[k][0] for k in used],
        slopes=[seen[k][1] for k in used],
        focals=np.array([(others[k][1].fx + others[k][1].fy) / 2 for k in used]),
        rotations=moves[used, :3, :3],
        translations=moves[used, :3, 3],
        config=config,
    )
    rotations, places, inverse = fit.solve()
    world = np.asarray(camera.world_from_camera)
    for k, rotation, place in zip(used, rotations, places, strict=True):
        move = np.eye(4)
        move[:3, :3], move[:3, 3] = rotation, place
        corrected[k] = cameras[k + 1].moved(world @ inverse_rigid(move))
    deviation, views = fit.judge(rotations, places, inverse)
    good = np.nonzero((inverse > 0) & np.isfinite(deviation))[0]
    return SparseDepth(
        rows=good,
        points=own.points[good],
        inverse=inverse[good],
        deviation=deviation[good],
        views=views[good],
        cameras=corrected,
    )


def contradiction(which: str, error_px: float, limit_px: float) -> InputError:
    """The error for poses or intrinsics that the pictures contradict."""
    return InputError(
        f"{which}: matched points lie {error_px:.1f} pixels from where their cameras put them, "
        f"and {limit_px:.1f} or less are needed: the poses or the intrinsics are wrong. "
        "Poses are world_from_camera with x right, y down, z forward, one per picture in the "
        "pictures' order; intrinsics are pixels of this picture size."
    )


def _match_source(
    own: Features, camera: Camera, features: Features, other: Camera, refuse: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which features of the reference another picture sees, and at which slopes."""
    nothing = np.zeros(0, np.int64), np.zeros((0, 2))
    if np.linalg.norm(second_from_first(camera, other)[:3, 3]) < 1e-9:
        return nothing  # the camera rested: no parallax
    found = match_features(own, features)
    if len(found) < _LEAST or found.indices is None:
        return nothing
    matrix = fundamental_from_cameras(camera, other)
    error = sampson_error(matrix, found.first, found.second)
    middle = float(np.median(error))
    limit = refuse * max(camera.width, camera.height)
    if middle > limit:
        raise contradiction("two of the frames", middle, limit)
    keep = error <= 4 * middle + 1
    return found.indices[keep, 0], slopes_of(found.second[keep], other)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    rays: np.ndarray
    rows: list[np.ndarray]
    slopes: list[np.ndarray]
    focals: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    config: RefinementConfig

    def solve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rotations, places and inverse depths: Levenberg-Marquardt with the points eliminated."""
        rotations, places = self.rotations.copy(), self.translations.copy()
        unit = float(np.linalg.norm(places, axis=1).mean()) or 1.0
        inverse = self._start(rotations, places)
        damping, cost = 1e-3, self._cost(rotations, places, inverse, unit)
        for _ in range(_ROUNDS):
            step, shift = self._step(rotations, places, inverse, unit, damping)
            tried_r = np.array([_turn(s[:3]) @ r for s, r in zip(step, rotations, strict=True)])
            tried = (tried_r, places + step[:, 3:], inverse + shift)
            new = self._cost(*tried, unit)
            if new < cost:
                done = cost - new < 1e-6 * cost
                (rotations, places, inverse), cost = tried, new
                damping = max(damping / 5, 1e-9)
                if done:
                    break
            else:
                damping *= 8
                if damping > 1e6:
                    break
        # Trust in the given places shortens what turned away from them; lengths hold the scale.
        given, found = (np.linalg.norm(p, axis=1).sum() for p in (self.translations, places))
        longer = float(given / found) if found > 0 and given > 0 else 1.0
        return rotations, places * longer, inverse / longer

    def judge(
        self, rotations: np.ndarray, places: np.ndarray, inverse: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Deviation of every inverse depth, infinite where a match contradicts it; views."""
        information = np.zeros(len(self.rays))
        views, wrong = np.zeros(len(self.rays), np.int64), np.zeros(len(self.rays), bool)
        for k, rows in enumerate(self.rows):
            error, by_point, _ = self._residuals(k, rotations, places, inverse)
            np.add.at(information, rows, ((by_point @ places[k]) ** 2).sum(1))
            np.add.at(views, rows, 1)
            wrong[rows[(error**2).sum(1) > _CONTRADICTS**2]] = True
        deviation = 1 / np.sqrt(np.maximum(information, 1e-300))
        return np.where(wrong | (views == 0), np.inf, deviation), views

    def _start(self, rotations: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Inverse depth of every point by least squares over the pictures that see it."""
        above, below = np.zeros(len(self.rays)), np.full(len(self.rays), 1e-12)
        for k, rows in enumerate(self.rows):
            turned = self.rays[rows] @ rotations[k].T
            # (turned + p t)[:2] = slope (turned + p t)[2], a line in p for either coordinate
            a = places[k][:2] - self.slopes[k] * places[k][2]
            b = self.slopes[k] * turned[:, 2:] - turned[:, :2]
            np.add.at(above, rows, (a * b).sum(1))
            np.add.at(below, rows, (a * a).sum(1))
        return np.maximum(above / below, 0)

    def _residuals(
        self, k: int, rotations: np.ndarray, places: np.ndarray, inverse: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Errors in units of the noise, their derivative by the point, and turned rays."""
        turned = self.rays[self.rows[k]] @ rotations[k].T
        point = turned + inverse[self.rows[k]][:, None] * places[k]
        z = np.maximum(point[:, 2], 1e-6)
        slope = point[:, :2] / z[:, None]
        gain = self.focals[k] / self.config.noise_px
        by_point = np.zeros((len(z), 2, 3))
        by_point[:, 0, 0] = by_point[:, 1, 1] = gain / z
        by_point[:, :, 2] = -gain * slope / z[:, None]
        return gain * (slope - self.slopes[k]), by_point, turned

    def _cost(
        self, rotations: np.ndarray, places: np.ndarray, inverse: np.ndarray, unit: float
    ) -> float:
        total = 0.0
        for k in range(len(self.rows)):
            error, _, _ = self._residuals(k, rotations, places, inverse)
            total += np.log1p((error**2).sum(1)).sum()
        return total + 0.5 * float((self._apart(rotations, places, unit) ** 2).sum())

    def _apart(
        self, rotations: np.ndarray, places: np.ndarray, unit: float
    ) -> Float[np.ndarray, "k 6"]:
        """How far every pose is from the given one, in units of the trust in it."""
        turn = np.array(
            [_vector(r @ r0.T) for r, r0 in zip(rotations, self.rotations, strict=True)]
        )
        shift = (places - self.translations) / (self.config.translation * unit)
        return np.concatenate([turn / np.radians(self.config.rotation_deg), shift], axis=1)

    def _step(
        self,
        rotations: np.ndarray,
        places: np.ndarray,
        inverse: np.ndarray,
        unit: float,
        damping: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        n, count = len(self.rays), len(self.rows)
        poses = np.zeros((count, 6, 6))
        right = np.zeros((count, 6))
        cross = np.zeros((count, n, 6))
        point, point_right = np.zeros(n), np.zeros(n)
        for k, rows in enumerate(self.rows):
            error, by_point, turned = self._residuals(k, rotations, places, inverse)
            weight = 1 / (1 + (error**2).sum(1))
            by_pose = np.concatenate(
                [-by_point @ _skews(turned), by_point * inverse[rows][:, None, None]], axis=2
            )
            by_inverse = by_point @ places[k]
            weighted = by_pose * weight[:, None, None]
            poses[k] = np.einsum("nij,nik->jk", weighted, by_pose)
            right[k] = -np.einsum("nij,ni->j", weighted, error)
            cross[k, rows] = np.einsum("nij,ni->nj", weighted, by_inverse)
            np.add.at(point, rows, weight * (by_inverse**2).sum(1))
            np.add.at(point_right, rows, -weight * (by_inverse * error).sum(1))
        scale = np.r_[
            np.full(3, 1 / np.radians(self.config.rotation_deg)),
            np.full(3, 1 / (self.config.translation * unit)),
        ]
        poses += np.diag(scale**2) / 2  # the data's derivatives are halves too
        right -= self._apart(rotations, places, unit) * scale / 2
        point = point * (1 + damping) + 1e-9
        matrix = np.zeros((6 * count, 6 * count))
        flat = cross.transpose(0, 2, 1).reshape(6 * count, n)
        for k in range(count):
            block = slice(6 * k, 6 * k + 6)
            matrix[block, block] = poses[k] + damping * np.diag(np.diag(poses[k]))
        matrix -= (flat / point) @ flat.T
        vector = right.ravel() - flat @ (point_right / point)
        step = np.linalg.solve(matrix, vector)
        shift = (point_right - flat.T @ step) / point
        return step.reshape(count, 6), shift


def _skews(vectors: np.ndarray) -> np.ndarray:
    """Matrices whose products are cross products, one per row."""
    out = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -z, y, -x
    out[:, 1, 0], out[:, 2, 0], out[:, 2, 1] = z, -y, x
    return out


def _turn(vector: np.ndarray) -> np.ndarray:
    """Rotation by a vector of axis times angle."""
    angle = float(np.linalg.norm(vector))
    skew = _skews(vector[None])[0]
    if angle < 1e-12:
        return np.eye(3) + skew
    return np.eye(3) + np.sin(angle) / angle * skew + (1 - np.cos(angle)) / angle**2 * skew @ skew


def _vector(rotation: np.ndarray) -> np.ndarray:
    """Axis times angle of a rotation below half a turn."""
    axis = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine = np.linalg.norm(axis) / 2
    angle = np.arctan2(sine, (np.trace(rotation) - 1) / 2)
    return axis / 2 * (angle / sine if sine > 1e-12 else 1.0)
