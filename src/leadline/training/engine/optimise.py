"""Optimiser, learning rates over a run, and what is frozen."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadline.training.config import TrainConfig


def rate_factor(config: TrainConfig, step: int) -> float:
    """What every peak rate is multiplied by at ``step``.

    After a linear warm-up, over the share of the run that is left:

    - ``cosine``: half a cosine to zero;
    - ``one-cycle``: cosine from ``rise_from`` up to 1 within the first ``pct_start`` of the run,
      then down to ``rise_from`` / 10,000 (Smith and Topin 2018); it is its own warm-up. The
      defaults, 1/25 and 30 %, are PyTorch's;
    - ``poly``: (1 - share) ** power;
    - ``step``: times ``factor`` at each of ``milestones``;
    - ``constant``.
    """
    if config.schedule == "one-cycle":
        return _one_cycle(config, step, config.rise_from, 1.0, config.rise_from / 1e4)
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    share = max(0, step - config.warmup) / max(1, config.steps - config.warmup)
    if config.schedule == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * share))
    if config.schedule == "poly":
        return warm * (1 - share) ** config.power
    if config.schedule == "step":
        passed = bisect.bisect_right(sorted(config.milestones), step / config.steps)
        return warm * config.factor**passed
    return warm


def _one_cycle(config: TrainConfig, step: int, begin: float, middle: float, end: float) -> float:
    """Half a cosine from ``begin`` to ``middle`` while the rate rises, and another to ``end``."""
    top, last = max(1.0, config.pct_start * config.steps - 1), config.steps - 1
    if step <= top:
        low, high, part = begin, middle, step / top
    else:
        low, high, part = middle, end, (step - top) / (last - top)
    return high + (low - high) * 0.5 * (1 + math.cos(math.pi * min(1.0, part)))


def make_optimizer(groups: list[dict[str, Any]], config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser; the ``lr`` of each group is kept as its ``peak``.

    Raises:
        InputError: nothing is left that learns.
    """
    groups = [{**group, "peak": group["lr"]} for group in groups if group["params"]]
    if not groups:
        raise InputError("nothing learns: every parameter is frozen; look at freeze and lr.")
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.Adam(groups, lr=config.lr, amsgrad=config.optimizer == "amsgrad")


def set_rates(optimizer: torch.optim.Optimizer, config: TrainConfig, step: int) -> float:
    """Set every group's rate for ``step``; returns the factor.

    In ``one-cycle`` with ``momentum_cycle`` the momentum (Adam's first beta) falls from the larger
    to the smaller of the two while the rate rises, and comes back while it falls.
    """
    factor = rate_factor(config, step)
    momentum = None
    if config.schedule == "one-cycle" and config.momentum_cycle:
        low, high = config.momentum_cycle
        momentum = _one_cycle(config, step, high, low, high)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None:
            group["momentum"] = momentum
    return factor


def freeze(module: nn.Module, beginnings: Iterable[str], *, frozen: bool) -> None:
    """Freeze or unfreeze the parameters whose names begin so; frozen parts keep their statistics.

    Raises:
        InputError: a beginning that no parameter has.
    """
    for beginning in beginnings:
        found = False
        for name, parameter in module.named_parameters():
            if _begins(name, beginning):
                parameter.requires_grad_(not frozen)
                found = True
        if not found:
            parts = sorted({name.split(".")[0] for name, _ in module.named_parameters()})
            raise InputError(
                f"freeze={beginning!r}: no parameter is named so; names begin with "
                f"{', '.join(parts)}."
            )
        for name, part in module.named_modules():
            if _begins(name, beginning):
                part.train(not frozen)


def _begins(name: str, beginning: str) -> bool:
    return name == beginning or name.startswith(beginning.rstrip(".") + ".")
