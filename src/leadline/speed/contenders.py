"""Who runs: the ways people run a network, and ours, behind one call.

Every contender opens files that :mod:`leadline.speed.inputs` wrote from the same weights, in a
process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import MissingDependencyError
from leadline.speed.inputs import Setup, torch_module, transformers_module

if TYPE_CHECKING:
    from leadline.runtime import Precision

Run = Callable[[np.ndarray], np.ndarray]
"""(1, 3, h, w) float32, normalised -> (h, w) float32."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to run the network.

    Attributes:
        open: makes it ready.
        summary: one line for people.
        needs: packages that must be installed.
        devices: where it can run.
        precision: its arithmetic, for the share of the machine's rate.
        needs_bf16: cannot run, or not in finite time, on processors without bf16 of their own.
    """

    open: Callable[[Setup], Run]
    summary: str
    needs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    precision: str = "f32"
    needs_bf16: bool = False


def _transformers(setup: Setup, *, half: bool = False, compiled: bool = False) -> Run:
    import torch

    _use_threads(torch, setup.threads)
    kind = torch.bfloat16 if half else torch.float32
    module: Any = transformers_module(setup).to(setup.device, kind).eval()
    if compiled:
        module = torch.compile(module)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            given = torch.from_numpy(batch).to(setup.device, kind)
            return module(pixel_values=given).predicted_depth[0].float().cpu().numpy()

    return run


def _leadline_torch(setup: Setup, *, precision: Precision) -> Run:
    import torch

    from leadline.runtime.torch import TorchRuntime

    _use_threads(torch, setup.threads)
    device: Any = setup.device
    runtime = TorchRuntime(torch_module(setup), device=device, precision=precision)
    return lambda batch: runtime.run({"image": batch})["depth"][0]


def _onnxruntime(setup: Setup) -> Run:
    import onnxruntime as installed

    onnxruntime: Any = installed
    options = onnxruntime.SessionOptions()
    if setup.threads is not None:
        options.intra_op_num_threads = setup.threads
    session = onnxruntime.InferenceSession(
        str(setup.folder / "plain.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return lambda batch: np.asarray(session.run(None, {"image": batch})[0])[0]


def _openvino(setup: Setup, *, precision: str | None) -> Run:
    import openvino

    config: dict[str, Any] = {}
    if precision is not None:
        config["INFERENCE_PRECISION_HINT"] = precision
    if setup.threads is not None:
        config["INFERENCE_NUM_THREADS"] = setup.threads
    compiled = openvino.Core().compile_model(setup.folder / "plain.onnx", "CPU", config)
    return lambda batch: np.array(compiled({"image": batch})[0])[0]


def _leadline(setup: Setup, *, file: str, precision: str) -> Run:
    from leadline.load_options import load

    estimator = load(
        setup.folder / file, runtime="openvino", precision=precision, threads=setup.threads
    )
    return lambda batch: estimator.runtime.run({"image": batch})["depth"][0]


CONTENDERS: Mapping[str, Contender] = MappingProxyType(
    {
        "transformers": Contender(
            open=_transformers,
            summary="transformers, eager",
            needs=("transformers",),
            devices=("cpu", "cuda"),
        ),
        "transformers-bf16": Contender(
            open=lambda setup: _transformers(setup, half=True),
            summary="transformers, eager, weights in bf16",
            needs=("transformers",),
            devices=("cpu", "cuda"),
            precision="bf16",
            needs_bf16=True,
        ),
        "torch-compile": Contender(
            open=lambda setup: _transformers(setup, compiled=True),
            summary="transformers under torch.compile",
            needs=("transformers",),
            devices=("cpu", "cuda"),
        ),
        "onnxruntime": Contender(
            open=_onnxruntime, summary="ONNX Runtime, plain export", needs=("onnxruntime",)
        ),
        "openvino-f32": Contender(
            open=lambda setup: _openvino(setup, precision="f32"),
            summary="OpenVINO, plain export, f32",
        ),
        "openvino-default": Contender(
            open=lambda setup: _openvino(setup, precision=None),
            summary="OpenVINO, plain export, its own defaults",
            precision="bf16",
        ),
        "leadline-f32": Contender(
            open=lambda setup: _leadline(setup, file="fixed.xml", precision="f32"),
            summary="Leadline, export for one size, f32",
        ),
        "leadline-bf16": Contender(
            open=lambda setup: _leadline(setup, file="fixed.xml", precision="bf16"),
            summary="Leadline, export for one size, bf16",
            precision="bf16",
            needs_bf16=True,
        ),
        "leadline-bf16-any-size": Contender(
            open=lambda setup: _leadline(setup, file="any.xml", precision="bf16"),
            summary="Leadline, export for every size, bf16",
            precision="bf16",
            needs_bf16=True,
        ),
        "leadline-int8": Contender(
            open=lambda setup: _leadline(setup, file="int8.xml", precision="auto"),
            summary="Leadline, int8 where it does not hurt, the fastest safe precision elsewhere",
            precision="int8",
        ),
        "leadline-torch": Contender(
            open=lambda setup: _leadline_torch(setup, precision="f32"),
            summary="Leadline on PyTorch, f32",
            needs=("torch",),
            devices=("cpu", "cuda"),
        ),
        "leadline-torch-bf16": Contender(
            open=lambda setup: _leadline_torch(setup, precision="bf16"),
            summary="Leadline on PyTorch, bf16 autocast",
            needs=("torch",),
            devices=("cpu", "cuda"),
            precision="bf16",
            needs_bf16=True,
        ),
    }
)
"""Every contender by name; results name them so."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "transformers": ("transformers", "transformers-bf16"),
        "onnxruntime": ("onnxruntime",),
        "openvino-default": ("openvino-f32", "openvino-default"),
        "torch-compile": ("torch-compile",),
    }
)
"""What ``--against`` takes -> the contenders that it means."""

OURS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cpu": ("leadline-f32", "leadline-bf16", "leadline-bf16-any-size", "leadline-int8"),
        "cuda": ("leadline-torch", "leadline-torch-bf16"),
    }
)
"""Device -> our own contenders there."""


def check_installed(name: str) -> None:
    """Raise MissingDependencyError when a package that ``name`` needs is not here."""
    import importlib.util

    for package in CONTENDERS[name].needs:
        if importlib.util.find_spec(package) is None:
            extra = {"torch": "torch", "onnxruntime": "onnxruntime"}.get(package, "")
            raise MissingDependencyError(package, f"benchmarking against {name}", extra)


def _use_threads(torch: Any, threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
