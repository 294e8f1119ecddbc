"""Superpixels: a picture cut into connected segments of one look, and what touches what.

Two ways to cut, both from scikit-image: ``felzenszwalb`` merges pixels along a graph, so that
segments follow edges and may be large or long; ``slic`` clusters colour and place, so that they are
compact and of one size. Both are cleaned up here: every segment is one piece of at least a few
pixels.

Source: Felzenszwalb and Huttenlocher, Efficient Graph-Based Image Segmentation, IJCV 2004; Achanta
et al., SLIC Superpixels, TPAMI 2012; clean-up after Saxena et al., Make3D, TPAMI 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

Method = Literal["felzenszwalb", "slic"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """How to cut.

    Attributes:
        method: ``felzenszwalb`` or ``slic``.
        sigma: Gaussian blur before the cut, pixels.
        scale: felzenszwalb's k; larger gives larger segments.
        count: slic's number of segments, about.
        compactness: slic's weight of place against colour.
        min_size: pixels that a segment has at least, unless the whole picture has fewer.
    """

    method: Method = "felzenszwalb"
    sigma: float = 0.5
    scale: float = 60.0
    count: int = 300
    compactness: float = 10.0
    min_size: int = 40

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("method of segmentation", self.method, METHODS)
        if self.sigma < 0 or not self.scale > 0 or not self.compactness > 0:
            raise InputError(
                f"segments with sigma={self.sigma}, scale={self.scale}, "
                f"compactness={self.compactness}: sigma of at least 0 and positive others are "
                "needed."
            )
        if self.count < 1 or self.min_size < 1:
            raise InputError(
                f"segments with count={self.count}, min_size={self.min_size}: at least 1 of each "
                "is needed."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """A picture's segments.

    Attributes:
        labels: (h, w) int32, 0 .. count - 1; each label is one 4-connected piece.
    """

    labels: Int[np.ndarray, "h w"]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def count(self) -> int:
        """Number of segments."""
        return len(self.areas)

    @cached_property
    def areas(self) -> Int[np.ndarray, " n"]:
        """Pixels of each segment."""
        return np.bincount(self.labels.ravel())

    @cached_property
    def touching(self) -> tuple[Int[np.ndarray, "m 2"], Int[np.ndarray, " m"]]:
        """Pairs (a, b), a < b, of neighbours, and how many pixel pairs they share."""
        return neighbours(self.labels)


def segment(
    rgb: UInt8[np.ndarray, "h w 3"] | Float[np.ndarray, "h w 3"],
    config: SegmentConfig | None = None,
) -> Segments:
    """Cut a picture.

    Args:
        rgb: uint8, or floats in [0, 1].
        config: how; default: graph-based, as Make3D.

    Raises:
        InputError: not an (h, w, 3) picture, or one without pixels.
        MissingDependencyError: scikit-image is not installed.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise InputError(f"picture of shape {rgb.shape} to segment: (h, w, 3) is needed.")
    config = config or SegmentConfig()
    cut = _skimage_segmentation()
    pixels = rgb.astype(np.float64) / 255 if rgb.dtype == np.uint8 else rgb.astype(np.float64)
    if not np.isfinite(pixels).all():
        raise InputError("a picture with values that are not finite cannot be cut.")
    if min(rgb.shape[:2]) < 2:
        raw = np.zeros(rgb.shape[:2], dtype=np.int64)
    elif config.method == "felzenszwalb":
        # scikit-image scales k for pictures in [0, 1] itself: scale / 255.
        raw = cut.felzenszwalb(
            pixels, scale=config.scale, sigma=config.sigma, min_size=config.min_size
        )
    else:
        raw = cut.slic(
            pixels,
            n_segments=min(config.count, pixels.shape[0] * pixels.shape[1]),
            compactness=config.compactness,
            sigma=config.sigma,
            start_label=0,
        )
    return Segments(labels=clean_labels(raw, config.min_size))


