"""OpenVINO: the runtime of the base install; reads ``.onnx`` and ``.xml``."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from leadline.errors import DeviceError
from leadline.runtime.base import (
    ModelFile,
    Precision,
    as_maps,
    unreadable,
    wrong_shape,
)


class OpenVinoRuntime:
    """An exported network on the processor, compiled once for all input sizes.

    One compilation serves every size: against one per size it is as fast for ViT-S and about a
    tenth slower for the embedded model, and it saves half a second for every new size.

    Args:
        model: the file and its tensor names.
        precision: ``f32``, or ``bf16`` on processors that have it.
        threads: number of threads; None takes one per physical core.

    Raises:
        WeightsError: the file cannot be read or has other tensors.
        DeviceError: ``bf16`` on a processor without it.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self, model: ModelFile, *, precision: Precision = "f32", threads: int | None = None
    ) -> None:
        import openvino as ov

        if precision not in precisions():
            raise DeviceError(
                f"precision {precision!r} on OpenVINO: this processor computes in "
                f"{', '.join(precisions())}; choose one of these."
            )
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            graph = _core().read_model(model.path)
        except RuntimeError as error:
            raise unreadable(model.path, error) from error
        model.check_names(_names(graph.inputs), _names(graph.outputs))
        self.precision: str = precision
        self._model = model
        self._compiled: ov.CompiledModel = _core().compile_model(graph, "CPU", config)
        self._lock = threading.Lock()

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        feeds = self._model.feeds(arrays)
        with self._lock:
            try:
                results = self._compiled(feeds)
            except RuntimeError as error:
                raise wrong_shape(self._model.path, feeds, error) from error
            return {
                ours: as_maps(np.array(results[theirs]))
                for theirs, ours in self._model.outputs.items()
            }


@cache
def precisions() -> tuple[Precision, ...]:
    """What OpenVINO computes in on this processor: ``f32``, and ``bf16`` where it is native."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in capabilities else ("f32",)


def processor_name() -> str:
    """The processor's name, as OpenVINO tells it."""
    return str(_core().get_property("CPU", "FULL_DEVICE_NAME"))


@cache
def _core() -> Any:
    import openvino as ov

    return ov.Core()


def _names(ports: list[Any]) -> list[str]:
    return [name for port in ports for name in sorted(port.get_names())]
