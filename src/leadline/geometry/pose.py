"""How a camera moved between two pictures: rotation, and direction of the translation.

Two pictures do not give the length of the translation: it is 1 here, and depths that follow are in
units of it.

An essential matrix from MAGSAC++ starts a maximum-likelihood fit of rotation and direction: Sampson
distances in pixels follow a heavy-tailed distribution where a match is right, a uniform one where
it is wrong; the share of right ones and the noise are estimated with the motion.

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., 9.6 (essential matrices, the four
solutions) and 11.4.3 (Sampson distance); Torr and Zisserman, MLESAC, CVIU 2000 (the mixture).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import DegenerateError, InputError
from leadline.geometry.epipolar import sampson_error, skew
from leadline.geometry.inputs import rays_of, slopes_of
from leadline.geometry.motion_fit import Motion, add_deviations, fit_motion, rotation_from
from leadline.geometry.opencv import opencv
from leadline.geometry.two_view import (
    fundamental,
    homography,
    homography_error,
    need_inliers,
    need_matches,
    noise_of,
    prefer_homography,
    refuse_line,
)

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.camera import Camera
    from leadline.geometry.matching import Matches
    from leadline.geometry.two_view import TwoView

FAR_BASELINES = 1e5
"""Depth in baselines up to which points count in the choice among the four solutions.

OpenCV's own default of 50 throws away nine points in ten of a street seen from a car."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RelativePose:
    """A motion between two pictures, up to one scale.

    Attributes:
        second_from_first: (4, 4) float64 rigid, from the first camera's axes to the second's; its
            translation has length 1.
        inliers: (n,) matches that follow it, in front of both cameras.
        error_px: (n,) Sampson distance of every match.
        noise_px: scale of right matches' distances.
        parallax_deg: median angle between the two rays of an inlier.
        rotation_sigma_deg: standard deviation of the rotation's angle.
        direction_sigma_deg: standard deviation of the translation's direction.
    """

    second_from_first: Float[np.ndarray, "4 4"]
    inliers: Bool[np.ndarray, " n"]
    error_px: Float[np.ndarray, " n"]
    noise_px: float
    parallax_deg: float
    rotation_sigma_deg: float
    direction_sigma_deg: float

    def place(
        self, first: Camera, second: Camera, *, baseline: float = 1.0
    ) -> tuple[Camera, Camera]:
        """Both cameras with poses: the first where it is (or at the origin), the second moved.

        Args:
            first: camera of the first picture.
            second: camera of the second.
            baseline: distance between them, in the unit that the world is to have.

        Raises:
            InputError: a baseline that is not positive.
        """
        if not (np.isfinite(baseline) and baseline > 0):
            raise InputError(f"baseline={baseline}: a positive distance is needed.")
        start = np.eye(4) if first.world_from_camera is None else first.world_from_camera
        motion = self.second_from_first.copy()
        motion[:3, 3] *= baseline
        return first.moved(start), second.moved(start @ np.linalg.inv(motion))


def relative_pose(
    matches: Matches,
    first: Camera,
    second: Camera | None = None,
    *,
    threshold_px: float = 1.0,
    min_parallax_deg: float = 0.2,
    far_baselines: float = FAR_BASELINES,
    check: bool = True,
) -> RelativePose:
    """Rotation and direction of translation between two pictures of calibrated cameras.

    Args:
        matches: between the pictures; wrong ones are found out.
        first: camera of the first picture (intrinsics; its pose does not count).
        second: camera of the second; default: the same.
        threshold_px: how far a right match may be from its epipolar line, for the start.
        min_parallax_deg: median angle between rays below which the motion is refused.
        far_baselines: depth, in baselines, up to which points choose among the four solutions.
        check: refuse flat scenes, points on one line, pure rotations and cameras that do not fit.

    Raises:
        InputError: too few matches or too few that agree, or intrinsics that do not fit.
        DegenerateError: points on one line, a flat scene, a camera that only turned, or too little
            parallax.
        MissingDependencyError: OpenCV is not installed.
    """
    second = second or first
    need_matches(matches)
    rays = rays_of(matches.first, first), rays_of(matches.second, second)
    focals = np.array([[first.fx, first.fy], [second.fx, second.fy]])
    starts = _starts(matches, first, second, threshold_px)
    motion = fit_motion(rays, focals, starts)
    motion = add_deviations(_in_front(motion, rays, far_baselines), rays, focals)
    E = skew(motion.direction) @ motion.rotation
    F = np.linalg.inv(second.matrix).T @ E @ np.linalg.inv(first.matrix)
    error = sampson_error(F, matches.first, matches.second)
    noise = motion.mixture.noise_px
    close = error < min(max(4 * noise, threshold_px), 4 * threshold_px)
    if check:
        free = fundamental(matches, threshold_px=threshold_px, check=False)
        refuse_line(matches, free.inliers, threshold_px=threshold_px)
        _check_intrinsics(free, close, noise, threshold_px)
        _check_structure(matches, (first, second), rays, error, close, threshold_px)
    depths = _depths(motion, rays)
    inliers = close & (depths > 0).all(0)
    need_inliers(int(inliers.sum()), len(matches))
    parallax = measure_parallax(motion.rotation, rays)[inliers]
    if check and np.median(parallax) < min_parallax_deg:
        raise DegenerateError(
            f"the median parallax is {np.median(parallax):.2f} degrees and {min_parallax_deg} are "
            "needed: the camera hardly moved. Take pictures from places farther apart."
        )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = motion.rotation, motion.direction
    return RelativePose(
        second_from_first=pose,
        inliers=inliers,
        error_px=error,
        noise_px=noise,
        parallax_deg=float(np.median(parallax)),
        rotation_sigma_deg=motion.rotation_sigma_deg,
        direction_sigma_deg=motion.direction_sigma_deg,
    )


