"""OpenVINO: the runtime of the base install; reads ``.onnx`` and ``.xml``."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from io import BytesIO
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
from leadline.runtime.compiled import CompiledCache
from leadline.runtime.ports import Exchange, ModelFile, Port, Ports

_Shapes = tuple[tuple[str, tuple[int, ...]], ...]
_CONVERTER = "openvino.tools.ovc"
_CAPABILITIES = "OPTIMIZATION_CAPABILITIES"
_WORTH_S = 0.1  # compiling for longer is not done twice
_KEPT_BYTES = 256 << 20  # of model files, as often as they are kept compiled
_FEWEST, _MOST = 2, 8  # compilations kept


class OpenVinoRuntime:
    """An exported network on the processor, compiled for every shape that it meets.

    A network compiled for one shape runs up to a third faster than one compiled for all, because
    attention becomes one operation; and a picture's map does not depend on what was run before.
    For the same reason the pictures of a batch run one by one, which takes no longer. The
    compilations used last are kept, in memory and, where the folder may be written to, on disk
    (:mod:`leadline.runtime.compiled`).

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
        self._cache = CompiledCache.of(model.path, _maker(), sorted(self._config.items()))
        self._exchange = Exchange(model, self._find_ports(model.path), one_by_one=True)
        self.precision: str = precision
        self._model = model
        self._compiled: dict[_Shapes, Any] = {}  # the one used last is at the end
        self._lock = threading.Lock()

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`."""
        with self._lock:
            runs = [self._run_once(feeds) for feeds in self._exchange.split(arrays)]
        return self._exchange.join(runs, arrays)

    def _run_once(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._compile_for(feeds)(feeds)
        except RuntimeError as error:
            raise_if_out_of_memory(error)
            why = self._exchange.explain(feeds, reason_of(error))
            raise cannot_run(self._model.path, feeds, why) from error
        return {name: np.array(results[name]) for name in self._model.outputs}

    def _compile_for(self, feeds: Mapping[str, np.ndarray]) -> Any:
        """The network for these shapes: from memory, from disk, or compiled."""
        shapes = tuple((name, array.shape) for name, array in feeds.items())
        if shapes not in self._compiled:
            most = min(_MOST, _KEPT_BYTES // max(1, self._model.path.stat().st_size))
            if len(self._compiled) >= max(_FEWEST, most):
                del self._compiled[next(iter(self._compiled))]
            self._compiled[shapes] = self._recall(shapes) or self._compile_anew(shapes)
        self._compiled[shapes] = self._compiled.pop(shapes)
        return self._compiled[shapes]

    def _recall(self, shapes: _Shapes) -> Any:
        data = None if self._cache is None else self._cache.read(shapes)
        if data is None:
            return None
        try:
            return _core().import_model(data, "CPU", self._config)
        except RuntimeError:  # of a processor that calls itself the same
            return None

    def _compile_anew(self, shapes: _Shapes) -> Any:
        graph = _read(self._model.path)
        ports = _ports_of(graph)  # before its sides are fixed
        limits = {
            name: port.get_partial_shape() for port in graph.inputs for name in port.get_names()
        }
        for name, shape in shapes:  # reshaping would not ask
            if not limits[name].compatible(_shape(shape)):
                raise RuntimeError(f"{name} of shape {shape} where {limits[name]} is taken")
        if any(limit.is_dynamic for limit in limits.values()):
            graph.reshape({name: list(shape) for name, shape in shapes})
        start = time.perf_counter()
        compiled = self._compile(graph)
        if self._cache is not None and time.perf_counter() - start > _WORTH_S:
            self._cache.write(shapes, _as_bytes(compiled.export_model()))
            self._cache.write("ports", json.dumps(asdict(ports)).encode())
        return compiled

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

    def _find_ports(self, path: Path) -> Ports:
        """What the graph takes and gives, without reading it where that is known."""
        known = None if self._cache is None else self._cache.read("ports")
        if known is not None:
            return Ports.of(json.loads(known))
        return read_ports(path)


@cache
def precisions() -> tuple[Precision, ...]:
    """What OpenVINO computes in on this processor: ``f32``, and ``bf16`` where it is native."""
    capabilities = _core().get_property("CPU", _CAPABILITIES)
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
    return _openvino().Core()


@cache
def _openvino() -> Any:
    """The package; its converter of other frameworks' models is half of the import's time.

    It is imported when somebody asks for it.
    """
    if "openvino" in sys.modules or _CONVERTER in sys.modules:
        import openvino

        return openvino
    sys.modules[_CONVERTER] = None  # ty: ignore[invalid-assignment]
    try:
        import openvino
    finally:
        del sys.modules[_CONVERTER]
    setattr(openvino, "__getattr__", _find_in_converter)  # noqa: B010 - a module has none
    return openvino


def _find_in_converter(name: str) -> Any:
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    return importlib.import_module(_CONVERTER).convert_model


def _maker() -> str:
    """What compiles: the same model becomes the same on it."""
    core = _core()
    processor = [core.get_property("CPU", key) for key in ("FULL_DEVICE_NAME", _CAPABILITIES)]
    return f"{_openvino().__version__} {processor}"


def _shape(shape: tuple[int, ...]) -> Any:
    return _openvino().PartialShape(list(shape))


def _as_bytes(exported: Any) -> bytes:
    return exported.getvalue() if isinstance(exported, BytesIO) else bytes(exported)


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
