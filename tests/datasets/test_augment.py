from __future__ import annotations

import numpy as np
import pytest

from leadline.datasets import augment
from leadline.errors import InputError


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (20, 32, 3), dtype=np.uint8)
    depth = rng.uniform(1, 9, (20, 32)).astype(np.float32)
    depth[0] = 0
    return picture, depth


def test_zooming_in_brings_things_nearer(pair):
    picture, depth = augment.zoom(*pair, 2.0)
    assert picture.shape == (20, 32, 3)
    assert depth[10, 16] == pair[1][10, 16] / 2
    assert depth.max() <= pair[1].max() / 2
    with pytest.raises(InputError, match="at least 1"):
        augment.zoom(*pair, 0.9)
    same = augment.zoom(*pair, 1.0)
    np.testing.assert_array_equal(same[1], pair[1])
    np.testing.assert_array_equal(same[0], pair[0])


def test_rolling_keeps_depth_and_tells_what_is_unknown(pair):
    picture, depth = augment.rotate(*pair, 180)
    np.testing.assert_array_equal(depth, pair[1][::-1, ::-1])
    np.testing.assert_array_equal(picture, pair[0][::-1, ::-1])
    _, tilted = augment.rotate(pair[0], np.ones((20, 32), np.float32), 5)
    assert tilted[0, 0] == 0
    assert tilted[10, 16] == 1


def test_a_flipped_pair_is_a_pair():
    left, right = np.zeros((2, 8, 3), np.uint8), np.zeros((2, 8, 3), np.uint8)
    left[:, 5], right[:, 3] = 255, 255  # disparity 2: nearer things lie farther left on the right
    new_left, new_right = augment.flip_pair(left, right)
    assert np.argmax(new_left[0, :, 0]) - np.argmax(new_right[0, :, 0]) == 2
    assert np.argmax(left[:, ::-1][0, :, 0]) - np.argmax(right[:, ::-1][0, :, 0]) == -2


def test_flip_and_crop_move_both(pair):
    picture, depth = augment.flip(*pair)
    np.testing.assert_array_equal(depth[:, 0], pair[1][:, -1])
    np.testing.assert_array_equal(picture[:, 0], pair[0][:, -1])
    marked = np.repeat((pair[1] * 20).astype(np.uint8)[..., None], 3, 2)
    part, part_depth = augment.crop(marked, pair[1], (7, 9), np.random.default_rng(1))
    assert part_depth.shape == (7, 9)
    np.testing.assert_array_equal(part[..., 0], (part_depth * 20).astype(np.uint8))
    with pytest.raises(InputError, match="smaller"):
        augment.crop(*pair, (21, 9), np.random.default_rng(1))


@pytest.mark.parametrize("change", [augment.scale_colours, augment.monodepth_colours])
def test_colours_change_alike_in_a_pair(pair, change):
    first, second = change([pair[0], pair[0].copy()], np.random.default_rng(2))
    np.testing.assert_array_equal(first, second)
    assert (first != pair[0]).mean() > 0.5
    assert first.dtype == np.uint8


def test_channels_are_permuted(pair):
    orders = set()
    for seed in range(30):
        made = augment.permute_colours(pair[0], np.random.default_rng(seed))
        orders.add(tuple(made[3, 4]))
        assert sorted(made[3, 4]) == sorted(pair[0][3, 4])
    assert len(orders) == 6


def test_cutmix_takes_picture_and_depth_together(pair):
    other = 255 - pair[0], pair[1] + 10
    box = augment.cutmix_box((20, 32), np.random.default_rng(3))
    picture, depth = augment.cutmix(pair, other, box)
    np.testing.assert_array_equal(picture[box], other[0][box])
    np.testing.assert_array_equal(depth[~box], pair[1][~box])
    np.testing.assert_array_equal(depth[box], other[1][box])
    shares = [augment.cutmix_box((20, 32), np.random.default_rng(s)).mean() for s in range(200)]
    assert 0.4 < np.mean(shares) < 0.6
    with pytest.raises(InputError, match="one size"):
        augment.cutmix(pair, other, box[:5])
