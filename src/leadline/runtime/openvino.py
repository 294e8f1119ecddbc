"""OpenVINO: the runtime of the base install; reads ``.onnx`` and ``.xml``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from leadline.errors import DeviceError
from leadline.runtime.base import (
    Precision,
    cannot_open,
    cannot_run,
    raise_if_out_of_memory,
    reason_of,
)
from leadline.runtime.ports import Exchange, ModelFile, Port, Ports

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
        graph = _read(model.path)
        self._exchange = Exchange(model, _ports_of(graph))
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
        with self._lock:
            runs = [self._run_once(feeds) for feeds in self._exchange.split(arrays)]
        return self._exchange.join(runs, arrays)

    def _run_once(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._compiled(feeds)(feeds)
        except RuntimeError as error:
            raise_if_out_of_memory(error)
            why = self._exchange.explain(feeds, reason_of(error))
            raise cannot_run(self._model.path, feeds, why) from error
        return {name: np.array(results[name]) for name in self._model.outputs}

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
            graph = _read(self._model.path)
            graph.reshape({name: list(shape) for name, shape in shapes})
            self._special[shapes] = self._compile(graph)
        self._special[shapes] = self._special.pop(shapes)
        return self._special[shapes]

    def _fits(self, feeds: Mapping[str, np.ndarray]) -> bool:
        """Whether the file allows these shapes; reshaping it would not ask."""
        return all(limit.compatible(_shape(feeds[name])) for name, limit in self._limits.items())

    def _for_all(self) -> Any:
        if self._general is None:
            self._general = self._compile(_read(self._model.path))
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


def read_ports(path: Path) -> Ports:
    """What the graph of a file says that it takes and gives.

    Raises:
        WeightsError: not a file that OpenVINO reads.
    """
    return _ports_of(_read(path))


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


def _read(path: Path) -> Any:
    try:
        return _core().read_model(path)
    except RuntimeError as error:
        raise cannot_open(path, error) from error


def _ports_of(graph: Any) -> Ports:
    return Ports(
        inputs=tuple(port for node in graph.inputs for port in _ports(node)),
        outputs=tuple(port for node in graph.outputs for port in _ports(node)),
    )


def _ports(node: Any) -> list[Port]:
    """A tensor under each of its names."""
    sides, held = node.get_partial_shape(), node.get_element_type().get_type_name()
    shape = None
    if sides.rank.is_static:
        shape = tuple(side.get_length() if side.is_static else None for side in sides)
    names = sorted(node.get_names())
    return [Port(name=name, shape=shape, type=_TYPES.get(held, held)) for name in names]


_TYPES = {
    "f32": "float32",
    "f16": "float16",
    "f64": "float64",
    "u8": "uint8",
    "i32": "int32",
    "i64": "int64",
}
"""OpenVINO's word for a type -> numpy's."""
