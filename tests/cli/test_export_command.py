"""``leadline export``."""

from pathlib import Path

import pytest

import leadline
from leadline.cli import main


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["export", *words])
    return int(caught.value.code or 0)


def test_it_writes_a_file_that_loads(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "there" / "model.xml"
    assert run("--model", str(tiny_model), "--out", str(target)) == 0
    assert f"wrote {target} (0.0 MB) and model.json" in capsys.readouterr().out
    assert leadline.load(target).spec.name == "tiny"


def test_the_format_names_the_file(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--model", str(tiny_model), "--to", "openvino") == 0
    assert Path("tiny.xml").is_file()


@pytest.mark.slow
def test_the_comparison_with_pytorch_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    from leadline import catalog, models
    from leadline.models.weights import save_weights

    name = "fastdepth-pruned"
    if name not in catalog.MODELS:
        pytest.skip(f"{name} is not in the catalogue")
    weights = tmp_path / "weights.safetensors"
    save_weights(models.build(name), weights)
    target = tmp_path / "model.xml"
    assert (
        run("-m", name, "--weights", str(weights), "-o", str(target), "--fixed-size", "64x96") == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("largest difference from PyTorch")
    runtime, shape, error = lines[2].split()
    assert (runtime, shape) == ("openvino", "1x3x64x96")
    assert float(error) < 1e-4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "neither --to nor --out"),
        (("--to", "tensorrt"), "unknown format 'tensorrt'"),
        (("--to", "onnx", "--out", "model.xml"), "a name that ends in .onnx is needed"),
        (("--to", "openvino", "--fixed-size", "big"), "480x640"),
        (("--out", "model.pt"), "ends in .onnx or .xml"),
    ],
)
def test_bad_requests_end_in_one_line(
    words: tuple[str, ...], message: str, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", str(tiny_model), *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
