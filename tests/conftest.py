"""Fixtures and settings for every test; nothing heavy at import."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is not a fault of the code: no time limit per example.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """Path of a one-convolution ONNX network with its sidecar."""
    pytest.importorskip("onnx")
    from testing.tiny import write_tiny_model

    return write_tiny_model(tmp_path / "tiny.onnx")
