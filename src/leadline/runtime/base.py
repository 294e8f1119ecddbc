"""Runtime: what runs a network, whatever it is written in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from leadline.errors import InputError, WeightsError
from leadline.hub import weights_beside

RuntimeName = Literal["openvino", "onnxruntime", "torch", "superpixel", "transformers"]
DeviceName = Literal["cpu", "cuda", "mps"]
Precision = Literal["f32", "bf16", "f16"]

RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)
DEVICES: tuple[DeviceName, ...] = get_args(DeviceName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Runtime(Protocol):
    """A network that is ready to run.

    Attributes:
        name: ``"openvino"``, ``"onnxruntime"``, ``"torch"`` ...
        device: where it runs: ``"cpu"``, ``"cuda"``, ``"mps"``.
        precision: the arithmetic inside; arrays in and out are float32.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def precision(self) -> str: ...  # noqa: D102

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a batch; safe to call from several threads, which then take turns.

        Args:
            arrays: float32, by the names of :data:`~leadline.spec.InputName`; ``image``: (b, 3, h,
                w), normalised as the model's PreprocessSpec says.

        Returns:
            What the network gives, by the names of its ``ModelSpec.outputs``, untouched.
        """
        ...


def cannot_open(path: Path, error: Exception) -> WeightsError:
    """The one-line error for a network file that a runtime does not open."""
    if not path.is_file():
        return WeightsError(f"{path} is not a file; give the path of an exported network.")
    missing = [file.name for file in weights_beside(path) if not file.is_file()]
    if missing:
        return WeightsError(
            f"{path} is the graph alone; its weights, {' and '.join(missing)}, are needed beside "
            "it. Copy them too, or export the model again with `leadline export`."
        )
    said = reason_of(error)
    if re.search("pars|unable to read|no graph", said, re.IGNORECASE):
        return WeightsError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a network: it may be "
            f"truncated or of another format. Copy or export it again. The reader said: {said}"
        )
    return WeightsError(
        f"{path} is a network that this runtime does not run: {said}. Try another --runtime, or "
        "export it again with an opset and operations that this one has."
    )


def cannot_run(path: Path, feeds: Mapping[str, np.ndarray], why: str) -> InputError:
    """The one-line error for a network that fails on its arrays."""
    given = ", ".join(f"{name} {array.shape} of {array.dtype}" for name, array in feeds.items())
    return InputError(f"{path.name} cannot run on {given}: {why}")


def raise_if_out_of_memory(error: Exception) -> None:
    """Raise MemoryError where a runtime's own error says that memory ran out."""
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None:
        raise MemoryError(reason_of(error)) from error


_NO_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad_alloc|bad allocation|OUT_OF_\w*(MEMORY|RESOURCES)", re.I
)


def reason_of(error: Exception) -> str:
    """What a runtime says, in one line without the places in its own code."""
    text = _PLACES.sub(" ", str(error))
    lines = (line.strip(" -:") for line in text.splitlines())
    said = "; ".join(line for line in lines if line and not line.startswith(_FRAMES))
    return " ".join(said.split())[:400].rstrip(".; ") or type(error).__name__


_FRAMES = (
    *("Exception from", "Check '", "FrontEnd API", "Summary", "While validating", "Model wasn't"),
)
_PLACES = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : |Load model from .*? failed:|"
    r"/onnxruntime_src/\S+ .*?\)(?=\s)|Check '[^']*' failed at \S+|failed at src/\S+"
)
