"""torch.hub opens a checkout of the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ROOT = str(Path(__file__).parents[1])


def test_entry_points_are_listed_and_open(tiny_model: Path):
    pytest.importorskip("onnx")
    estimator = torch.hub.load(ROOT, "estimator", str(tiny_model), source="local")
    assert estimator.predict(np.zeros((40, 60, 3), np.uint8)).size == (40, 60)


def test_networks_are_modules():
    module = torch.hub.load(ROOT, "network", source="local", name="lite")
    assert isinstance(module, torch.nn.Module)
    assert not module.training
