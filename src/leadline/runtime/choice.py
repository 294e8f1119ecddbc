"""Which runtime, device and arithmetic run a model here, and why."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from leadline.errors import DeviceError, MissingDependencyError, UnknownNameError, WeightsError
from leadline.runtime.base import (
    DEVICES,
    PRECISIONS,
    RUNTIMES,
    DeviceName,
    Precision,
    Runtime,
    RuntimeName,
)
from leadline.runtime.ports import ModelFile, Ports

READERS: dict[str, tuple[RuntimeName, ...]] = {
    ".onnx": ("openvino", "onnxruntime"),
    ".xml": ("openvino",),
    ".pth": ("torch",),
    ".pt": ("torch",),
    ".bin": ("torch",),
    ".safetensors": ("torch",),
    ".json": ("torch",),  # the index of a checkpoint in parts
    # What the authors of older models wrote; those models read it themselves.
    ".h5": ("torch",),
    ".index": ("torch",),
    ".npz": ("torch",),
}
"""File suffix -> runtimes that read it, preferred first."""


PACKAGES: dict[RuntimeName, tuple[str, ...]] = {
    "superpixel": ("scipy", "skimage"),
    "transformers": ("transformers", "torch", "torchvision"),
}
"""Runtime -> packages that it needs, where it is not itself a package of its name."""

_ON_TORCH: tuple[RuntimeName, ...] = ("torch", "transformers")

_EXTRAS = {"openvino": "all", "superpixel": "classic", "transformers": "hf"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What will run a model, and why.

    Attributes:
        runtime: name of the runtime.
        device: where it runs.
        precision: its arithmetic.
        reason: one sentence for people; ``leadline doctor`` prints it.
    """

    runtime: RuntimeName
    device: DeviceName
    precision: Precision
    reason: str

    def __str__(self) -> str:
        return f"{self.runtime} on {self.device} in {self.precision}: {self.reason}"


def select(
    model_file: Path,
    *,
    runtime: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    fastest_safe: Precision = "f32",
    only: RuntimeName | None = None,
) -> Choice:
    """Choose what runs ``model_file`` on this machine.

    Args:
        model_file: only its suffix matters.
        runtime: a runtime's name; ``auto`` takes the first that reads the file and is here.
        device: a device's name; ``auto`` takes a GPU for checkpoints that PyTorch runs, else the
            processor.
        precision: arithmetic; ``auto`` takes ``fastest_safe`` where the device is built for it.
        fastest_safe: the fastest arithmetic at which the model is known to be right.
        only: the one runtime that runs the model, where its file's suffix does not tell.

    Raises:
        UnknownNameError: a runtime, device or precision of another name.
        WeightsError: nothing reads such files.
        DeviceError: the runtime cannot read the file, or does not have the device.
        MissingDependencyError: the runtime's package is not installed.
    """
    _check_name("runtime", runtime, RUNTIMES)
    _check_name("device", device, DEVICES)
    _check_name("precision", precision, PRECISIONS)
    readers = _readers(model_file) if only is None else (only,)
    candidates = readers if runtime == "auto" else (cast("RuntimeName", runtime),)
    if candidates[0] not in readers:
        raise DeviceError(
            f"runtime {runtime!r} does not read {model_file.name}; {' and '.join(readers)} "
            f"{'does' if len(readers) == 1 else 'do'}. Leave runtime='auto', or convert the model "
            "with `leadline export`."
        )
    chosen, place, why = _first_with(candidates, device, model_file)
    arithmetic = _precision(chosen, place, precision, fastest_safe)
    if runtime != "auto":
        why = "asked for"
    return Choice(runtime=chosen, device=place, precision=arithmetic, reason=why)


def open_file(choice: Choice, model: ModelFile, *, threads: int | None = None) -> Runtime:
    """Open an exported network (``.onnx``, ``.xml``) on what :func:`select` chose."""
    if choice.runtime == "openvino":
        from leadline.runtime.openvino import OpenVinoRuntime

        return OpenVinoRuntime(model, precision=choice.precision, threads=threads)
    from leadline.runtime.onnxruntime import OnnxRuntime

    return OnnxRuntime(model, device=choice.device, precision=choice.precision, threads=threads)


def read_ports(path: Path) -> Ports:
    """What the graph of an exported network says that it takes and gives.

    Raises:
        WeightsError: no installed runtime opens the file.
    """
    from leadline.runtime import openvino

    try:
        return openvino.read_ports(path)
    except WeightsError:
        if path.suffix.lower() != ".onnx" or not installed("onnxruntime"):
            raise
        from leadline.runtime import onnxruntime

        return onnxruntime.read_ports(path)


