"""Pictures as cameras, scanners, scientific programs and enemies write them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.errors import InputError, LeadlineError, MissingDependencyError, UnknownNameError
from leadline.io import read_depth_png, read_image
from leadline.io.pictures import FORMATS

UPRIGHT = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.swapaxes(0, 1),
    6: np.rot90(UPRIGHT),  # a quarter back, so that a quarter clockwise is upright
    7: UPRIGHT.swapaxes(0, 1)[::-1, ::-1],
    8: np.rot90(UPRIGHT, -1),
}
WIDE = np.random.default_rng(1).integers(0, 65536, (12, 20, 3), dtype=np.uint16)
EIGHT = ((WIDE.astype(int) + 128) // 257).astype(np.uint8)
ORIENTATION = 0x0112


@pytest.mark.parametrize("code", STORED)
@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate"])
def test_tiff_orientation_is_applied_once(tmp_path: Path, code: int, compression: str) -> None:
    picture = PilImage.fromarray(np.ascontiguousarray(STORED[code]))
    picture.save(tmp_path / "a.tif", tiffinfo={ORIENTATION: code}, compression=compression)
    with PilImage.open(tmp_path / "a.tif") as opened:
        for source in (tmp_path / "a.tif", opened):
            np.testing.assert_array_equal(read_image(source).pixels, UPRIGHT)


@pytest.mark.parametrize("code", STORED)
def test_orientation_of_what_tifffile_reads(tmp_path: Path, code: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    planes = np.ascontiguousarray(np.moveaxis(STORED[code].astype(np.uint16) * 257, -1, 0))
    tifffile.imwrite(
        tmp_path / "a.tif",
        planes,
        photometric="rgb",
        planarconfig="separate",
        extratags=[(ORIENTATION, 3, 1, code, True)],
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, UPRIGHT)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_planar_16_bit_colour(tmp_path: Path, compression: str, byteorder: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    planes = np.ascontiguousarray(np.moveaxis(WIDE, -1, 0))
    options = {"photometric": "rgb", "planarconfig": "separate", "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", planes, byteorder=byteorder, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, EIGHT)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_16_bit_colour_side_by_side(tmp_path: Path, byteorder: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    for compression in (None, "deflate"):
        tifffile.imwrite(
            tmp_path / "a.tif",
            WIDE,
            photometric="rgb",
            byteorder=byteorder,
            compression=compression,
        )
        pixels = read_image(tmp_path / "a.tif").pixels.astype(int)
        assert np.abs(pixels - EIGHT).max() <= 1  # Pillow takes the upper byte


def test_planar_16_bit_without_tifffile_is_refused(tmp_path: Path, monkeypatch) -> None:
    tifffile = pytest.importorskip("tifffile")
    planes = np.ascontiguousarray(np.moveaxis(WIDE, -1, 0))
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingDependencyError, match=r"separate planes.*leadline\[tiff\]"):
        read_image(tmp_path / "a.tif")


def test_white_is_zero_in_both_depths(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    for grey, expected in ((EIGHT[..., 0], EIGHT[..., 0]), (WIDE[..., 0], EIGHT[..., 0])):
        tifffile.imwrite(tmp_path / "a.tif", grey, photometric="miniswhite")
        pixels = read_image(tmp_path / "a.tif").pixels[..., 0]
        np.testing.assert_array_equal(pixels, 255 - expected)


def test_camera_raw_is_refused_though_its_preview_could_be_read(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    preview, mosaic = UPRIGHT, np.zeros((120, 200), np.uint16)
    version = (50706, 1, 4, bytes([1, 4, 0, 0]), True)
    for name, tags in (("a.dng", [version]), ("renamed.tif", [version]), ("a.nef", [])):
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(preview, photometric="rgb", subfiletype=1, subifds=1, extratags=tags)
            file.write(mosaic, photometric="cfa", subfiletype=0)
        with pytest.raises(InputError, match=r"camera raw file.*develop it"):
            read_image(tmp_path / name)
    with tifffile.TiffWriter(tmp_path / "plain.tif") as file:
        file.write(preview, photometric="rgb", subfiletype=1, subifds=1)
        file.write(mosaic, subfiletype=0)
    with pytest.raises(InputError, match="reduced preview"):
        read_image(tmp_path / "plain.tif")


@pytest.mark.parametrize(
    "start",
    [
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx ",
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x08\0\0\0",
        b"FOVb\0\0\3\0",
    ],
)
def test_raw_files_are_known_by_their_beginning(start: bytes) -> None:
    with pytest.raises(InputError, match="camera raw file"):
        read_image(start + bytes(100))


def test_a_folder_of_raw_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.NEF").touch()
    with pytest.raises(InputError, match="1 camera raw files; develop"):
        read_image(tmp_path)


def narrow(low: int, high: int, dtype: type) -> np.ndarray:
    return np.linspace(low, high, 240).round().astype(dtype).reshape(12, 20)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (narrow(0, 255, np.int32), 0, 255),
        (narrow(0, 65535, np.int32), 0, 255),
        (narrow(0, 4095, np.int32), 0, 16),
        (narrow(0, 65535, np.float32), 0, 255),
        (narrow(0, 255, np.float32), 0, 255),
        (narrow(0, 255, np.float32) / 255, 0, 255),
        (narrow(29000, 30530, np.uint16), 113, 119),
    ],
)
def test_linear_goes_by_the_range(tmp_path: Path, values, low: int, high: int) -> None:
    PilImage.fromarray(values).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert (image.pixels.min(), image.pixels.max()) == (low, high)
    assert bool(image.notes) == (high - low < 32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_percentile_stretches_every_type(tmp_path: Path, dtype: type) -> None:
    values = narrow(100, 160, dtype)
    values[0, :2] = 0, 250  # two odd pixels of 240 move no percentile
    PilImage.fromarray(values).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif", tone="percentile")
    assert (image.pixels.min(), image.pixels.max()) == (0, 255)
    inside = values.ravel()[5:-5].astype(float)
    stretched = (inside - 100) / 60 * 255
    assert np.abs(image.pixels[..., 0].ravel()[5:-5] - stretched).max() < 9
    assert not image.notes


def test_lost_levels_are_noted(tmp_path: Path) -> None:
    thermal = narrow(29000, 30530, np.uint16)
    PilImage.fromarray(thermal).save(tmp_path / "a.png")
    (note,) = read_image(tmp_path / "a.png").notes
    assert note == "7 grey levels are left of 240 in the file; --tone percentile stretches them"
    assert read_image(thermal).notes == (note,)
    assert not read_image(tmp_path / "a.png", tone="percentile").notes
    PilImage.fromarray(narrow(0, 1, np.uint16) * 65535).save(tmp_path / "two.png")
    assert not read_image(tmp_path / "two.png").notes
    with pytest.raises(UnknownNameError, match=r"auto.*linear, percentile"):
        read_image(tmp_path / "a.png", tone="auto")  # ty: ignore[invalid-argument-type]


def test_floats_that_are_nowhere_finite(tmp_path: Path) -> None:
    PilImage.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "a.tif")
    for tone in ("linear", "percentile"):
        with pytest.raises(InputError, match=r"a\.tif holds"):
            read_image(tmp_path / "a.tif", tone=tone)


def test_the_frame_that_was_taken_is_noted(tmp_path: Path) -> None:
    frames = [PilImage.fromarray(np.full((8, 9), v, np.uint8)) for v in (200, 90, 10)]
    for name in ("a.gif", "a.tif", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        image = read_image(tmp_path / name)
        assert image.notes == ("picture 1 of 3 in the file was taken",)
        assert image.pixels[0, 0, 0] == 200
    frames[0].save(tmp_path / "one.tif")
    assert not read_image(tmp_path / "one.tif").notes


def test_postscript_starts_no_program(tmp_path: Path, monkeypatch) -> None:
    assert not {"EPS", "WMF"} & set(FORMATS)

    def start(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", start)
    loop = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 64\n%%EndComments\n{ } loop\n%%EOF\n"
    (tmp_path / "a.jpg").write_bytes(loop)
    for read in (read_image, lambda path: read_depth_png(path, per_unit=1)):
        with pytest.raises(InputError, match="PostScript"):
            read(tmp_path / "a.jpg")


def grey_png(width: int, height: int, pixels: bytes, *, bits: int = 16) -> bytes:
    """A grey PNG of any size, with the pixels that are given."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        code = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", code)

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((13300, 13300), "at most 24 million are decoded unasked.*--max-megapixels 177"),
        ((178_000_000, 1), "--max-megapixels 178"),
        ((60_000, 60_000), "--max-megapixels 3600"),
        ((100_000, 100_000), "more than any picture has; it is damaged"),
    ],
)
def test_small_files_of_many_pixels_are_refused(tmp_path: Path, size, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(grey_png(*size, b""))
    for read in (read_image, lambda path: read_depth_png(path, per_unit=1)):
        with pytest.raises(InputError, match=words) as caught:
            read(path)
        assert "PIL" not in str(caught.value)


def test_the_limit_can_be_raised_and_lowered(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(grey_png(6000, 4200, bytes(6001 * 4200), bits=8))  # 25.2 million in 25 kB
    with pytest.raises(InputError, match="--max-megapixels 26"):
        read_image(path)
    assert read_image(path, max_megapixels=26).size == (4200, 6000)
    PilImage.fromarray(UPRIGHT).save(path)
    with pytest.raises(InputError, match="--max-megapixels"):
        read_image(path, max_megapixels=0.0001)


MEASURE = """
import resource, sys
from leadline.io import read_depth_map, read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
globals()[sys.argv[1]](sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["read_image", "read_depth_map"])
@pytest.mark.parametrize("name", ["L.png", "RGBA.png", "I;16.png", "RGBA.webp", "F.tif"])
def test_half_a_megabyte_takes_less_than_600(tmp_path: Path, reader: str, name: str) -> None:
    mode, _, suffix = name.partition(".")
    path = tmp_path / f"a.{suffix}"
    options = {"compression": "tiff_adobe_deflate"} if suffix == "tif" else {}
    PilImage.new(mode, (5300, 5480)).save(path, **options, lossless=True)
    with path.open("ab") as file:
        file.write(bytes(max(0, 520_000 - path.stat().st_size)))
    command = [sys.executable, "-c", MEASURE, reader, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        assert "grey map" in done.stderr  # colour is no depth
    else:
        assert int(done.stdout) < 600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for path, word in ((tmp_path / "a.png", "a pipe"), (Path(os.devnull), "a device")):
        for read in (read_image, lambda path: read_depth_png(path, per_unit=1)):
            with pytest.raises(InputError, match=f"{word}, and a file is needed") as caught:
                read(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "more memory than this machine gives"),
        (RecursionError("deep"), "nested too deeply"),
        (ZeroDivisionError("x"), r"cannot be read \(x\)"),
        (KeyError("x"), "KeyError 'x'"),
        (PermissionError(13, "Permission denied"), "cannot be opened: Permission denied"),
    ],
)
def test_whatever_a_decoder_raises_is_one_line(png: Path, monkeypatch, error, words: str) -> None:
    def load(_: object) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    for read in (read_image, lambda path: read_depth_png(path, per_unit=1)):
        with pytest.raises(InputError, match=words):
            read(png)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    PilImage.fromarray(WIDE[..., 0]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_heic_names_its_extra_or_is_read(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingDependencyError, match=r"leadline\[heic\]"):
        read_image(path)
    monkeypatch.undo()
    pillow_heif = pytest.importorskip("pillow_heif")
    with pytest.raises(LeadlineError, match="damaged HEIC"):
        read_image(path)
    smooth = np.repeat(np.linspace(0, 250, 64, dtype=np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    pillow_heif.from_pillow(PilImage.fromarray(smooth)).save(path)
    image = read_image(path)
    assert np.abs(image.pixels.astype(int) - smooth).mean() < 4


def test_bytes_that_are_a_stack_of_channels_are_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 8, 9), np.float64), photometric="minisblack")
    assert read_image(tmp_path / "a.tif").notes  # five pictures, the first taken
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((8, 9, 5)), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(InputError, match=r"shape \(8, 9, 5\); grey or RGB"):
        read_image(tmp_path / "a.tif")
