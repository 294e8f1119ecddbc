"""Checkpoints: what a run needs to go on exactly, and what it delivers.

``state.pt`` holds everything (weights, moving average, optimiser, step, config);
``model.safetensors`` holds the moving average alone, in the module's own names. Both are written
atomically.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.jobs import atomic_write


class MovingAverage:
    """Exponential moving average of a module's weights; integer buffers are copied."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {key: value.detach().clone() for key, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after ``step``; early on the average follows faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


def save_checkpoint(
    folder: Path, state: dict[str, Any], delivered: dict[str, Tensor], *, architecture: str
) -> None:
    """Write ``state.pt`` and ``model.safetensors`` into ``folder``.

    ``architecture`` stands in the weights' header, so that ``leadline.load(folder)`` knows them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.contiguous() for key, value in delivered.items()}
    with atomic_write(folder / "model.safetensors") as file:
        file.write(save(tensors, metadata={"architecture": architecture}))
    with atomic_write(folder / "state.pt") as file:
        torch.save(state, file)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The state to resume from, or None when the folder holds none.

    Raises:
        InputError: the file is there but cannot be read.
    """
    path = folder / "state.pt"
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError) as error:
        raise InputError(f"{path} cannot be resumed from ({error}); move it away.") from error
