import io
import json
import os
import pty
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

import leadline
from leadline.cli import main
from leadline.cli.progress import speed
from leadline.image import Image
from leadline.jobs import Progress

onnx = pytest.importorskip("onnx")

Run = Callable[..., int]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three pictures and a text file, with one picture in a folder below."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, name in enumerate(("one.png", "two.jpg", "below/three.png", "one.bmp")):
        pixels = rng.integers(0, 256, (40 + index, 60, 3)).astype(np.uint8)
        PilImage.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Run:
    """Run ``leadline predict`` with the tiny model; returns the exit code."""

    def command(*words: object) -> int:
        given = ["predict", *map(str, words), "--model", str(tiny_model)]
        if "--out" not in given:
            given += ["--out", str(tmp_path / "out")]
        with pytest.raises(SystemExit) as caught:
            main(given)
        return int(caught.value.code or 0)

    return command


def written(folder: Path) -> list[str]:
    """All files but the notes of what they were made of."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return sorted(names - {"made.jsonl"})


def test_a_folder_in_a_folder_out(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "one.bmp").unlink()
    assert run(photos) == 0
    assert written(tmp_path / "out") == ["one.color.png", "one.npz", "two.color.png", "two.npz"]
    prediction = leadline.read_prediction(tmp_path / "out" / "one.npz")
    assert prediction.size == (40, 60)
    assert prediction.kind is leadline.DepthKind.AFFINE_DISPARITY
    assert prediction.model == "tiny"


def test_colliding_stems_keep_both(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run(photos, "--recursive", "--format", "npy") == 0
    assert written(tmp_path / "out") == [
        "photos__one_bmp.npy",
        "photos__one_png.npy",
        "three.npy",
        "two.npy",
    ]


def test_formats_that_share_a_suffix_are_told_apart(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run(photos / "one.png", "--format", "png16, color,side,pfm") == 0
    names = set(written(tmp_path / "out"))
    assert {"one.depth.png", "one.color.png", "one.side.png", "one.pfm"} <= names


def test_failures_leave_the_rest_done(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "cut.jpg").write_bytes((photos / "two.jpg").read_bytes()[:300])
    words = (photos / "notes.txt", photos / "missing.png", photos / "cut.jpg", photos / "one.png")
    assert run(*words, "--json") == 1
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert [Path(entry["input"]).name for entry in summary["done"]] == ["one.png"]
    assert len(summary["failed"]) == 3
    lines = said.err.strip().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("leadline: ") for line in lines)
    for name in ("notes.txt", "missing.png", "cut.jpg"):
        assert sum(name in line for line in lines) == 1
    assert summary["model"] == "tiny"
    assert summary["kind"] == "affine_disparity"


def test_a_canonical_model_asks_for_the_focal_length(
    run: Run,
    tiny_model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sidecar = tiny_model.with_suffix(".json")
    told = json.loads(sidecar.read_text())
    told |= {"kind": "scaled_depth", "decoder": "canonical_depth", "canonical_focal_px": 200.0}
    sidecar.write_text(json.dumps(told))
    assert run(photos / "one.png", "--format", "npz") == 0
    assert "No focal length is known of 1" in capsys.readouterr().err
    guess = leadline.read_prediction(tmp_path / "out" / "one.npz")
    assert run(photos / "one.png", "--format", "npz", "--fov", "60", "--json") == 0
    said = capsys.readouterr()
    assert "focal length" not in said.err
    assert json.loads(said.out)["kind"] == "metric_depth"
    known = leadline.read_prediction(tmp_path / "out" / "one.npz")
    assert known.camera is not None
    assert known.camera.fov_deg == pytest.approx(60)
    ratio = known.values / guess.values
    assert ratio == pytest.approx(np.full(ratio.shape, ratio[0, 0]), rel=1e-5)


def test_a_list_comes_from_standard_input(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{photos / 'one.png'}\n\n{photos / 'two.jpg'}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run("-", "--format", "npy") == 0
    assert written(tmp_path / "out") == ["one.npy", "two.npy"]


def test_patterns_are_expanded(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run(photos / "*.jpg", "--format", "npy") == 0
    assert written(tmp_path / "out") == ["two.npy"]


def test_resume_leaves_what_is_there(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(photos / "one.png", "--format", "npy")
    marked = tmp_path / "out" / "one.npy"
    marked.write_bytes(b"kept")
    assert run(photos / "one.png", photos / "two.jpg", "--format", "npy", "--resume") == 0
    assert marked.read_bytes() == b"kept"
    assert "1 picture done" in capsys.readouterr().err
    assert run(photos / "one.png", "--format", "npy") == 0
    assert marked.read_bytes() != b"kept"


def test_resume_makes_anew_what_is_of_another_picture(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "one.png"
    PilImage.new("RGB", (9, 7)).save(other)
    map_file = tmp_path / "out" / "one.npy"
    assert run(photos / "one.png", "--format", "npy") == 0
    assert run(other, "--format", "npy", "--resume") == 0
    assert np.load(map_file).shape == (7, 9)
    assert "1 that were there count for nothing" in capsys.readouterr().err
    PilImage.new("RGB", (8, 6)).save(other)  # the same file, another picture
    assert run(other, "--format", "npy", "--resume") == 0
    assert np.load(map_file).shape == (6, 8)
    capsys.readouterr()
    assert run(other, "--format", "npy", "--resume") == 0
    assert "0 pictures done" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [("--size", "128"), ("--flip",), ("--fov", "50"), ("--camera", "30,30,29.5,19.5")],
)
def test_resume_makes_anew_what_was_made_in_another_way(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    given = (photos / "one.png", "--format", "npz", "--resume")
    assert run(*given) == 0
    assert run(*given, *words) == 0
    assert "1 picture done" in capsys.readouterr().err
    assert run(*given, *words) == 0
    assert "0 pictures done" in capsys.readouterr().err


def test_resume_makes_anew_what_other_weights_made(
    run: Run, photos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (photos / "one.png", "--format", "npy", "--resume")
    assert run(*given) == 0
    sidecar = json.loads(tiny_model.with_suffix(".json").read_text())
    model = onnx.load(tiny_model)
    model.doc_string = "trained further"
    onnx.save(model, tiny_model)
    sidecar["digest"] = None
    tiny_model.with_suffix(".json").write_text(json.dumps(sidecar))
    capsys.readouterr()
    assert run(*given) == 0
    assert "1 picture done" in capsys.readouterr().err


@pytest.mark.parametrize("out", [".", "below/maps"])
def test_results_are_no_pictures_of_the_next_run(
    run: Run, photos: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "one.bmp").unlink()
    (photos / "one.png").rename(photos / "one.webp")
    (photos / "below" / "three.png").unlink()
    given = (photos, "--recursive", "--format", "npz,color,png16,side")
    assert run(*given, "--out", photos / out) == 0
    first = written(photos)
    assert run(*given, "--out", photos / out, "--resume", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert sorted(Path(name).name for name in summary["skipped"]) == ["one.webp", "two.jpg"]
    assert summary["done"] == []
    assert written(photos) == first
    assert run(*given, "--out", photos / "again", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["done"]) == 2


def test_size_and_flip_reach_the_network(run: Run, photos: Path, tmp_path: Path) -> None:
    def result(*words: str) -> np.ndarray:
        run(photos / "one.png", "--format", "npy", *words)
        return np.load(tmp_path / "out" / "one.npy")

    plain, larger, flipped = result(), result("--size", "128"), result("--flip")
    assert plain.shape == larger.shape == flipped.shape == (40, 60)
    assert np.abs(plain - larger).max() > 0.01
    assert np.abs(plain - flipped).max() > 0.01


def test_policies_reach_the_network(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def result(*words: str) -> np.ndarray:
        assert run(photos / "one.png", "--format", "npy", *words) == 0
        return np.load(tmp_path / "out" / "one.npy")

    padded, both = result("--policy", "pad"), result("--policy", "pad-flip")
    assert padded.shape == both.shape == (40, 60)
    assert np.abs(padded - result()).max() > 0.01
    assert np.abs(both - padded).max() > 0.01
    np.testing.assert_array_equal(result("--policy", "flip"), result("--flip"))
    np.testing.assert_array_equal(result("--policy", "pad-flip", "--flip"), both)
    assert run(photos / "one.png", "--policy", "pad", "--flip") == 2
    assert "--policy pad-flip" in capsys.readouterr().err
    assert run(photos / "one.png", "--policy", "mirror") == 2
    assert "pad-flip" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--format", "jpg"), "unknown format 'jpg'"),
        (("--format", ","), "names nothing"),
        (("--cmap", "jet"), "unknown colour map 'jet'"),
        (("--runtime", "tensorrt"), "unknown runtime 'tensorrt'"),
        (("--size", "3"), "size=3"),
        (("--max-depth", "10"), "without a unit"),
        (("--no-such-option",), "No such option"),
    ],
)
def test_usage_errors_are_one_line_and_code_2(
    run: Run,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    text: str,
) -> None:
    assert run(photos, *words) == 2
    said = capsys.readouterr()
    assert text in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_refused(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--out", photos / "notes.txt") == 2
    assert "is a file" in capsys.readouterr().err


def test_an_input_is_never_overwritten(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (photos / "one.png").read_bytes()
    assert run(photos / "one.png", "--out", photos, "--format", "color") == 2
    assert "overwrite" in capsys.readouterr().err
    assert (photos / "one.png").read_bytes() == before


def test_an_empty_folder_is_one_failed_input(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 1
    assert "empty is a folder without pictures" in capsys.readouterr().err


def test_an_unexpected_fault_fails_one_picture_only(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from leadline.estimator import DepthEstimator

    right = DepthEstimator.prepare

    def wrong(self: DepthEstimator, source: Image) -> object:
        if source.name.endswith("two.jpg"):
            raise RuntimeError("odd\nfault")
        return right(self, source)

    monkeypatch.setattr(DepthEstimator, "prepare", wrong)
    assert run(photos / "two.jpg", photos / "one.png") == 1
    said = capsys.readouterr().err
    assert "two.jpg: RuntimeError: odd fault (a fault of Leadline" in said
    assert "1 picture done" in said


def test_a_stopped_run_says_how_to_go_on(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from leadline.estimator import DepthEstimator

    def stop(self: DepthEstimator, prepared: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(DepthEstimator, "predict_prepared", stop)
    assert run(photos) == 130
    assert "the same command (with --resume) does the rest" in capsys.readouterr().err


def test_missing_weights_are_told_in_one_line(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(photos), "--out", "o", "--model", "depth-anything-v2-vits"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for needed in (
        "depth_anything_v2_vits.pth",
        "99 MB",
        "Apache-2.0",
        "resolve/main",
        "--weights",
    ):
        assert needed in said


def test_the_bar_shows_on_a_terminal_only(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "leadline", "predict", str(photos), "--out", str(tmp_path / "o")]
    words += ["--model", str(tiny_model), "--format", "npy"]
    quiet = subprocess.run(words, capture_output=True, text=True, check=True)
    assert quiet.stdout == ""
    assert quiet.stderr.count("\n") == 1
    parent, child = pty.openpty()
    with subprocess.Popen(words, stdout=child, stderr=child) as process:
        os.close(child)
        shown = _read_all(parent)
    assert process.returncode == 0
    assert "3/3" in shown
    assert "pictures/s" in shown


def _read_all(terminal: int) -> str:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux answers so when the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return shown.decode()
        shown += part


def test_speed_is_said_for_people() -> None:
    assert speed(Progress(total=100, done=50, seconds=5)) == "10.0 pictures/s, 0:05 left"
    assert speed(Progress(total=2000, done=1, seconds=4)) == "4.0 s/picture, 2:13:16 left"
    assert speed(Progress(total=5, done=5, seconds=5)) == "1.0 pictures/s"
    assert speed(Progress(total=5)) == ""


def test_an_odd_camera_is_told_once_and_first(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = tmp_path / "camera.json"
    camera.write_text('{"fx": "wide", "fy": 1, "cx": 1, "cy": 1}')
    assert run(photos, "--camera", camera) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'wide'" in said


# --- networks of others, and networks that fail ---------------------------------------------------


def write_log_network(path: Path) -> Path:
    """The logarithm of grey levels less 100: NaN where they are below."""
    from onnx import helper

    from testing.foreign import write_nodes

    return write_nodes(
        path,
        helper.make_node("Sub", ["image", "level"], ["above"]),
        helper.make_node("Log", ["above"], ["three"]),
        helper.make_node("ReduceMax", ["three"], ["depth"], axes=[1], keepdims=1),
        constants={"level": np.array(100, np.float32)},
        channels_out=1,
    )


def test_a_network_of_others_is_told_by_two_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_log_network(tmp_path / "log.onnx")
    pixels = np.zeros((3, 64, 64, 3), np.uint8)
    pixels[0], pixels[1, :, 32:] = 200, 200
    pictures = [tmp_path / f"{name}.png" for name in ("bright", "half", "dark")]
    for picture, rgb in zip(pictures, pixels, strict=True):
        PilImage.fromarray(rgb).save(picture)
    out = tmp_path / "out"
    words = ["predict", *map(str, pictures), "--out", str(out), "--model", str(network)]
    words += ["--size", "64", "--format", "npz", "--threads", "1"]

    def run(*more: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as caught:
            main([*words, *more])
        lines = capsys.readouterr().err.splitlines()
        return int(caught.value.code or 0), [line for line in lines if line.startswith("leadline:")]

    code, lines = run()
    assert code == 2
    assert "--kind" in lines[0]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, lines = run("--kind", "metric_depth", "--normalize", "none")
    assert code == 1
    assert [line.split(": ")[1].rpartition("/")[2] for line in lines] == ["half.png", "dark.png"]
    assert "NaN or infinity at 2" in lines[0]
    assert "no finite value" in lines[1]
    assert written(out) == ["bright.npz", "half.npz"]
    half = leadline.read_prediction(out / "half.npz")
    assert half.kind == "metric_depth"
    assert np.isnan(half.values[:, :24]).all()
    np.testing.assert_allclose(half.values[:, 40:], np.log(100), rtol=1e-4)


def test_files_of_other_trades_and_what_they_leave_out(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--format", "npy,controlnet,exr,near16", "--control-side", "64", "--fov", "60")
    assert run(photos / "one.png", *words) == 0
    assert written(tmp_path / "out") == [
        *("one.control.png", "one.exr", "one.near.png", "one.npy"),
    ]
    assert PilImage.open(tmp_path / "out" / "one.control.png").size == (128, 64)
    said = capsys.readouterr().err
    assert "npy leaves out: camera; --format npz keeps all." in said
    assert "exr leaves out" not in said
    assert run(photos / "one.png", *words[:2], "--fov", "60", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == {"npy": ["camera"]}
    assert run(photos / "one.png", "--format", "npz,npy", "--fov", "60") == 0
    assert "leaves out" not in capsys.readouterr().err
    assert run(photos / "one.png", *words[:2], "--control-side", "63") == 2
    assert "control side 63" in capsys.readouterr().err


def test_legends_make_pictures_wider_and_count_as_another_way(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (photos / "one.png", "--format", "color,side", "--resume")
    assert run(*given) == 0
    plain = PilImage.open(tmp_path / "out" / "one.color.png").width
    assert run(*given, "--legend") == 0
    assert PilImage.open(tmp_path / "out" / "one.color.png").width > plain
    assert "count for nothing" in capsys.readouterr().err
