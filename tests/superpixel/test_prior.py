"""The zero-parameter model: lower is nearer, the farthest region is farthest."""

import numpy as np
import pytest

pytest.importorskip("skimage")

from leadline.superpixel.prior import HeightPrior, nearness_by_height
from leadline.superpixel.segmentation import Segments


def scene() -> Segments:
    """Sky 0, a floor 1 that reaches the lower edge, a post 2 on it, a lamp 3 in the sky."""
    labels = np.zeros((40, 60), np.int32)
    labels[20:] = 1
    labels[10:30, 20:24] = 2
    labels[4:8, 40:50] = 3
    return Segments(labels=labels)


def test_what_stands_lower_is_nearer():
    found = nearness_by_height(scene())
    sky, post, lamp = found[0, 0], found[12, 21], found[5, 45]
    assert lamp == 0  # it stands highest
    assert lamp < sky < post < found[39, 0] == 1
    assert len(np.unique(found[10:30, 20:24])) == 1


def test_the_ground_rises_with_the_rows():
    floor = nearness_by_height(scene())[20:, 0]
    assert (np.diff(floor) > 0).all()
    # The post stands where its foot is: as near as the floor there.
    assert nearness_by_height(scene())[29, 21] == floor[29 - 20]


@pytest.mark.parametrize("size", [(30, 40), (1, 1), (1, 9), (9, 1)])
def test_one_segment_is_a_ramp(size):
    found = nearness_by_height(Segments(labels=np.zeros(size, np.int32)))
    assert found.shape == size
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) > 0).all()


def test_it_cannot_tell_how_sure_it_is():
    disparity, confidence = HeightPrior().predict(np.zeros((12, 16, 3), np.float32))
    assert disparity.shape == confidence.shape
    assert np.unique(confidence).tolist() == [0.5]
