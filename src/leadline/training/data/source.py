"""Where batches come from.

The rules that make a run repeatable, on one process or many:

- A sample is a pure function of (seed, step, row), ``row`` from 0 to ``config.batch - 1``; the
  engine deals rows out to processes and accumulated parts.
- What all rows of a step share (the input size) is a function of (seed, step).
- Random numbers come from :mod:`leadline.training.data.seeds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from leadline.training.data.seeds import step_generator

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig
    from leadline.training.data.world_shards import RenderedWorld

Batch = dict[str, Tensor]
"""Tensors whose first axis is the sample; ``rgb`` (b, 3, h, w) in [0, 1], not normalised."""


class BatchSource(ABC):
    """Where batches come from while a run lasts. Abstract.

    Attributes:
        world: the rendered world that it draws from, if any.
    """

    world: RenderedWorld | None = None

    @abstractmethod
    def sample(self, step: int, row: int) -> Batch:
        """One sample, without the axis of samples."""

    def batch(self, step: int, rows: Sequence[int]) -> Batch:
        """The samples ``rows`` of ``step``, on any device; called from several threads."""
        samples = [self.sample(step, row) for row in rows]
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def forget(self, step: int) -> None:
        """No step up to ``step`` will be asked for again: shards that only they needed go."""
        if self.world is not None:
            self.world.forget(step)

    def origin(self, step: int, row: int) -> str:
        """Where a sample comes from (files, shards), for the diagnosis of a bad batch."""
        return f"step {step}, row {row}"


def step_size(config: TrainConfig, step: int) -> tuple[int, int]:
    """Input size (height, width) of the batch of ``step``, where the data do not decide it."""
    return config.sizes[int(step_generator(config.seed, step).integers(len(config.sizes)))]
