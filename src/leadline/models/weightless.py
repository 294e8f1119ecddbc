"""Networks whose weights come from a file: built without memory, and without drawing weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode


class SkipInitialisation(TorchFunctionMode):
    """Leaves tensors as they are where ``torch.nn.init`` would fill them.

    On the meta device there is nothing to fill, and PyTorch's rules for it there load its compiler:
    160 MB and a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Every call of a function of torch."""
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":  # slots have no module
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
