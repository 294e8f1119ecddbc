"""Poses and points that fit all pixels best, together.

Damped least squares on the distances between pixels and projections, with Cauchy weights against
wrong ones. Points are eliminated first, so that the system to be solved is that of the few poses.

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, 2000, sections 3.3 (robust costs) and
6.1 (the Schur complement).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError, MissingDependencyError
from leadline.geometry.motion_fit import rotation_by

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class Observations:
    """Which pose sees which point where; row i of all is one observation.

    Attributes:
        pose: (m,) row of the pose.
        point: (m,) row of the point.
        slopes: (m, 2) X/Z and Y/Z: pixels less the principal point, over the focal length.
        focals: (m, 2) fx and fy of the camera, so that errors are pixels.
    """

    pose: Int[np.ndarray, " m"]
    point: Int[np.ndarray, " m"]
    slopes: Float[np.ndarray, "m 2"]
    focals: Float[np.ndarray, "m 2"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BundleAdjustment:
    """What a bundle adjustment found.

    Attributes:
        poses: (k, 4, 4) camera_from_world.
        points: (p, 3) world.
        error_px: (m,) distance between pixel and projection of every observation.
        cost_before, cost_after: robust costs.
    """

    poses: Float[np.ndarray, "k 4 4"]
    points: Float[np.ndarray, "p 3"]
    error_px: Float[np.ndarray, " m"]
    cost_before: float
    cost_after: float


def adjust_bundle(
    poses: Float[np.ndarray, "k 4 4"],
    points: Float[np.ndarray, "p 3"],
    seen: Observations,
    fixed: Bool[np.ndarray, " k"],
    *,
    steps: int = 15,
) -> BundleAdjustment:
    """The poses and points near those given with the smallest robust reprojection error.

    Args:
        poses: camera_from_world.
        points: in the world.
        seen: the observations; points that fewer than two poses see stay where they are.
        fixed: poses that stay. Two of them hold the world's scale; with one it may drift.
        steps: at most.

    Raises:
        InputError: no pose is fixed.
        MissingDependencyError: SciPy is not installed.
    """
    if not fixed.any():
        raise InputError("no pose is fixed, so the world could go anywhere; fix one or two.")
    cost, weight = _cost(poses, points, seen)
    before, damping = cost, 1e-4
    free = np.nonzero(~fixed)[0]
    for _ in range(steps):
        moved = None
        system = _System.at(poses, points, seen, weight, free)
        for _ in range(5):
            tried = _move(poses, points, free, *system.solve(damping))
            after, tried_weight = _cost(*tried, seen)
            if after < cost:
                moved, damping = tried, max(damping / 5, 1e-9)
                break
            damping *= 8
        if moved is None:
            break
        gain, cost, weight = cost - after, after, tried_weight
        poses, points = moved
        if gain < 1e-5 * cost:
            break
    return BundleAdjustment(
        poses=poses,
        points=points,
        error_px=np.linalg.norm(residuals(poses, points, seen), axis=1),
        cost_before=before,
        cost_after=cost,
    )


def place_camera(
    pose: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "p 3"], seen: Observations
) -> Float[np.ndarray, "4 4"]:
    """The camera_from_world near ``pose`` with the smallest robust error to fixed points."""

    def cost_of(tried: np.ndarray) -> tuple[float, np.ndarray]:
        r = residuals(tried[None], points, seen)
        return float(np.log1p((r**2).sum(1)).sum()), r

    cost, r = cost_of(pose)
    damping = 1e-4
    for _ in range(30):
        x = points[seen.point] @ pose[:3, :3].T + pose[:3, 3]
        z = np.maximum(x[:, 2], 1e-9)
        J = np.zeros((len(x), 2, 6))
        u, v = x[:, 0] / z, x[:, 1] / z
        J[:, 0, 0], J[:, 0, 1], J[:, 0, 2] = -u * v, 1 + u * u, -v
        J[:, 1, 0], J[:, 1, 1], J[:, 1, 2] = -1 - v * v, u * v, u
        J[:, 0, 3], J[:, 0, 5], J[:, 1, 4], J[:, 1, 5] = 1 / z, -u / z, 1 / z, -v / z
        J *= seen.focals[:, :, None]
        w = (x[:, 2] > 1e-9) / (1 + (r**2).sum(1))
        A = np.einsum("m,mri,mrj->ij", w, J, J)
        g = np.einsum("m,mri,mr->i", w, J, r)
        step = -np.linalg.solve(A + damping * np.diag(np.diag(A)) + 1e-12 * np.eye(6), g)
        tried = pose.copy()
        turn = rotation_by(step[:3])
        tried[:3, :3], tried[:3, 3] = turn @ pose[:3, :3], turn @ pose[:3, 3] + step[3:]
        after, r_after = cost_of(tried)
        if after >= cost:
            damping *= 10
            if damping > 1e4:
                break
            continue
        gain, pose, cost, r = cost - after, tried, after, r_after
        damping = max(damping / 5, 1e-9)
        if gain < 1e-6 * cost:
            break
    return pose


def residuals(
    poses: Float[np.ndarray, "k 4 4"], points: Float[np.ndarray, "p 3"], seen: Observations
) -> Float[np.ndarray, "m 2"]:
    """Projections less pixels, in pixels; far away for points behind their cameras."""
    x = _in_cameras(poses, points, seen)
    ahead = x[:, 2] > 1e-9
    slopes = x[:, :2] / np.where(ahead, x[:, 2], 1.0)[:, None]
    return np.where(ahead[:, None], (slopes - seen.slopes) * seen.focals, 1e4)


def _in_cameras(poses: np.ndarray, points: np.ndarray, seen: Observations) -> np.ndarray:
    R, t = poses[seen.pose, :3, :3], poses[seen.pose, :3, 3]
    return np.einsum("mij,mj->mi", R, points[seen.point]) + t


def _cost(poses: np.ndarray, points: np.ndarray, seen: Observations) -> tuple[float, np.ndarray]:
    """The Cauchy cost of errors in pixels, and the weight of every observation."""
    squared = (residuals(poses, points, seen) ** 2).sum(1)
    return float(np.log1p(squared).sum()), 1 / (1 + squared)


def _move(
    poses: np.ndarray, points: np.ndarray, free: np.ndarray, turns: np.ndarray, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    poses = poses.copy()
    for row, step in zip(free, turns, strict=True):
        R = rotation_by(step[:3])
        poses[row, :3, :3] = R @ poses[row, :3, :3]
        poses[row, :3, 3] = R @ poses[row, :3, 3] + step[3:]
    return poses, points + shifts


@dataclass(frozen=True, kw_only=True, eq=False)
class _System:
    """Normal equations: of poses A, of points B (blocks), between both C; and both gradients."""

    A: np.ndarray  # k 6 6, block diagonal
    B: np.ndarray  # p 3 3
    C: np.ndarray  # m 6 3, one block for every observation of a free pose
    pose: np.ndarray  # m, row among the free poses
    point: np.ndarray  # m
    a: np.ndarray  # k 6
    b: np.ndarray  # p 3

    @classmethod
    def at(
        cls,
        poses: np.ndarray,
        points: np.ndarray,
        seen: Observations,
        weight: np.ndarray,
        free: np.ndarray,
    ) -> _System:
        x = _in_cameras(poses, points, seen)
        z = np.maximum(x[:, 2], 1e-9)
        r = residuals(poses, points, seen)
        weight = np.where(x[:, 2] > 1e-9, weight, 0.0)
        m = len(x)
        J = np.zeros((m, 2, 3))  # of the projection by the point in the camera's axes
        J[:, 0, 0] = J[:, 1, 1] = 1 / z
        J[:, :, 2] = -x[:, :2] / z[:, None] ** 2
        J *= seen.focals[:, :, None]
        by_point = J @ poses[seen.pose, :3, :3]
        skews = np.zeros((m, 3, 3))  # -[x]: a turn w moves x by w x x
        skews[:, 0, 1], skews[:, 0, 2], skews[:, 1, 2] = x[:, 2], -x[:, 1], x[:, 0]
        skews -= skews.transpose(0, 2, 1)
        by_pose = np.concatenate([J @ skews, J], axis=2)  # m 2 6
        row = np.full(len(poses), -1)
        row[free] = np.arange(len(free))
        mine = row[seen.pose] >= 0
        A, a = np.zeros((len(free), 6, 6)), np.zeros((len(free), 6))
        B, b = np.zeros((len(points), 3, 3)), np.zeros((len(points), 3))
        heavy = by_pose * weight[:, None, None]
        np.add.at(A, row[seen.pose][mine], np.einsum("mri,mrj->mij", heavy, by_pose)[mine])
        np.add.at(a, row[seen.pose][mine], np.einsum("mri,mr->mi", heavy, r)[mine])
        light = by_point * weight[:, None, None]
        np.add.at(B, seen.point, np.einsum("mri,mrj->mij", light, by_point))
        np.add.at(b, seen.point, np.einsum("mri,mr->mi", light, r))
        C = np.einsum("mri,mrj->mij", heavy, by_point)[mine]
        return cls(A=A, B=B, C=C, pose=row[seen.pose][mine], point=seen.point[mine], a=a, b=b)

    def solve(self, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """Steps of the free poses (k, 6) and of the points (p, 3)."""
        sparse, linear = _scipy()
        k, p = len(self.A), len(self.B)
        diagonal = np.einsum("pii->pi", self.B)
        damped = self.B + np.eye(3) * (damping * diagonal + 1e-9)[:, None, :]
        inverse = np.linalg.inv(damped)
        order = np.argsort(self.pose, kind="stable")
        starts = np.searchsorted(self.pose[order], np.arange(k + 1))
        C = sparse.bsr_matrix(
            (self.C[order], self.point[order], starts), shape=(6 * k, 3 * p), blocksize=(6, 3)
        ).tocsr()
        blocks = (inverse, np.arange(p), np.arange(p + 1))
        by_inverse = C @ sparse.bsr_matrix(blocks, shape=(3 * p, 3 * p), blocksize=(3, 3)).tocsr()
        S = -(by_inverse @ C.T).toarray()
        for i, block in enumerate(self.A):
            grown = block + np.diag(damping * np.diag(block) + 1e-9)
            S[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] += grown
        right = -(self.a.ravel() - by_inverse @ self.b.ravel())
        turns = linear.solve(S, right, assume_a="sym") if k else np.zeros(0)
        rest = -(self.b + (C.T @ turns).reshape(p, 3))
        return turns.reshape(k, 6), np.einsum("pij,pj->pi", inverse, rest)


def _scipy():
    try:
        from scipy import linalg, sparse
    except ImportError as error:
        raise MissingDependencyError("scipy", "bundle adjustment", "geometry") from error
    return sparse, linalg
