"""PyTorch: the ``[torch]`` extra; runs the networks of ``leadline.models`` from checkpoints.

The only module of the torch-free half that imports torch, and it does so when it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from leadline.errors import DeviceError, InputError, MissingDependencyError
from leadline.runtime.base import DeviceName, Precision, RuntimeName, raise_if_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor


class Network(Protocol):
    """What :class:`TorchRuntime` runs; every network of ``leadline.models`` is one."""

    def to(self, device: str, /) -> Any: ...  # noqa: D102

    def eval(self) -> Any: ...  # noqa: D102

    @property
    def outputs(self) -> Callable[..., dict[str, Tensor]]:
        """The function from inputs, by name, to outputs."""
        ...


class TorchRuntime:
    """A torch network in eval mode.

    Args:
        module: any network of ``leadline.models``, or of transformers.
        name: the runtime's.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``f32``, or ``bf16`` or ``f16`` through autocast.
        threads: number of threads for the whole process; None leaves PyTorch's choice.

    Raises:
        MissingDependencyError: torch is not installed.
        DeviceError: the device is not here.
    """

    def __init__(
        self,
        module: Network,
        *,
        name: RuntimeName = "torch",
        device: DeviceName = "cpu",
        precision: Precision = "f32",
        threads: int | None = None,
    ) -> None:
        if device not in devices():
            raise DeviceError(
                f"device {device!r}: PyTorch offers {', '.join(devices())} here. Choose one of "
                "these, or install a PyTorch build for that device."
            )
        if threads is not None:
            _torch().set_num_threads(threads)
        self.name: str = name
        self.device: str = device
        self.precision: str = precision
        self._module = module.to(device).eval()
        self._process = os.getpid()

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        torch = _torch()
        if "image" not in arrays:
            raise InputError(f"arrays {sorted(arrays)} were given; 'image' is needed.")
        if os.getpid() != self._process:
            self._settle_in_fork()
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)
            for name, array in arrays.items()
        }
        try:
            with torch.inference_mode(), self._autocast():
                outputs = self._module.outputs(**tensors)
            return {name: output.float().cpu().numpy() for name, output in outputs.items()}
        except RuntimeError as error:
            raise_if_out_of_memory(error)
            raise

    def _settle_in_fork(self) -> None:
        """Run on one thread from now on: a forked process has none of its parent's threads.

        Raises:
            DeviceError: on a GPU, whose state no fork takes along.
        """
        if self.device != "cpu":
            raise DeviceError(
                f"this network was opened on {self.device} before the process forked; open it "
                "again in the new process (leadline.load), or start processes by spawn."
            )
        _torch().set_num_threads(1)
        self._process = os.getpid()

    def _autocast(self) -> Any:
        torch = _torch()
        if self.precision == "f32":
            return nullcontext()
        kind = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device, dtype=kind)


def open_checkpoint(
    architecture: str,
    options: Mapping[str, Any],
    weights: Path,
    *,
    device: DeviceName = "cpu",
    precision: Precision = "f32",
    threads: int | None = None,
) -> TorchRuntime:
    """Build ``architecture``, fill it with ``weights``, and make it ready to run.

    Args:
        architecture: a name of ``leadline.models``.
        options: arguments of ``leadline.models.build``.
        weights: ``.pth``, ``.pt``, ``.bin`` or ``.safetensors``.
        device: where to run.
        precision: arithmetic.
        threads: number of threads for the whole process; None leaves PyTorch's choice.
    """
    from leadline import models

    module = models.build_weightless(architecture, **options)
    models.load_weights(module, weights)
    return TorchRuntime(module, device=device, precision=precision, threads=threads)


def models_that_fit(weights: Path) -> tuple[str, ...]:
    """Names of ``leadline.models`` whose tensors a checkpoint holds, likeliest first.

    Raises:
        MissingDependencyError: torch is not installed.
        WeightsError: damaged file, or a pickle that would run code.
    """
    _torch()
    from leadline.models.weights import guess, read_weights, strip_prefixes

    guesses = (guess(tensors) for tensors in strip_prefixes(read_weights(weights)))
    return next((signature.models for signature in guesses if signature is not None), ())


def devices() -> tuple[DeviceName, ...]:
    """Devices that PyTorch can use here; empty when it is not installed."""
    try:
        torch = _torch()
    except MissingDependencyError:
        return ()
    found: list[DeviceName] = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "runtime='torch'", "torch") from error
    return torch
