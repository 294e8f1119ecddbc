"""A network of one convolution, as an ONNX file with its sidecar: fast and deterministic."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from leadline.kinds import DepthKind
from leadline.spec import PreprocessSpec, Sidecar, sidecar_path

SPEC = PreprocessSpec(size=(64, 64), resize="short_side", multiple_of=32, interpolation="linear")


def kernel() -> np.ndarray:
    """(1, 3, 3, 3) weights without any symmetry."""
    return np.random.default_rng(7).normal(size=(1, 3, 3, 3)).astype(np.float32)


def write_tiny_model(
    path: Path,
    *,
    kind: DepthKind = DepthKind.AFFINE_DISPARITY,
    side: int | None = None,
    sidecar: bool = True,
    input_name: str = "image",
    output_name: str = "depth",
) -> Path:
    """Write the network to ``path`` (``.onnx``); ``side`` fixes both sides of the input."""
    size = ["b", 3, side or "h", side or "w"]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [input_name, "weight"], ["maps"], pads=[1, 1, 1, 1]),
            helper.make_node("Squeeze", ["maps", "axis"], [output_name]),
        ],
        "tiny",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["b", *size[2:]])],
        [
            numpy_helper.from_array(kernel(), "weight"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    if sidecar:
        described = Sidecar(
            name="tiny",
            kind=kind,
            preprocess=SPEC,
            inputs={input_name: "image"},
            outputs={output_name: "depth"},
            licence="Apache-2.0",
        )
        sidecar_path(path).write_text(described.to_json())
    return path


def expected(batch: np.ndarray) -> np.ndarray:
    """What the network gives for (b, 3, h, w), computed by hand."""
    padded = np.pad(batch, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("bchwij,cij->bhw", windows, kernel()[0])
