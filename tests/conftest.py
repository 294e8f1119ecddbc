"""Fixtures and settings for every test; nothing heavy at import."""

import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is not a fault of the code: no time limit per example.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Workers side by side: one thread each, or they take the processor from one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# What OpenVINO compiled is shared by the workers and their processes, and kept from the user's.
os.environ.setdefault(
    "LEADLINE_CACHE", str(Path(tempfile.gettempdir()) / f"leadline-{os.getuid()}")
)

MOST_WORKERS = 4  # each imports torch


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Workers for the whole suite or a folder; a few named files run here, without their start."""
    named = [Path(word.partition("::")[0]) for word in config.option.file_or_dir]
    if named and all(path.suffix == ".py" for path in named):
        return 0
    return min(MOST_WORKERS, os.cpu_count() or 1)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """Path of a one-convolution ONNX network with its sidecar."""
    pytest.importorskip("onnx")
    from testing.tiny import write_tiny_model

    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Every device of torch's that is here."""
    torch = pytest.importorskip("torch")
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    return request.param


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    """A Chromium; closed before tests of another file, whose event loops its own would stop."""
    from testing.pages import open_browser

    with open_browser() as found:
        yield found
