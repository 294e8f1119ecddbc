"""Costs: how many numbers a network has learnt, how much it computes, how long that takes here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError, MissingDependencyError
from leadline.preprocess import Preprocess

if TYPE_CHECKING:
    from leadline.models.base import DepthModule
    from leadline.spec import ModelSpec

WARM_UPS = 2


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one picture costs.

    Attributes:
        name: of the model in the catalogue.
        parameters: learnt numbers of the whole network, parts that only training uses included
            (Monodepth2's pose network, say).
        gflop: 10^9 additions and multiplications for one picture: convolutions, matrices and
            attention; a multiply-add counts as two.
        input_size: (height, width) of the network's input for a picture of its paper's size.
        latency_ms: median of PyTorch in float32 with random weights, here and now; None when it
            was not measured.
    """

    name: str
    parameters: int
    gflop: float
    input_size: tuple[int, int]
    latency_ms: float | None = None


def cost_of(spec: ModelSpec, *, runs: int = 0) -> Cost:
    """Count a network, on the meta device: no weights, no memory.

    Args:
        spec: an entry of the catalogue.
        runs: how many timed runs; 0 measures no time. Timing needs memory for the weights.

    Raises:
        InputError: the model is not a torch network, or ``runs`` is negative.
        MissingDependencyError: torch is not installed.
    """
    if runs < 0:
        raise InputError(f"runs={runs}: 0 or more are needed.")
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "counting a network", "torch") from error
    size = Preprocess(spec.preprocess).input_size(*spec.preprocess.size)
    with torch.device("meta"):
        module = _build(spec).requires_grad_(False)  # the counter would ask for gradients' nodes
        batch = torch.zeros(1, 3, *size)
    return Cost(
        name=spec.name,
        parameters=sum(p.numel() for p in module.parameters()),
        gflop=count_gflop(module, batch),
        input_size=size,
        latency_ms=_median_ms(_build(spec), size, runs) if runs else None,
    )


def count_gflop(module: DepthModule, batch: Any) -> float:
    """10^9 additions and multiplications of ``module(batch)``; both may be on the meta device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(batch)
    return counter.get_total_flops() / 1e9


def _build(spec: ModelSpec) -> DepthModule:
    from leadline import models

    if spec.architecture is None:
        raise InputError(f"{spec.name} is not a torch network; there is nothing to count.")
    return models.build(spec.architecture, **spec.options)


def _median_ms(module: DepthModule, size: tuple[int, int], runs: int) -> float:
    import torch

    batch = torch.rand(1, 3, *size)
    times = []
    with torch.inference_mode():
        for _ in range(WARM_UPS + runs):
            start = time.perf_counter()
            module(batch)
            times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[WARM_UPS:]))
