"""Odd and damaged pictures give a right answer or one clear line, and the rest is still done."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main

RIGHT = {
    "grey.png": (30, 40),
    "grey16.png": (30, 40),
    "alpha.png": (30, 40),
    "palette.gif": (30, 40),
    "cmyk.jpg": (30, 40),
    "animated.gif": (30, 40),
    "turned.jpg": (40, 30),
    "dot.png": (1, 1),
    "long.png": (10, 20000),
    "tall.png": (20000, 10),
}
WRONG = ("missing.jpg", "empty.jpg", "text.jpg", "cut.png", "cut.jpg", "bomb.png", "folder.jpg")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def make_zoo(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rgb = PilImage.fromarray(rng.integers(0, 256, (30, 40, 3)).astype(np.uint8))
    rgb.convert("L").save(folder / "grey.png")
    deep = rng.integers(0, 65536, (30, 40)).astype(np.uint16)
    PilImage.fromarray(deep).save(folder / "grey16.png")
    rgb.convert("RGBA").save(folder / "alpha.png")
    rgb.convert("P").save(folder / "palette.gif")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.save(folder / "animated.gif", save_all=True, append_images=[rgb.rotate(90)])
    exif = PilImage.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    rgb.save(folder / "turned.jpg", exif=exif)
    PilImage.new("RGB", (1, 1)).save(folder / "dot.png")
    PilImage.new("RGB", (20000, 10)).save(folder / "long.png")
    PilImage.new("RGB", (10, 20000)).save(folder / "tall.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    (folder / "cut.png").write_bytes((folder / "grey16.png").read_bytes()[:200])
    rgb.save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:250])
    (folder / "whole.jpg").unlink()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    (folder / "folder.jpg").mkdir()


def test_the_zoo(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "zoo"
    folder.mkdir()
    make_zoo(folder)
    words = [str(folder / name) for name in (*WRONG, *RIGHT)]
    out = tmp_path / "out"
    words += ["--out", str(out), "--model", str(tiny_model), "--json", "--format", "npy,color"]
    with pytest.raises(SystemExit) as caught:
        main(["predict", *words])
    assert caught.value.code == 1
    said = capsys.readouterr()
    summary = json.loads(said.out)
    done = {Path(entry["input"]).name: Path(entry["files"][0]) for entry in summary["done"]}
    assert {name: np.load(file).shape for name, file in done.items()} == RIGHT
    assert [Path(entry["input"]).name for entry in summary["failed"]] == list(WRONG)
    lines = said.err.strip().splitlines()
    notes = [line for line in lines if "animated.gif: picture 1 of 2" in line]
    assert len(lines) == len(WRONG) + len(notes) == len(WRONG) + 1
    for entry in summary["failed"]:
        assert "fault of Leadline" not in entry["error"], entry
        assert len(entry["error"]) < 300
