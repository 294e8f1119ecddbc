"""Which compilation OpenVINO runs: one for a shape that comes often, one for all the others."""

from pathlib import Path

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.runtime import ModelFile
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


def run(runtime: OpenVinoRuntime, side: int) -> None:
    batch = np.random.default_rng(side).normal(size=(1, 3, side, side)).astype(np.float32)
    given = runtime.run({"image": batch})["depth"]
    np.testing.assert_allclose(given, expected(batch), rtol=1e-4, atol=1e-4)


def test_the_first_shape_has_its_own_and_others_share_one(core: Counting, tiny_model: Path) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=tiny_model))
    assert core.compiled == []
    for side in (32, 32, 64, 96, 64, 32):
        run(runtime, side)
    assert core.compiled == ["[1,3,32,32]", "[?,3,?,?]"]


def test_a_familiar_shape_gets_its_own_and_the_oldest_goes(
    core: Counting, tiny_model: Path
) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=tiny_model))
    run(runtime, 32)
    for side in (64, 96):
        for _ in range(module._FAMILIAR):
            run(runtime, side)
    assert core.compiled == ["[1,3,32,32]", "[?,3,?,?]", "[1,3,64,64]", "[1,3,96,96]"]
    assert [shapes[0][1][2] for shapes in runtime._special] == [64, 96]
    run(runtime, 64)
    assert len(core.compiled) == 4


def test_a_file_for_one_size_is_not_bent_to_another(core: Counting, tmp_path: Path) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=write_tiny_model(tmp_path / "one.onnx", side=64)))
    with pytest.raises(InputError, match="one size"):
        run(runtime, 32)
    run(runtime, 64)


def test_operations_that_cannot_be_fused_here_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
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