def open_weights(
    choice: Choice,
    architecture: str,
    options: Mapping[str, Any],
    weights: Path,
    *,
    threads: int | None = None,
) -> Runtime:
    """Open a checkpoint of ``leadline.models`` on what :func:`select` chose."""
    from leadline.runtime.torch import open_checkpoint

    return open_checkpoint(
        architecture,
        options,
        weights,
        device=choice.device,
        precision=choice.precision,
        threads=threads,
    )


def open_superpixel(parameters: Path) -> Runtime:
    """Open the statistical model's parameter file."""
    from leadline.runtime.superpixel import open_parameters

    return open_parameters(parameters)


def open_transformers(choice: Choice, folder: Path, *, threads: int | None = None) -> Runtime:
    """Open a folder in transformers' layout on what :func:`select` chose."""
    from leadline.runtime.transformers import open_folder

    return open_folder(folder, device=choice.device, precision=choice.precision, threads=threads)


def families() -> tuple[str, ...]:
    """``model_type`` of every depth network that the installed transformers has.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    from leadline.runtime import transformers

    return transformers.families()


def installed(runtime: RuntimeName) -> bool:
    """Whether the runtime's packages are here; does not import them."""
    packages = PACKAGES.get(runtime, (runtime,))
    return all(_here(package) for package in packages)


def devices(runtime: RuntimeName) -> tuple[DeviceName, ...]:
    """Devices that the runtime can use here; empty when it is not installed. Imports it."""
    if not installed(runtime):
        return ()
    if runtime in ("openvino", "superpixel"):
        return ("cpu",)
    if runtime == "onnxruntime":
        from leadline.runtime import onnxruntime

        return onnxruntime.devices()
    from leadline.runtime import torch

    return torch.devices()


def _readers(model_file: Path) -> tuple[RuntimeName, ...]:
    suffix = model_file.suffix.lower()
    if suffix not in READERS:
        raise WeightsError(
            f"{model_file.name} is not a model file that Leadline knows; one that ends in "
            f"{', '.join(READERS)} is needed."
        )
    return READERS[suffix]


def _first_with(
    candidates: tuple[RuntimeName, ...], device: str, model_file: Path
) -> tuple[RuntimeName, DeviceName, str]:
    """The first candidate that is installed and has the device, the device, and why."""
    present = [name for name in candidates if installed(name)]
    if not present:
        first = candidates[0]
        missing = next((p for p in PACKAGES.get(first, ()) if not _here(p)), first)
        extra = _EXTRAS.get(first, first)
        raise MissingDependencyError(missing, f"running {model_file.name}", extra)
    for name in present:
        offered = devices(name)
        if device == "auto":
            place = _best_device(name, offered)
            return name, place, _why(name, place, model_file)
        if device in offered:
            place = device
            return name, place, f"the first runtime for {model_file.suffix} files with a {device}"
    offers = "; ".join(f"{name} on {', '.join(devices(name))}" for name in present)
    raise DeviceError(
        f"device {device!r} was asked for, but {model_file.name} can run here only with: {offers}. "
        "Choose one of these, or install a runtime with that device."
    )


def _best_device(runtime: RuntimeName, offered: tuple[DeviceName, ...]) -> DeviceName:
    wishes: tuple[DeviceName, ...] = ("cuda", "mps") if runtime in _ON_TORCH else ()
    return next((wish for wish in wishes if wish in offered), "cpu")


def _why(runtime: RuntimeName, device: DeviceName, model_file: Path) -> str:
    if runtime == "openvino":
        return f"reads {model_file.suffix} files on any processor and comes with the base install"
    if runtime == "superpixel":
        return "superpixels, regression and planes on the processor; no network"
    if runtime == "onnxruntime":
        return f"reads {model_file.suffix} files, and OpenVINO is not installed"
    what = f"{model_file.suffix} checkpoints need PyTorch"
    if runtime == "transformers":
        what = "networks of transformers run as they are there"
    where = "the processor, as there is no GPU" if device == "cpu" else f"the GPU ({device})"
    return f"{what}; on {where}"


def _precision(
    runtime: RuntimeName, device: DeviceName, asked: str, fastest_safe: Precision
) -> Precision:
    if asked != "auto":
        return cast("Precision", asked)
    if fastest_safe == "f32" or runtime in ("onnxruntime", "superpixel"):
        return "f32"
    if runtime == "openvino":
        from leadline.runtime.openvino import precisions

        return fastest_safe if fastest_safe in precisions() else "f32"
    return fastest_safe if device == "cuda" else "f32"


def _here(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _check_name(what: str, name: str, options: tuple[str, ...]) -> None:
    if name != "auto" and name not in options:
        raise UnknownNameError(what, name, ("auto", *options))
