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
import tempfile
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leadline import __version__
from leadline.errors import InputError, LeadlineError, MissingDependencyError, UnknownNameError
from leadline.estimator import resized
from leadline.hub import sha256_of
from leadline.resolve import Origin, identify
from leadline.runtime import ModelFile, Runtime, RuntimeName, installed, open_file, select
from leadline.spec import ModelSpec, PreprocessSpec, Sidecar, sidecar_path

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
    model: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    max_depth: float | None = None,
) -> Exported:
    """Write ``model`` as ``out``, with its sidecar.

    Args:
        model: as for :func:`leadline.load`.
        out: a ``.onnx`` or ``.xml`` file; the suffix decides the format. Its folder is made.
        weights: as for :func:`leadline.load`.
        size: an int makes another size the default of a file with dynamic sides, as for
            :func:`leadline.load`; (height, width) fixes the sides, and pictures are then stretched
            to them. None keeps the model's own size with dynamic sides.
        max_depth: as for :func:`leadline.load`.

    Raises:
        InputError: another suffix, a size that the network cannot take, or a model without a
            torch network.
        LeadlineError: the network cannot be traced, or the file computes something else.
        MissingDependencyError: a package that exporting needs is not installed.
    """
    out = Path(out)
    form = _format_of(out)
    prefer = "checkpoint" if form == "onnx" or isinstance(size, tuple) else None
    origin = identify(model, weights=weights, max_depth=max_depth, prefer=prefer)
    spec = origin.spec
    if isinstance(size, int):
        spec = replace(spec, preprocess=resized(spec.preprocess, size))
    licence = spec.weights[0].licence if spec.weights and weights is None else "unknown"
    if origin.is_graph:
        return _convert_graph(replace(origin, spec=spec), out, form, size, licence)
    if spec.architecture is None:
        raise InputError(f"{spec.name} is not a torch network, so there is nothing to export.")
    sides = size if isinstance(size, tuple) else None
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
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        written = Path(folder) / out.name
        write = _write_onnx if form == "onnx" else _write_openvino
        write(_lean(module, form), written, sides)
        checks = tuple(_compare(module, written, spec.preprocess, fixed=sides is not None))
        _refuse_if_wrong(checks, spec.name)
        _describe(written, spec, licence)
        _move(Path(folder), out.parent)
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


