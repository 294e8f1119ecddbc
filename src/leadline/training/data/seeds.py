"""Every seed of training: which random numbers are drawn for what, and what is held out.

A generator is seeded by the run's seed, the number of its domain, and what it is for. No two
domains share a number, so none repeats another's draws.
"""

from __future__ import annotations

import numpy as np

_SHARD_SIZE, _STEP, _SHARD, _SAMPLE, _DEPTH_NOISE = 1, 2, 3, 4, 5

UNLABELLED_SCENES = 500_000_000
"""First scene of the rendered pictures that a teacher labels."""

HELD_OUT_SCENES = 900_000_000
"""First scene of the held-out frames of single views."""

HELD_OUT_RIG = 900_000_001
"""Seed of the generator of the held-out pictures of a rig."""


def shard_size_generator(seed: int, index: int) -> np.random.Generator:
    """Random numbers for the size of the pictures of shard ``index``."""
    return np.random.default_rng([seed, _SHARD_SIZE, index])


def step_generator(seed: int, step: int) -> np.random.Generator:
    """Random numbers for what all samples of a step share."""
    return np.random.default_rng([seed, _STEP, step])


def shard_generator(seed: int, index: int) -> np.random.Generator:
    """Random numbers for the pictures of shard ``index``."""
    return np.random.default_rng([seed, _SHARD, index])


def sample_generator(seed: int, step: int, row: int) -> np.random.Generator:
    """Random numbers for one sample."""
    return np.random.default_rng([seed, _SAMPLE, step, row])


def depth_noise_generator(seed: int, *which: int) -> np.random.Generator:
    """Random numbers for the errors of one depth map, the same whenever it is drawn."""
    return np.random.default_rng([seed, _DEPTH_NOISE, *which])


def scene_seed(rng: np.random.Generator) -> int:
    """The seed of a scene to learn from: of 2**62, so that none of those above comes up."""
    return int(rng.integers(2**62))


def part_seed(seed: int, step: int, rank: int, part: int) -> int:
    """The seed of torch's global generators for one part of a step in one process."""
    state = np.random.SeedSequence((seed, step, rank, part)).generate_state(1, np.uint64)
    return int(state[0] >> 1)
