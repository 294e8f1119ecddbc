"""Quantize: int8 for the layers of an exported network that stay right in it.

```python
quantized = leadline.quantize.quantize("vits.xml", "vits-int8.xml", pictures=["photos/"])
leadline.load("vits-int8.xml")                 # int8 where it does not hurt, bf16 or f32 elsewhere
```

Weights get one scale per output channel, activations one range per layer, chosen on a few pictures
by least squares. Where the whole is then not within the allowed error, every layer is tried alone,
and those that cost most error for the time they would save stay as they were.

Only OpenVINO and numpy are needed.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018, sections 2 and 3.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leadline.errors import InputError, LeadlineError
from leadline.hub import sha256_of
from leadline.image import Image
from leadline.load_options import LoadOptions
from leadline.preprocess import Preprocess
from leadline.resolve import Origin
from leadline.spec import Sidecar, sidecar_path
from leadline.whole_files import move_files, working_folder, write_text

MAX_ERROR = 0.02
"""Relative L2 error that the int8 network may have against the one it was made from."""

_WEIGHT_LEVELS = 255  # symmetric: -127 .. 127
_LEVELS = 256
_SHARE = 0.9  # of the allowed error that the estimate may use; rounding in bf16 takes the rest


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or matrix product that could run in int8.

    Attributes:
        name: in the graph.
        kind: ``matmul`` or ``convolution``.
        operations: multiplications and additions for one picture.
        error: relative L2 error of the output when this layer alone is int8; None where the whole
            was within the allowed error, so that nobody needed to know.
        kept: whether it stays in floating point.
    """

    name: str
    kind: str
    operations: float
    error: float | None = None
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What :func:`quantize` wrote.

    Attributes:
        path: the network.
        sidecar: its description.
        layers: every layer that was considered, with its error.
        error: relative L2 error of the file, as it runs here, over the pictures.
    """

    path: Path
    sidecar: Path
    layers: tuple[Layer, ...]
    error: float

    @property
    def share(self) -> float:
        """Share of the layers' operations that run in int8."""
        total = sum(layer.operations for layer in self.layers)
        return sum(layer.operations for layer in self.layers if not layer.kept) / max(total, 1)


@dataclass(frozen=True, kw_only=True)
class _Range:
    """Smallest and largest value that 256 levels stand for."""

    low: float
    high: float


def quantize(
    model: LoadOptions | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    pictures: Sequence[Image],
    max_error: float = MAX_ERROR,
    keep: Iterable[str] = (),
) -> Quantized:
    """Write ``model`` with int8 layers as ``out``, with its sidecar.

    Args:
        model: an exported network (``.xml``, ``.onnx``); see :func:`leadline.export.export`.
        out: an ``.xml`` file.
        pictures: like those it will see; a handful is enough.
        max_error: largest relative L2 error of the output against ``model``'s.
        keep: names of layers that stay in floating point in any case.

    Raises:
        InputError: no pictures, a model that is not an exported network or has no float32 weights,
            an ``out`` that is not ``.xml``, or an error that cannot be.
        LeadlineError: no choice of layers is within ``max_error``.
    """
    out = Path(out)
    if out.suffix.lower() != ".xml":
        raise InputError(f"{out.name}: a name that ends in .xml is needed (OpenVINO's format).")
    if not pictures:
        raise InputError("no pictures were given; at least one is needed to find the ranges.")
    if not 0 < max_error < 1:
        raise InputError(f"max_error={max_error}: a number between 0 and 1 is needed.")
    origin = LoadOptions.of(model).identify("graph")
    if not origin.is_graph:
        raise InputError(
            f"{origin.path.name} is not an exported network; run `leadline export` on it first."
        )
    source = _Source(origin, pictures)
    if not source.layers:
        raise InputError(
            f"{origin.path.name} holds no layers with float32 weights to make int8, as when it was "
            "stored in fp16; export the network from a float32 checkpoint."
        )
    ranges = source.ranges()
    kept = set(keep)
    layers = list(source.layers.values())
    chosen = {layer.name for layer in layers} - kept
    error = source.error_of(source.quantized(ranges, chosen))
    if error > max_error:
        layers = _with_errors(source, ranges)
        chosen = _choose([layer for layer in layers if layer.name not in kept], max_error * _SHARE)
        error = source.error_of(source.quantized(ranges, chosen))
    if error > max_error or not chosen:
        raise LeadlineError(
            f"{origin.path.name} in int8 differs by {error:.1%}; at most {max_error:.1%} is "
            "allowed. Nothing was written. Allow more with --max-error (in Python max_error), or "
            "stay with bf16."
        )
    graph = source.quantized(ranges, chosen)
    _write(graph, origin, out)
    marked = tuple(replace(layer, kept=layer.name not in chosen) for layer in layers)
    return Quantized(path=out, sidecar=sidecar_path(out), layers=marked, error=error)


