"""Filters, their statistics over segments, and context: against plain loops."""

import numpy as np
import pytest

pytest.importorskip("skimage")
ndimage = pytest.importorskip("scipy.ndimage")

from leadline.errors import InputError  # noqa: E402
from leadline.superpixel import features as f  # noqa: E402
from leadline.superpixel.segmentation import Segments  # noqa: E402


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(2)
    return ndimage.gaussian_filter(rng.random((48, 64, 3)), (1, 1, 0)).astype(np.float32)


@pytest.fixture(scope="module")
def segments() -> Segments:
    rows, columns = np.mgrid[:48, :64]
    return Segments(labels=((rows // 13) * 4 + columns // 17).astype(np.int32))


def test_responses_are_scipys(picture):
    luma = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    mask = np.outer((1, 2, 1), (-1, 0, 1)) / 8
    ours = f.filter_responses(picture)
    assert ours.shape == (48, 64, 17)
    theirs = np.abs(ndimage.correlate(luma, mask, mode="nearest"))
    np.testing.assert_allclose(ours[..., f.FILTER_NAMES.index("Laws L3E3")], theirs, atol=1e-5)
    chroma = picture @ np.array([0.5, -0.418688, -0.081312], np.float32)
    mean = ndimage.correlate(chroma, np.outer((1, 2, 1), (1, 2, 1)) / 16, mode="nearest")
    np.testing.assert_allclose(ours[..., 10], np.abs(mean), atol=1e-5)


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 120, 150])
def test_an_edge_answers_its_own_filter_most(angle):
    rows, columns = np.mgrid[:41, :41] - 20.0
    # Angle of the edge's own direction, counter-clockwise from the right; rows run downwards.
    across = columns * np.sin(np.radians(angle)) + rows * np.cos(np.radians(angle))
    edge = np.repeat((1 / (1 + np.exp(4 * across)))[..., None], 3, 2).astype(np.float32)
    middle = f.filter_responses(edge)[18:23, 18:23, 11:].max(axis=(0, 1))
    assert f.FILTER_NAMES[11 + int(middle.argmax())] == f"edge {angle}"


def test_one_colour_answers_only_the_averages():
    responses = f.filter_responses(np.full((9, 9, 3), 0.5, np.float32))
    assert responses[..., 0] == pytest.approx(0.5)
    assert np.abs(responses[..., 1:]).max() < 1e-6


def test_statistics_are_those_of_a_loop(picture, segments):
    responses = f.filter_responses(picture)
    ours = f.segment_statistics(responses, segments)
    for number in (0, 5, segments.count - 1):
        inside = responses[segments.labels == number].astype(np.float64)
        energy = np.log(np.sqrt((inside**2).mean(0)) + 1e-4)
        peak = np.log((inside**4).mean(0) ** 0.25 + 1e-4) - energy
        np.testing.assert_allclose(ours[number], np.r_[energy, peak], atol=1e-4)


def test_shapes_of_rectangles(segments):
    shapes = dict(zip(f.SHAPE_NAMES, f.segment_shapes(segments)[0], strict=True))
    assert shapes["log area"] == pytest.approx(np.log(13 * 17 / (48 * 64)))
    assert shapes["x50"] == pytest.approx(2 * 8.5 / 64 - 1, abs=1e-6)
    assert shapes["y50"] == pytest.approx(2 * 6.5 / 48 - 1, abs=1e-6)
    assert shapes["x10"] < shapes["x50"] < shapes["x90"]
    assert shapes["neighbours"] == pytest.approx(np.log(3))
    assert shapes["orientation"] > 0.5  # wider than tall
    assert shapes["log length"] > shapes["log width"]


def test_cells_know_themselves_and_their_neighbours(picture, segments):
    found = f.describe(picture, segments)
    assert found.grid == (6, 8)
    assert found.texture.shape == (48, f.TEXTURE_COUNT) == (48, 510)
    assert found.shape.shape == (48, 13)
    texture = found.texture.reshape(6, 8, 3, 5, 34)
    own = texture[:, :, 0, 0]
    np.testing.assert_array_equal(texture[:, 1:, 0, 1], own[:, :-1])  # left
    np.testing.assert_array_equal(texture[:, :-1, 0, 2], own[:, 1:])  # right
    np.testing.assert_array_equal(texture[1:, :, 0, 3], own[:-1])  # above
    np.testing.assert_array_equal(texture[:-1, :, 0, 4], own[1:])  # below
    np.testing.assert_array_equal(texture[0, :, 0, 3], own[0])  # the border is repeated
    assert np.all(np.diff(found.x.reshape(6, 8), axis=1) > 0)
    assert np.all(np.diff(found.y.reshape(6, 8), axis=0) > 0)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (7, 5)])
def test_tiny_pictures_have_finite_features(size):
    found = f.describe(np.zeros((*size, 3), np.float32), Segments(labels=np.zeros(size, np.int32)))
    assert np.isfinite(found.texture).all()
    assert np.isfinite(found.shape).all()
    assert len(found.owner) == found.grid[0] * found.grid[1]


def test_segments_of_another_picture_are_refused(picture, segments):
    with pytest.raises(InputError, match="one size"):
        f.describe(picture[:20], segments)
