"""ONNX Runtime: the ``[onnxruntime]`` extra; reads ``.onnx``, on the processor or CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from leadline.errors import DeviceError, MissingDependencyError
from leadline.runtime.base import (
    DeviceName,
    ModelFile,
    Precision,
    unreadable,
    wrong_shape,
)

_PROVIDERS: dict[DeviceName, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}


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
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                str(model.path), options, providers=[_PROVIDERS[device]]
            )
        except Exception as error:  # onnxruntime's own classes derive from Exception directly
            raise unreadable(model.path, error) from error
        model.check_names(
            [port.name for port in self._session.get_inputs()],
            [port.name for port in self._session.get_outputs()],
        )
        self.device: str = device
        self.precision: str = precision
        self._model = model

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        feeds = self._model.feeds(arrays)
        names = list(self._model.outputs)
        try:
            results = self._session.run(names, feeds)
        except Exception as error:  # onnxruntime's own classes derive from Exception directly
            raise wrong_shape(self._model.path, feeds, error) from error
        return dict(zip(self._model.outputs.values(), results, strict=True))


def devices() -> tuple[DeviceName, ...]:
    """Devices that the installed build offers; empty when it is not installed."""
    try:
        offered = _onnxruntime().get_available_providers()
    except MissingDependencyError:
        return ()
    return tuple(device for device, provider in _PROVIDERS.items() if provider in offered)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("onnxruntime", "runtime='onnxruntime'", "onnxruntime") from (
            error
        )
    return onnxruntime
