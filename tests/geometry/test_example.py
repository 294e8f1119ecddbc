"""The example of two views runs, and its depths are right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "02_two_views.py"


@pytest.mark.slow
def test_the_example_finds_the_rendered_room(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, EXAMPLE, "--out", tmp_path], capture_output=True, text=True, check=True
    )
    error = re.search(r"median error of their depths: ([\d.]+) %", run.stdout)
    assert error is not None
    assert float(error[1]) < 2
    assert {p.name for p in tmp_path.iterdir()} == {
        *("epipolar.png", "points.ply", "depth.npz", "depth.png")
    }
