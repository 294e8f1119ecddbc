import json
from pathlib import Path

import pytest

from leadline import catalog, hub
from leadline.cli import main


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    inside = tmp_path / "weights"
    inside.mkdir()
    monkeypatch.setattr(hub, "EMBEDDED_FOLDER", inside)
    return inside


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["models", *words])
    assert not caught.value.code


def test_every_model_is_listed_with_where_it_comes_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run()
    text = capsys.readouterr().out
    for name, spec in catalog.MODELS.items():
        assert name in text
        for weights in spec.weights:
            assert hub.address(weights) in text


def test_json_tells_what_is_here(capsys: pytest.CaptureFixture[str], no_cache: Path) -> None:
    run("--json")
    before = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert not any(entry["here"] for entry in before.values())
    (no_cache / "lite.onnx").write_bytes(b"x" * 200_000)
    run("--json")
    after = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert after["lite"]["here"]
    assert after["lite"]["size_mb"] == 0.2
    assert after["lite"]["files"][0]["path"] == str(no_cache / "lite.onnx")
    assert after["depth-anything-v2-vitl"]["licence"] == "CC-BY-NC-4.0"