def decompose_essential(
    E: Float[np.ndarray, "3 3"],
) -> list[tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, " 3"]]]:
    """The four rotations and directions (second from first) behind an essential matrix."""
    u, _, vt = np.linalg.svd(E)
    u, vt = u * np.sign(np.linalg.det(u)), vt * np.sign(np.linalg.det(vt))
    W = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    t = u[:, 2]
    return [(u @ R @ vt, sign * t) for R in (W, W.T) for sign in (1.0, -1.0)]


def _starts(
    matches: Matches, first: Camera, second: Camera, threshold_px: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotations and directions from several robust estimators; one of each essential matrix."""
    cv2 = opencv("the motion of a camera")
    focal = float(np.mean([first.fx, first.fy, second.fx, second.fy]))
    K = np.diag([focal, focal, 1.0])  # one calibration for both, as OpenCV wants it
    x1, x2 = slopes_of(matches.first, first) * focal, slopes_of(matches.second, second) * focal
    starts = []
    for method in (cv2.USAC_MAGSAC, cv2.USAC_ACCURATE, cv2.RANSAC, cv2.LMEDS):
        if method in (cv2.RANSAC, cv2.LMEDS) and starts:
            break  # asked only where the better ones gave nothing
        E, _ = cv2.findEssentialMat(
            x1, x2, K, method=method, prob=0.9999, threshold=threshold_px, maxIters=10_000
        )
        if E is not None and E.shape[0] >= 3:
            starts += [decompose_essential(E[i : i + 3])[0] for i in range(0, len(E), 3)]
    if not starts:
        need_inliers(0, len(matches))
    return starts


def _depths(motion: Motion, rays: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Depths (2, n) in baselines of the points nearest to both rays."""
    a, b = rays[0] @ motion.rotation.T, rays[1]  # z1 a + t = z2 b
    t = motion.direction
    aa, bb, ab = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    at, bt = a @ t, b @ t
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / np.maximum(aa * bb - ab * ab, 1e-300)
        return np.stack([(ab * bt - bb * at) * scale, (aa * bt - ab * at) * scale])


def _in_front(motion: Motion, rays: tuple[np.ndarray, np.ndarray], far: float) -> Motion:
    """Of the four motions with one essential matrix, that with most points before both cameras."""
    options = [
        replace(motion, rotation=R, direction=t)
        for R, t in decompose_essential(skew(motion.direction) @ motion.rotation)
    ]

    def before(option: Motion) -> float:
        depths = _depths(option, rays)
        return float((motion.right * ((depths > 0) & (depths < far)).all(0)).sum())

    return max(options, key=before)


def measure_parallax(
    R: Float[np.ndarray, "3 3"], rays: tuple[np.ndarray, np.ndarray]
) -> Float[np.ndarray, " n"]:
    """Angles in degrees between rays (n, 3) of two cameras whose rotation is R."""
    a, b = rays[0] @ R.T, rays[1]
    crossed = np.linalg.norm(np.cross(a, b), axis=1)
    return np.degrees(np.arctan2(crossed, (a * b).sum(1)))


def _check_intrinsics(free: TwoView, close: np.ndarray, noise: float, threshold_px: float) -> None:
    """Refuse cameras whose every motion explains far less than a fundamental matrix does."""
    agree = int(free.inliers.sum())
    noisy = noise > max(3 * noise_of(free.error_px[free.inliers]), 0.5 * threshold_px)
    if agree >= 50 and (noisy or agree > 1.5 * close.sum()):
        raise InputError(
            f"{close.sum()} of {len(close)} matches fit these intrinsics (within {noise:.1f} "
            f"pixels), but {agree} agree with each other: the focal length or principal point is "
            "wrong, or the lens bends lines. Give the camera's calibration for pictures of this "
            "size."
        )


def _check_structure(
    matches: Matches,
    cameras: tuple[Camera, Camera],
    rays: tuple[np.ndarray, np.ndarray],
    error: np.ndarray,
    close: np.ndarray,
    threshold_px: float,
) -> None:
    """Refuse pictures that a rotation or one plane explains as well as a motion in depth."""
    need_inliers(int(close.sum()), len(matches))
    first, second = cameras
    R = rotation_from(rays[0], rays[1], limit=2 * threshold_px / first.fx)
    turned = homography_error(
        second.matrix @ R @ np.linalg.inv(first.matrix), matches.first, matches.second
    )
    if prefer_homography(error, turned, close | (turned < 2 * threshold_px), parameters=(5, 3)):
        raise DegenerateError(
            f"a turn of the camera alone explains {(turned < 2 * threshold_px).sum()} of "
            f"{len(matches)} matches, so there is no parallax and no depth. Move the camera "
            "sideways or forward between the pictures."
        )
    flat = homography(matches, threshold_px=threshold_px)
    if flat and prefer_homography(error, flat.error_px, close | flat.inliers, parameters=(5, 8)):
        raise DegenerateError(
            f"one plane explains {flat.inliers.sum()} of {len(matches)} matches: in a flat scene "
            "two motions fit equally well. Take in things at several depths, or give the poses."
        )
