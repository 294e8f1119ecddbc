from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        depth = (np.linspace(6, 2, 24)[:, None] + rng.uniform(0, 0.5, (24, 32))) * 1000
        for part, array in (
            ("rgb", np.zeros((24, 32, 3), np.uint8)),
            ("depth", depth.astype(np.uint16)),
        ):
            (tmp_path / part).mkdir(exist_ok=True)
            PilImage.fromarray(array).save(tmp_path / part / f"{name}.png")
    return tmp_path


COMMON = ("--dataset", "folder", "--per-metre", "1000", "-p", "depth-anything-zero-shot")


def test_evaluate(folder, capsys, tmp_path):
    options = (*COMMON, "--root", str(folder), "-m", "vertical-ramp")
    code, out, _ = run(capsys, "evaluate", *options, "--out", str(tmp_path / "r"))
    assert code == 0
    assert "vertical-ramp on folder by depth-anything-zero-shot: 3 frames" in out
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names == {"report.json", "report.txt", "frames.csv", "index.html"}
    code, out, _ = run(capsys, "evaluate", *options, "--json", "--metrics", "boundary_f1")
    assert "boundary_f1" in json.loads(out)["mean"]


def test_other_programs_files_and_skipping(folder, capsys):
    maps = folder / "maps"
    maps.mkdir()
    for name in ("a", "b"):
        np.save(maps / f"{name}.npy", np.full((24, 32), 4.0))
    options = ("--dataset", "folder", "--per-metre", "1000", "--root", str(folder))
    options = (*options, "--predictions", str(maps))
    code, _, err = run(capsys, "evaluate", *options)
    assert code == 2
    assert "no prediction for the frame c" in err
    assert "Traceback" not in err
    code, out, err = run(capsys, "evaluate", *options, "--skip-bad")
    assert code == 1
    assert "1 frames left out" in out
    assert "left out c" in err
    code, _, err = run(capsys, "evaluate", *options, "--model", "constant")
    assert code == 2
    assert "both" in err
    code, _, err = run(capsys, "evaluate", *options, "--kind", "depth")
    assert code == 2
    assert "metric_depth" in err
    code, _, err = run(capsys, "evaluate", *options, "--pred-per-metre", "1000")
    assert code == 2
    assert "a.npy holds numbers as they are" in err


def test_what_is_told_of_files_is_refused_without_files(folder, capsys):
    options = ("--dataset", "folder", "--per-metre", "1000", "--root", str(folder))
    for model, given, message in (
        ("constant", ("--kind", "metric_depth"), "which is affine_disparity"),
        ("lite", ("--kind", "metric_depth"), "says affine_disparity; leave --kind out"),
        ("constant", ("--pred-per-metre", "256"), "--pred-per-metre tells what files hold"),
    ):
        code, _, err = run(capsys, "evaluate", *options, "-m", model, *given)
        assert code == 2
        assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "--dataset", "nyu"), "Did you mean"),
        (("evaluate", "--dataset", "kitti-raw"), "give --root"),
        (("evaluate", "--dataset", "folder", "--root", ".", "-p", "nyu"), "nyu-eigen"),
        (("datasets", "where", "kitti"), "kitti-raw"),
        (("datasets", "check", "kitti-raw", "--root", "/none"), "no such folder"),
    ],
)
def test_mistakes_are_one_sentence(capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_datasets(folder, capsys):
    code, out, _ = run(capsys, "datasets")
    assert code == 0
    assert "kitti-eigen" in out
    code, out, _ = run(capsys, "datasets", "--json")
    assert {"name", "layout", "splits"} <= set(json.loads(out)[0])
    code, out, _ = run(capsys, "datasets", "where", "nyu-sync")
    assert code == 0
    assert "sync_depth" in out
    (folder / "camera.json").write_text('{"depth_png_per_metre": 1000}')
    code, out, _ = run(capsys, "datasets", "check", "folder", "--root", str(folder))
    assert code == 0
    assert "3 of 3 tried can be read" in out
    (folder / "depth" / "b.png").unlink()
    code, out, _ = run(capsys, "datasets", "check", "folder", "--root", str(folder), "--json")
    assert code == 1
    assert json.loads(out)["failed"][0]["name"] == "b"


def test_leaderboard(folder, capsys, tmp_path):
    sets = folder / "sets.toml"
    sets.write_text(
        '[[set]]\nname = "s"\ndataset = "folder"\nroot = "."\nper_metre = 1000\n'
        'protocol = "depth-anything-zero-shot"\n'
    )
    models = ("-m", "constant,vertical-ramp")
    code, _, err = run(capsys, "leaderboard", str(sets), "-o", str(tmp_path / "b"), *models)
    assert code == 0
    assert "2 of 2 cells" in err
    assert (tmp_path / "b" / "index.html").is_file()


def test_a_camera_for_a_folder_that_does_not_tell(folder, capsys, monkeypatch):
    seen = []
    opened = "leadline.datasets.folder.set_intrinsics"
    monkeypatch.setattr(opened, lambda image, **given: seen.append(given) or image)
    options = (*COMMON, "--root", str(folder), "-m", "constant")
    assert run(capsys, "evaluate", *options, "--camera", "30,31,15.5,11.5")[0] == 0
    assert seen[0] == {"fx": 30.0, "fy": 31.0, "cx": 15.5, "cy": 11.5}
    code, _, err = run(
        capsys, "evaluate", "--dataset", "nyu-raw", "--camera", "30,31,15.5,11.5", "-m", "constant"
    )
    assert code == 2
    assert "know their own cameras" in err
