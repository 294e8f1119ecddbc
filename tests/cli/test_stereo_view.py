"""``leadline stereo-view``."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main


def code_of(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    PilImage.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    ("name", "suffix", "size"),
    [
        ("sbs", ".png", (160, 60)),
        ("half-sbs", ".png", (80, 60)),
        ("anaglyph", ".png", (80, 60)),
        ("wiggle", ".gif", (80, 60)),
        ("mono", ".png", (80, 60)),
    ],
)
def test_every_format_is_written(
    name: str, suffix: str, size: tuple[int, int], photo: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--model", tiny_model, "--out", out, "--format", name, "--fog", 0.5)
    assert code_of("stereo-view", photo, *options, "--refocus", "40,30") == 0
    made = PilImage.open(out / f"photo.{name}{suffix}")
    assert made.size == size
    assert getattr(made, "n_frames", 1) == (8 if name == "wiggle" else 1)


def test_json_names_the_files(
    photo: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert code_of("stereo-view", photo, "--model", tiny_model, "--out", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["done"][0]["files"] == [str(out / "photo.sbs.png")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "top-bottom"), "half-sbs"),
        (("--refocus", "middle"), "x,y in pixels is needed"),
        (("--refocus", "900,3"), "a pixel of it is needed"),
        (("--fog", "2"), "above 0 and below 1"),
        (("--divergence", "99"), "divergence above 0"),
    ],
)
def test_wrong_options_give_one_line(
    options: tuple[str, ...],
    message: str,
    photo: Path,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = code_of("stereo-view", photo, "--model", tiny_model, "--out", tmp_path / "o", *options)
    said = capsys.readouterr().err
    assert code == 2
    assert message in said
    assert said.count("\n") == 1
