"""Compilations of OpenVINO: one for every shape, kept in memory and on disk; the same bits."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.runtime import ModelFile, compiled
from leadline.runtime import openvino as module
from leadline.runtime.openvino import OpenVinoRuntime

pytest.importorskip("onnx")
from testing.tiny import expected, write_tiny_model


class Counting:
    """OpenVINO's core, writing down what was compiled."""

    def __init__(self, core: object) -> None:
        self.core = core
        self.compiled: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.core, name)

    def compile_model(self, graph: object, *rest: object) -> object:
        """Compile, and remember the input's shape."""
        self.compiled.append(str(graph.inputs[0].get_partial_shape()))
        return self.core.compile_model(graph, *rest)


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting(module._core())
    monkeypatch.setattr(module, "_core", lambda: counting)
    return counting


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_WORTH_S", 0)  # keep tiny networks too
    return tmp_path / "cache"


def run(runtime: OpenVinoRuntime, side: int, count: int = 1) -> np.ndarray:
    batch = np.random.default_rng(side).normal(size=(count, 3, side, side)).astype(np.float32)
    given = runtime.run({"image": batch})["depth"]
    np.testing.assert_allclose(given, expected(batch), rtol=1e-4, atol=1e-4)
    return given


def test_every_shape_has_its_own_and_the_oldest_goes(
    core: Counting, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiled.CACHE, "off")
    monkeypatch.setattr(module, "_MOST", 2)
    runtime = OpenVinoRuntime(ModelFile(path=tiny_model))
    for side in (32, 64, 32, 96, 32, 64):
        run(runtime, side)
    assert core.compiled == [f"[1,3,{n},{n}]" for n in (32, 64, 96, 64)]


def test_pictures_of_a_batch_run_one_by_one(core: Counting, tiny_model: Path) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=tiny_model))
    alone = run(runtime, 32)
    assert np.array_equal(run(runtime, 32, count=3)[:1], alone)
    assert core.compiled == ["[1,3,32,32]"]


def test_what_was_compiled_is_read_again(core: Counting, cache: Path, tiny_model: Path) -> None:
    first = run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    assert cache.stat().st_mode & 0o777 == 0o700
    again = run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    assert core.compiled == ["[1,3,32,32]"]
    assert np.array_equal(first, again)
    os.utime(tiny_model, ns=(0, 1))  # another file of the same name
    run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    assert len(core.compiled) == 2


@pytest.mark.parametrize("damage", [b"", b"no", b"x" * 4096])
def test_a_damaged_cache_is_compiled_anew(
    core: Counting, cache: Path, tiny_model: Path, damage: bytes
) -> None:
    run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    for file in cache.iterdir():
        file.write_bytes(damage)
    run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    assert len(core.compiled) == 2


def test_what_openvino_does_not_read_is_compiled_anew(
    core: Counting, cache: Path, tiny_model: Path
) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=tiny_model))
    assert runtime._cache is not None
    runtime._cache.write((("image", (1, 3, 32, 32)),), b"whole, but of another program")
    run(runtime, 32)
    assert core.compiled == ["[1,3,32,32]"]


def test_a_folder_that_others_may_write_to_is_left_alone(
    core: Counting, cache: Path, tiny_model: Path
) -> None:
    cache.mkdir(mode=0o700)
    cache.chmod(0o777)
    run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    assert not list(cache.iterdir())


def test_a_folder_that_cannot_be_made_stops_nothing(
    core: Counting, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(compiled.CACHE, str(tmp_path / "file" / "cache"))
    run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)


def test_the_oldest_entries_make_room(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_TOTAL", 250)
    (cache.parent / "model").mkdir()
    model = cache.parent / "model" / "m.onnx"
    model.write_bytes(b"graph")
    entries = compiled.CompiledCache.of(model)
    assert entries is not None
    for age, what in enumerate(("a", "b", "c")):
        entries.write(what, bytes(60))
        os.utime(entries._file(what), ns=(age + 1, age + 1))
    entries.write("d", bytes(60))
    assert [what for what in "abcd" if entries.read(what) is not None] == ["c", "d"]


def test_a_file_for_one_size_is_not_bent_to_another(core: Counting, tmp_path: Path) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=write_tiny_model(tmp_path / "one.onnx", side=64)))
    with pytest.raises(InputError, match="one size"):
        run(runtime, 32)
    run(runtime, 64)


def test_ports_come_back_from_json(tiny_model: Path) -> None:
    from dataclasses import asdict

    ports = module.read_ports(tiny_model)
    assert type(ports).of(json.loads(json.dumps(asdict(ports)))) == ports


def test_the_converter_is_there_when_asked_for() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from leadline.runtime import openvino as ours; ov = ours._openvino();"
        "assert 'openvino.tools.ovc.convert' not in sys.modules;"
        "assert callable(ov.convert_model)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_operations_that_cannot_be_fused_here_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tiny_model: Path
) -> None:
    class Narrow(Counting):
        def compile_model(self, graph: object, device: str, config: dict[str, object]) -> object:
            if config.get("SNIPPETS_MODE") != "DISABLE":
                raise RuntimeError("Can't allocate registers for a snippet: not enough registers")
            return super().compile_model(graph, device, config)

    core = Narrow(module._core())
    monkeypatch.setattr(module, "_core", lambda: core)
    run(OpenVinoRuntime(ModelFile(path=tiny_model)), 32)
    assert core.compiled == ["[1,3,32,32]"]
