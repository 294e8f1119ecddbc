"""Statistics, choice of contenders, load, and the text of a result."""

import json
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import InputError, JobError, UnknownNameError
from leadline.speed import CONTENDERS, GROUPS, Options, as_markdown, as_text, contenders_of, measure
from leadline.speed.machine import Load, Ticks, load_between, peak_memory_mb, ticks
from leadline.speed.measure import summarise
from leadline.speed.worker import Worker

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("depth-anything*.json"))


@pytest.mark.parametrize("native", [True, False])
def test_groups_and_our_own_take_part_on_the_processor(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "precisions", lambda: ("f32", "bf16") if native else ("f32",))
    names = contenders_of(Options(against=("transformers",)))
    assert names[0] == "transformers"
    assert {"leadline-f32", "leadline-int8"} <= set(names) <= set(CONTENDERS)
    slow = {"transformers-bf16", "leadline-bf16", "leadline-bf16-any-size"}
    assert slow & set(names) == (slow if native else set())
    if not native:
        with pytest.raises(InputError, match="no bf16 of its own"):
            contenders_of(Options(only=("leadline-bf16",)))


def test_only_what_runs_on_the_device_takes_part() -> None:
    names = contenders_of(Options(against=tuple(GROUPS), device="cuda"))
    assert "onnxruntime" not in names
    assert "leadline-torch-bf16" in names


@pytest.mark.parametrize("options", [Options(against=("tensorrt",)), Options(only=("nobody",))])
def test_unknown_contenders_are_named(options: Options) -> None:
    with pytest.raises(UnknownNameError, match="Known"):
        contenders_of(options)


def test_a_reference_that_takes_no_part_is_refused() -> None:
    with pytest.raises(InputError, match="takes no part"):
        contenders_of(Options(only=("leadline-f32",), reference="transformers"))


def test_ratios_are_taken_pair_by_pair() -> None:
    # Each round the second is exactly twice as fast, however much the machine drifts.
    drift = np.array([1.0, 2.0, 4.0])
    measured = {
        name: {"seconds": list(s * drift), "error": 0.0, "memory": 1.0, "open": 0.0}
        for name, s in {"transformers": 1.0, "leadline-bf16": 0.5}.items()
    }
    rate = {"f32": 10.0, "bf16": 100.0}
    first, second = summarise(tuple(measured), measured, Options(), 20.0, rate)
    assert first["faster_than"] == {
        "reference": "transformers",
        "median": 1.0,
        "quartiles": [1.0, 1.0],
    }
    assert second["faster_than"]["quartiles"] == [2.0, 2.0]
    assert second["median_s"] == 1.0
    assert second["share_of_rate"] == pytest.approx(0.2)


def test_the_load_is_what_others_took() -> None:
    before = Ticks(busy=100, total=1000, by_process={1: 10, 2: 20, 3: 0})
    after = Ticks(busy=180, total=1200, by_process={1: 60, 2: 50, 3: 0})
    assert load_between(before, after).others == pytest.approx(0.4)
    assert load_between(before, after, own=[1]).others == pytest.approx(0.15)
    assert load_between(before, after, own=[1, 2]).others == 0
    assert load_between(None, after) == Load(others=None)


def test_this_process_is_not_another() -> None:
    before = ticks()
    if before is None:
        pytest.skip("the system does not tell")
    assert (peak_memory_mb() or 0) > 1


def test_a_worker_answers_and_tells_what_failed() -> None:
    worker = Worker("a test")
    try:
        assert worker.ask(abs, -3) == 3
        with pytest.raises(JobError, match=r"a test: ValueError"):
            worker.ask(int, "no number")
    finally:
        worker.close()


def test_a_worker_that_ends_is_told() -> None:
    import os

    worker = Worker("a test")
    with pytest.raises(JobError, match="ended by itself"):
        worker.ask(os._exit, 3)
    worker.close()


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_committed_results_can_be_read(path: Path) -> None:
    result = json.loads(path.read_text())
    text = as_text(result)
    assert all(one["name"] in text for one in result["contenders"])
    assert not any(word in path.read_text() for word in ("/root", "/work", "/home"))


def test_rows_become_a_table() -> None:
    assert as_markdown([("a", "b"), ("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
