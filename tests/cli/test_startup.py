"""Help comes at once: nothing heavy is imported before a command runs."""

import re
import subprocess
import sys
import time

import pytest

HEAVY = {"numpy", "PIL", "openvino", "onnxruntime", "torch", "huggingface_hub", "rich", "cv2"}


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "leadline", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(re.findall(r"\|\s+([\w.]+)$", run.stderr, re.MULTILINE))
    assert "typer" in imported
    assert not {name.split(".")[0] for name in imported}.intersection(HEAVY)
    assert run.stdout


def test_help_is_quick() -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "leadline", "--help"], capture_output=True, check=True
        )
        times.append(time.perf_counter() - start)
    assert min(times) < 0.4


def test_the_version_is_the_packages() -> None:
    from leadline import __version__

    run = subprocess.run(
        [sys.executable, "-m", "leadline", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"leadline {__version__}\n"
