"""``leadline segment``, and the statistical model on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skimage")

from leadline.cli import main


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    return int(caught.value.code or 0)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[30:] = (90, 120, 40)
    pixels[10:40, 20:40] = (200, 30, 30)
    pixels = np.clip(pixels + rng.integers(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("method", ["felzenszwalb", "slic"])
def test_segments_are_drawn_and_counted(photo, tmp_path, capsys, method):
    out, labels = tmp_path / "drawn.png", tmp_path / "labels.npy"
    words = ("--method", method, "--count", "12", "-o", str(out), "--labels", str(labels))
    assert run("segment", str(photo), *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == method
    assert told["segments"] == np.load(labels).max() + 1 > 1
    assert Image.open(out).size == (80, 60)
    assert not np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(photo)))


def test_the_picture_goes_here_by_default(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("segment", str(photo), "--paint", "--max-side", "30") == 0
    assert Image.open(tmp_path / "photo.segments.png").size == (40, 30)
    assert "segments of 40x30: photo.segments.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "watershed"), "felzenszwalb, slic"),
        (("-o", "drawn.tif"), ".png or .jpg"),
        (("--labels", "labels.txt"), ".npy"),
        (("--max-side", "-1"), "--max-side -1"),
        (("--scale", "0"), "scale=0"),
    ],
)
def test_impossible_wishes_are_one_line(photo, capsys, words, message):
    assert run("segment", str(photo), *words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", ["superpixel", "superpixel-prior"])
def test_predict_writes_map_and_confidence(photo, tmp_path, name):
    out = tmp_path / "depth"
    assert run("predict", str(photo), "--model", name, "--out", str(out), "--format", "npz") == 0
    with np.load(out / "photo.npz") as file:
        assert {"values", "confidence"} <= set(file.files)


def test_prior_is_a_flag_of_predict(photo, tmp_path, capsys):
    words = ("predict", str(photo), "--prior", "--out", str(tmp_path / "depth"), "--json")
    assert run(*words) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "superpixel-prior"
    assert run(*words, "--model", "midas-v21") == 2
    assert "--prior with --model midas-v21" in capsys.readouterr().err


def test_training_it_takes_its_own_settings(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert run("train", "superpixel", "--out", out, "--set", "veiws=3") == 2
    assert "views" in capsys.readouterr().err
    assert run("train", "superpixel", "--out", out, "--model", "lite") == 2
    assert "--model" in capsys.readouterr().err
