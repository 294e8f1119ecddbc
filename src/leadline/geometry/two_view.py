"""Which epipolar geometry two sets of matched points follow, with wrong matches among them.

Robust estimation is OpenCV's USAC with MAGSAC++ scores; where it gives nothing (OpenCV issue
24482), plain RANSAC and then least median of squares are asked.

Source: Barath et al., MAGSAC++, CVPR 2020; Hartley and Zisserman, Multiple View Geometry, 2nd ed.,
chapter 11; Torr, Geometric Motion Segmentation and Model Selection, Phil. Trans. R. Soc. A 1998
(GRIC); Torr, Fitzgibbon and Zisserman, The Problem of Degeneracy in Structure and Motion Recovery,
IJCV 1999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import DegenerateError, InputError
from leadline.geometry.epipolar import homogeneous, sampson_error
from leadline.geometry.opencv import opencv

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.geometry.matching import Matches

MIN_MATCHES = 16
"""Fewer matches than this agree with some geometry by chance."""

_CONFIDENCE, _ITERATIONS = 0.9999, 10_000
_FLAT_SHARE = 0.85  # of matches that one plane (or line) explains: a scene that may be flat
_LINE_TRIALS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoView:
    """A matrix that two pictures' matches follow.

    Attributes:
        matrix: 3x3 of unit norm. Fundamental: second^T F first = 0; homography: second ~ H first;
            both in pixels.
        inliers: (n,) which matches follow it.
        error_px: (n,) Sampson distance of every match.
    """

    matrix: Float[np.ndarray, "3 3"]
    inliers: Bool[np.ndarray, " n"]
    error_px: Float[np.ndarray, " n"]


def fundamental(matches: Matches, *, threshold_px: float = 1.0, check: bool = True) -> TwoView:
    """The fundamental matrix of two pictures whose cameras are not known.

    Args:
        matches: between them.
        threshold_px: how far a right match may be from its epipolar line.
        check: refuse pictures that one homography explains, and points on one line.

    Raises:
        InputError: too few matches, or too few that agree.
        DegenerateError: points on one line, a flat scene or a camera that only turned: any of many
            matrices fits.
        MissingDependencyError: OpenCV is not installed.
    """
    need_matches(matches)
    cv2 = opencv("the fundamental matrix")
    matrix = None
    for method in (cv2.USAC_MAGSAC, cv2.FM_RANSAC, cv2.FM_LMEDS):
        matrix, _ = cv2.findFundamentalMat(
            matches.first, matches.second, method, threshold_px, _CONFIDENCE, _ITERATIONS
        )
        if matrix is not None and matrix.shape == (3, 3):
            break
    if matrix is None or matrix.shape != (3, 3):
        raise InputError(_none_agree(len(matches)))
    matrix = _polish(matrix / np.linalg.norm(matrix), matches, threshold_px)
    error = sampson_error(matrix, matches.first, matches.second)
    inliers = error < 2 * threshold_px
    need_inliers(int(inliers.sum()), len(matches))
    if check:
        refuse_line(matches, inliers, threshold_px=threshold_px)
        found = homography(matches, threshold_px=threshold_px)
        if found is not None:
            flat = prefer_homography(
                error, found.error_px, inliers | found.inliers, parameters=(7, 8)
            )
            if flat:
                raise DegenerateError(
                    f"one homography explains {found.inliers.sum()} of {len(matches)} matches: the "
                    "scene is flat, or the camera only turned, and the epipolar geometry cannot be "
                    "found. Take pictures from places farther apart, with things at several depths "
                    "in view."
                )
    return TwoView(matrix=matrix, inliers=inliers, error_px=error)


def homography(matches: Matches, *, threshold_px: float = 1.0) -> TwoView | None:
    """The homography that most matches follow, or None where no four agree."""
    cv2 = opencv("homographies")
    if len(matches) < 4:
        return None
    matrix, _ = cv2.findHomography(
        matches.first,
        matches.second,
        cv2.USAC_MAGSAC,
        2 * threshold_px,
        maxIters=_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    if matrix is None or matrix.shape != (3, 3) or abs(np.linalg.det(matrix)) < 1e-12:
        return None
    error = homography_error(matrix, matches.first, matches.second)
    return TwoView(
        matrix=matrix / np.linalg.norm(matrix), inliers=error < 2 * threshold_px, error_px=error
    )


def homography_error(
    H: Float[np.ndarray, "3 3"], first: Float[np.ndarray, "n 2"], second: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, " n"]:
    """Joint distance in pixels that both points must move by to follow H, to first order.

    Half of the symmetric transfer error, which it equals where H does not change sizes.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        there = homogeneous(first) @ H.T
        back = homogeneous(second) @ np.linalg.inv(H).T
        forth = ((there[:, :2] / there[:, 2:] - second) ** 2).sum(1)
        error = (forth + ((back[:, :2] / back[:, 2:] - first) ** 2).sum(1)) / 4
    return np.sqrt(np.where(np.isfinite(error), error, np.inf))


