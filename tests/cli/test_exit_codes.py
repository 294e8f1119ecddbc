"""Every command ends with 0 when all is done, 1 when some failed, 2 when it could not start."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image as PilImage

from leadline import cli
from leadline.cli import main
from leadline.cli.app import app
from leadline.errors import InputError, JobError

pytest.importorskip("onnx")
pytest.importorskip("cv2")

COMMANDS = typer.main.get_command(app).commands  # ty: ignore[unresolved-attribute]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Path:
    """A folder with what commands need: pictures, a set with depth, the tiny model, a file."""
    rng = np.random.default_rng(0)
    for part in ("photos", "set/rgb"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "set" / "depth").mkdir()
    for name in ("a", "b", "c", "d"):
        pixels = PilImage.fromarray(rng.integers(0, 256, (40, 60, 3)).astype(np.uint8))
        pixels.save(tmp_path / "photos" / f"{name}.png")
        pixels.save(tmp_path / "set" / "rgb" / f"{name}.png")
        np.save(tmp_path / "set" / "depth" / f"{name}.npy", rng.uniform(1, 5, (40, 60)))
    sets = '[[set]]\nname = "s"\ndataset = "folder"\nroot = "set"\n'
    (tmp_path / "sets.toml").write_text(sets + 'protocol = "depth-anything-zero-shot"\n')
    (tmp_path / "file").write_text("no folder and no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


EVALUATE = (
    *("evaluate", "--dataset", "folder", "--root", "set", "-m", "constant"),
    *("-p", "depth-anything-zero-shot"),
)
CANNOT_START = {
    "predict": ("photos", "--out", "file/x", "-m", "tiny.onnx"),
    "cloud": ("photos", "--out", "file/x", "-m", "tiny.onnx"),
    "camera": ("no-such.png",),
    "measure": ("no-such.png", "--points", "1,1", "2,2"),
    "stereo-view": ("photos", "--out", "file/x", "-m", "tiny.onnx"),
    "fuse": ("photos", "--poses", "no-such.txt", "--out", "file/x", "-m", "tiny.onnx"),
    "finetune": ("set", "--out", "file/x"),
    "label": ("photos", "--out", "file/x", "-m", "tiny.onnx"),
    "train": ("lite", "--out", "file/x"),
    "export": ("-m", "lite", "--out", "file/x.onnx"),
    "evaluate": ("--dataset", "folder", "--root", "set", "--out", "file/x", "-m", "constant"),
    "leaderboard": ("sets.toml", "--out", "file/x", "-m", "constant"),
    "reproduce": ("eigen14", "--out", "file/x"),
    "views": ("photos/a.png", "photos/b.png", "--out", "file/x"),
    "triangulate": ("photos", "--fov", "60", "--out", "file/x"),
    "epipolar": ("photos/a.png", "photos/b.png", "--out", "file/x.png"),
    "stereo": ("photos/a.png", "photos/b.png", "--out", "file/x"),
    "quantize": ("tiny.onnx", "photos", "--out", "file/x.xml"),
    "benchmark": ("--runtime", "openvino"),
    "segment": ("photos/a.png", "--out", "file/x.png"),
    "models": ("no-such-model",),
    "rosbag": ("no-such-bag", "--out", "file/x"),
    "mcp": ("--root", "no-such-folder"),
    "doctor": ("--no-such-option",),
    "datasets audit": ("folder", "--root", "set", "--out", "file/x"),
    "datasets check": ("folder", "--root", "no-such-folder"),
    "datasets where": ("no-such-set",),
}


def test_no_command_is_left_out() -> None:
    inner = {f"datasets {name}" for name in COMMANDS["datasets"].commands}
    assert set(CANNOT_START) == (set(COMMANDS) - {"datasets"}) | inner


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("command", CANNOT_START)
def test_what_cannot_start_says_so_in_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command.split(), *CANNOT_START[command]) == cli.CANNOT_START
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.startswith(("leadline: ", "Usage: "))
    if said.err.startswith("leadline: ") and command != "datasets check":  # which shows a layout
        assert said.err.count("\n") == 1
    if "file/x" in " ".join(CANNOT_START[command]):
        assert "file is a file; a folder is needed" in said.err


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "photos/a.png", "file", "--out", "o", "-m", "tiny.onnx"),
        ("label", "photos/a.png", "file", "--out", "o", "-m", "tiny.onnx"),
        (*EVALUATE, "--skip-bad"),
        ("leaderboard", "sets.toml", "--out", "o", "-m", "constant,no-such-model"),
        ("datasets", "check", "folder", "--root", "set"),
        ("datasets", "audit", "folder", "--root", "set", "--out", "o"),
    ],
    ids=" ".join,
)
def test_what_fails_in_part_is_1(words: tuple[str, ...], place: Path) -> None:
    (place / "set" / "depth" / "b.npy").write_bytes(b"cut short")
    assert run(*words) == cli.FAILED_SOME


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "photos", "--out", "o", "-m", "tiny.onnx"),
        ("label", "photos", "--out", "o", "-m", "tiny.onnx"),
        EVALUATE,
        ("models", "lite"),
        ("datasets",),
        ("datasets", "where", "folder"),
        ("datasets", "check", "folder", "--root", "set"),
    ],
    ids=" ".join,
)
def test_what_is_done_is_0(words: tuple[str, ...]) -> None:
    assert run(*words) == 0


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InputError("no"), 2, "no"),
        (JobError("broke off"), 1, "broke off"),
        (OSError(28, "No space left on device", "out/a.npz"), 2, "out/a.npz: No space left"),
        (MemoryError(), 2, "memory ran out"),
    ],
)
def test_errors_are_one_line_and_a_code(
    error: Exception,
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from leadline import catalog

    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(catalog, "get", fail)
    assert run("models", "lite") == code
    said = capsys.readouterr().err
    assert said.startswith(f"leadline: {says}")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("place")
def test_names_are_checked_before_torch_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for words, says in (
        (("train", "lit"), "unknown recipe or preset 'lit'. Did you mean 'lite'"),
        (("train", "mine.toml"), "mine.toml: no such file"),
        (("train", "lite", "--data", "folde=set"), "unknown data set 'folde'"),
        (("train", "lite", "--model", "fastdept"), "unknown model 'fastdept'"),
        (("train", "lite", "--resume"), "--resume goes on with the run of --out RUN"),
        (("finetune", "set", "--goal", "metres"), "unknown goal"),
        (("finetune", "set", "--hole", "many"), "--hole many: numbers"),
        (("finetune", "set", "--set", "batch"), "KEY=VALUE"),
        (("train", "lite"), "needs the package 'torch'"),
    ):
        assert run(*words) == 2
        assert says in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_model_without_its_extra_is_not_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    def find(name: str, find_spec: Callable[[str], object] = importlib.util.find_spec) -> object:
        return None if name == "skimage" else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    assert run("models", "superpixel", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["here"], entry["needs"]) == (False, "classic")
    assert run("models", "superpixel") == 0
    assert "needs [classic]" in capsys.readouterr().out


def test_a_size_in_words_is_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "depth-anything-v2-small", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "depth-anything-v2-vits"
    assert run("models", "lite-small") == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_told_to_end_says_so(
    number: signal.Signals,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from leadline import catalog

    before = signal.getsignal(number)
    monkeypatch.setattr(catalog, "get", lambda name: signal.raise_signal(number))
    assert run("models", "lite") == code
    assert capsys.readouterr().err.count("ended; what is done is kept") == 1
    assert signal.getsignal(number) is before


@pytest.mark.slow
def test_label_leaves_no_workers_behind(place: Path) -> None:
    for n in range(400):
        (place / "photos" / f"p{n}.png").write_bytes((place / "photos" / "a.png").read_bytes())
    words = ("label", "photos", "--out", "o", "-m", "tiny.onnx", "--workers", "2", "--shard", "4")
    with subprocess.Popen(
        [sys.executable, "-m", "leadline", *words], start_new_session=True
    ) as one:
        while not list(place.glob("o/*.tar")):
            assert one.poll() is None
            time.sleep(0.05)
        one.terminate()
        assert one.wait(60) == 143
        limit = time.monotonic() + 15
        while _session(one.pid) and time.monotonic() < limit:
            time.sleep(0.1)
        assert not _session(one.pid)
    assert not list(place.glob("o/.*.part"))


def _session(number: int) -> list[str]:
    """Processes of a session that are alive."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = file.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if session == str(number) and state != "Z":
            found.append(file.parent.name)
    return found
