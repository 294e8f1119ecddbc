"""Help comes at once: nothing heavy is imported before a command runs."""

import re
import resource
import subprocess
import sys

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
    """Processor time, so that other programs on the machine do not count."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "leadline", "--help"], capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.4


def test_the_version_is_the_packages() -> None:
    from leadline.version import __version__

    run = subprocess.run(
        [sys.executable, "-m", "leadline", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"leadline {__version__}\n"
