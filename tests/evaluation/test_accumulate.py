from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.evaluation import protocols
from leadline.evaluation.accumulate import Accumulator

SMALL = replace(protocols.get_depth("nyu-official-mask"), crop="everything")


def gathered(count: int, protocol=SMALL, start: int = 0) -> Accumulator:
    made = Accumulator(protocol=protocol)
    for i in range(start, count):
        rng = np.random.default_rng(i)
        target = rng.uniform(1, 9, (12, 16))
        target[: i % 5] = 0
        off = 1 + rng.uniform(0, 0.4) * rng.uniform(-1, 1, target.shape)
        made.add(f"{i}", protocol.measure(target * off, target))
    return made


def test_parts_from_processes_equal_one_pass():
    whole = gathered(9)
    parts = [pickle.loads(pickle.dumps(gathered(b, start=a))) for a, b in ((6, 9), (0, 2), (2, 6))]
    merged = Accumulator(protocol=SMALL)
    for part in parts:
        merged.merge(part)
    assert merged.per_image() == whole.per_image()
    assert merged.pool() == whole.pool()
    assert merged.by_distance() == whole.by_distance()
    with pytest.raises(InputError, match="one protocol"):
        merged.merge(gathered(1, protocols.get_depth("fastdepth")))


def test_pooled_and_per_image_differ_as_they_should():
    made = Accumulator(protocol=SMALL)
    few, many = np.zeros((4, 4)), np.full((4, 4), 2.0)
    few[0, 0] = 2
    made.add("few", SMALL.measure(np.full((4, 4), 4.0), few))
    made.add("many", SMALL.measure(many, many))
    assert made.per_image()["abs_rel"] == 0.5
    assert made.pool()["abs_rel"] == pytest.approx(1 / 17)
    assert made.mean() == made.per_image()
    made.protocol = replace(SMALL, average="pixel")
    assert made.mean()["abs_rel"] == pytest.approx(1 / 17)


@pytest.mark.parametrize("average", ["image", "pixel"])
def test_intervals_hold_the_mean_and_shrink(average):
    few, many = (gathered(n, replace(SMALL, average=average)) for n in (10, 160))
    wide, narrow = few.intervals()["abs_rel"], many.intervals()["abs_rel"]
    assert wide.low < few.mean()["abs_rel"] < wide.high
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)
    assert many.intervals() == many.intervals()
    assert np.isnan(gathered(1).intervals()["abs_rel"].low)


def test_nothing_leaves_a_mean_silently():
    made = Accumulator(protocol=SMALL)
    flat, step = np.full((40, 40), 2.0), np.full((40, 40), 2.0)
    step[10:30, 10:30] = 4
    for name, target in (("flat", flat), ("step", step)):
        made.add(name, SMALL.measure(target, target, metrics=("abs_rel", "boundary_f1")))
    assert made.per_image() == {"abs_rel": 0, "boundary_f1": 1}
    assert made.count_undefined() == {"boundary_f1": 1}
    with pytest.raises(InputError, match="no image"):
        Accumulator(protocol=SMALL).per_image()
