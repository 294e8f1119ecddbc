"""How the module is called and its gradients are made: precision, scaling, clipping, memory."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

from leadline.errors import InputError

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Forwarding:
    """Calls a module in mixed precision and gives float32; makes and clips its gradients.

    Args:
        module: as it is to be called, wrapped for several processes where there are any.
        amp: ``off``, ``bf16`` or ``fp16``.
        device: where it lives.
    """

    def __init__(self, module: nn.Module, amp: str, device: torch.device) -> None:
        self.module = module
        self.device = device
        self.dtype = _TYPES.get(amp)
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp == "fp16")

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The module's outputs, their floating tensors as float32.

        Raises:
            InputError: batch normalisation has a single value to normalise.
        """
        try:
            if self.dtype is None:
                return self.module(*inputs, **named)
            with torch.autocast(self.device.type, dtype=self.dtype):
                return as_float32(self.module(*inputs, **named))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(
                "a batch, or a part or a process's share of one, holds a single picture, of which "
                "one pixel is left inside the network: batch normalisation needs two. Raise batch "
                "or sizes, or lower accumulate."
            ) from error

    @contextmanager
    def gradients(self, *, synchronise: bool) -> Generator[None]:
        """Around a part's loss and backward; only the last part of a step synchronises."""
        parallel = isinstance(self.module, nn.parallel.DistributedDataParallel)
        with nullcontext() if synchronise or not parallel else self.module.no_sync():
            yield

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a part's loss."""
        self.scaler.scale(loss).backward()

    def finish(self, optimizer: torch.optim.Optimizer, clip: float) -> Tensor | None:
        """Clip and take the optimiser's step.

        Returns:
            The gradient's norm before clipping; None when fp16 overflowed, so that the step was
            left out and the scale lowered.
        """
        self.scaler.unscale_(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, clip if clip > 0 else float("inf"))
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        overflow = self.scaler.is_enabled() and not bool(torch.isfinite(norm))
        if self.scaler.is_enabled() or bool(torch.isfinite(norm)):
            self.scaler.step(optimizer)
        self.scaler.update()
        return None if overflow else norm.detach()


def as_float32(value: Any) -> Any:
    """Tensors in half precision as float32, inside tuples, lists and mappings."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, tuple):
        items = [as_float32(item) for item in value]
        fields = getattr(type(value), "_fields", None)
        return type(value)(*items) if fields else tuple(items)
    if isinstance(value, list):
        return [as_float32(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_float32(item) for key, item in value.items()}
    return value


def repeated_blocks(module: nn.Module) -> list[nn.Module]:
    """The entries of every list or sequence named ``blocks``: what encoders repeat."""
    return [
        block
        for name, part in module.named_modules()
        if name.rpartition(".")[2] == "blocks" and isinstance(part, (nn.ModuleList, nn.Sequential))
        for block in part
    ]


def checkpoint_activations(module: nn.Module) -> None:
    """Recompute the blocks of every encoder in the backward pass: less memory, a third more time.

    Raises:
        InputError: the network has no such blocks.
    """
    found = repeated_blocks(module)
    if not found:
        raise InputError(
            f"activation_checkpointing=true: {type(module).__name__} has no blocks to recompute; "
            "leave it out."
        )
    for block in found:
        _recompute(block)


def _recompute(block: nn.Module) -> None:
    plain = block.forward

    def forward(*inputs: Any, **named: Any) -> Any:
        if not (block.training and torch.is_grad_enabled()):
            return plain(*inputs, **named)
        return checkpoint(plain, *inputs, use_reentrant=False, **named)

    block.forward = forward
