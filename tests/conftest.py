"""Fixtures for every test; plain pytest, nothing heavy at import."""

from pathlib import Path

import pytest


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """Path of a one-convolution ONNX network with its sidecar."""
    pytest.importorskip("onnx")
    from testing.tiny import write_tiny_model

    return write_tiny_model(tmp_path / "tiny.onnx")
