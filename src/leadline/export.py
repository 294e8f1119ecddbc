"""Export: a network and its preprocessing as a file that runs without PyTorch.

```python
exported = leadline.export.export("depth-anything-v2-vits", "vits.onnx")
leadline.load("vits.onnx").predict("photo.jpg")
```

Beside the file lies its sidecar (see :class:`leadline.spec.Sidecar`), so that the file is never run
with another model's preprocessing. Sides and batch are dynamic unless one size is asked for, and
every export is compared with PyTorch before it takes its name.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leadline.errors import InputError, LeadlineError, MissingDependencyError, UnknownNameError
from leadline.hub import sha256_of
from leadline.load_options import LoadOptions
from leadline.resolve import Origin
from leadline.runtime import ModelFile, Runtime, RuntimeName, installed, open_file, select
from leadline.spec import InputName, ModelSpec, Sidecar, sidecar_path
from leadline.whole_files import move_files, working_folder

if TYPE_CHECKING:
    from leadline.models.base import DepthModule

Format = Literal["onnx", "openvino"]
"""``onnx``: read by OpenVINO and ONNX Runtime; ``openvino``: ``.xml`` and ``.bin``."""

SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".xml": "openvino"}

TOLERANCE = 1e-3
"""Largest relative error against PyTorch that an export may have."""

_OPSET = 18
_PROTOBUF_LIMIT = 1_900_000_000  # bytes; larger ONNX files keep their weights beside them


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison of an exported file with PyTorch.

    Attributes:
        runtime: what ran the file, in float32.
        shape: (b, 3, h, w) of the batch.
        relative_error: largest difference over the largest value.
    """

    runtime: str
    shape: tuple[int, ...]
    relative_error: float


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote.

    Attributes:
        path: the network.
        sidecar: its description.
        checks: how far it is from PyTorch; empty when a graph was converted.
    """

    path: Path
    sidecar: Path
    checks: tuple[Check, ...]


def export(
    model: LoadOptions | str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    sides: tuple[int, int] | None = None,
) -> Exported:
    """Write ``model`` as ``out``, with its sidecar.

    Args:
        model: what :func:`leadline.load` takes as its model, or LoadOptions; their ``size`` becomes
            the default of a file with dynamic sides.
        out: a ``.onnx`` or ``.xml`` file; the suffix decides the format. Its folder is made.
        sides: (height, width) fixes the sides, and pictures are then stretched to them. None keeps
            the model's own size with dynamic sides.

    Raises:
        InputError: another suffix, a size that the network cannot take, or a model without a
            torch network.
        LeadlineError: the network cannot be traced, or the file computes something else.
        MissingDependencyError: a package that exporting needs is not installed.
    """
    out, options = Path(out), LoadOptions.of(model)
    form = _format_of(out)
    origin = options.identify("checkpoint" if form == "onnx" or sides is not None else None)
    spec = origin.spec
    licence = spec.weights[0].licence if spec.weights and options.weights is None else "unknown"
    if origin.is_graph:
        return _convert_graph(origin, out, form, sides, licence)
    if spec.architecture is None:
        raise InputError(f"{spec.name} is not a torch network, so there is nothing to export.")
    return export_module(_open(spec, origin.path), spec, out, sides=sides, licence=licence)


def export_module(
    module: DepthModule,
    spec: ModelSpec,
    out: str | os.PathLike[str],
    *,
    sides: tuple[int, int] | None = None,
    licence: str = "unknown",
) -> Exported:
    """Write a torch network that is already filled; see :func:`export`.

    Args:
        module: the network; it is moved to the processor, float32 and eval mode.
        spec: what the sidecar says about it.
        out: a ``.onnx`` or ``.xml`` file.
        sides: (height, width) of the input, or None for dynamic sides; a network that takes one
            size only gets that.
        licence: of the weights.
    """
    out = Path(out)
    form = _format_of(out)
    sides = sides or module.only_size
    if sides is not None:
        module.check_size(*sides)
        preprocess = replace(
            spec.preprocess, size=sides, resize="exact", multiple_of=module.multiple_of
        )
        spec = replace(spec, preprocess=preprocess)
    module = module.eval().float().cpu()
    with working_folder(out.parent) as folder:
        written = folder / out.name
        write = _write_onnx if form == "onnx" else _write_openvino
        write(_Named(_lean(module, form), spec), written, sides)
        checks = tuple(_compare(module, written, spec, fixed=sides is not None))
        _refuse_if_wrong(checks, spec.name)
        _describe(written, spec, licence, outputs=_name_ports(spec))
        move_files(folder, out.parent)
    return Exported(path=out, sidecar=sidecar_path(out), checks=checks)


def _format_of(out: Path) -> Format:
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{out.name}: a name that ends in {' or '.join(SUFFIXES)} is needed; it decides "
            f"between {' and '.join(get_args(Format))}."
        )
    return SUFFIXES[out.suffix.lower()]


def _open(spec: ModelSpec, weights: Path) -> DepthModule:
    _needed("torch", "torch")
    import torch

    from leadline import models

    if spec.architecture is None:
        raise UnknownNameError("architecture", None, models.names())
    with torch.device("meta"):
        module = models.build(spec.architecture, **spec.options)
    models.load_weights(module, weights)
    return module


def _lean(module: DepthModule, form: Format) -> DepthModule:
    """The same network with what only training needs folded into its weights."""
    from leadline.models.folding import folded

    return folded(module, spelled_out=form == "onnx")


def _needed(package: str, extra: str) -> None:
    try:
        __import__(package)
    except ImportError as error:
        raise MissingDependencyError(package, "exporting a network", extra) from error


class _Named:
    """A network whose inputs and outputs are tuples in the order of its spec, for tracers."""

    def __init__(self, module: DepthModule, spec: ModelSpec) -> None:
        from torch import nn

        names, outputs = spec.inputs, tuple(spec.outputs)

        class Forward(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = module

            def forward(self, *tensors: Any) -> Any:
                named = self.network.outputs(**dict(zip(names, tensors, strict=True)))
                return tuple(named[name] for name in outputs)

        self.forward = Forward().eval()
        self.inputs, self.outputs = names, tuple(_name_ports(spec))
        self.name, self.multiple_of = module.name or type(module).__name__, module.multiple_of

    def make_examples(self, sides: tuple[int, int] | None) -> tuple[Any, ...]:
        """Two pictures, taller and wider than what a network treats apart, and what goes along."""
        import torch

        m = self.multiple_of
        height, width = sides or (m * max(2, -(-126 // m)), m * max(3, -(-168 // m)))
        made = _example_inputs(self.inputs, (2, 3, height, width))
        return tuple(torch.from_numpy(made[name]) for name in self.inputs)

    def describe_dynamic_axes(self, sides: tuple[int, int] | None) -> tuple[Any, ...]:
        """Per input: axis -> the dimension that may change."""
        import torch

        m = self.multiple_of
        axes: dict[str, dict[int, Any]] = {
            name: {0: torch.export.Dim("batch", max=1024)} for name in self.inputs
        }
        if sides is None:
            for axis, name in ((2, "height"), (3, "width")):
                side = torch.export.Dim(name, max=16384 // m)
                axes["image"][axis] = side if m == 1 else m * side
        if "prompt_depth" in axes:
            for axis, name in ((1, "prompt_height"), (2, "prompt_width")):
                axes["prompt_depth"][axis] = torch.export.Dim(name, min=4, max=16384)
        return (tuple(axes[name] for name in self.inputs),)


def _name_ports(spec: ModelSpec) -> dict[str, str]:
    """The file's output -> ours; what is an input too cannot have the same name in a file."""
    return {f"predicted_{name}" if name in spec.inputs else name: name for name in spec.outputs}


