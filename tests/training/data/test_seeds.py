"""Seeds: every domain draws its own numbers, and they are all named in one file."""

from pathlib import Path

import numpy as np

from leadline.training.data import seeds

TRAINING = Path(seeds.__file__).parents[1]


def test_domains_do_not_share_their_numbers():
    made = [
        seeds.shard_size_generator(0, 7),
        seeds.step_generator(0, 7),
        seeds.shard_generator(0, 7),
        seeds.sample_generator(0, 7, 0),
        seeds.depth_noise_generator(0, 7),
    ]
    assert len({int(rng.integers(2**62)) for rng in made}) == len(made)


def test_the_numbers_of_a_run_are_what_they_were():
    """Runs of before go on with the same samples."""
    for made, key in (
        (seeds.shard_size_generator(5, 7), [5, 1, 7]),
        (seeds.step_generator(5, 7), [5, 2, 7]),
        (seeds.shard_generator(5, 7), [5, 3, 7]),
        (seeds.sample_generator(5, 7, 3), [5, 4, 7, 3]),
        (seeds.depth_noise_generator(5, 0, 7, 3), [5, 5, 0, 7, 3]),
    ):
        assert made.integers(2**62) == np.random.default_rng(key).integers(2**62)
    held_out = (seeds.UNLABELLED_SCENES, seeds.HELD_OUT_SCENES, seeds.HELD_OUT_RIG)
    assert held_out == (500_000_000, 900_000_000, 900_000_001)


def test_no_other_file_names_a_domain():
    for path in TRAINING.rglob("*.py"):
        if path.name != "seeds.py":
            assert "default_rng([" not in path.read_text(), path
