"""What a recipe is: the part of training that differs between papers.

The engine (:mod:`leadline.training.engine`) owns steps, optimiser, precision, averages, processes,
checkpoints, logs and pictures. A recipe owns the networks, the samples and the loss. To add one:
write its frozen keyword-only options in :mod:`leadline.training.options`, ``recipes/NAME.py`` with
one final subclass of :class:`Recipe`, put both into their tables, and write ``presets/NAME.toml``.

```python
@dataclass(frozen=True, kw_only=True)
class StereoOptions:
    smoothness: float = 0.1                       # [options] smoothness = 0.1 in TOML

class Stereo(Recipe):
    options: StereoOptions

    def build(self): return build_network(self.config)
    def deliver(self, module): return Delivery(spec=self.spec(), module=module)
    def data(self, folder, step): return world_pairs(...)    # context manager of a BatchSource
    def loss(self, forward, batch, step):
        outputs = forward(batch["left"])          # once, and through `forward` alone
        return total, {"appearance": ..., "smoothness": ...}
```

The rules that make a run repeatable, and the same on one process or many, beside those of
:mod:`leadline.training.data.source`:

- ``loss`` calls ``forward`` exactly once: it is the built module with mixed precision, gradient
  synchronisation and activation checkpointing around it. Several networks are one module whose
  ``forward`` runs them all. What comes out is float32 again, whatever the precision.
- ``loss`` returns a mean over its samples, because parts of a batch are averaged. A loss over
  all valid pixels of a part weighs pictures by their valid pixels within the part.
- torch's global generators are seeded from (seed, step, process, part) before every part, so
  dropout repeats too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor, nn

from leadline.training import validate
from leadline.training.data.source import Batch, BatchSource
from leadline.training.network import Delivery, catalogue_spec, group_parameters

if TYPE_CHECKING:
    from leadline.spec import PreprocessSpec
    from leadline.training.config import TrainConfig

Forward = Callable[..., Any]
"""The built module, called as the engine wants it called."""


class Recipe(ABC):
    """One way to learn depth. Abstract; subclasses are final.

    Attributes:
        score: the metric of :meth:`validate` by which the best weights are kept; lower is better.
        protocol: by which :meth:`validate` measures, unless the config names another.
        config: of the run.
        options: the recipe's own settings.
    """

    score: ClassVar[str] = "abs_rel"
    protocol: ClassVar[str] = "depth-anything-zero-shot"

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.options: Any = config.options

    @abstractmethod
    def build(self) -> nn.Module:
        """All that learns, as one module with its starting weights."""

    @abstractmethod
    def deliver(self, module: nn.Module) -> Delivery:
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

        Default: ``encoder_lr`` for encoders, ``lr`` for the rest; vectors do not decay. Parameters
        that are frozen for good are left out.
        """
        return group_parameters(module, self.config)

    def begin_step(self, module: nn.Module, step: int) -> None:  # noqa: B027 most have one phase
        """Set what learns at ``step`` (``requires_grad_``); a function of ``step`` alone."""

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Metrics of the module in eval mode, ``score`` among them; {} when there is no truth.

        Default: the delivered network on held-out frames by the protocol.
        """
        return validate.validate(self.deliver(module), self.config, self.protocol_name)

    def rehearse(self, module: nn.Module) -> None:
        """Refuse what :meth:`validate` could not measure, before anything is learned.

        Default: the delivered network's kind of map against a held-out frame of each source.
        """
        validate.rehearse(self.deliver(module).spec, self.config, self.protocol_name)

    def pictures(self, module: nn.Module, batch: Batch) -> np.ndarray | None:
        """A contact sheet (h, w, 3) uint8 for people, from the module in eval mode; or None.

        Default: pictures beside what the delivered network makes of them.
        """
        return validate.draw_sheet(self.deliver(module), batch)

    @property
    def preprocess(self) -> PreprocessSpec:
        """Of the network: its mean and standard deviation are those to learn with."""
        return catalogue_spec(self.config.model).preprocess

    @property
    def protocol_name(self) -> str:
        """The config's protocol, or the recipe's own."""
        return self.config.protocol or self.protocol
