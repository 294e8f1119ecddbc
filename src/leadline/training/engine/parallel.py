"""Several processes, started by torchrun: who does what, and how gradients come together.

    torchrun --nproc-per-node 4 -m leadline train relative --out runs/relative

Every process takes its rows of each batch; the first one writes. On one machine the first process
renders the world for all; on several, each machine's first does, into the run's folder.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed.distributed_c10d as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from leadline.errors import InputError
from leadline.training.devices import choose_own_device
from leadline.training.engine.forward import repeated_blocks

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which process this is.

    Attributes:
        rank, world_size: number of this process, and of all.
        device: where its module lives.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def rows(self, config: TrainConfig, part: int) -> range:
        """The rows of a batch that this process takes in its ``part``-th turn."""
        parts = self.world_size * config.accumulate
        if config.batch % parts:
            raise InputError(
                f"batch={config.batch} for {self.world_size} processes and accumulate="
                f"{config.accumulate}: a multiple of {parts} is needed."
            )
        size = config.batch // parts
        first = (self.rank * config.accumulate + part) * size
        return range(first, first + size)


@contextmanager
def processes(config: TrainConfig) -> Generator[Place]:
    """Join torchrun's group of processes while the block lasts; without torchrun, be alone."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    device = choose_own_device(config.device)
    if world_size == 1:
        yield Place(device=device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(rank=dist.get_rank(), world_size=world_size, device=device)
    finally:
        dist.destroy_process_group()


def distribute(module: nn.Module, place: Place, config: TrainConfig) -> nn.Module:
    """The module whose gradients are averaged over all processes; alone: itself."""
    if place.world_size == 1:
        return module
    if config.parallel == "fsdp":
        for block in repeated_blocks(module):
            fully_shard(block)
        fully_shard(module)
        return module
    ids = [place.device.index] if place.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(module, device_ids=ids, find_unused_parameters=True)


def mean_over_processes(value: Tensor, place: Place) -> Tensor:
    """The mean of a detached tensor over all processes."""
    if place.world_size == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / place.world_size


def gather_whole(state: dict[str, Any]) -> dict[str, Any]:
    """A state dict with its sharded tensors put together; every process has to call it."""
    return {
        name: value.full_tensor() if isinstance(value, DTensor) else value
        for name, value in state.items()
    }


def copy_into(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Copy whole tensors into those of the same names, sharded or not.

    Raises:
        InputError: other names or shapes.
    """
    theirs, ours = ({k: tuple(v.shape) for k, v in each.items()} for each in (source, target))
    if other := [k for k in {**theirs, **ours} if theirs.get(k) != ours.get(k)]:
        raise InputError(
            f"the run's network is another one ({len(other)} tensors differ, the first {other[0]}):"
            " options that shape it cannot change on the way. Give them as they were."
        )
    for name, value in source.items():
        into = target[name]
        if isinstance(into, DTensor):
            value = distribute_tensor(
                value.to(into.device_mesh.device_type), into.device_mesh, into.placements
            )
        into.copy_(value)


def optimizer_state(
    module: nn.Module, optimizer: torch.optim.Optimizer, config: TrainConfig, place: Place
) -> dict[str, Any]:
    """The whole state of the optimiser; every process has to call it."""
    if place.world_size == 1 or config.parallel == "ddp":
        return optimizer.state_dict()
    return get_optimizer_state_dict(
        module, optimizer, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )


def restore_optimizer(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    saved: dict[str, Any],
    config: TrainConfig,
    place: Place,
) -> None:
    """Take back what :func:`optimizer_state` gave, also on another number of processes.

    Rates, decay and all else that the config says stay as they are.

    Raises:
        InputError: the state of a run that was not sharded, for one that is, or of parameters that
            were divided in another way.
    """
    by_name = any(isinstance(key, str) for key in saved["state"])
    sharded = place.world_size > 1 and config.parallel == "fsdp"
    if sharded and not by_name and saved["state"]:
        raise InputError(
            "this run was not sharded so far; go on with parallel=ddp, or start a new run from its "
            "weights (--set init_from=RUN)."
        )
    own_settings = [
        {k: v for k, v in each.items() if k != "params"} for each in optimizer.param_groups
    ]
    if by_name:
        options = StateDictOptions(full_state_dict=True)
        set_optimizer_state_dict(module, optimizer, saved, options=options)
    else:
        theirs, ours = (
            [len(each["params"]) for each in groups]
            for groups in (saved["param_groups"], optimizer.param_groups)
        )
        if theirs != ours:
            raise InputError(
                f"the run's parameters are divided into groups of {theirs} and now of {ours}: "
                "options that divide them (divisors of rates, own_rates) cannot change on the way. "
                "Give them as they were, or begin anew with --set init_from=RUN."
            )
        optimizer.load_state_dict(saved)
    for group, own in zip(optimizer.param_groups, own_settings, strict=True):
        group.update(own)
