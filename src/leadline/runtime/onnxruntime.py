"""ONNX Runtime: the ``[onnxruntime]`` extra; reads ``.onnx``, on the processor or CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from leadline.errors import DeviceError, MissingDependencyError
from leadline.runtime.base import (
    DeviceName,
    Precision,
    cannot_open,
    cannot_run,
    raise_if_out_of_memory,
    reason_of,
)
from leadline.runtime.ports import Exchange, ModelFile, Port, Ports

_PROVIDERS: dict[DeviceName, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}

_TYPES = {"float": "float32", "double": "float64"}
"""ONNX Runtime's word for a type -> numpy's, where they differ."""


class OnnxRuntime:
    """An exported network in float32.

    Args:
        model: the file and its tensor names.
        device: ``cpu``, or ``cuda`` or ``mps`` where the installed build has the provider.
        precision: ``f32``; the file's own arithmetic is what runs.
        threads: number of threads; None takes one per physical core.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        DeviceError: a device or precision that this build does not have.
        WeightsError: the file cannot be read or has other tensors.
    """

    name = "onnxruntime"

    def __init__(
        self,
        model: ModelFile,
        *,
        device: DeviceName = "cpu",
        precision: Precision = "f32",
        threads: int | None = None,
    ) -> None:
        if precision != "f32":
            raise DeviceError(
                f"precision {precision!r} on ONNX Runtime: only 'f32' is offered there. Use "
                "runtime='openvino' or 'torch' for other precisions."
            )
        if device not in devices():
            raise DeviceError(
                f"device {device!r} on ONNX Runtime: this build offers {', '.join(devices())}. "
                "For CUDA install onnxruntime-gpu in place of onnxruntime."
            )
        self._session = _open(model.path, device, threads)
        self._exchange = Exchange(model, _ports_of(self._session))
        self.device: str = device
        self.precision: str = precision
        self._model = model

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        names = list(self._model.outputs)
        runs = []
        for feeds in self._exchange.split(arrays):
            try:
                results = self._session.run(names, feeds)
            except Exception as error:  # onnxruntime's own classes derive from Exception directly
                raise_if_out_of_memory(error)
                why = self._exchange.explain(feeds, reason_of(error))
                raise cannot_run(self._model.path, feeds, why) from error
            runs.append(dict(zip(names, results, strict=True)))
        return self._exchange.join(runs, arrays)


def read_ports(path: Path) -> Ports:
    """What the graph of a file says that it takes and gives.

    Raises:
        WeightsError: not a file that ONNX Runtime opens.
    """
    return _ports_of(_open(path, "cpu", 1))


def devices() -> tuple[DeviceName, ...]:
    """Devices that the installed build offers; empty when it is not installed."""
    try:
        offered = _onnxruntime().get_available_providers()
    except MissingDependencyError:
        return ()
    return tuple(device for device, provider in _PROVIDERS.items() if provider in offered)


def _open(path: Path, device: DeviceName, threads: int | None) -> Any:
    ort = _onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return ort.InferenceSession(str(path), options, providers=[_PROVIDERS[device]])
    except Exception as error:  # onnxruntime's own classes derive from Exception directly
        raise cannot_open(path, error) from error


def _ports_of(session: Any) -> Ports:
    return Ports(
        inputs=tuple(map(_port, session.get_inputs())),
        outputs=tuple(map(_port, session.get_outputs())),
    )


def _port(node: Any) -> Port:
    held = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    return Port(name=node.name, shape=shape, type=_TYPES.get(held, held))


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("onnxruntime", "runtime='onnxruntime'", "onnxruntime") from (
            error
        )
    return onnxruntime
