"""leadline triangulate and epipolar: their files, their exit codes, their one-line errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main
from leadline.io import read_poses
from leadline.prediction import read_prediction
from testing.room import walk


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames, their poses, and their camera."""
    root = tmp_path_factory.mktemp("walk")
    poses = {}
    for i, image in enumerate(walk(4)):
        PilImage.fromarray(image.pixels).save(root / f"{i}.png")
        poses[f"{i}.png"] = image.camera.world_from_camera.tolist()
        (root / "camera.json").write_text(json.dumps(image.camera.moved(None).to_dict()))
    (root / "poses.json").write_text(json.dumps(poses))
    return root


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


def frames(folder: Path) -> list[Path]:
    return [folder / f"{i}.png" for i in range(4)]


def test_frames_become_points_and_poses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = ("--camera", folder / "camera.json")
    assert run("triangulate", *frames(folder), *camera, "--out", tmp_path, "--maps", 0) == 0
    assert "up to one scale" in capsys.readouterr().err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kind"] == "scaled_depth"
    assert report["frames"] == 4
    with np.load(tmp_path / "points.npz") as data:
        assert data["points"].shape == (report["points"], 3)
        assert str(data["kind"]) == "scaled_depth"
    assert (tmp_path / "points.ply").read_bytes().startswith(b"ply")
    poses = read_poses(tmp_path / "poses.txt", [f"{i}.png" for i in range(4)])
    assert np.allclose(poses[0], np.eye(4))
    scaled = ("--poses", tmp_path / "poses.txt", "--out", tmp_path / "again")
    assert run("triangulate", *frames(folder), *camera, *scaled) == 2
    assert "right up to one scale" in capsys.readouterr().err
    motion = ("--metres-from", "motion", *camera, *scaled)
    assert run("predict", *frames(folder), *motion) == 2
    assert "right up to one scale" in capsys.readouterr().err


def test_frames_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = ("--camera", folder / "camera.json")
    (folder / "0.color.png").write_bytes((folder / "1.png").read_bytes())
    before = (folder / "0.color.png").read_bytes()
    given = (folder / "0.png", folder / "0.color.png")
    assert run("triangulate", *given, *camera, "--out", folder) == 2
    assert "would overwrite an input" in capsys.readouterr().err
    assert (folder / "0.color.png").read_bytes() == before
    (folder / "0.color.png").unlink()


@pytest.mark.slow
def test_known_poses_give_a_dense_map_in_metres(folder: Path, tmp_path: Path) -> None:
    given = ("--camera", folder / "camera.json", "--poses", folder / "poses.json")
    assert run("triangulate", *frames(folder), *given, "--out", tmp_path) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["scale_from"] == "poses"
    (made,) = report["maps"]
    dense = read_prediction(Path(made["files"][0]))
    assert dense.kind == "metric_depth"
    assert dense.known.mean() == pytest.approx(made["confident"], abs=1e-3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--baseline-m", "0.2", "--camera-height-m", "1"], "one way to metres"),
        (["--camera", "1,2,3"], "four numbers"),
        (["--camera", "90000,90000,160,120"], "field of view"),
        (["--fov", "190"], "5 to 150 degrees"),
        (["--poses", "absent.txt"], "absent.txt"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    camera = [] if {"--camera", "--fov"} & set(words) else ["--fov", "75"]
    assert run("triangulate", *frames(folder)[:2], *camera, *words, "--out", tmp_path) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]


def test_frames_that_do_not_belong_together_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.png"
    PilImage.new("RGB", (64, 48)).save(other)
    assert run("triangulate", folder / "0.png", other, "--fov", 75, "--out", tmp_path / "o") == 2
    assert "one size" in capsys.readouterr().err
    assert run("triangulate", folder / "0.png", "--fov", 75, "--out", tmp_path / "o") == 2
    assert "two or more" in capsys.readouterr().err
    film = tmp_path / "film.mp4"
    film.write_bytes(b"no film")
    assert run("triangulate", film, "--fov", 75, "--out", tmp_path / "o") == 2
    assert "film.mp4" in capsys.readouterr().err
    assert run("triangulate", *frames(folder)[:2], "--out", tmp_path / "o") == 2
    assert "--fov" in capsys.readouterr().err


def test_epipolar_lines_are_drawn(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lines.png"
    assert run("epipolar", folder / "0.png", folder / "3.png", "--out", out, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["inliers"] > 50
    assert np.shape(record["fundamental"]) == (3, 3)
    with PilImage.open(out) as drawn:
        assert drawn.size == (2 * 320 + 8, 240)
        assert len(drawn.getcolors(1 << 20)) > 100
    same = run("epipolar", folder / "0.png", folder / "0.png", "--out", out)
    assert same == 2
    assert "homography" in capsys.readouterr().err
    assert run("epipolar", folder / "0.png", folder / "1.png", "--out", tmp_path / "a.gif") == 2
