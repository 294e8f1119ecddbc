"""Bundle: one file of weights that PyTorch and the ONNX runtimes both read.

```python
bundle(module, spec, "weights/lite.onnx", licence="Apache-2.0")
# weights/lite.safetensors   every tensor by its name, fp16; what leadline.models.load_weights takes
# weights/lite.onnx          the graph alone: its constants point into lite.safetensors
# weights/lite.json          the sidecar
```

Safetensors is a header and then raw bytes, and ONNX lets a constant be "the n bytes at offset o of
that file", so the embedded model is stored once. Matrices and kernels are fp16; vectors (norms,
biases) stay float32, where a small variance would not survive. Everything is computed in float32.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError, LeadlineError
from leadline.hub import sha256_of
from leadline.jobs import atomic_write
from leadline.resolve import identify
from leadline.spec import ModelSpec, Sidecar, sidecar_path

if TYPE_CHECKING:
    from leadline.models.base import DepthModule

_OPSET = 18


def bundle_run(run: str | os.PathLike[str], out: str | os.PathLike[str], *, licence: str) -> Path:
    """Write what ``leadline train`` delivered into the folder ``run`` as a bundle.

    Args:
        run: the folder.
        out: name of the graph's file; its stem becomes the model's name.
        licence: of the weights.

    Raises:
        WeightsError: the folder holds no weights with a known architecture.
    """
    from leadline import models

    origin = identify(run)
    module = models.build(origin.spec.architecture or origin.spec.name, **origin.spec.options)
    models.load_weights(module, origin.path)
    return bundle(module, replace(origin.spec, name=Path(out).stem), out, licence=licence)


def bundle(
    module: DepthModule, spec: ModelSpec, out: str | os.PathLike[str], *, licence: str
) -> Path:
    """Write ``module`` as ``out`` (``.onnx``), its weights and its sidecar beside it.

    Args:
        module: the network, filled.
        spec: what the sidecar says about it.
        out: name of the graph's file; the weights get the same name with ``.safetensors``.
        licence: of the weights.

    Raises:
        InputError: ``out`` does not end in ``.onnx``.
        LeadlineError: a weight of the module is not in the graph under its own name.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise InputError(f"{out.name}: a name that ends in .onnx is needed.")
    weights = out.with_suffix(".safetensors")
    _write_weights(module, weights)
    graph = _trace(module)
    _point_into(graph, weights)
    with atomic_write(out) as file:
        file.write(graph.SerializeToString())
    sidecar = Sidecar.of(spec, licence=licence, digest=sha256_of(out))
    sidecar_path(out).write_text(sidecar.to_json(), encoding="utf-8")
    return out


def _write_weights(module: DepthModule, path: Path) -> None:
    from safetensors.torch import save

    state = {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in module.state_dict().items()
    }
    with atomic_write(path) as file:
        file.write(save(state, metadata={"architecture": module.name}))


def _trace(module: DepthModule) -> Any:
    """The graph with every weight under its own name: nothing folded, nothing merged."""
    import torch

    m = module.multiple_of
    height, width = (m * torch.export.Dim(side, max=16384 // m) for side in ("height", "width"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval().float().cpu(),
            (torch.zeros(2, 3, 4 * m, 5 * m),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", max=1024), 2: height, 3: width},),
            input_names=["image"],
            output_names=["depth"],
            opset_version=_OPSET,
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise LeadlineError(f"{module.name}: PyTorch's ONNX exporter gave no program.")
    return program.model_proto


def _point_into(model: Any, weights: Path) -> None:
    """Replace the graph's constants that are weights by places in the file ``weights``."""
    from onnx import TensorProto, external_data_helper, helper

    types = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT, "I64": TensorProto.INT64}
    places = _places(weights)
    casts = []
    for constant in model.graph.initializer:
        if constant.name not in places:
            continue
        kind, offset, length = places.pop(constant.name)
        if kind == "F16":
            casts.append(
                helper.make_node(
                    "Cast", [f"{constant.name}.f16"], [constant.name], to=TensorProto.FLOAT
                )
            )
            constant.name = f"{constant.name}.f16"
        constant.data_type = types[kind]
        # Any non-empty raw data: the helper refuses a tensor without, and then takes it away.
        constant.ClearField("float_data")
        constant.raw_data = b"\0"
        external_data_helper.set_external_data(constant, weights.name, offset, length)
        constant.ClearField("raw_data")
    lost = [name for name in places if not name.endswith("num_batches_tracked")]
    if lost:
        raise LeadlineError(
            f"{weights.name}: {len(lost)} weights are not constants of the traced graph (first: "
            f"{lost[0]}); the exporter has merged them. Export with `leadline export` instead."
        )
    nodes = [*casts, *model.graph.node]
    for node in nodes:  # the exporter notes the Python stack of every node: most of the file
        del node.metadata_props[:]
        node.ClearField("doc_string")
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]


def _places(path: Path) -> dict[str, tuple[str, int, int]]:
    """Where every tensor lies, by name: (type, offset in the file, bytes)."""
    with path.open("rb") as file:
        header_bytes = int(np.frombuffer(file.read(8), dtype="<u8")[0])
        header = json.loads(file.read(header_bytes))
    header.pop("__metadata__", None)
    start = 8 + header_bytes
    return {
        name: (entry["dtype"], start + entry["data_offsets"][0], _length(entry))
        for name, entry in header.items()
    }


def _length(entry: dict[str, Any]) -> int:
    first, end = entry["data_offsets"]
    return end - first