def prefer_homography(
    error_3d: Float[np.ndarray, " n"],
    error_2d: Float[np.ndarray, " n"],
    counted: Bool[np.ndarray, " n"],
    *,
    parameters: tuple[int, int],
) -> bool:
    """Whether a model of flat scenes explains matches as well as one of scenes with depth.

    GRIC: squared errors in units of the noise, cut off, plus a price for every point (a point on
    an epipolar line has one freedom more than one on a homography) and every parameter. The noise
    is what the models leave. A sixth of the matches off the plane shows depth in any case.

    Args:
        error_3d: pixels, of the fundamental or essential matrix.
        error_2d: pixels, of the homography or rotation.
        counted: matches that follow either.
        parameters: numbers of free parameters of both.
    """
    n = int(counted.sum())
    sigma = max(noise_of(error_3d[counted]), 0.05)
    flat_sigma = float(np.median(error_2d[counted])) / 1.1774  # two freedoms (Rayleigh)
    if flat_sigma < 1.5 * sigma:  # both fit: the 3-D model has taken some of the noise along
        sigma = max(sigma, flat_sigma)
    if (error_2d[counted] < 3 * sigma).mean() < _FLAT_SHARE:
        return False
    prices = []
    for error, dimension, free in zip((error_3d, error_2d), (3, 2), parameters, strict=True):
        limit = 2.0 * (4 - dimension)
        squared = np.minimum((error[counted] / sigma) ** 2, limit)
        prices.append(squared.sum() + math.log(4) * dimension * n + math.log(4 * n) * free)
    return prices[1] < prices[0]


def noise_of(error_px: Float[np.ndarray, " n"]) -> float:
    """Standard deviation behind distances (absolute, one freedom) by their median."""
    return float(1.4826 * np.median(error_px)) if len(error_px) else 0.0


def need_matches(matches: Matches) -> None:
    """Raise InputError where too few points are matched to say anything."""
    if len(matches) < MIN_MATCHES:
        raise InputError(
            f"{len(matches)} matches between the pictures: {MIN_MATCHES} or more are needed; take "
            "pictures that overlap more, are sharper, or nearer to each other."
        )


def need_inliers(inliers: int, total: int) -> None:
    """Raise InputError where so few matches agree that chance may have made them."""
    if inliers < max(MIN_MATCHES, 0.1 * total):
        raise InputError(_none_agree(total, inliers))


def refuse_line(matches: Matches, counted: Bool[np.ndarray, " n"], *, threshold_px: float) -> None:
    """Raise DegenerateError where one line of a picture holds nearly all matches that count.

    The rays to it lie in one plane, and any epipole suits that.
    """
    for which, points in (("first", matches.first), ("second", matches.second)):
        near = _most_on_a_line(points[counted], 2 * threshold_px)
        if near >= _FLAT_SHARE * counted.sum():
            raise DegenerateError(
                f"{near} of {counted.sum()} matches that agree lie on one line of the {which} "
                "picture, from which no motion can be found; points spread over the picture are "
                "needed. Take in more of the scene, or other features."
            )


def _most_on_a_line(points: Float[np.ndarray, "n 2"], limit_px: float) -> int:
    """How many points the best of many lines through two of them has within the limit."""
    pairs = np.random.default_rng(0).integers(len(points), size=(2, _LINE_TRIALS))
    start, along = points[pairs[0]], points[pairs[1]] - points[pairs[0]]
    length = np.linalg.norm(along, axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(length, 1e-12)[:, None]
    away = np.abs(points @ across.T - (start * across).sum(1))
    return int((away < limit_px)[:, length > 0].sum(0).max(initial=0))


def _none_agree(total: int, inliers: int = 0) -> str:
    return (
        f"{inliers} of {total} matches agree on one motion of the camera; {MIN_MATCHES} and a "
        "tenth are needed. Take pictures of one scene that does not move, from places nearer to "
        "each other."
    )


def _polish(
    F: Float[np.ndarray, "3 3"], matches: Matches, threshold_px: float
) -> Float[np.ndarray, "3 3"]:
    """Weighted eight-point steps on the Sampson error, kept while they lower the robust cost."""
    cost = _robust_cost(F, matches, threshold_px)
    best = F
    for _ in range(10):
        moved = _eight_point(best, matches, threshold_px)
        after = _robust_cost(moved, matches, threshold_px)
        if not after < cost * (1 - 1e-6):
            break
        best, cost = moved, after
    return best


def _robust_cost(F: np.ndarray, matches: Matches, threshold_px: float) -> float:
    squared = (sampson_error(F, matches.first, matches.second) / threshold_px) ** 2
    return float((squared / (1 + squared)).sum())


def _eight_point(F: np.ndarray, matches: Matches, threshold_px: float) -> np.ndarray:
    x1, T1 = _normalise(matches.first)
    x2, T2 = _normalise(matches.second)
    error = sampson_error(F, matches.first, matches.second) / threshold_px
    lines_2, lines_1 = homogeneous(matches.first) @ F.T, homogeneous(matches.second) @ F
    slope = np.sqrt((lines_2[:, :2] ** 2).sum(1) + (lines_1[:, :2] ** 2).sum(1))
    weight = 1 / (1 + error**2) / np.maximum(slope, 1e-12)
    rows = (x2[:, :, None] * x1[:, None, :]).reshape(-1, 9) * weight[:, None]
    matrix = np.linalg.eigh(rows.T @ rows)[1][:, 0].reshape(3, 3)
    u, s, vt = np.linalg.svd(matrix)
    moved = T2.T @ (u * [s[0], s[1], 0]) @ vt @ T1
    return moved / np.linalg.norm(moved)


def _normalise(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centroid to 0, mean distance to the root of 2 (Hartley)."""
    centre = points.mean(0)
    scale = math.sqrt(2) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-12)
    T = np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
    return homogeneous(points) @ T.T, T
