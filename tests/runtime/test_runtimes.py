"""What every runtime promises, tested on every runtime that is installed."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import DeviceError, InputError, WeightsError
from leadline.hub import EMBEDDED_FOLDER
from leadline.runtime import ModelFile, Runtime
from leadline.runtime.openvino import OpenVinoRuntime, precisions

pytest.importorskip("onnx")
from testing.tiny import expected, write_tiny_model

Open = Callable[..., Runtime]


def _open_onnxruntime(model: ModelFile, **options: object) -> Runtime:
    pytest.importorskip("onnxruntime")
    from leadline.runtime.onnxruntime import OnnxRuntime

    return OnnxRuntime(model, **options)


@pytest.fixture(params=["openvino", "onnxruntime"])
def open_runtime(request: pytest.FixtureRequest) -> Open:
    return {"openvino": OpenVinoRuntime, "onnxruntime": _open_onnxruntime}[request.param]


def batch(b: int, h: int, w: int) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(b * h + w).normal(size=(b, 3, h, w)).astype(np.float32)}


def test_any_size_and_batch_gives_the_right_numbers(open_runtime: Open, tiny_model: Path) -> None:
    runtime = open_runtime(ModelFile(path=tiny_model))
    for shape in [(1, 32, 64), (3, 64, 32), (1, 32, 64), (2, 96, 96)]:
        arrays = batch(*shape)
        depth = runtime.run(arrays)["depth"]
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, expected(arrays["image"]), rtol=1e-4, atol=1e-4)


def test_outputs_stay_when_the_runtime_runs_again(open_runtime: Open, tiny_model: Path) -> None:
    runtime = open_runtime(ModelFile(path=tiny_model))
    first = runtime.run(batch(1, 32, 32))["depth"]
    kept = first.copy()
    runtime.run(batch(1, 32, 32 + 32))
    runtime.run({"image": batch(1, 32, 32)["image"] + 1})
    np.testing.assert_array_equal(first, kept)


def test_threads_may_share_a_runtime(open_runtime: Open, tiny_model: Path) -> None:
    runtime = open_runtime(ModelFile(path=tiny_model), threads=1)
    inputs = [batch(1, 32, 32 * (1 + i % 3)) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(runtime.run, inputs))
    for arrays, output in zip(inputs, outputs, strict=True):
        wanted = expected(arrays["image"])
        np.testing.assert_allclose(output["depth"], wanted, rtol=1e-4, atol=1e-4)


def test_foreign_tensor_names_are_mapped(open_runtime: Open, tmp_path: Path) -> None:
    path = write_tiny_model(
        tmp_path / "hub.onnx", input_name="pixel_values", output_name="predicted_depth"
    )
    named = ModelFile(
        path=path, inputs={"pixel_values": "image"}, outputs={"predicted_depth": "depth"}
    )
    arrays = batch(1, 32, 32)
    depth = open_runtime(named).run(arrays)["depth"]
    np.testing.assert_allclose(depth, expected(arrays["image"]), rtol=1e-4, atol=1e-4)
    with pytest.raises(WeightsError, match="another file"):
        open_runtime(ModelFile(path=path))


@pytest.mark.parametrize("keep", [0, 40, 0.5])
def test_a_truncated_file_is_one_line(open_runtime: Open, tiny_model: Path, keep: float) -> None:
    content = tiny_model.read_bytes()
    tiny_model.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(WeightsError, match="truncated") as caught:
        open_runtime(ModelFile(path=tiny_model))
    assert "\n" not in str(caught.value)


def test_a_graph_without_its_weights_is_told(open_runtime: Open, tmp_path: Path) -> None:
    graph = tmp_path / "copied.onnx"
    shutil.copy(EMBEDDED_FOLDER / "lite.onnx", graph)
    with pytest.raises(WeightsError, match=r"lite\.safetensors, are needed beside it") as caught:
        open_runtime(ModelFile(path=graph))
    assert "truncated" not in str(caught.value)
    shutil.copy(EMBEDDED_FOLDER / "lite.safetensors", tmp_path)
    assert open_runtime(ModelFile(path=graph)).run(batch(1, 64, 64))["depth"].shape == (1, 64, 64)


def test_a_missing_file_is_told(open_runtime: Open, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not a file"):
        open_runtime(ModelFile(path=tmp_path / "no.onnx"))


def test_a_size_that_the_file_cannot_take_is_told(open_runtime: Open, tmp_path: Path) -> None:
    runtime = open_runtime(ModelFile(path=write_tiny_model(tmp_path / "f.onnx", side=32)))
    assert runtime.run(batch(2, 32, 32))["depth"].shape == (2, 32, 32)
    with pytest.raises(InputError, match="one size"):
        runtime.run(batch(1, 32, 64))


def test_a_missing_input_is_told(open_runtime: Open, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="also needs \\['image'\\]"):
        open_runtime(ModelFile(path=tiny_model)).run({"picture": np.zeros((1, 3, 32, 32))})


def test_an_unknown_precision_is_refused(open_runtime: Open, tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="precision 'f16'"):
        open_runtime(ModelFile(path=tiny_model), precision="f16")


@pytest.mark.skipif("bf16" not in precisions(), reason="the processor has no bf16")
def test_bf16_is_near_f32(tiny_model: Path) -> None:
    runtime = OpenVinoRuntime(ModelFile(path=tiny_model), precision="bf16")
    assert runtime.precision == "bf16"
    arrays = batch(1, 64, 64)
    wanted = expected(arrays["image"])
    error = np.abs(runtime.run(arrays)["depth"] - wanted).mean() / np.abs(wanted).mean()
    assert error < 0.02


def test_openvinos_own_format_runs_and_its_damage_is_told(tiny_model: Path) -> None:
    import openvino as ov

    path = tiny_model.with_suffix(".xml")
    ov.save_model(ov.Core().read_model(tiny_model), path, compress_to_fp16=False)
    arrays = batch(1, 32, 64)
    depth = OpenVinoRuntime(ModelFile(path=path)).run(arrays)["depth"]
    np.testing.assert_allclose(depth, expected(arrays["image"]), rtol=1e-4, atol=1e-4)
    path.with_suffix(".bin").unlink()
    with pytest.raises(WeightsError, match=r"tiny\.bin, are needed beside it") as caught:
        OpenVinoRuntime(ModelFile(path=path))
    assert "\n" not in str(caught.value)


def test_torch_modules_run_behind_the_same_protocol() -> None:
    torch = pytest.importorskip("torch")
    from leadline.models.base import DepthModule
    from leadline.runtime.torch import TorchRuntime
    from testing.tiny import kernel

    class Conv(DepthModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.from_numpy(kernel()))

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.conv2d(batch, self.weight, padding=1)[:, 0]

    conv = Conv()
    runtime: Runtime = TorchRuntime(conv)
    arrays = batch(2, 32, 64)
    depth = runtime.run(arrays)["depth"]
    assert (runtime.name, runtime.device, runtime.precision) == ("torch", "cpu", "f32")
    np.testing.assert_allclose(depth, expected(arrays["image"]), rtol=1e-4, atol=1e-4)
    half = TorchRuntime(conv, precision="bf16").run(arrays)["depth"]
    assert 0 < np.abs(half - depth).max() < 0.3
    with pytest.raises(InputError, match="'image' is needed"):
        runtime.run({})
