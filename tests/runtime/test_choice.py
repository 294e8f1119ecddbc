from pathlib import Path

import pytest

from leadline.errors import (
    DeviceError,
    MissingDependencyError,
    UnknownNameError,
    WeightsError,
)
from leadline.runtime import select
from leadline.runtime.openvino import precisions


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """Runtimes and their devices on a pretended machine."""
    present = {"openvino": ("cpu",), "onnxruntime": ("cpu",), "torch": ("cpu",)}
    monkeypatch.setattr("leadline.runtime.choice.installed", lambda name: name in present)
    monkeypatch.setattr("leadline.runtime.choice.devices", lambda name: present.get(name, ()))
    return present


def test_openvino_runs_exported_networks(machine: dict) -> None:
    choice = select(Path("net.onnx"))
    assert (choice.runtime, choice.device, choice.precision) == ("openvino", "cpu", "f32")
    assert "openvino on cpu in f32: " in str(choice)


def test_onnxruntime_steps_in(machine: dict) -> None:
    del machine["openvino"]
    choice = select(Path("net.onnx"), fastest_safe="bf16")
    assert (choice.runtime, choice.precision) == ("onnxruntime", "f32")
    assert "not installed" in choice.reason


def test_checkpoints_take_torch_and_its_gpu(machine: dict) -> None:
    assert select(Path("net.pth")).device == "cpu"
    machine["torch"] = ("cpu", "cuda")
    choice = select(Path("net.safetensors"), fastest_safe="bf16")
    assert (choice.runtime, choice.device, choice.precision) == ("torch", "cuda", "bf16")
    assert select(Path("net.pth"), device="cpu", fastest_safe="bf16").precision == "f32"


def test_a_device_that_only_the_second_runtime_has(machine: dict) -> None:
    machine["onnxruntime"] = ("cpu", "cuda")
    choice = select(Path("net.onnx"), device="cuda")
    assert (choice.runtime, choice.device) == ("onnxruntime", "cuda")


def test_bf16_follows_the_model_and_the_processor(machine: dict) -> None:
    choice = select(Path("net.onnx"), fastest_safe="bf16")
    assert choice.precision == ("bf16" if "bf16" in precisions() else "f32")
    assert select(Path("net.onnx"), precision="f32", fastest_safe="bf16").precision == "f32"


def test_what_cannot_be_is_refused_with_the_way_out(machine: dict) -> None:
    with pytest.raises(DeviceError, match="leadline export"):
        select(Path("net.pth"), runtime="openvino")
    with pytest.raises(DeviceError, match="openvino on cpu; onnxruntime on cpu"):
        select(Path("net.onnx"), device="cuda")
    with pytest.raises(WeightsError, match=r"ends in \.onnx"):
        select(Path("net.tflite"))
    with pytest.raises(UnknownNameError, match="Known: auto, openvino"):
        select(Path("net.onnx"), runtime="tensorrt")  # ty: ignore[invalid-argument-type]
    del machine["torch"]
    with pytest.raises(MissingDependencyError, match=r"leadline\[torch\]"):
        select(Path("net.pth"))
