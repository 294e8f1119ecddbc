"""The most likely motion between two views, from matches of which some are wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.geometry.epipolar import skew

if TYPE_CHECKING:
    from jaxtyping import Float

Rays = tuple[np.ndarray, np.ndarray]
"""Slopes of matched points in both cameras, (n, 3) with z = 1 each."""

_MIN_NOISE_PX, _WIDE_NOISE_PX = 0.02, 3.0
_PRIOR = 4.0  # matches' worth of the whole share that every bin has beforehand
_SHIFT_EDGES_PX = np.array([-256, -128, -64, -32, -16, -8, -4, -2, 2, 4, 8, 16, 32, 64, 128, 256.0])
_NEAR_LINE_PX = 60.0  # within this, wrong matches are as dense as on the line


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """What right and wrong matches look like.

    Right ones lie near their epipolar lines (Student's t distribution with 2 degrees of freedom:
    real noise has heavier tails than the normal one); wrong ones anywhere near them. How
    far matches are shifted along the lines (negative: behind the cameras) tells them apart too:
    wrong ones have shifts that few right ones have. Without this, a motion is bent so that some
    wrong matches with large shifts, which weigh most, happen to fit.

    Attributes:
        noise_px: scale of right matches' Sampson distances.
        shares: of right matches in every bin of shifts.
        density: of wrong matches, per pixel of distance.
    """

    noise_px: float
    shares: np.ndarray
    density: float

    @classmethod
    def wide(cls, noise_px: float) -> Mixture:
        """One that knows nothing of shifts."""
        shares = np.full(len(_SHIFT_EDGES_PX) + 1, 0.6)
        return cls(noise_px=noise_px, shares=shares, density=1 / 300)


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """A rotation and a unit direction (second from first), and what the fit says of it.

    Attributes:
        rotation: (3, 3).
        direction: (3,) of length 1.
        mixture: of right and wrong matches.
        right: (n,) probability that a match is right.
        weight: (n,) of every match in the least squares.
        cost: negative logarithm of the likelihood.
        rotation_sigma_deg, direction_sigma_deg: standard deviations.
    """

    rotation: Float[np.ndarray, "3 3"]
    direction: Float[np.ndarray, " 3"]
    mixture: Mixture
    right: Float[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    cost: float
    rotation_sigma_deg: float = math.nan
    direction_sigma_deg: float = math.nan


def fit_motion(
    rays: Rays, focals: Float[np.ndarray, "2 2"], starts: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Motion:
    """The most likely of the motions that are reached from ``starts``.

    Args:
        rays: of all matches.
        focals: fx and fy of both cameras.
        starts: rotations and directions.
    """
    fits = [_climb(rays, focals, _begin(rays, focals, R, t)) for R, t in starts]
    return min(fits, key=lambda fit: fit.cost)


def rotation_from(
    first: Float[np.ndarray, "n 3"], second: Float[np.ndarray, "n 3"], *, limit: float
) -> Float[np.ndarray, "3 3"]:
    """The rotation that takes most rays of the first camera to the second's, outliers left out.

    Args:
        first: rays with z = 1.
        second: the same places' rays in the other camera.
        limit: angle in radians up to which a pair agrees.
    """
    a = first / np.linalg.norm(first, axis=1, keepdims=True)
    b = second / np.linalg.norm(second, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, len(a), (200, 2))
    tries = _kabsch(np.einsum("kmi,kmj->kij", b[pairs], a[pairs]))
    away = np.linalg.norm(np.einsum("kij,nj->kni", tries, a) - b, axis=2)
    R = tries[np.minimum(away / limit, 1).sum(1).argmin()]
    for _ in range(10):
        away = np.linalg.norm(a @ R.T - b, axis=1) / limit
        weight = 1 / (1 + away**2) ** 2
        R = _kabsch(((b * weight[:, None]).T @ a)[None])[0]
    return R


def _kabsch(M: np.ndarray) -> np.ndarray:
    """Rotations nearest to (k, 3, 3) sums of b a^T."""
    u, _, vt = np.linalg.svd(M)
    sign = np.linalg.det(u @ vt)
    u[:, :, 2] *= sign[:, None]
    return u @ vt


def _begin(rays: Rays, focals: np.ndarray, R: np.ndarray, t: np.ndarray) -> Motion:
    """A motion as it is, with a wide noise; climbed a little before the noise is found."""
    return _judge(R, t, _measure(rays, focals, R, t), Mixture.wide(_WIDE_NOISE_PX))


def _climb(
    rays: Rays, focals: np.ndarray, motion: Motion, *, steps: int = 40, fixed: bool = False
) -> Motion:
    """Damped Gauss-Newton steps over 5 freedoms; the noise goes from wide to its own value.

    Args:
        rays: of the matches.
        focals: of both cameras.
        motion: the start.
        steps: at most.
        fixed: leave noise and share as they are.
    """
    if not fixed:
        for noise in (_WIDE_NOISE_PX, 1.0):
            seen = _measure(rays, focals, motion.rotation, motion.direction)
            learned = _fit_mixture(motion.rotation, motion.direction, seen, motion.mixture).mixture
            mixture = replace(learned, noise_px=noise)
            start = _judge(motion.rotation, motion.direction, seen, mixture)
            motion = _climb(rays, focals, start, steps=6, fixed=True)
    damping = 1e-4
    for _ in range(steps):
        residual, J = _sampson(rays, focals, motion.rotation, motion.direction)
        normal = (J * motion.weight[:, None]).T @ J
        gradient = (J * motion.weight[:, None]).T @ residual
        moved: Motion | None = None
        for _ in range(5):
            damped = normal + damping * np.diag(np.diag(normal) + 1e-12)
            R, t = _take_step(motion, -np.linalg.solve(damped, gradient))
            judge = _judge if fixed else _fit_mixture
            tried = judge(R, t, _measure(rays, focals, R, t), motion.mixture)
            if tried.cost <= motion.cost:
                moved = tried
                damping = max(damping / 5, 1e-9)
                break
            damping *= 10
        if moved is None:
            break
        gain = motion.cost - moved.cost
        motion = moved
        if gain < 1e-4:
            break
    return motion


def _fit_mixture(
    R: np.ndarray, t: np.ndarray, seen: tuple[np.ndarray, np.ndarray], before: Mixture
) -> Motion:
    """The mixture that fits residuals and shifts best, from that before."""
    residual, bins = seen
    mixture = before
    for _ in range(3):
        judged = _judge(R, t, seen, mixture)
        right = judged.right
        total = max(float(right.sum()), 1e-9)
        wrong = 1 - right
        count = len(_SHIFT_EDGES_PX) + 1
        share = (total + 1) / (len(residual) + 2)
        shares = np.bincount(bins, right, minlength=count) + _PRIOR * share
        shares /= np.bincount(bins, minlength=count) + _PRIOR
        mixture = Mixture(
            noise_px=max(
                math.sqrt(float((judged.weight * residual**2).sum()) / total), _MIN_NOISE_PX
            ),
            shares=_sharpen(shares),
            density=_density(residual, wrong),
        )
    return _judge(R, t, seen, mixture)


def _sharpen(shares: np.ndarray) -> np.ndarray:
    """Shares drawn to 0 and 1: where most matches are wrong, the rest fits by chance."""
    odds = (shares / np.maximum(1 - shares, 1e-6)) ** 2
    return np.clip(odds / (1 + odds), 0.002, 0.998)


def _density(residual: np.ndarray, wrong: np.ndarray) -> float:
    """Wrong matches per pixel of distance from the line."""
    near = np.abs(residual) < _NEAR_LINE_PX
    share = (float(wrong[near].sum()) + 0.1) / (float(wrong.sum()) + 1)
    return max(share / (2 * _NEAR_LINE_PX), 1e-4)


def _judge(
    R: np.ndarray, t: np.ndarray, seen: tuple[np.ndarray, np.ndarray], mixture: Mixture
) -> Motion:
    """How likely matches are under a motion and a mixture."""
    residual, bins = seen
    noise = mixture.noise_px
    squared = (residual / noise) ** 2
    student = (1 + squared / 2) ** -1.5 / (noise * math.sqrt(8))
    share = mixture.shares[bins]
    right = share * student
    likelihood = right + (1 - share) * mixture.density
    return Motion(
        rotation=R,
        direction=t,
        mixture=mixture,
        right=right / likelihood,
        weight=right / likelihood * 3 / (2 + squared),
        cost=float(-np.log(likelihood).sum()),
    )


def _measure(
    rays: Rays, focals: np.ndarray, R: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sampson distances, and the bins of the shifts along the lines, of all matches."""
    residual, _ = _sampson(rays, focals, R, t, slopes=False)
    far = rays[0] @ R.T  # where the point would be at infinity
    far = far[:, :2] / np.where(np.abs(far[:, 2:]) > 1e-9, far[:, 2:], 1e-9)
    along = (t[:2] - far * t[2]) * focals[1]
    length = np.maximum(np.sqrt((along * along).sum(1)), 1e-12)
    shift = ((rays[1][:, :2] - far) * focals[1] * along).sum(1) / length
    return residual, np.searchsorted(_SHIFT_EDGES_PX, shift)


