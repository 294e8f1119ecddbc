"""``leadline finetune``: what the options become."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from leadline.cli import main
from leadline.datasets.folder import folder_refs
from leadline.training import finetune as room
from leadline.training.data.custom_folder import examine, write_split

DEPTH = np.linspace(1, 4, 40 * 30).reshape(30, 40)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six pictures below a folder, their names told apart by prefixes, with a hole code."""
    codes = np.where(np.arange(40) < 4, 65535, DEPTH * 1000).astype(np.uint16)
    for part in ("rgb/one", "depth/one"):
        (tmp_path / "mine" / part).mkdir(parents=True)
    for n in range(6):
        grey = PilImage.fromarray(np.full((30, 40, 3), 40 * n, np.uint8))
        grey.save(tmp_path / "mine" / "rgb" / "one" / f"rgb_{n:04d}.png")
        PilImage.fromarray(codes).save(tmp_path / "mine" / "depth" / "one" / f"depth_{n:04d}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command hands to the library."""
    seen: dict[str, Any] = {}

    def run(folder: Path, out: Path, **options: Any) -> SimpleNamespace:
        seen.update(options, folder=folder, out=out)
        return SimpleNamespace(text=lambda: "done", run=out)

    monkeypatch.setattr(room, "finetune", run)
    return seen


def code_of(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_options_reach_the_library(folder: Path, given: dict[str, Any], tmp_path: Path) -> None:
    lens = {"width": 80, "height": 60, "fx": 90, "fy": 90, "cx": 39.5, "cy": 29.5}
    (tmp_path / "lens.json").write_text(json.dumps(lens))
    words = ("--hole", "65535,-1", "--per-metre", 1000, "--camera", tmp_path / "lens.json")
    assert code_of("finetune", folder, *words, "--set", "batch=2") == 0
    assert (given["holes"], given["per_metre"]) == ((65535.0, -1.0), 1000)
    assert given["intrinsics"] == pytest.approx({"fx": 45, "fy": 45, "cx": 19.5, "cy": 14.5})
    assert given["changes"] == {"batch": "2"}
    assert given["out"].parent == Path("runs")
    assert given["out"].name.startswith("mine-20")
    assert code_of("finetune", folder, "--hole", "none", "--out", "r") == 0
    assert (given["holes"], given["out"]) == ((), Path("r"))


def test_a_linked_folder_inside_the_run_is_not_followed_out(
    folder: Path, given: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data").symlink_to(tmp_path / "elsewhere")
    assert code_of("finetune", folder, "--out", "run") == 2
    assert "is a link to" in capsys.readouterr().err
    assert not given


def test_what_was_said_of_a_folder_holds_for_its_split(folder: Path, tmp_path: Path) -> None:
    lens = {"fx": 45.0, "fy": 45.0, "cx": 19.5, "cy": 14.5}
    facts, refs = examine(folder, per_metre=1000, holes=(65535,), intrinsics=lens)
    assert facts.lens
    assert facts.median_m == pytest.approx(2.54, abs=0.05)
    assert facts.known == pytest.approx(0.9)
    record = {"depth_per_metre": 1000, "holes": [65535], **lens}
    parts = {"val": [ref.name for ref in refs[:2]]}
    frames = [
        ref.read() for ref in folder_refs(write_split(folder, tmp_path, parts, record)["val"])
    ]
    assert [frame.name for frame in frames] == ["one/rgb_0000", "one/rgb_0001"]
    assert frames[0].image.camera is not None
    assert frames[0].image.camera.fx == 45
    assert frames[0].depth[:, 4:] == pytest.approx(DEPTH[:, 4:], abs=1e-3)
    assert (frames[0].depth[:, :4] == 0).all()
