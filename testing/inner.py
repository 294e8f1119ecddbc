"""Watch what the inner modules of a network give, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def watch(module: nn.Module, call: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """What ``call`` returns without gradients, and the last output of every named submodule."""
    seen: dict[str, Any] = {}
    hooks = [
        part.register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.__setitem__(name, output)
        )
        for name, part in module.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            return call(), seen
    finally:
        for hook in hooks:
            hook.remove()