def _tangents(t: np.ndarray) -> np.ndarray:
    """Two unit vectors (2, 3) across t."""
    return np.linalg.svd(t[None])[2][1:]


def _take_step(motion: Motion, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    R = rotation_by(step[:3]) @ motion.rotation
    t = motion.direction + step[3:] @ _tangents(motion.direction)
    return R, t / np.linalg.norm(t)


def rotation_by(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation about a vector by its length in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3) + skew(vector)
    K = skew(np.asarray(vector) / angle)
    return np.eye(3) + math.sin(angle) * K + (1 - math.cos(angle)) * K @ K


def _sampson(
    rays: Rays, focals: np.ndarray, R: np.ndarray, t: np.ndarray, *, slopes: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Signed Sampson distances (n,) in pixels, and their derivatives (n, 5).

    Everything is linear in E but the last division: r = c / s with s^2 the squared slopes of c.
    """
    x1, x2 = rays
    E = skew(t) @ R
    lines_2, lines_1 = x1 @ E.T, x2 @ E
    c = np.einsum("ni,ni->n", x2, lines_2)
    g = np.concatenate([lines_2[:, :2] / focals[1], lines_1[:, :2] / focals[0]], axis=1)
    s = np.sqrt(np.maximum((g * g).sum(1), 1e-300))
    if not slopes:
        return c / s, g
    T = skew(t)
    changes = [T @ skew(axis) @ R for axis in np.eye(3)] + [skew(b) @ R for b in _tangents(t)]
    J = np.empty((len(c), 5))
    for i, dE in enumerate(changes):
        d2, d1 = x1 @ dE.T, x2 @ dE
        dc = np.einsum("ni,ni->n", x2, d2)
        dg = np.concatenate([d2[:, :2] / focals[1], d1[:, :2] / focals[0]], axis=1)
        J[:, i] = dc / s - c * (g * dg).sum(1) / s**3
    return c / s, J


def add_deviations(motion: Motion, rays: Rays, focals: np.ndarray) -> Motion:
    """The motion with its standard deviations; each of the four solutions has its own."""
    _, J = _sampson(rays, focals, motion.rotation, motion.direction)
    normal = (J * motion.weight[:, None]).T @ J / motion.mixture.noise_px**2
    spread = np.linalg.pinv(normal)
    return replace(
        motion,
        rotation_sigma_deg=math.degrees(math.sqrt(max(np.trace(spread[:3, :3]), 0.0))),
        direction_sigma_deg=math.degrees(math.sqrt(max(np.trace(spread[3:, 3:]), 0.0))),
    )
