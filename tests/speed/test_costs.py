from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from leadline import catalog
from leadline.cli import main
from leadline.errors import InputError
from leadline.speed.costs import cost_of

ROOT = Path(__file__).parents[2]


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["models", *words])
    assert not caught.value.code


def test_fastdepth_costs_what_its_paper_says():
    cost = cost_of(catalog.get("fastdepth-pruned"))
    assert cost.input_size == (224, 224)
    assert cost.gflop / 2 == pytest.approx(0.37, abs=0.005)  # the paper counts multiply-adds
    assert cost.latency_ms is None
    assert cost_of(catalog.get("fastdepth")).parameters == pytest.approx(3.96e6, rel=1e-3)


def test_time_is_measured_when_asked_for():
    cost = cost_of(catalog.get("fastdepth-pruned"), runs=1)
    assert cost.latency_ms is not None
    assert cost.latency_ms > 0
    with pytest.raises(InputError, match="runs=-1"):
        cost_of(catalog.get("fastdepth"), runs=-1)


def test_the_verbose_list(capsys: pytest.CaptureFixture[str]):
    run("fastdepth-pruned", "lite", "superpixel", "--verbose")
    rows = capsys.readouterr().out.splitlines()
    assert rows[3].split()[:3] == ["superpixel", "-", "-"]
    assert rows[1].split()[:4] == ["fastdepth-pruned", "1,360,786", "224x224", "0.73"]
    assert rows[2].startswith("lite")
    run("fastdepth-pruned", "--verbose", "--json")
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["parameters"] == 1_360_786
    assert entry["input_size"] == [224, 224]
    assert entry["kind"] == "metric_depth"


def test_the_plain_list_needs_no_torch():
    code = "import sys; from leadline.cli import main\ntry: main(['models'])\nexcept SystemExit: "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_the_table_of_the_documents_is_of_this_catalogue():
    results = json.loads((ROOT / "benchmarks/results/model_costs.json").read_text())
    networks = [name for name, spec in catalog.MODELS.items() if spec.architecture is not None]
    assert [row["name"] for row in results["models"]] == networks
    page = (ROOT / "docs/models/README.md").read_text()
    for row in results["models"]:
        assert f"| `{row['name']}` | {row['parameters'] / 1e6:.2f} |" in page