def _example_inputs(
    names: Sequence[InputName], shape: tuple[int, ...], seed: int = 0
) -> dict[str, np.ndarray]:
    """Random float32 inputs of a network for a batch of pictures of ``shape``."""
    rng = np.random.default_rng(seed)
    batch, _, height, width = shape
    focal = np.float32(width) * rng.uniform(0.8, 1.2, batch).astype(np.float32)
    intrinsics = np.zeros((batch, 3, 3), np.float32)
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = (width - 1) / 2, (height - 1) / 2
    intrinsics[:, 2, 2] = 1
    made = {
        "image": rng.random(shape, np.float32),
        "intrinsics": intrinsics,
        "focal_px": focal,
        "prompt_depth": rng.uniform(1, 4, (batch, 48, 64)).astype(np.float32),
    }
    return {name: made[name] for name in names}


@contextmanager
def _tracing(network: _Named, sides: tuple[int, int] | None) -> Generator[None]:
    """Silence the tracer, and put what stops it into one line."""
    import torch

    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    except (LeadlineError, OSError, MemoryError):
        raise
    except Exception as error:  # tracers raise whatever the network's code meets
        text = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # colours
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        detail = lines[0][:200] if lines else type(error).__name__
        advice = (
            "Give one size, as in --fixed-size 480x640 (in Python: sides=(480, 640))."
            if sides is None
            else "Run it with PyTorch instead: give the checkpoint to leadline.load."
        )
        kind = "dynamic sides" if sides is None else f"sides {sides[0]}x{sides[1]}"
        raise LeadlineError(
            f"{network.name} cannot be exported with {kind} ({detail}). {advice}"
        ) from error


def _write_onnx(network: _Named, path: Path, sides: tuple[int, int] | None) -> None:
    for package in ("onnx", "onnxscript"):
        _needed(package, "export")
    import torch

    size = sum(p.numel() * p.element_size() for p in network.forward.parameters())
    with _tracing(network, sides):
        program = torch.onnx.export(
            network.forward,
            network.make_examples(sides),
            dynamo=True,
            dynamic_shapes=network.describe_dynamic_axes(sides),
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            opset_version=_OPSET,
            verbose=False,
        )
        if program is None:
            raise LeadlineError(f"{network.name}: PyTorch's ONNX exporter gave no program.")
        program.save(path, external_data=size > _PROTOBUF_LIMIT)


