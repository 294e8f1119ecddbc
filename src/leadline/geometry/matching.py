"""Points that two pictures share: features, and which of them belong together.

Any callable that takes two pictures and returns :class:`Matches` is a matcher, so learned ones plug
in: ``match(a, b, method=my_matcher)``.

Source: Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004, section 7.1 (the
ratio test); Rublee et al., ORB, ICCV 2011; Arandjelovic and Zisserman, Three Things Everyone Should
Know to Improve Object Retrieval, CVPR 2012 (RootSIFT).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.geometry.opencv import grey_of, opencv

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.image import Image

Detector = Literal["sift", "orb"]
DETECTORS = ("sift", "orb")
"""Features that come with the library."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Points of one picture with what they look like, strongest first.

    Attributes:
        points: (n, 2) float64, x and y in pixels, centres of pixels at integers.
        descriptors: (n, d): float32 (SIFT, compared by their distance) or uint8 (ORB, by the
            number of bits that differ).
    """

    points: Float[np.ndarray, "n 2"]
    descriptors: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Points that two pictures share, best first; row i of both is the same place in the world.

    Attributes:
        first, second: (n, 2) float64, x and y in pixels of either picture.
        scores: (n,) float64, smaller = surer; the ratio of the ratio test, 0..1.
        indices: (n, 2) rows of the features that were matched, or None.
    """

    first: Float[np.ndarray, "n 2"]
    second: Float[np.ndarray, "n 2"]
    scores: Float[np.ndarray, " n"] | None = None
    indices: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            array = np.asarray(getattr(self, name), dtype=np.float64)
            if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
                raise InputError(
                    f"matched points of shape {array.shape}: finite pixels of shape (n, 2) are "
                    "needed, x and y of every point."
                )
            object.__setattr__(self, name, array)
        if len(self.first) != len(self.second):
            raise InputError(
                f"{len(self.first)} points in the first picture and {len(self.second)} in the "
                "second: row i of both needs to be the same place; give equal numbers."
            )

    def __len__(self) -> int:
        return len(self.first)

    def only(self, keep: Bool[np.ndarray, " n"]) -> Matches:
        """Those where ``keep`` is True."""
        return Matches(
            first=self.first[keep],
            second=self.second[keep],
            scores=None if self.scores is None else self.scores[keep],
            indices=None if self.indices is None else self.indices[keep],
        )


def match(
    first: Image,
    second: Image,
    *,
    method: Detector | Callable[[Image, Image], Matches] = "sift",
    limit: int = 8000,
    ratio: float = 0.8,
    mutual: bool = True,
) -> Matches:
    """Find points that two pictures share.

    Args:
        first: a picture.
        second: another of the same scene; its size may differ.
        method: ``"sift"``, ``"orb"``, or any callable that takes both pictures.
        limit: features per picture at most.
        ratio: a match needs to be this much nearer than the second best; 1 keeps all.
        mutual: keep those that are each other's best only.

    Returns:
        Matches, surest first; wrong ones among them are normal (see :func:`relative_pose`).

    Raises:
        InputError: a picture without any structure.
        MissingDependencyError: OpenCV is not installed.
    """
    if callable(method):
        return method(first, second)
    one = detect(first, method, limit=limit)
    two = detect(second, method, limit=limit)
    return match_features(one, two, ratio=ratio, mutual=mutual)


def detect(image: Image, detector: Detector = "sift", *, limit: int = 8000) -> Features:
    """Find points that can be found again.

    Args:
        image: the picture.
        detector: ``"sift"`` (RootSIFT descriptors) or ``"orb"`` (several times faster, less sure).
        limit: the strongest so many.

    Raises:
        InputError: fewer than 8 points, as in a picture of a blank wall.
        UnknownNameError: no such detector.
    """
    cv2 = opencv("finding points in pictures")
    if detector not in DETECTORS:
        raise UnknownNameError("feature detector", detector, DETECTORS)
    if detector == "sift":  # a lower contrast threshold: roads and walls have weak points only
        finder = cv2.SIFT_create(nfeatures=limit, contrastThreshold=0.02)
    else:
        finder = cv2.ORB_create(nfeatures=limit, fastThreshold=7)
    keypoints, descriptors = finder.detectAndCompute(grey_of(image), None)
    if descriptors is None or len(keypoints) < 8:
        raise InputError(
            f"{image.name or 'picture'}: {len(keypoints)} points can be found again, and 8 or more "
            "are needed; take a sharp picture with structure in it."
        )
    order = np.argsort([-k.response for k in keypoints], kind="stable")
    points = np.array([k.pt for k in keypoints], dtype=np.float64)[order]
    descriptors = descriptors[order]
    if detector == "sift":
        sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)
        descriptors = np.sqrt(descriptors / sums)
    return Features(points=points, descriptors=descriptors)


def match_features(
    first: Features, second: Features, *, ratio: float = 0.8, mutual: bool = True
) -> Matches:
    """Match by the nearest descriptor; see :func:`match`."""
    if not 0 < ratio <= 1:
        raise InputError(f"ratio={ratio}: above 0 and up to 1 is needed; .8 is usual.")
    if first.descriptors.shape[1:] != second.descriptors.shape[1:]:
        raise InputError(
            f"descriptors of {first.descriptors.shape[1:]} and {second.descriptors.shape[1:]} "
            "numbers: both pictures need the same detector."
        )
    best, near, far = _two_nearest(first.descriptors, second.descriptors)
    share = near / np.maximum(far, 1e-12)
    keep = share <= ratio
    if mutual:
        back, _, _ = _two_nearest(second.descriptors, first.descriptors)
        keep &= back[best] == np.arange(len(best))
    rows = np.nonzero(keep)[0]
    rows = rows[np.argsort(share[rows], kind="stable")]
    # A place with two orientations is two features: keep one match for each pair of places.
    pairs = np.concatenate([first.points[rows], second.points[best[rows]]], axis=1)
    _, once = np.unique(pairs, axis=0, return_index=True)
    rows = rows[np.sort(once)]
    return Matches(
        first=first.points[rows],
        second=second.points[best[rows]],
        scores=share[rows],
        indices=np.stack([rows, best[rows]], axis=1),
    )


def _two_nearest(
    queries: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row of the nearest target, its distance, and the second's; of every query."""
    cv2 = opencv()
    norm = cv2.NORM_HAMMING if queries.dtype == np.uint8 else cv2.NORM_L2
    if len(targets) < 2:
        raise InputError("one feature alone cannot be told apart; 2 or more are needed.")
    if norm == cv2.NORM_L2:
        return _nearest_by_products(queries, targets)
    found = cv2.BFMatcher(norm).knnMatch(queries, targets, k=2)
    table = np.array([(a.trainIdx, a.distance, b.distance) for a, b in found])
    return table[:, 0].astype(np.int64), table[:, 1], table[:, 2]


def _nearest_by_products(
    queries: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest two of unit vectors by matrix products, block by block."""
    best = np.empty(len(queries), dtype=np.int64)
    first, second = (np.empty(len(queries), dtype=np.float32) for _ in range(2))
    for start in range(0, len(queries), 512):
        block = slice(start, start + 512)
        likeness = queries[block] @ targets.T
        rows = np.arange(len(likeness))
        best[block] = likeness.argmax(axis=1)
        first[block] = likeness[rows, best[block]]
        likeness[rows, best[block]] = -np.inf
        second[block] = likeness.max(axis=1)
    distances = [np.sqrt(np.maximum(2 - 2.0 * c.astype(np.float64), 0)) for c in (first, second)]
    return best, distances[0], distances[1]