def clean_labels(labels: Int[np.ndarray, "h w"], min_size: int = 5) -> Int[np.ndarray, "h w"]:
    """Labels 0, 1, ... of connected pieces; pieces below ``min_size`` join a neighbour.

    A label whose pixels lie apart becomes several segments. A small piece joins the neighbour with
    which it shares the longest border.

    Args:
        labels: any integers.
        min_size: pixels; a picture smaller than that is one segment.
    """
    pieces = _split_pieces(labels)
    while True:
        areas = np.bincount(pieces.ravel())
        small = areas < min_size
        if len(areas) == 1 or not small.any():
            return pieces
        pairs, shared = neighbours(pieces)
        target = _longest_border(pairs, shared, len(areas))
        # Into larger ones only, so that no ring forms; the smallest always has one to go to.
        rank = np.empty(len(areas), dtype=np.int64)
        rank[np.lexsort((np.arange(len(areas)), areas))] = np.arange(len(areas))
        new = np.where(small & (rank < rank[target]), target, np.arange(len(areas)))
        while (new[new] != new).any():
            new = new[new]
        pieces = np.unique(new[pieces], return_inverse=True)[1].reshape(pieces.shape)
        pieces = pieces.astype(np.int32)


def neighbours(
    labels: Int[np.ndarray, "h w"],
) -> tuple[Int[np.ndarray, "m 2"], Int[np.ndarray, " m"]]:
    """Pairs (a, b), a < b, of labels that touch (4-neighbours), and how many pixel pairs do."""
    sides = ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]))
    left = np.concatenate([a.ravel() for a, _ in sides]).astype(np.int64)
    right = np.concatenate([b.ravel() for _, b in sides]).astype(np.int64)
    border = left != right
    low = np.minimum(left, right)[border]
    high = np.maximum(left, right)[border]
    width = int(labels.max()) + 1
    codes, shared = np.unique(low * width + high, return_counts=True)
    return np.stack([codes // width, codes % width], axis=1), shared


def draw_outlines(
    rgb: UInt8[np.ndarray, "h w 3"],
    segments: Segments,
    *,
    fill: bool = False,
    colour: tuple[int, int, int] = (255, 220, 0),
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with its segments' borders drawn.

    Args:
        rgb: the picture.
        segments: its segments.
        fill: paint every segment in its mean colour first.
        colour: of the borders.

    Raises:
        InputError: segments of another size.
    """
    if rgb.shape[:2] != segments.size:
        raise InputError(
            f"picture of {rgb.shape[:2]} and segments of {segments.size}: one size is needed."
        )
    picture = rgb.copy()
    if fill:
        flat = segments.labels.ravel()
        for channel in range(3):
            total = np.bincount(flat, rgb[..., channel].ravel())
            picture[..., channel] = np.rint(total / segments.areas)[segments.labels]
    edge = np.zeros(segments.size, dtype=bool)
    edge[:, :-1] |= segments.labels[:, :-1] != segments.labels[:, 1:]
    edge[:-1] |= segments.labels[:-1] != segments.labels[1:]
    picture[edge] = colour
    return picture


def _split_pieces(labels: np.ndarray) -> np.ndarray:
    """4-connected pieces of equal labels, numbered from 0."""
    from skimage.measure import label

    return label(labels, background=-1, connectivity=1).astype(np.int32) - 1


def _longest_border(pairs: np.ndarray, shared: np.ndarray, count: int) -> np.ndarray:
    """For each label the neighbour that it shares most border with; itself where it has none."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    lengths = np.concatenate([shared, shared])
    order = np.lexsort((lengths, both[:, 0]))
    target = np.arange(count)
    target[both[order, 0]] = both[order, 1]  # the last of each label wins: the longest
    return target


def _skimage_segmentation() -> ModuleType:
    try:
        from skimage import segmentation
    except ImportError as error:
        raise MissingDependencyError(
            "skimage", "cutting pictures into segments", "classic"
        ) from error
    return segmentation
