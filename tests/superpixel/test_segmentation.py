"""Segments are connected, cover the picture, follow edges, and survive bad pictures."""

import numpy as np
import pytest

pytest.importorskip("skimage")

from skimage.measure import label

from leadline.errors import InputError, UnknownNameError
from leadline.superpixel.segmentation import (
    METHODS,
    SegmentConfig,
    Segments,
    clean_labels,
    draw_outlines,
    neighbours,
    segment,
)


def squares() -> np.ndarray:
    """A 60x80 picture of six plain fields, each 30 x 80/3 pixels or so."""
    rng = np.random.default_rng(0)
    picture = np.zeros((60, 80, 3), np.uint8)
    for number in range(6):
        row, column = divmod(number, 3)
        picture[30 * row : 30 * row + 30, 27 * column : 27 * column + 27] = (40 * number, 200, 30)
    return np.clip(picture + rng.integers(-2, 3, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_every_segment_is_one_piece_of_the_least_size(method):
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    segments = segment(picture, SegmentConfig(method=method, min_size=12, count=20))
    assert segments.labels.min() == 0
    assert len(np.unique(segments.labels)) == segments.count
    assert label(segments.labels, background=-1, connectivity=1).max() == segments.count
    assert segments.areas.min() >= 12
    assert segments.areas.sum() == 2000


def test_plain_fields_become_segments():
    segments = segment(squares())
    assert segments.count == 6
    assert len(np.unique(segments.labels[2:28, 2:25])) == 1


def test_uint8_and_floats_are_cut_alike():
    picture = squares()
    as_floats = segment(picture.astype(np.float32) / 255)
    assert np.array_equal(segment(picture).labels, as_floats.labels)


def test_pieces_of_a_label_that_lie_apart_become_segments():
    labels = np.zeros((10, 30), int)
    labels[:, 10:20] = 1
    assert clean_labels(labels, 5).max() == 2


def test_a_small_piece_joins_the_longest_border():
    labels = np.zeros((10, 12), int)
    labels[:, 6:] = 1
    labels[4, 4:7] = 2  # two pixels in 0 with five sides there, one in 1 with three
    found = clean_labels(labels, 5)
    assert found.max() == 1
    assert found[4, 6] == found[0, 0]


def test_a_ring_of_small_pieces_ends():
    labels = np.arange(36).reshape(6, 6)
    assert clean_labels(labels, 100).max() == 0
    assert np.bincount(clean_labels(labels, 4).ravel()).min() >= 4


def test_neighbours_and_their_borders():
    labels = np.zeros((4, 6), int)
    labels[:, 3:] = 1
    labels[2:, 3:] = 2
    pairs, shared = neighbours(labels)
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert shared.tolist() == [2, 2, 3]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 40)])
@pytest.mark.parametrize("method", METHODS)
def test_tiny_pictures(size, method):
    segments = segment(np.zeros((*size, 3), np.uint8), SegmentConfig(method=method))
    assert segments.size == size
    assert segments.count == 1
    assert len(segments.touching[0]) == 0


def test_what_is_no_picture_is_refused():
    with pytest.raises(InputError, match="shape"):
        segment(np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="finite"):
        segment(np.full((4, 4, 3), np.nan))
    with pytest.raises(UnknownNameError, match="felzenszwalb"):
        SegmentConfig(method="felzenswalb")
    with pytest.raises(InputError, match="min_size=0"):
        SegmentConfig(min_size=0)
    with pytest.raises(InputError, match="scale=-1"):
        SegmentConfig(scale=-1)


def test_borders_are_drawn_and_fields_filled():
    picture = squares()
    segments = segment(picture)
    drawn = draw_outlines(picture, segments, colour=(1, 2, 3))
    changed = (drawn == (1, 2, 3)).all(2)
    assert 0.02 < changed.mean() < 0.1
    assert np.array_equal(drawn[~changed], picture[~changed])
    filled = draw_outlines(picture, segments, fill=True)
    assert len(np.unique(filled[5:20, 5:20].reshape(-1, 3), axis=0)) == 1
    with pytest.raises(InputError, match="one size"):
        draw_outlines(picture[:10], segments)


def test_segments_know_their_areas():
    segments = Segments(labels=np.array([[0, 0, 1]], np.int32))
    assert segments.areas.tolist() == [2, 1]
    assert segments.size == (1, 3)
