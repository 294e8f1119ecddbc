"""Runtimes: OpenVINO, ONNX Runtime, PyTorch, transformers ... behind one protocol."""

from __future__ import annotations

from leadline.runtime.base import (
    DEVICES,
    PRECISIONS,
    RUNTIMES,
    DeviceName,
    Precision,
    Runtime,
    RuntimeName,
)
from leadline.runtime.choice import (
    Choice,
    devices,
    families,
    installed,
    open_file,
    open_superpixel,
    open_transformers,
    open_weights,
    read_ports,
    select,
)
from leadline.runtime.function import FunctionRuntime
from leadline.runtime.ports import ModelFile, Ports, find_image, fit_to_ports

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "RUNTIMES",
    "Choice",
    "DeviceName",
    "FunctionRuntime",
    "ModelFile",
    "Ports",
    "Precision",
    "Runtime",
    "RuntimeName",
    "devices",
    "families",
    "find_image",
    "fit_to_ports",
    "installed",
    "open_file",
    "open_superpixel",
    "open_transformers",
    "open_weights",
    "read_ports",
    "select",
]
