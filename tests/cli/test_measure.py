"""``leadline measure``."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.camera import Camera
from leadline.cli import main
from leadline.prediction import Prediction


def code_of(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A map of a wall at 3 m."""
    file = tmp_path / "wall.npz"
    camera = Camera.from_focal(160, 120, focal_px=150.0)
    values = np.full((120, 160), 3.0)
    Prediction(values=values, kind="metric_depth", camera=camera, model="lite-metric").save(file)
    return file


def test_a_distance_with_its_interval(wall: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("measure", wall, "--points", "50,60", "100,60") == 0
    assert capsys.readouterr().out.startswith("distance 1 m, 90 % interval ")
    assert code_of("measure", wall, "--json", "--points", "50,60", "100,60") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["value"] == pytest.approx(1)
    assert found["low"] < 1 < found["high"]
    assert found["pixels"] == [[50, 60], [100, 60]]


def test_a_plane_and_points_together(wall: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = ("--points", "50,40", "100,40", "100,90", "50,90")
    plane = ("--plane", "10,10", "150,10", "80,110")
    assert code_of("measure", wall, *points, *plane, "--what", "area", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["value"] == pytest.approx(1, rel=1e-3)
    assert len(found["plane"]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--points", "50,60"), "2 or more are needed"),
        (("--points", "50,60", "400,60"), "outside of the picture of 160x120"),
        (("--points", "50,60", "50,70", "--what", "volume"), "unknown quantity"),
        (("--points", "left"), "x,y in pixels is needed"),
        (("--points", "5,6", "7,8", "--fov", "60"), "holds its own"),
    ],
)
def test_wrong_options_give_one_line(
    options: tuple[str, ...], message: str, wall: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("measure", wall, *options) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_relative_model_is_refused(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    PilImage.new("RGB", (80, 60)).save(photo)
    assert code_of("measure", photo, "--model", tiny_model, "--points", "5,6", "7,8") == 2
    assert "metres are needed" in capsys.readouterr().err
