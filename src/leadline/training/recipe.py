"""What a recipe is: the part of training that differs between papers.

The engine (:mod:`leadline.training.loop`) owns steps, optimiser, precision, averages, processes,
checkpoints, logs and pictures. A recipe owns the networks, the samples and the loss. To add one:
write ``recipes/NAME.py`` with one final subclass of :class:`Recipe`, its frozen keyword-only
``Options``, put it into :data:`leadline.training.recipes.RECIPES`, and write
``presets/NAME.toml``.

```python
@dataclass(frozen=True, kw_only=True)
class StereoOptions:
    smoothness: float = 0.1                       # [options] smoothness = 0.1 in TOML

class Stereo(Recipe):
    name, Options = "stereo", StereoOptions

    def build(self): return models.build(self.config.model, **self.config.model_options)
    def delivered(self, module): return Delivered(spec=self.spec(), module=module)
    def data(self, folder, step): return world_pairs(...)    # context manager of a BatchSource
    def loss(self, forward, batch, step):
        outputs = forward(batch["left"])          # once, and through `forward` alone
        return total, {"appearance": ..., "smoothness": ...}
```

The rules that make a run repeatable, and the same on one process or many:

- A sample is a pure function of (seed, step, row), ``row`` from 0 to ``config.batch - 1``; the
  engine deals rows out to processes and accumulated parts. What all rows of a step share (the
  input size) is a function of (seed, step). Take random numbers from
  :func:`step_generator` and :func:`sample_generator`.
- ``loss`` calls ``forward`` exactly once: it is the built module with mixed precision, gradient
  synchronisation and checkpointing around it. Several networks are one module whose ``forward``
  runs them all. What comes out is float32 again, whatever the precision.
- ``loss`` returns a mean over its samples, because parts of a batch are averaged. A loss over
  all valid pixels of a part weighs pictures by their valid pixels within the part.
- torch's global generators are seeded from (seed, step, process, part) before every part, so
  dropout repeats too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from leadline.training.optimise import encoder_groups

if TYPE_CHECKING:
    from leadline.models.base import DepthModule
    from leadline.spec import ModelSpec
    from leadline.training.config import TrainConfig
    from leadline.training.rendered import RenderedWorld

Batch = dict[str, Tensor]
"""Tensors whose first axis is the sample; ``rgb`` (b, 3, h, w) in [0, 1], not normalised."""

Forward = Callable[..., Any]
"""The built module, called as the engine wants it called."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What a run hands over: the network that predicts, and what it is and wants.

    Attributes:
        spec: with ``architecture`` and ``options``, from which the same network is built again.
        module: a part of the built module, or all of it.
    """

    spec: ModelSpec
    module: DepthModule


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


class Recipe(ABC):
    """One way to learn depth. Abstract; subclasses are final.

    Attributes:
        name: key of :data:`leadline.training.recipes.RECIPES`.
        Options: frozen keyword-only dataclass of the recipe's own settings.
        score: the metric of :meth:`validate` by which the best weights are kept; lower is better.
        protocol: by which :meth:`validate` measures, unless the config names another.
        config: of the run.
        options: an instance of ``Options``.
    """

    name: ClassVar[str]
    Options: ClassVar[type]
    score: ClassVar[str] = "abs_rel"
    protocol: ClassVar[str] = "depth-anything-zero-shot"

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.options: Any = config.options

    @abstractmethod
    def build(self) -> nn.Module:
        """All that learns, as one module with its starting weights."""

    @abstractmethod
    def delivered(self, module: nn.Module) -> Delivered:
        """The network that predicts, inside what :meth:`build` gave, and its description."""

    @abstractmethod
    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Open the samples of a run that goes on at ``step``.

        Args:
            folder: the run's; rendered shards go below it.
            step: the first that will be asked for.
        """

    @abstractmethod
    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """A scalar, and its parts by name for the log. See the module for the rules."""

    def parameter_groups(self, module: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser, each with its peak ``lr`` and ``weight_decay``.

        Default: ``encoder_lr`` for what is named ``encoder.*``, ``lr`` for the rest; vectors do
        not decay. Parameters that are frozen for good are left out.
        """
        return encoder_groups(module, self.config)

    def begin_step(self, module: nn.Module, step: int) -> None:  # noqa: B027 most have one phase
        """Set what learns at ``step`` (``requires_grad_``); a function of ``step`` alone."""

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Metrics of the module in eval mode, ``score`` among them; {} when there is no truth.

        Default: the delivered network on held-out frames by the protocol.
        """
        from leadline.training.validation import validate

        return validate(self.delivered(module), self.config, self.config.protocol or self.protocol)

    def rehearse(self, module: nn.Module) -> None:
        """Refuse what :meth:`validate` could not measure, before anything is learned.

        Default: the delivered network's kind of map against a held-out frame of each source.
        """
        from leadline.training.validation import rehearse

        spec = self.delivered(module).spec
        rehearse(spec, self.config, self.config.protocol or self.protocol)

    def pictures(self, module: nn.Module, batch: Batch) -> np.ndarray | None:
        """A contact sheet (h, w, 3) uint8 for people, from the module in eval mode; or None.

        Default: pictures beside what the delivered network makes of them.
        """
        from leadline.training.validation import sheet

        return sheet(self.delivered(module), batch)


def step_generator(seed: int, step: int) -> np.random.Generator:
    """Random numbers for what all samples of a step share."""
    return np.random.default_rng([seed, 2, step])


def sample_generator(seed: int, step: int, row: int) -> np.random.Generator:
    """Random numbers for one sample."""
    return np.random.default_rng([seed, 4, step, row])


def step_size(config: TrainConfig, step: int) -> tuple[int, int]:
    """Input size (height, width) of the batch of ``step``, where the data do not decide it."""
    return config.sizes[int(step_generator(config.seed, step).integers(len(config.sizes)))]