def _write_openvino(network: _Named, path: Path, sides: tuple[int, int] | None) -> None:
    import openvino
    import torch

    with _tracing(network, sides):
        program = torch.export.export(
            network.forward,
            network.make_examples(sides),
            dynamic_shapes=network.describe_dynamic_axes(sides),
            strict=False,
        )
        graph = openvino.convert_model(program)
        for ports, names in ((graph.inputs, network.inputs), (graph.outputs, network.outputs)):
            for port, name in zip(ports, names, strict=True):
                port.get_tensor().set_names({name})
        shapes = {
            "image": [-1, 3, *(sides or (-1, -1))],
            "intrinsics": [-1, 3, 3],
            "focal_px": [-1],
            "prompt_depth": [-1, -1, -1],
        }
        graph.reshape({name: openvino.PartialShape(shapes[name]) for name in network.inputs})
        openvino.save_model(graph, path, compress_to_fp16=False)


def _convert_graph(
    origin: Origin, out: Path, form: Format, sides: tuple[int, int] | None, licence: str
) -> Exported:
    """ONNX to OpenVINO; the only conversion between files that there is."""
    if form != "openvino" or origin.path.suffix.lower() != ".onnx":
        raise InputError(
            f"{origin.path.name} is already an exported network; it can become a .xml when it is a "
            f".onnx, nothing else. For {out.name}, export the checkpoint."
        )
    if sides is not None:
        raise InputError(
            f"sides {sides} for {origin.path.name}: an exported network keeps its own; export the "
            "checkpoint with these."
        )
    import openvino

    with working_folder(out.parent) as folder:
        written = folder / out.name
        graph = openvino.Core().read_model(origin.path)
        openvino.save_model(graph, written, compress_to_fp16=False)
        _describe(written, origin.spec, licence, inputs=origin.inputs, outputs=origin.outputs)
        move_files(folder, out.parent)
    return Exported(path=out, sidecar=sidecar_path(out), checks=())


def _another_size(module: DepthModule, height: int, width: int) -> tuple[int, int]:
    """A smaller size of another aspect, or a larger one where the network takes none smaller."""
    m = module.multiple_of
    smaller = (max(m, height // 2 // m * m), max(m, width * 2 // 3 // m * m))
    try:
        module.check_size(*smaller)
    except InputError:
        return height + m, width + 2 * m
    return smaller


def _compare(module: DepthModule, path: Path, spec: ModelSpec, *, fixed: bool) -> Iterator[Check]:
    """Run the file beside the network, at its own size and, if it takes any, at another.

    Every output is compared; an error is relative to the largest value of its output.
    """
    import torch

    preprocess, m = spec.preprocess, module.multiple_of
    height, width = preprocess.size
    if not fixed:
        height, width = max(m, height // m * m), max(m, width // m * m)
    mean, std = np.array([preprocess.mean, preprocess.std], np.float32)[..., None, None]
    shapes = [(1, 3, height, width)]
    if not fixed:
        shapes.append((2, 3, *_another_size(module, height, width)))
    for runtime in _runtimes(path, spec):
        for shape in shapes:
            arrays = _example_inputs(spec.inputs, shape)
            arrays["image"] = (arrays["image"] - mean) / std
            with torch.inference_mode():
                wanted = module.outputs(**{k: torch.from_numpy(v) for k, v in arrays.items()})
            found = runtime.run(arrays)
            errors = [_relative_error(found[n], wanted[n].numpy()) for n in spec.outputs]
            error = float(np.max(errors))  # NaN where any is, unlike Python's max
            yield Check(runtime=runtime.name, shape=shape, relative_error=error)


def _relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-12))


def _runtimes(path: Path, spec: ModelSpec) -> Iterator[Runtime]:
    model = ModelFile(
        path=path,
        inputs={name: name for name in spec.inputs},
        outputs=_name_ports(spec),
    )
    names: tuple[RuntimeName, ...] = ("openvino", "onnxruntime")
    for name in names if path.suffix.lower() == ".onnx" else names[:1]:
        if installed(name):
            choice = select(path, runtime=name, device="cpu", precision="f32")
            yield open_file(choice, model)


def _refuse_if_wrong(checks: tuple[Check, ...], name: str) -> None:
    for check in checks:
        if not check.relative_error <= TOLERANCE:
            raise LeadlineError(
                f"{name}: the exported file differs from PyTorch by {check.relative_error:.1e} on "
                f"{check.runtime} at {check.shape}; at most {TOLERANCE:.0e} is allowed. Nothing "
                "was written. Try the other format, or another version of the runtime."
            )


def _describe(path: Path, spec: ModelSpec, licence: str, **ports: Mapping[str, str]) -> None:
    sidecar = Sidecar.of(spec, licence=licence, digest=sha256_of(path), **ports)
    sidecar_path(path).write_text(sidecar.to_json(), encoding="utf-8")
