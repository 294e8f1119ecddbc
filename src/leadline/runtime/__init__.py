"""Runtimes: OpenVINO, ONNX Runtime, PyTorch and the statistical model behind one protocol."""

from __future__ import annotations

from leadline.runtime.base import (
    DEVICES,
    PRECISIONS,
    RUNTIMES,
    DeviceName,
    ModelFile,
    Precision,
    Runtime,
    RuntimeName,
)
from leadline.runtime.choice import (
    Choice,
    devices,
    installed,
    open_file,
    open_superpixel,
    open_weights,
    select,
)

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "RUNTIMES",
    "Choice",
    "DeviceName",
    "ModelFile",
    "Precision",
    "Runtime",
    "RuntimeName",
    "devices",
    "installed",
    "open_file",
    "open_superpixel",
    "open_weights",
    "select",
]
