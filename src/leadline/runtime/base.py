"""Runtime: what runs a network, whatever it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from leadline.errors import InputError, WeightsError
from leadline.hub import weights_beside

RuntimeName = Literal["openvino", "onnxruntime", "torch", "superpixel"]
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


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A network in a file that describes its own graph (``.onnx``, ``.xml``).

    Attributes:
        path: the file.
        inputs, outputs: the file's tensor name -> ours (``image``; ``depth`` ...).
    """

    path: Path
    inputs: Mapping[str, str] = field(default_factory=lambda: {"image": "image"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"depth": "depth"})

    def check_names(self, inputs: list[str], outputs: list[str]) -> None:
        """Raise WeightsError unless the file has the tensors that this description names."""
        missing = sorted((set(self.inputs) - set(inputs)) | (set(self.outputs) - set(outputs)))
        if missing:
            raise WeightsError(
                f"{self.path} has inputs {inputs} and outputs {outputs}, but its description names "
                f"{missing}; it is the description of another file. Export the model again with "
                "`leadline export`."
            )

    def feeds(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Our arrays under the file's names.

        Raises:
            InputError: an input that the network needs is not among ``arrays``.
        """
        missing = sorted(set(self.inputs.values()) - set(arrays))
        if missing:
            raise InputError(
                f"arrays {sorted(arrays)} were given; {self.path.name} also needs {missing}."
            )
        return {
            theirs: np.ascontiguousarray(arrays[ours], dtype=np.float32)
            for theirs, ours in self.inputs.items()
        }


def unreadable(path: Path, error: Exception) -> WeightsError:
    """The one-line error for a network file that a runtime cannot read."""
    if not path.is_file():
        return WeightsError(f"{path} is not a file; give the path of an exported network.")
    missing = [file.name for file in weights_beside(path) if not file.is_file()]
    if missing:
        return WeightsError(
            f"{path} is the graph alone; its weights, {' and '.join(missing)}, are needed beside "
            "it. Copy them too, or export the model again with `leadline export`."
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = lines[-1][:200] if lines else type(error).__name__
    return WeightsError(
        f"{path} ({path.stat().st_size} bytes) cannot be read as a network: it may be truncated or "
        f"of another format. Copy or export it again. The reader said: {detail}"
    )


def wrong_shape(path: Path, arrays: Mapping[str, np.ndarray], error: Exception) -> InputError:
    """The one-line error for arrays that the network cannot take."""
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = lines[-1][:200] if lines else type(error).__name__
    return InputError(
        f"{path.name} cannot run on {shapes}: a network exported for one size needs exactly that "
        f"size. Export it with dynamic sizes, or correct its sidecar. The runtime said: {detail}"
    )
