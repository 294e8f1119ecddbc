"""``leadline reproduce`` from a hub on loopback and miniature data sets to a difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline import catalog
from leadline.cli import main
from leadline.spec import WeightsFile
from testing.hub_server import HubServer, serve_hub, use_hub

pytest.importorskip("onnx")
from testing.tiny import SPEC, write_tiny_model

NAME = "depth-anything-v2-vits"
REPO = "depth-anything/Depth-Anything-V2-Small"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The published file of a network of one convolution, and an empty cache."""
    model = write_tiny_model(tmp_path / "served" / "tiny.onnx", sidecar=False)
    file = WeightsFile(repo=REPO, file="tiny.onnx", size_mb=0.1, licence="Apache-2.0")
    spec = replace(catalog.get(NAME), preprocess=SPEC, weights=(file,))
    monkeypatch.setattr(catalog, "MODELS", {**catalog.MODELS, NAME: spec})
    with serve_hub({f"{REPO}/tiny.onnx": model.read_bytes()}) as running:
        use_hub(monkeypatch, running.url, tmp_path / "cache")
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two frames of DIODE and one picture of DA-2K."""
    rng = np.random.default_rng(1)
    root = tmp_path / "data"
    scan = root / "diode" / "indoors" / "scene_00000" / "scan_00000"
    scan.mkdir(parents=True)
    for number in range(2):
        pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
        PilImage.fromarray(pixels).save(scan / f"{number}.png")
        np.save(scan / f"{number}_depth.npy", rng.uniform(1, 9, (48, 64)).astype(np.float32))
        np.save(scan / f"{number}_depth_mask.npy", np.ones((48, 64), np.float32))
    pictures = root / "da-2k" / "images"
    pictures.mkdir(parents=True)
    PilImage.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(pictures / "a.png")
    pairs = [{"point1": [2, 3], "point2": [40, 50], "closer_point": "point2"}]
    (root / "da-2k" / "annotations.json").write_text(json.dumps({"./images/a.png": pairs}))
    return root


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


def reproduce(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[dict], str]:
    code = run("reproduce", "depth-anything-v2", "--model", NAME, "--json", *words)
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def test_from_the_hub_to_a_difference(hub: HubServer, data: Path, tmp_path: Path, capsys):
    words = ["--data", data, "--out", tmp_path / "out"]
    code, rows, _ = reproduce(capsys, *words)
    assert code == 1
    assert all(any(text.startswith("weights:") for text in row["missing"]) for row in rows)
    assert hub.requests == []  # nothing is downloaded unasked

    code, rows, said = reproduce(capsys, *words, "--download")
    assert code == 1  # Sintel, ETH3D, NYU and KITTI are not here
    by_set = {row["dataset"]: row for row in rows}
    assert [row["dataset"] for row in rows if not row["missing"]] == ["diode", "da-2k"]
    diode, pairs = by_set["diode"], by_set["da-2k"]
    assert (diode["frames"], pairs["frames"]) == (2, 1)
    assert diode["paper"] == {"abs_rel": 0.073, "delta1": 0.942}
    for name, here in diode["here"].items():
        assert diode["difference"][name] == pytest.approx(here - diode["paper"][name])
    assert pairs["here"]["ordinal"] in (0.0, 1.0)
    assert f"{NAME} on diode (indoors) by depth-anything-zero-shot" in said
    assert by_set["sintel"]["here"] == {}

    code, again, said = reproduce(capsys, *words)  # the weights are here, and all is measured
    assert (code, again) == (1, rows)
    assert said == ""

    whole = ["depth-anything-v2", "--model", NAME, *words, "--every", 2]
    assert run("reproduce", *whole) == 1
    assert "diode (indoors) by depth-anything-zero-shot, 1 frames" in capsys.readouterr().out


def test_the_same_numbers_as_evaluate(hub: HubServer, data: Path, tmp_path: Path, capsys):
    _, rows, _ = reproduce(capsys, "--data", data, "--out", tmp_path / "out", "--download")
    here = next(row["here"] for row in rows if row["dataset"] == "diode")
    words = ["--dataset", "diode", "--root", data / "diode", "-p", "depth-anything-zero-shot"]
    assert run("evaluate", "--model", NAME, *words, "--json") == 0
    mean = json.loads(capsys.readouterr().out)["mean"]
    assert here == {name: mean[name] for name in here}


def test_without_a_folder_it_lists_and_shows(capsys):
    assert run("reproduce") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("zoedepth", "monodepth2", "depth-pro", "leadline"))
    assert run("reproduce", "moge", "eigen14") == 0
    shown = capsys.readouterr().out
    assert "No row" in shown
    assert "| eigen14-nyu   | nyu-labelled by eigen14-nyu" in shown
    assert "Put the file as DATA/weights/eigen14-nyu.*" in shown


def test_frames_that_fail_are_said(hub: HubServer, data: Path, tmp_path: Path, capsys):
    for file in (data / "diode").rglob("*_depth.npy"):
        file.write_bytes(b"no array")
    words = ["--data", data, "--out", tmp_path / "out", "--download"]
    assert run("reproduce", "depth-anything-v2", "--model", NAME, *words) == 1
    shown = capsys.readouterr().out
    assert f"{NAME} on diode (indoors) by depth-anything-zero-shot: " in shown
    assert "| failed |" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["zoedept"], "zoedepth"),
        (["zoedepth", "--root", "nyu-sync"], "--root nyu-sync: DATASET=FOLDER is needed"),
        (["zoedepth", "--root", "nyu-sink=x"], "nyu-sync"),
        (["zoedepth", "--model", "lite"], "zoedepth-nk"),
        (["zoedepth", "--weights", "a.pth"], "2 models"),
    ],
)
def test_one_clear_line(words, says, capsys):
    assert run("reproduce", *words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