class _Source:
    """The network to quantize, the pictures, and what it gives for them."""

    def __init__(self, origin: Origin, pictures: Sequence[Image]) -> None:
        import openvino

        self.core = openvino.Core()
        self.origin = origin
        spec = origin.spec
        preprocess = Preprocess(spec.preprocess, inputs=spec.inputs, outputs=spec.outputs)
        prepared = [preprocess(picture).arrays for picture in pictures]
        self.feeds = [
            {theirs: arrays[ours] for theirs, ours in origin.inputs.items()} for arrays in prepared
        ]
        self.port = next(
            theirs
            for theirs, ours in origin.outputs.items()
            if spec.outputs[ours].role in ("depth", "points")
        )
        graph = self.graph()
        self.layers = {layer.name: layer for layer in self._find(graph)}
        compiled = self.core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self.maps = [np.array(compiled(feeds)[self.port]) for feeds in self.feeds]

    def graph(self) -> Any:
        """A fresh copy of the graph."""
        return self.core.read_model(self.origin.path)

    def _find(self, graph: Any) -> list[Layer]:
        sized = graph.clone()
        sized.reshape(_shapes(self.feeds[0]))
        found = []
        for node in sized.get_ordered_ops():
            kind = _kind(node)
            if kind:
                found.append(
                    Layer(name=node.get_friendly_name(), kind=kind, operations=_operations(node))
                )
        return found

    def ranges(self) -> dict[str, _Range]:
        """Layer -> the range of its activations."""
        graph = self.graph()
        nodes = [n for n in graph.get_ordered_ops() if n.get_friendly_name() in self.layers]
        results = len(graph.outputs)
        read = [node.input(0).get_source_output() for node in nodes]
        names = [(output.get_node().get_friendly_name(), output.get_index()) for output in read]
        once = dict(zip(names, read, strict=True))  # layers that read one map share one output
        graph.add_outputs(list(once.values()))
        places = {name: results + n for n, name in enumerate(once)}
        compiled = self.core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        samples: list[list[np.ndarray]] = [[] for _ in nodes]
        for feeds in self.feeds:
            given = compiled(feeds)
            for name, sample in zip(names, samples, strict=True):
                sample.append(_thinned(given[places[name]]))
        return {
            node.get_friendly_name(): _best_range(
                np.concatenate(sample), unsigned=_kind(node) == "convolution"
            )
            for node, sample in zip(nodes, samples, strict=True)
        }

    def quantized(self, ranges: Mapping[str, _Range], chosen: Collection[str]) -> Any:
        """The graph with int8 for the chosen layers."""
        graph = self.graph()
        for node in graph.get_ordered_ops():
            name = node.get_friendly_name()
            if name in chosen and name in self.layers:
                _quantize_activation(node, ranges[name])
                _quantize_weights(node)
        return graph

    def error_of(self, graph: Any, precision: str | None = None) -> float:
        """Relative L2 error over the pictures, by default in the arithmetic that will run."""
        if precision is None:
            able = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            precision = "bf16" if able and self.origin.spec.precision == "bf16" else "f32"
        if all(_shapes(feeds) == _shapes(self.feeds[0]) for feeds in self.feeds):
            graph.reshape(_shapes(self.feeds[0]))
        compiled = self.core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision})
        given = [np.array(compiled(feeds)[self.port]) for feeds in self.feeds]
        return _distance(given, self.maps)


