"""Runtimes: OpenVINO, ONNX Runtime and PyTorch behind one protocol."""

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
from leadline.runtime.choice import Choice, devices, installed, open_file, open_weights, select

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
    "open_weights",
    "select",
]
