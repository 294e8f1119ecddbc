"""`leadline video`, `webcam`, films for `predict`, and `evaluate --video`."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("av")
pytest.importorskip("cv2")

from leadline.cli.app import app
from leadline.cli.video import parse_time, plan_films
from leadline.errors import InputError, LeadlineError
from testing.films import moving_frames, read_pictures, write_film
from testing.room import view


def call(*words: object) -> tuple[int, dict]:
    run = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return run.exit_code, json.loads(run.stdout) if run.stdout.strip() else {}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "walk.mp4", moving_frames(5))


def test_a_film_becomes_films(film: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("video", film, "--out", tmp_path, "--model", tiny_model, "--json")
    code, told = call(*words, "--format", "color,gray16,npz", "--live")
    assert (code, told["frames"], told["undecodable"]) == (0, 5, 0)
    names = {Path(name).name for name in told["files"]}
    assert names == {"walk.color.mp4", "walk.gray16.mkv", "walk.npz"}
    assert len(read_pictures(tmp_path / "walk.color.mp4")[0]) == 5
    assert len(list((tmp_path / "walk.npz").glob("*.npz"))) == 5
    again = call(*words, "--format", "color,gray16,npz", "--live", "--resume")
    assert again[1]["done"] == "was there already"


def test_predict_takes_films_and_no_mixture(film: Path, tiny_model: Path, tmp_path: Path) -> None:
    code, told = call("predict", film, "--out", tmp_path, "--model", tiny_model, "--json")
    assert (code, told["frames"]) == (0, 5)
    assert (tmp_path / "walk.color.mp4").is_file()
    with pytest.raises(InputError, match="in two commands"):
        call("predict", film, "photo.jpg", "--out", tmp_path, "--model", tiny_model)


def test_a_folder_of_frames_has_the_rate_that_is_given(tiny_model: Path, tmp_path: Path) -> None:
    from PIL import Image

    for number, frame in enumerate(moving_frames(3)):
        (tmp_path / "shots").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "shots" / f"{number}.png")
    out = tmp_path / "depth.mp4"
    call("video", tmp_path / "shots", "-o", out, "-m", tiny_model, "--fps", "5", "--json")
    assert read_pictures(out)[1] == [0, Fraction(1, 5), Fraction(2, 5)]


def test_the_camera_is_shown_live_and_recorded(tiny_model: Path, tmp_path: Path) -> None:
    record = tmp_path / "seen.mp4"
    words = ("webcam", "--source", "cam:virtual", "--no-window", "--record", record)
    code, told = call(*words, "--frames", "8", "-m", tiny_model, "--json")
    assert (code, told["shown"]) == (0, 8)
    pictures, times = read_pictures(record)
    assert len(pictures) == 8
    assert times == sorted(times)


def test_what_cannot_be_shown_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(InputError, match="no display"):
        call("webcam", "--source", "cam:virtual", "-m", tiny_model)
    with pytest.raises(InputError, match="--record"):
        call("webcam", "--source", "cam:virtual", "-m", tiny_model, "--no-window")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5)])
def test_times(text: str, seconds: float) -> None:
    assert parse_time("--start", text) == seconds


@pytest.mark.parametrize(
    ("out", "formats", "codec", "said"),
    [
        ("d.mp4", ["color", "side"], None, "one film for 2 formats"),
        ("d.mkv", ["color"], "prores", ""),
        ("d.mp4", ["color"], "prores", "rename"),
        ("d.mp4", ["npz"], None, "folder"),
        ("d", ["gray16"], "h264", "ffv1"),
        ("d", ["depth"], None, "gray16"),
        ("d", [], None, "names nothing"),
    ],
)
def test_outputs_that_fit(out: str, formats: list[str], codec: str | None, said: str) -> None:
    if not said:
        assert plan_films("walk", Path(out), formats, codec)[0] == {"color": Path(out)}
        return
    with pytest.raises(LeadlineError, match=said):
        plan_films("walk", Path(out), formats, codec)


def test_evaluate_scores_films(tiny_model: Path, tmp_path: Path) -> None:
    from PIL import Image

    from leadline.camera import Camera

    for number in range(4):
        pose = np.eye(4)
        pose[0, 3] = 0.03 * number
        camera = Camera(width=160, height=120, fx=140, fy=140, cx=79.5, cy=59.5).moved(pose)
        image, depth = view(camera)
        stem = tmp_path / f"frame-{number:06d}"
        Image.fromarray(image.pixels).save(f"{stem}.color.png")
        Image.fromarray((depth * 1000).astype(np.uint16)).save(f"{stem}.depth.png")
        np.savetxt(f"{stem}.pose.txt", pose)
    (tmp_path / "camera-intrinsics.txt").write_text("140 0 79.5\n0 140 59.5\n0 0 1\n")
    words = ("evaluate", "--dataset", "7scenes", "--root", tmp_path, "-m", tiny_model, "--json")
    words = (*words, "-p", "midas-zero-shot")
    _, plain = call(*words, "--video")
    _, steady = call(*words, "--video", "--steady", "flow", "-o", tmp_path / "report")
    assert plain["film"]["frames"] == 4
    assert plain["film"]["tae"] >= 0
    assert steady["film"]["opw"] <= plain["film"]["opw"]
    assert json.loads((tmp_path / "report" / "film.json").read_text()) == steady["film"]
    with pytest.raises(InputError, match="--video"):
        call(*words, "--steady", "flow")
