"""What people bring to `leadline predict`: lists, names, flat pictures, prompts, outputs."""

import codecs
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PilImage

import leadline
from leadline.cli import main
from leadline.decode import decode
from leadline.estimator import DepthEstimator
from leadline.kinds import DepthKind

pytest.importorskip("onnx")

Run = Callable[..., int]


@pytest.fixture
def run(tiny_model: Path) -> Run:
    """Run ``leadline predict`` with the tiny model; returns the exit code."""

    def command(*words: object) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["predict", *map(str, words), "--model", str(tiny_model)])
        return int(caught.value.code or 0)

    return command


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of 60 x 40 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    PilImage.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model's maps are metres: 2 with a corner of 8."""

    def predict(self: DepthEstimator, prepared: object) -> object:
        found = decode(
            self.preprocess.restore(self._run(prepared.arrays), prepared, index=0),  # ty: ignore[unresolved-attribute]
            self.spec,
            prepared,  # ty: ignore[invalid-argument-type]
        )
        values = np.full(found.size, 2.0, np.float32)
        values[:2, :2] = 8
        return replace(found, values=values, kind=DepthKind.METRIC_DEPTH)

    monkeypatch.setattr(DepthEstimator, "predict_prepared", predict)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\0").encode(),
    ],
)
def test_lists_of_any_encoding(
    run: Run,
    photo: Path,
    tmp_path: Path,
    encode: Callable[[str], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "two.png"
    other.write_bytes(photo.read_bytes())
    data = encode(f"{photo}\n{other}\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert run("-", "--out", tmp_path / "out", "--format", "npy") == 0
    assert (tmp_path / "out" / "photo.npy").is_file()
    assert (tmp_path / "out" / "two.npy").is_file()


def test_a_name_that_is_no_utf_8_ends_nothing(
    tiny_model: Path, photo: Path, tmp_path: Path
) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(odd).write_bytes(photo.read_bytes())
    photo.unlink()
    tiny_model.rename(tmp_path / "m.onnx")
    tiny_model.with_suffix(".json").rename(tmp_path / "m.json")
    for words in (
        ["predict", str(tmp_path), "--json", "--resume"],
        ["predict", str(tmp_path), "--json", "--resume"],
        ["label", odd],
        ["label", odd, "--layout", "webdataset"],
    ):
        out = tmp_path / f"out-{words[0]}-{len(words)}"
        command = [sys.executable, "-m", "leadline", *words, "--out", str(out)]
        done = subprocess.run([*command, "--model", str(tmp_path / "m.onnx")], capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    made = {os.fsencode(file.name) for file in (tmp_path / "out-predict-4").iterdir()}
    assert {b"caf\xe9.npz", b"caf\xe9.color.png"} <= made
    summary = json.loads(done.stdout or "{}")
    assert summary == {}


@pytest.mark.parametrize(
    ("name", "words", "start"),
    [
        ("map.png", (), b"\x89PNG"),
        ("map.depth.png", (), b"\x89PNG"),
        ("map.npz", (), b"PK"),
        ("deep/map.png", ("--format", "png16"), b"\x89PNG"),
    ],
)
def test_the_only_picture_may_have_a_file(
    run: Run,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: tuple[str, ...],
    start: bytes,
) -> None:
    out = tmp_path / "out" / name
    assert run(photo, "-o", out, *words) == 0
    assert f"The result is {out}." in capsys.readouterr().err
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert run(broken, "-o", tmp_path / "none") == 1
    assert capsys.readouterr().err.endswith("s, 1 failed.\n")
    assert out.read_bytes().startswith(start)
    written = {file.name for file in out.parent.iterdir()}
    assert written - {f"{out.name}.json"} == {out.name, "made.jsonl"}
    is_map = "depth" in name or "png16" in words or name.endswith("npz")
    if is_map:
        assert leadline.read_prediction(out).size == (40, 60)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "map.jpg"), "the suffix names no format"),
        (("-o", "map.png", "--format", "npz"), "one format that ends in .png"),
        (("-o", "map.png", "--format", "color,side"), "one format that ends in .png"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    run: Run,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(photo, *words) == 2
    assert message in capsys.readouterr().err


def test_one_file_for_two_pictures_is_refused(
    run: Run, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.png").write_bytes(photo.read_bytes())
    assert run(photo, tmp_path / "two.png", "-o", tmp_path / "map.png") == 2
    assert "for 2 pictures" in capsys.readouterr().err


def test_one_picture_in_one_format_has_the_short_name(
    run: Run, photo: Path, tmp_path: Path
) -> None:
    assert run(photo, "-o", tmp_path / "a", "--format", "color") == 0
    assert run(tmp_path / "photo.png", "-o", tmp_path / "b", "--format", "color,npz") == 0
    folder = tmp_path / "in"
    folder.mkdir()
    photo.rename(folder / "photo.png")
    assert run(folder, "-o", tmp_path / "c", "--format", "png16") == 0
    assert (tmp_path / "a" / "photo.png").is_file()
    assert (tmp_path / "b" / "photo.color.png").is_file()
    assert (tmp_path / "c" / "photo.depth.png").is_file()


@pytest.mark.parametrize("name", ["file/x", "file", "file/x/y.png"])
def test_an_out_below_a_file_is_refused_at_the_start(
    run: Run, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").write_text("")
    assert run(photo, "-o", tmp_path / name) == 2
    said = capsys.readouterr().err
    assert "file is a file; a folder is needed" in said
    assert said.count("\n") == 1


def test_a_pipe_a_device_and_a_folder_are_one_line_each(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "s.png"))
    words = (tmp_path / "pipe.png", "/dev/zero", tmp_path / "folder.png", tmp_path / "s.png")
    assert run(*words, "-o", tmp_path / "out") == 1
    lines = capsys.readouterr().err.strip().splitlines()[:-1]
    assert len(lines) == 4
    for line, word in zip(lines, ("pipe", "device", "folder", "socket"), strict=True):
        assert f"is a {word}" in line


@pytest.mark.parametrize("address", ["https://example.org/a.jpg", "s3://bucket/a.jpg"])
def test_an_address_is_told_as_one(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert run(address, "-o", tmp_path / "out") == 2
    assert f"leadline: {address} is an address (URL), and nothing" in capsys.readouterr().err


def test_inputs_of_which_nothing_is_there_cannot_start(
    run: Run, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("runs/mine", "-o", tmp_path / "out") == 2
    assert capsys.readouterr().err == (
        "leadline: runs/mine: no such file or folder; check the path.\n"
    )
    assert run("runs/mine", tmp_path / "*.jpg", "-o", tmp_path / "out") == 2
    assert "none of 1 others" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run("runs/mine", photo, "-o", tmp_path / "out") == 1


def test_large_pictures_are_allowed_by_an_option(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "p.png"
    PilImage.new("L", (6000, 5000)).save(large)  # 30 million pixels in 40 kB
    assert run(large, "-o", tmp_path / "out", "--format", "npy") == 1
    said = capsys.readouterr().err
    assert "--max-megapixels 30" in said
    assert "PIL" not in said
    assert run(large, "-o", tmp_path / "out", "--max-megapixels", "-1") == 2
    PilImage.new("L", (300, 200)).save(large)
    assert run(large, "-o", tmp_path / "out", "--max-megapixels", "0.01", "--format", "npy") == 1
    assert run(large, "-o", tmp_path / "out", "--max-megapixels", "0.06", "--format", "npy") == 0


def test_flat_pictures_are_told_and_stretched(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thermal = tmp_path / "thermal.png"
    values = np.linspace(29000, 30530, 40 * 60).reshape(40, 60).astype(np.uint16)
    PilImage.fromarray(values).save(thermal)
    given = (thermal, "--format", "npy", "--resume", "--json")
    assert run(*given, "-o", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "7 grey levels are left of" in said.err
    assert "--tone percentile" in said.err
    (done,) = json.loads(said.out)["done"]
    assert "grey levels" in done["notes"][0]
    flat = np.load(tmp_path / "out" / "thermal.npy")
    assert run(*given, "-o", tmp_path / "out", "--tone", "percentile") == 0  # made anew
    assert "grey levels" not in capsys.readouterr().err
    assert np.ptp(np.load(tmp_path / "out" / "thermal.npy")) > 2 * np.ptp(flat)
    assert run(*given, "-o", tmp_path / "out", "--tone", "loud") == 2


@pytest.mark.usefixtures("metric")
def test_metres_are_said_with_their_span(
    run: Run, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photo, "-o", tmp_path / "out", "--json") == 0
    said = capsys.readouterr()
    assert "photo.png: 2.00 to 8.00 m, median 2.00 m" in said.err
    (done,) = json.loads(said.out)["done"]
    assert done["metres"] == {"min": 2.0, "median": 2.0, "max": 8.0}


@pytest.mark.usefixtures("metric")
def test_many_pictures_get_one_line_about_their_metres(
    run: Run, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(21):
        (tmp_path / f"p{n}.png").write_bytes(photo.read_bytes())
    assert run(tmp_path / "p*.png", "-o", tmp_path / "out", "--format", "npy") == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Depths: 2.00 to 8.00 m, median 2.00 m" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--prompt-depth", "d.png"), "1 for metres, 1000 for millimetres"),
        (("--prompt-per-metre", "1000"), "belong together"),
        (("--prompt-depth", "d.png", "--prompt-per-metre", "0"), "above 0"),
        (("--prompt-depth", "d.png", "--prompt-per-metre", "1000"), "which asks for none"),
    ],
)
def test_a_prompt_has_a_unit_and_a_network_that_asks(
    run: Run,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    assert run(photo, *words, "-o", tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_prompts_are_read_in_metres(tmp_path: Path) -> None:
    from leadline.cli.prompts import Prompts
    from leadline.errors import InputError

    codes = np.full((3, 4), 2500, np.uint16)
    codes[0, 0] = 0
    PilImage.fromarray(codes).save(tmp_path / "a.png")
    prompts = Prompts(place=tmp_path, per_metre=1000)
    assert prompts.read(Path("in/a.jpg")) == pytest.approx(np.where(codes, 2.5, 0))
    prompts.find([Path("in/a.jpg")])
    with pytest.raises(InputError, match="0 depth files of the stem b"):
        prompts.find([Path("in/b.jpg")])
    with pytest.raises(InputError, match="one file for 2 pictures"):
        replace(prompts, place=tmp_path / "a.png").find([Path("a.jpg"), Path("b.jpg")])
    with pytest.raises(InputError, match="no usual scene"):
        replace(prompts, per_metre=1.0).read(Path("in/a.jpg"))
    codes[0, 1] = 65535
    PilImage.fromarray(codes).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="--hole 65535"):
        prompts.read(Path("in/a.jpg"))
    assert replace(prompts, holes=(65535.0,)).read(Path("in/a.jpg"))[0, 1] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("label", "-", "-o", "out"),
        ("label", "-", "-o", "out", "--layout", "webdataset"),
        ("cloud", "-", "-o", "out"),
        ("camera", "-"),
        ("stereo-view", "-", "-o", "out"),
        ("triangulate", "-", "-o", "out", "--fov", "60"),
        ("quantize", "lite", "-", "-o", "out.xml"),
    ],
)
def test_every_command_that_takes_pictures_takes_a_list(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"none/a.jpg\nnone/b.jpg")))
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert caught.value.code == 2
    assert "none/a.jpg" in capsys.readouterr().err
