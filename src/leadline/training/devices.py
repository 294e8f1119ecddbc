"""Where a process computes and which one renders; under torchrun each has a GPU of its own."""

from __future__ import annotations

import os

import torch

from leadline.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto``: cuda, then mps, then the CPU.

    Raises:
        DeviceError: it is not here.
    """
    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in here.items() if there))
    if not here.get(name.partition(":")[0], False):
        offers = ", ".join(kind for kind, there in here.items() if there)
        raise DeviceError(f"device={name!r}: PyTorch offers {offers} here; choose one of these.")
    return torch.device(name)


def choose_own_device(name: str) -> torch.device:
    """The device of this process; each of torchrun's on a machine has a GPU of its own."""
    device = choose_device(name)
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def renders_here() -> bool:
    """Whether this process is the one of its machine that renders."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0