def _shapes(feeds: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    return {name: list(array.shape) for name, array in feeds.items()}


def _with_errors(source: _Source, ranges: Mapping[str, _Range]) -> list[Layer]:
    """Every layer with the error that it causes alone."""
    return [
        replace(layer, error=source.error_of(source.quantized(ranges, {name}), "f32"))
        for name, layer in source.layers.items()
    ]


def _choose(layers: Sequence[Layer], budget: float) -> set[str]:
    """The layers to make int8: errors of single layers add like those of independent noise."""
    costs = {layer.name: (layer.error or 0.0) ** 2 for layer in layers}
    total, chosen = 0.0, set()
    for layer in sorted(layers, key=lambda layer: costs[layer.name] / layer.operations):
        if total + costs[layer.name] <= budget**2:
            total += costs[layer.name]
            chosen.add(layer.name)
    return chosen


def _kind(node: Any) -> str:
    """What a node is to the quantizer; '' for what stays."""
    kinds = {"MatMul": "matmul", "Convolution": "convolution"}
    return kinds.get(node.get_type_name(), "") if _weights(node) is not None else ""


def _weights(node: Any) -> np.ndarray | None:
    if len(node.inputs()) < 2:
        return None
    source = node.input_value(1).get_node()
    return source.data if source.get_type_name() == "Constant" else None


def _operations(node: Any) -> float:
    """Multiplications and additions of a node whose shapes are known."""
    out = float(np.prod(node.get_output_shape(0)))
    if node.get_type_name() == "Convolution":
        return 2 * out * float(np.prod(node.get_input_shape(1)[1:]))
    shared = node.get_input_shape(0)[-2 if node.get_attributes()["transpose_a"] else -1]
    return 2 * out * float(shared)


def _thinned(values: np.ndarray, most: int = 65536) -> np.ndarray:
    """Some of the values, with the extremes."""
    flat = np.asarray(values, dtype=np.float32).ravel()
    step = max(1, len(flat) // most)
    return np.concatenate([flat[::step], [flat.min(), flat.max()]])


def _best_range(values: np.ndarray, *, unsigned: bool) -> _Range:
    """The range with the least squared error: wide enough, and not wider."""
    low, high = float(min(values.min(), 0)), float(max(values.max(), 1e-6))
    candidates = []
    for share in np.linspace(0.3, 1, 36):
        limits = _grid(low * share, high * share, unsigned=unsigned)
        candidates.append((float(np.mean((_rounded(values, limits) - values) ** 2)), limits))
    return min(candidates, key=lambda pair: pair[0])[1]


def _grid(low: float, high: float, *, unsigned: bool) -> _Range:
    """The range with zero on a level; symmetric for signed values of matrix products.

    Convolutions take unsigned values, so theirs may be one-sided with a zero point.
    """
    if low >= 0:
        return _Range(low=0.0, high=high)
    if not unsigned:
        bound = max(-low, high)
        return _Range(low=-bound * 128 / 127, high=bound)
    step = (high - low) / (_LEVELS - 1)
    zero = round(-low / step)
    return _Range(low=-zero * step, high=(_LEVELS - 1 - zero) * step)


def _rounded(values: np.ndarray, limits: _Range) -> np.ndarray:
    step = (limits.high - limits.low) / (_LEVELS - 1)
    levels = np.round((values.clip(limits.low, limits.high) - limits.low) / step)
    return levels * step + limits.low


def _quantize_activation(node: Any, limits: _Range) -> None:
    from openvino import opset13 as ops

    low, high = np.float32(limits.low), np.float32(limits.high)
    source = node.input(0).get_source_output()
    shape = [1] * source.get_partial_shape().rank.get_length()
    bounds = [np.full(shape, value, np.float32) for value in (low, high, low, high)]
    fake = ops.fake_quantize(source, *map(ops.constant, bounds), _LEVELS)
    node.input(0).replace_source_output(fake.output(0))


def _quantize_weights(node: Any) -> None:
    from openvino import opset13 as ops

    weights = np.array(_weights(node), dtype=np.float32)
    if node.get_type_name() == "MatMul" and not node.get_attributes()["transpose_b"]:
        axes: tuple[int, ...] = tuple(range(weights.ndim - 1))
    else:
        axes = tuple(range(1, weights.ndim))
    bound = np.abs(weights).max(axis=axes, keepdims=True).clip(1e-12)
    scale = (bound / (_WEIGHT_LEVELS // 2)).astype(np.float32)
    levels = np.round(weights / scale).astype(np.int8)
    stored = ops.convert(ops.constant(levels), "f32")
    node.input(1).replace_source_output(ops.multiply(stored, ops.constant(scale)).output(0))


def _distance(given: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    off = sum(
        float(np.sum((a - b.astype(np.float64)) ** 2)) for a, b in zip(given, expected, strict=True)
    )
    size = sum(float(np.sum(b.astype(np.float64) ** 2)) for b in expected)
    return float(np.sqrt(off / (size + 1e-30)))


def _write(graph: Any, origin: Origin, out: Path) -> None:
    import openvino

    with working_folder(out.parent) as folder:
        written = folder / out.name
        openvino.save_model(graph, written, compress_to_fp16=False)
        sidecar = Sidecar.of(
            origin.spec, inputs=origin.inputs, outputs=origin.outputs, digest=sha256_of(written)
        )
        write_text(sidecar_path(written), sidecar.to_json())
        move_files(folder, out.parent)
