"""Poses of one set of cameras in two worlds: normalise them, and find the similarity between both.

A network that sees several views places them in a world of its own, up to one scale. Where poses
are known, the similarity between both worlds brings depths and cameras into the known one.

Poses are ``world_from_camera``; see docs/conventions.md.

Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns,
PAMI 1991; Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), section 3 and its published
interface (normalising, robust fit from ten views on).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

    Poses = Float[np.ndarray, "n 4 4"]

ROBUST_FROM = 10
"""Views from which on single wrong poses are found out."""

_NEAREST = 0.1  # median distance below which poses are not spread further
_ROUNDS, _SEED = 10, 42
_FLAT = 1e-6  # ratio of the second to the first extent below which centres lie on one line


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarity:
    """``target = scale * rotation @ source + translation``.

    Attributes:
        scale: target lengths per source length.
        rotation: (3, 3).
        translation: (3,) in target lengths.
    """

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, " 3"]

    def move_points(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points of the source world in the target world."""
        return self.scale * points @ self.rotation.T + self.translation

    def move_poses(self, poses: Poses) -> Poses:
        """Cameras of the source world in the target world; they stay rigid."""
        moved = np.array(poses, dtype=np.float64)
        moved[:, :3, :3] = self.rotation @ moved[:, :3, :3]
        moved[:, :3, 3] = self.move_points(moved[:, :3, 3])
        return moved


def normalise_poses(poses: Poses) -> Poses:
    """Poses in the frame of the first camera, as networks with given poses are trained on.

    Args:
        poses: (n, 4, 4) ``world_from_camera``.

    Returns:
        (n, 4, 4) float64: the first is the identity, and positions are divided by the lower median
        of their distances from the first (itself included), or by 0.1 where that is less.

    Raises:
        InputError: another shape.

    Source: Depth Anything 3's interface.
    """
    poses = _check_poses(poses)
    relative = np.linalg.inv(poses[0]) @ poses
    distances = np.sort(np.linalg.norm(relative[:, :3, 3], axis=1))
    relative[:, :3, 3] /= max(distances[(len(distances) - 1) // 2], _NEAREST)
    return relative


def fit_similarity(source: Poses, target: Poses) -> Similarity:
    """The similarity that takes the cameras of one world to the same cameras of another.

    Three or more centres that do not lie on one line decide by themselves (Umeyama). From
    :data:`ROBUST_FROM` views on, views that do not agree with most are left out. Fewer centres, or
    centres on one line, leave the rotation open, so the cameras' own rotations decide with them;
    centres in one place, or a single view, leave the scale open, and it stays 1.

    Depth Anything 3 with given poses: with ``fit_similarity(given, predicted)``, predicted depths
    over ``scale`` are in the given world.

    Args:
        source: (n, 4, 4) ``world_from_camera``.
        target: (n, 4, 4) of the same cameras, in the same order.

    Raises:
        InputError: other shapes, or numbers that differ.
    """
    source, target = _check_poses(source), _check_poses(target)
    if len(source) != len(target):
        raise InputError(
            f"{len(source)} and {len(target)} poses: the same cameras are needed in both worlds; "
            "give one pose a view, in one order."
        )
    if len(source) >= ROBUST_FROM:
        agreeing = _agreeing_views(source, target)
        source, target = source[agreeing], target[agreeing]
    return _fit(source, target)


def _fit(source: Poses, target: Poses) -> Similarity:
    """Least squares over the centres, with the cameras' rotations where these leave it open."""
    a, b = source[:, :3, 3], target[:, :3, 3]
    a0, b0 = a - a.mean(0), b - b.mean(0)
    spread_a, spread_b = np.sum(a0 * a0), np.sum(b0 * b0)
    covariance = b0.T @ a0
    extents = np.linalg.svd(covariance, compute_uv=False)
    if extents[1] > _FLAT * extents[0]:
        rotation, singular = _nearest_rotation(covariance)
        scale = float(singular / spread_a)
    else:
        turned = (target[:, :3, :3] @ source[:, :3, :3].swapaxes(1, 2)).mean(0)
        rotation, _ = _nearest_rotation(covariance / max(extents[0], 1e-300) + turned)
        scale = float(np.sqrt(spread_b / spread_a)) if min(spread_a, spread_b) > 0 else 1.0
    return Similarity(
        scale=scale, rotation=rotation, translation=b.mean(0) - scale * rotation @ a.mean(0)
    )


def _nearest_rotation(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """The rotation R with the largest trace of R^T matrix, and that trace."""
    u, singular, vt = np.linalg.svd(matrix)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    return (u * signs) @ vt, float(singular @ signs)


def _agreeing_views(source: Poses, target: Poses) -> np.ndarray:
    """Views that the best of some fits to halves of them brings close to where they are.

    Close is the median, over target centres, of the distance to the nearest source centre after a
    fit to all.
    """
    n, rng = len(source), np.random.default_rng(_SEED)
    centres = target[:, :3, 3]
    placed = _fit(source, target).move_points(source[:, :3, 3])
    nearest = np.linalg.norm(centres[:, None] - placed[None], axis=-1).min(1)
    limit = np.median(nearest)
    best, agreeing = (0, -np.inf), np.ones(n, bool)
    for _ in range(_ROUNDS):
        half = rng.choice(n, (n + 1) // 2, replace=False)
        placed = _fit(source[half], target[half]).move_points(source[:, :3, 3])
        error = np.linalg.norm(placed - centres, axis=1)
        close = error <= limit
        if close.sum() >= 3 and (close.sum(), -error[close].mean()) > best:
            best, agreeing = (close.sum(), -error[close].mean()), close
    return agreeing


def _check_poses(poses: Poses) -> Poses:
    poses = np.asarray(poses, dtype=np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0:
        raise InputError(
            f"poses of shape {poses.shape}: (n, 4, 4) world_from_camera matrices are needed, one a "
            "view."
        )
    if not np.isfinite(poses).all():
        raise InputError("poses that are not finite; give 4x4 matrices of numbers.")
    return poses
