"""OpenVINO: the runtime of the base install; reads ``.onnx`` and ``.xml``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from leadline.errors import DeviceError
from leadline.runtime.base import ModelFile, Precision, unreadable, wrong_shape

_Shapes = tuple[tuple[str, tuple[int, ...]], ...]
_SPECIAL = 2
_FAMILIAR = 8  # runs of one shape after which compiling for it pays


class OpenVinoRuntime:
    """An exported network on the processor, compiled for the shapes that it meets.

    A network compiled for one shape runs up to a third faster than one compiled for all, because
    attention becomes one operation; compiling takes about as long as two or three pictures. So the
    first shape gets a compilation of its own, as does each that has come several times; the two
    used last are kept. Everything else runs on one compilation for all shapes.

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
        if precision not in precisions():
            raise DeviceError(
                f"precision {precision!r} on OpenVINO: this processor computes in "
                f"{', '.join(precisions())}; choose one of these."
            )
        self._config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = threads
        try:
            graph = _core().read_model(model.path)
        except RuntimeError as error:
            raise unreadable(model.path, error) from error
        model.check_names(_names(graph.inputs), _names(graph.outputs))
        self.precision: str = precision
        self._model = model
        self._special: dict[_Shapes, Any] = {}  # the one used last is at the end
        self._runs: Counter[_Shapes] = Counter()
        self._general: Any = None
        self._limits = {
            name: port.get_partial_shape()
            for port in graph.inputs
            for name in port.get_names() & set(model.inputs)
        }
        self._dynamic = any(limit.is_dynamic for limit in self._limits.values())
        if not self._dynamic:
            self._general = self._compile(graph)
        self._lock = threading.Lock()

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        feeds = self._model.feeds(arrays)
        with self._lock:
            try:
                results = self._compiled(feeds)(feeds)
            except RuntimeError as error:
                raise wrong_shape(self._model.path, feeds, error) from error
            outputs = self._model.outputs.items()
            return {ours: np.array(results[theirs]) for theirs, ours in outputs}

    def _compiled(self, feeds: Mapping[str, np.ndarray]) -> Any:
        """The best compilation for these shapes."""
        if not self._dynamic:
            return self._general
        shapes = tuple((name, array.shape) for name, array in feeds.items())
        self._runs[shapes] += 1
        if shapes not in self._special:
            if not self._fits(feeds) or (self._special and self._runs[shapes] < _FAMILIAR):
                return self._for_all()
            if len(self._special) == _SPECIAL:
                del self._special[next(iter(self._special))]
            graph = _core().read_model(self._model.path)
            graph.reshape({name: list(shape) for name, shape in shapes})
            self._special[shapes] = self._compile(graph)
        self._special[shapes] = self._special.pop(shapes)
        return self._special[shapes]

    def _fits(self, feeds: Mapping[str, np.ndarray]) -> bool:
        """Whether the file allows these shapes; reshaping it would not ask."""
        return all(limit.compatible(_shape(feeds[name])) for name, limit in self._limits.items())

    def _for_all(self) -> Any:
        if self._general is None:
            self._general = self._compile(_core().read_model(self._model.path))
        return self._general

    def _compile(self, graph: Any) -> Any:
        """The graph for this processor, unfused where fused operations do not fit it.

        With 16 vector registers (AVX2) OpenVINO cannot fuse the bins of a metric head.
        """
        try:
            return _core().compile_model(graph, "CPU", self._config)
        except RuntimeError as error:
            if "snippet" not in str(error) or "SNIPPETS_MODE" in self._config:
                raise
            self._config["SNIPPETS_MODE"] = "DISABLE"  # for other shapes at once
            return self._compile(graph)


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


def _shape(array: np.ndarray) -> Any:
    import openvino as ov

    return ov.PartialShape(list(array.shape))


def _names(ports: list[Any]) -> list[str]:
    return [name for port in ports for name in sorted(port.get_names())]