def _example(module: DepthModule, sides: tuple[int, int] | None) -> Any:
    """A batch of two pictures, taller and wider than anything that a network treats apart."""
    import torch

    m = module.multiple_of
    height, width = sides or (m * max(2, -(-126 // m)), m * max(3, -(-168 // m)))
    return torch.zeros(2, 3, height, width)


def _dynamic(module: DepthModule, sides: tuple[int, int] | None) -> tuple[dict[int, Any], ...]:
    import torch

    batch = torch.export.Dim("batch", max=1024)
    if sides is not None:
        return ({0: batch},)
    m = module.multiple_of
    height = torch.export.Dim("height", max=16384 // m)
    width = torch.export.Dim("width", max=16384 // m)
    return ({0: batch, 2: height if m == 1 else m * height, 3: width if m == 1 else m * width},)


@contextmanager
def _tracing(module: DepthModule, sides: tuple[int, int] | None) -> Generator[None]:
    """Silence the tracer, and put what stops it into one line."""
    import torch

    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    except (LeadlineError, OSError, MemoryError):
        raise
    except Exception as error:  # tracers raise whatever the network's code meets
        name = module.name or type(module).__name__
        text = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # colours
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        detail = lines[0][:200] if lines else type(error).__name__
        advice = (
            "Give one size, as in --size 480x640 (in Python: size=(480, 640))."
            if sides is None
            else "Run it with PyTorch instead: give the checkpoint to leadline.load."
        )
        kind = "dynamic sides" if sides is None else f"sides {sides[0]}x{sides[1]}"
        raise LeadlineError(
            f"{name} cannot be exported with {kind} ({detail}). {advice}"
        ) from error


def _write_onnx(module: DepthModule, path: Path, sides: tuple[int, int] | None) -> None:
    for package in ("onnx", "onnxscript"):
        _needed(package, "export")
    import torch

    size = sum(p.numel() * p.element_size() for p in module.parameters())
    with _tracing(module, sides):
        program = torch.onnx.export(
            module,
            (_example(module, sides),),
            dynamo=True,
            dynamic_shapes=_dynamic(module, sides),
            input_names=["image"],
            output_names=["depth"],
            opset_version=_OPSET,
            verbose=False,
        )
        if program is None:
            raise LeadlineError(f"{module.name}: PyTorch's ONNX exporter gave no program.")
        program.save(path, external_data=size > _PROTOBUF_LIMIT)


def _write_openvino(module: DepthModule, path: Path, sides: tuple[int, int] | None) -> None:
    import openvino
    import torch

    with _tracing(module, sides):
        program = torch.export.export(
            module,
            (_example(module, sides),),
            dynamic_shapes=_dynamic(module, sides),
            strict=False,
        )
        graph = openvino.convert_model(program)
        graph.inputs[0].get_tensor().set_names({"image"})
        graph.outputs[0].get_tensor().set_names({"depth"})
        height, width = sides or (-1, -1)
        graph.reshape(openvino.PartialShape([-1, 3, height, width]))
        openvino.save_model(graph, path, compress_to_fp16=False)


def _convert_graph(
    origin: Origin, out: Path, form: Format, size: int | tuple[int, int] | None, licence: str
) -> Exported:
    """ONNX to OpenVINO; the only conversion between files that there is."""
    if form != "openvino" or origin.path.suffix.lower() != ".onnx":
        raise InputError(
            f"{origin.path.name} is already an exported network; it can become a .xml when it is a "
            f".onnx, nothing else. For {out.name}, export the checkpoint."
        )
    if isinstance(size, tuple):
        raise InputError(
            f"size={size} for {origin.path.name}: an exported network keeps its sides; export the "
            "checkpoint with this size."
        )
    import openvino

    names = ModelFile(path=origin.path, inputs=origin.inputs, outputs=origin.outputs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        written = Path(folder) / out.name
        graph = openvino.Core().read_model(origin.path)
        openvino.save_model(graph, written, compress_to_fp16=False)
        sidecar = _sidecar(written, origin.spec, licence)
        sidecar = replace(sidecar, inputs=names.inputs, outputs=names.outputs)
        sidecar_path(written).write_text(sidecar.to_json(), encoding="utf-8")
        _move(Path(folder), out.parent)
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


def _compare(
    module: DepthModule, path: Path, preprocess: PreprocessSpec, *, fixed: bool
) -> Iterator[Check]:
    """Run the file beside the network, at its own size and, if it takes any, at another."""
    import torch

    m = module.multiple_of
    height, width = preprocess.size
    if not fixed:
        height, width = max(m, height // m * m), max(m, width // m * m)
    mean, std = np.array([preprocess.mean, preprocess.std], np.float32)[..., None, None]
    shapes = [(1, 3, height, width)]
    if not fixed:
        shapes.append((2, 3, *_another_size(module, height, width)))
    for runtime in _runtimes(path):
        for shape in shapes:
            batch = (np.random.default_rng(0).random(shape, np.float32) - mean) / std
            with torch.inference_mode():
                expected = module(torch.from_numpy(batch)).numpy()
            given = runtime.run({"image": batch})["depth"]
            error = float(np.abs(given - expected).max() / max(np.abs(expected).max(), 1e-12))
            yield Check(runtime=runtime.name, shape=shape, relative_error=error)


def _runtimes(path: Path) -> Iterator[Runtime]:
    names: tuple[RuntimeName, ...] = ("openvino", "onnxruntime")
    for name in names if path.suffix.lower() == ".onnx" else names[:1]:
        if installed(name):
            choice = select(path, runtime=name, device="cpu", precision="f32")
            yield open_file(choice, ModelFile(path=path))


def _refuse_if_wrong(checks: tuple[Check, ...], name: str) -> None:
    for check in checks:
        if not check.relative_error <= TOLERANCE:
            raise LeadlineError(
                f"{name}: the exported file differs from PyTorch by {check.relative_error:.1e} on "
                f"{check.runtime} at {check.shape}; at most {TOLERANCE:.0e} is allowed. Nothing "
                "was written. Try the other format, or another version of the runtime."
            )


def _sidecar(path: Path, spec: ModelSpec, licence: str) -> Sidecar:
    return Sidecar(
        name=spec.name,
        kind=spec.kind,
        preprocess=spec.preprocess,
        max_depth=spec.max_depth,
        precision=spec.precision,
        licence=licence,
        leadline_version=__version__,
        digest=sha256_of(path),
    )


def _describe(path: Path, spec: ModelSpec, licence: str) -> None:
    sidecar_path(path).write_text(_sidecar(path, spec, licence).to_json(), encoding="utf-8")


def _move(source: Path, target: Path) -> None:
    """Move an export's files to their place, the sidecar last: its digest seals the rest."""
    files = sorted(source.iterdir(), key=lambda file: file.suffix == ".json")
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        file.replace(target / file.name)
