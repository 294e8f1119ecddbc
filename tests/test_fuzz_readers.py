"""The campaign against every reader, at a size that continuous integration bears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("av")
pytest.importorskip("h5py")
pytest.importorskip("scipy")
pytest.importorskip("OpenEXR")
pytest.importorskip("pillow_heif")
pytest.importorskip("rosbags")

from benchmarks.fuzz_damage import damage
from benchmarks.fuzz_readers import Fuzzer, run_campaign
from benchmarks.fuzz_targets import TARGETS, Target
from leadline.errors import InputError

SEEDS = (b"12 34\n", b'{"a": [1, 2]}', b"\x89PNG\r\n\x1a\n", bytes(200))


@pytest.mark.parametrize("data", SEEDS)
def test_damage_is_the_same_every_time_and_changes_something(data: bytes) -> None:
    made = [damage(data, b"other", np.random.default_rng(n)) for n in range(50)]
    assert made == [damage(data, b"other", np.random.default_rng(n)) for n in range(50)]
    assert len(set(made) - {data}) > 25


def test_names_are_unique() -> None:
    names = [target.name for target in TARGETS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("error", "found"), [(KeyError("x"), "KeyError at"), (InputError("x"), "")]
)
def test_all_but_our_own_errors_are_findings(tmp_path: Path, error: Exception, found: str) -> None:
    def read(folder: Path) -> None:
        if (folder / "a.txt").read_bytes() != b"whole":
            raise error

    def write(folder: Path, number: int) -> None:
        (folder / "a.txt").write_bytes(b"whole")

    fuzzer = Fuzzer(Target(name="a", write=write, read=read), tmp_path, 0)
    results = [fuzzer.run(case) for case in range(20)]
    assert any(outcome == "refused" for outcome, _ in results)
    said = [finding.what for _, finding in results if finding is not None]
    assert bool(said) == bool(found)
    assert all(line.startswith(found) for line in said)


@pytest.mark.slow
def test_every_reader_reads_or_refuses() -> None:
    results = run_campaign(TARGETS, 2500, seed=7)
    findings = [finding for result in results for finding in result.findings]
    assert not findings
    assert all(result.read + result.refused == result.cases for result in results)
