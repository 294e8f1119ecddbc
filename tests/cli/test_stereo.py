"""``leadline stereo`` and ``leadline predict --metres-from motion``."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2")
from PIL import Image as PilImage

import leadline
from leadline.cli import main
from leadline.cli.cameras import camera_for
from leadline.cli.motion import MetresFromMotion, MotionOptions
from leadline.cli.pictures import Reading
from leadline.errors import InputError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from testing.dense_scene import camera, pose, view


def code_of(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """Left and right picture, 30 cm apart, and the left one's depth."""
    folder = tmp_path_factory.mktemp("pair")
    left, depth = view(pose(-0.15))
    right, _ = view(pose(0.15))
    files = folder / "left.png", folder / "right.png"
    for file, image in zip(files, (left, right), strict=True):
        PilImage.fromarray(image.pixels).save(file)
    return *files, depth


def test_stereo_writes_metres(
    pair: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right, depth = pair
    options = ("--focal-px", camera().fx, "--baseline-m", 0.3, "--out", tmp_path / "out")
    assert code_of("stereo", left, right, *options, "--format", "npz,color,ply", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["kind"] == "metric_depth"
    assert 0.5 < summary["confident"] < 1
    assert all(Path(file).is_file() for file in summary["files"])
    found = leadline.read_prediction(tmp_path / "out" / "left.npz")
    assert found.kind is DepthKind.METRIC_DEPTH
    assert np.median(np.abs(found.values - depth) / depth) < 0.02


def test_stereo_takes_a_camera_in_place_of_a_focal_length(
    pair: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right, depth = pair
    one = camera()
    given = ("--camera", f"{one.fx},{one.fy},{one.cx},{one.cy}")
    out = ("--out", tmp_path / "out", "--format", "npz")
    assert code_of("stereo", left, right, *given, "--baseline-m", 0.3, *out) == 0
    found = leadline.read_prediction(tmp_path / "out" / "left.npz")
    assert found.camera is not None
    assert (found.camera.fx, found.camera.cx) == (one.fx, one.cx)
    assert np.median(np.abs(found.values - depth) / depth) < 0.02
    capsys.readouterr()
    assert code_of("stereo", left, right, *given, *out) == 2
    assert "--baseline-m" in capsys.readouterr().err
    assert code_of("stereo", left, right, *given, "--focal-px", 60, *out) == 2
    assert "one of them" in capsys.readouterr().err


def test_stereo_does_not_overwrite_its_pictures(
    pair: tuple[Path, Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    left, right, _ = pair
    before = left.read_bytes()
    assert code_of("stereo", left, right, "--out", left.parent, "--format", "color") == 2
    assert "would overwrite an input" in capsys.readouterr().err
    assert left.read_bytes() == before


def test_stereo_without_a_camera_gives_disparity(
    pair: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    left, right, _ = pair
    assert code_of("stereo", left, right, "--out", tmp_path) == 0
    found = leadline.read_prediction(tmp_path / "left.npz")
    assert found.kind is DepthKind.PIXEL_DISPARITY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--focal-px", 110), "both"),
        (("--baseline-m", 0.3), "both"),
        (("--focal-px", 4, "--baseline-m", 0.3), "not millimetres"),
        (("--focal-px", 110, "--baseline-m", -1), "positive"),
        (("--format", "jpg"), "unknown format"),
    ],
)
def test_stereo_refuses(
    options: tuple[object, ...],
    message: str,
    pair: tuple[Path, Path, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert code_of("stereo", pair[0], pair[1], "--out", tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_stereo_refuses_swapped_pictures(
    pair: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("stereo", pair[1], pair[0], "--out", tmp_path) == 2
    assert "swap the two" in capsys.readouterr().err


# --- predict --metres-from motion ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metres-from", "motion"), "--poses FILE"),
        (("--metres-from", "stars", "--poses", "p.txt"), "unknown way to metres"),
        (("--poses", "p.txt"), "belongs to --metres-from"),
        (("--fov", "60", "--cluster", "local"), "--fov with --cluster"),
        (("--fov", "60", "--camera", "9,9,9,9"), "both given"),
        (("--metres-from", "motion", "--poses", "p.txt", "--cluster", "local"), "--cluster"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("predict", tmp_path, "--out", tmp_path, *options) == 2
    assert message in capsys.readouterr().err


def test_frames_on_disk_get_metres(tmp_path: Path) -> None:
    lens = camera(200, 150, 190)
    depths, rows, files = {}, [], []
    for i in range(3):
        place = pose(0.15 * i, 0, 0.03 * i, 0.5 * i)
        image, depth = view(place, lens)
        file = tmp_path / f"f{i}.png"
        PilImage.fromarray(image.pixels).save(file)
        files.append(file)
        depths[file] = depth
        rows.append(" ".join(f"{number:.9g}" for number in place[:3].ravel()))
    (tmp_path / "poses.txt").write_text("\n".join(rows))

    def predict(image: Image) -> Prediction:
        depth = depths[tmp_path / Path(image.name).name]
        return Prediction(
            values=5 / depth + 3, kind=DepthKind.AFFINE_DISPARITY, image=image, model="fake"
        )

    estimator: Any = SimpleNamespace(predict=predict)
    options = MotionOptions(poses=tmp_path / "poses.txt", camera="190,190,99.5,74.5", fov_deg=None)
    metres = MetresFromMotion(estimator, files, options, Reading())
    for file in files:
        image = Image(pixels=np.asarray(PilImage.open(file)), name=str(file))
        found = metres(file, predict(image))
        assert found.kind is DepthKind.METRIC_DEPTH
        assert found.camera is not None
        assert found.camera.fx == 190
        assert np.median(np.abs(found.values - depths[file]) / depths[file]) < 0.05
    with pytest.raises(InputError, match="3 poses for 2 pictures"):
        MetresFromMotion(estimator, files[:2], options, Reading())
    with pytest.raises(InputError, match="no camera is known"):
        MetresFromMotion(estimator, files, replace(options, camera=None), Reading())
    with pytest.raises(InputError, match="--max-megapixels 1"):  # read as the frames themselves are
        MetresFromMotion(estimator, files, options, Reading(max_megapixels=0.01))


def test_cameras_of_options(tmp_path: Path) -> None:
    image = Image(pixels=np.zeros((48, 64, 3), np.uint8))
    lens = camera_for(image, camera="50,51,31,24", fov_deg=None)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == (50, 51, 31, 24)
    assert camera_for(image, camera=None, fov_deg=60).fov_deg == pytest.approx(60)
    record = tmp_path / "camera.json"
    record.write_text(json.dumps(camera_for(image, camera=None, fov_deg=60).to_dict()))
    large = Image(pixels=np.zeros((96, 128, 3), np.uint8))
    assert camera_for(large, camera=str(record), fov_deg=None).fov_deg == pytest.approx(60)
    record.write_text(json.dumps({"K": [[50, 0, 31], [0, 51, 24], [0, 0, 1]]}))
    assert camera_for(image, camera=str(record), fov_deg=None) == lens


@pytest.mark.parametrize(
    ("text", "fov", "message"),
    [
        ("50,51,31", None, "four numbers"),
        ("4,4,31,24", None, "not millimetres"),
        ("50,50,600,24", None, "principal"),
        ("nothing.json", None, "no such file"),
        ("50,51,31,24", 60.0, "one of them"),
        (None, None, "--fov"),
    ],
)
def test_wrong_cameras_are_refused(text: str | None, fov: float | None, message: str) -> None:
    image = Image(pixels=np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(InputError, match=message):
        camera_for(image, camera=text, fov_deg=fov)


def test_stereo_says_metres_and_questions_a_baseline_in_millimetres(
    pair: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right, depth = pair
    options = ("--focal-px", camera().fx, "--out", tmp_path / "out", "--format", "npz")
    assert code_of("stereo", left, right, *options, "--baseline-m", 0.3) == 0
    said = capsys.readouterr().err
    assert "left.png: " in said
    assert "median" in said
    assert "usual scene" not in said
    assert code_of("stereo", left, right, *options, "--baseline-m", 0.3, "--json") == 0
    metres = json.loads(capsys.readouterr().out)["metres"]
    assert metres["median"] == pytest.approx(np.median(depth), rel=0.05)
    assert metres["min"] < metres["median"] < metres["max"]
    assert code_of("stereo", left, right, *options, "--baseline-m", 193) == 0
    said = capsys.readouterr().err
    assert "if these are millimetres, say 0.193" in said
    assert "which no usual scene has" in said


def test_a_pair_that_does_not_agree_is_refused(
    pair: tuple[Path, Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, _, _ = pair
    noise = np.random.default_rng(0).integers(0, 256, (*view(pose(0))[1].shape, 3), np.uint8)
    PilImage.fromarray(noise).save(tmp_path / "noise.png")
    assert code_of("stereo", left, tmp_path / "noise.png", "--out", tmp_path / "out") == 2
    assert "agrees on 10% at least" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_poses_with_times_go_to_the_pictures_of_these_times(tmp_path: Path) -> None:
    from leadline.cli.frames import with_poses

    times = (1305031102.175304, 1305031102.211214, 1305031102.243211)
    rows = [f"{t + 0.004:.6f} {n} 0 0 0 0 0 1" for n, t in enumerate(times)]
    (tmp_path / "poses.txt").write_text("# time tx ty tz qx qy qz qw\n" + "\n".join(rows[::-1]))
    blank = Image(pixels=np.zeros((4, 6, 3), np.uint8), camera=camera().resized(6, 4))
    frames = [replace(blank, name=f"rgb/{t:.6f}.png") for t in times]
    found = with_poses(frames, tmp_path / "poses.txt")
    assert [one.camera.world_from_camera[0, 3] for one in found] == [0, 1, 2]  # ty: ignore[unresolved-attribute]
    with pytest.raises(InputError, match="does not name a time"):
        with_poses([replace(blank, name="rgb/0.png")] * 3, tmp_path / "poses.txt")
