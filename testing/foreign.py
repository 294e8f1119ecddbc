"""The tiny network as others would export it: their names, layouts, types, sides and batches."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from testing.tiny import kernel

TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}

OUTPUTS = {"b1hw": ["b", 1], "bhw": ["b"], "hw": [], "bhw1": ["b"]}
"""What stands before the sides in the map's shape."""


def write_foreign_model(
    path: Path,
    *,
    type_: str = "float32",
    channels_last: bool = False,
    batch: int | str | None = "b",
    sides: tuple[int, int] | None = None,
    output: str = "b1hw",
    names: tuple[str, str] = ("x", "y"),
    two_maps: bool = False,
) -> Path:
    """Write the network to ``path``.

    Args:
        path: a ``.onnx`` file.
        type_: of the input and, where it is a float, of the output.
        channels_last: whether pictures go in as (b, h, w, 3).
        batch: a number fixes it; None: there is no such axis.
        sides: (height, width) fixes them.
        output: key of :data:`OUTPUTS`.
        names: of the input and the output.
        two_maps: whether the map is given twice, under another name too.
    """
    held = TYPES[type_]
    made = TensorProto.FLOAT if type_ == "uint8" else held
    h, w = sides or ("h", "w")
    lead = [] if batch is None else [batch]
    shape = [*lead, h, w, 3] if channels_last else [*lead, 3, h, w]
    shown = [batch if n == "b" else n for n in OUTPUTS[output]] + [h, w]
    nodes = [helper.make_node("Cast", [names[0]], ["float"], to=TensorProto.FLOAT)]

    def add(kind: str, *more: str, **options: Any) -> None:
        nodes.append(
            helper.make_node(kind, [nodes[-1].output[0], *more], [f"n{len(nodes)}"], **options)
        )

    if batch is None:
        add("Unsqueeze", "first")
    if channels_last:
        add("Transpose", perm=[0, 3, 1, 2])
    add("Conv", "weight", pads=[1, 1, 1, 1])
    if output == "bhw1":
        add("Transpose", perm=[0, 2, 3, 1])
        shown = [*shown, 1]
    elif output != "b1hw":
        add("Squeeze", "second" if output == "bhw" else "both")
    add("Cast", to=made)
    nodes[-1].output[0] = names[1]
    outputs = [helper.make_tensor_value_info(names[1], made, shown)]
    if two_maps:
        nodes.append(helper.make_node("Identity", [names[1]], ["again"]))
        outputs.append(helper.make_tensor_value_info("again", made, shown))
    axes = {"first": [0], "second": [1], "both": [0, 1]}
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(names[0], held, shape)],
        outputs,
        [
            numpy_helper.from_array(kernel(), "weight"),
            *(numpy_helper.from_array(np.array(a, np.int64), n) for n, a in axes.items()),
        ],
    )
    return save_graph(path, graph)


def save_graph(path: Path, graph: onnx.GraphProto, *, opset: int = 17) -> Path:
    """Write a graph as a file."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def write_nodes(
    path: Path,
    *nodes: onnx.NodeProto,
    constants: dict[str, np.ndarray],
    opset: int = 17,
    channels: int = 3,
    channels_out: int | None = None,
) -> Path:
    """A file of a few nodes that make ``depth`` of ``image``, (b, channels, h, w) each."""
    shape = ["b", channels, "h", "w"]
    made = ["b", channels_out or channels, "h", "w"]
    graph = helper.make_graph(
        list(nodes),
        "odd",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, made)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return save_graph(path, graph, opset=opset)
