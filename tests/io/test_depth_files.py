"""Depth maps out of every container give the numbers that were stored, and holes are noticed."""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from leadline.errors import InputError, LeadlineError
from leadline.io import (
    find_holes,
    hole_mask,
    read_depth_map,
    read_npy,
    read_npz,
    read_pfm,
    write_npz,
    write_pfm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
METRES = RNG.uniform(0.5, 12, (40, 48)).astype(np.float32)
CODES = RNG.integers(0, 65536, (40, 48), dtype=np.uint16)


def save_npy(values: np.ndarray) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, values)

    return save


def save_pfm(header: str, order: str, values: np.ndarray = METRES) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(
        header.encode() + np.ascontiguousarray(values[::-1]).astype(order).tobytes()
    )


def save_dpt(path: Path) -> None:
    path.write_bytes(struct.pack("<fii", 202021.25, 48, 40) + METRES.astype("<f4").tobytes())


def save_npz(**arrays: np.ndarray) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return save


def save_pgm(path: Path) -> None:
    path.write_bytes(b"P5\n48 40\n65535\n" + CODES.astype(">u2").tobytes())


FILES: dict[str, tuple[Callable[[Path], object], np.ndarray]] = {
    "codes.png": (lambda path: PilImage.fromarray(CODES).save(path), CODES),
    "bytes.png": (lambda path: PilImage.fromarray(CODES.astype(np.uint8)).save(path), CODES % 256),
    "codes.pgm": (save_pgm, CODES),
    "plain.npy": (save_npy(METRES), METRES),
    "1hw.npy": (save_npy(METRES[None]), METRES),
    "hw1.npy": (save_npy(METRES[..., None]), METRES),
    "11hw.npy": (save_npy(METRES[None, None]), METRES),
    "big_endian.npy": (save_npy(METRES.astype(">f8")), METRES),
    "fortran.npy": (save_npy(np.asfortranarray(METRES)), METRES),
    "half.npy": (save_npy(METRES.astype(np.float16)), METRES.astype(np.float16)),
    "codes.npy": (save_npy(CODES), CODES),
    "one.npz": (save_npz(anything=METRES), METRES),
    "two.npz": (save_npz(depth=METRES, mask=METRES > 1), METRES),
    "plain.pfm": (lambda path: write_pfm(path, METRES), METRES),
    "big.pfm": (save_pfm("Pf\n48 40\n1.0\n", ">f4"), METRES),
    "lines.pfm": (save_pfm("Pf\n48\n40\n-1.0\n", "<f4"), METRES),
    "comment.pfm": (save_pfm("Pf\n# made by X\n48 40\n-0.5\n", "<f4"), METRES),
    "grey.pfm": (save_pfm("PF\n48 40\n-1\n", "<f4", np.dstack([METRES] * 3)), METRES),
    "a.dpt": (save_dpt, METRES),
    "misnamed.png": (save_npy(METRES), METRES),
}


@pytest.mark.parametrize("name", FILES)
def test_every_container_gives_its_numbers(tmp_path: Path, name: str) -> None:
    save, expected = FILES[name]
    save(tmp_path / name)
    values = read_depth_map(tmp_path / name)
    np.testing.assert_array_equal(values, expected)
    assert values.dtype.isnative


TIFFS = {
    "float16": METRES.astype(np.float16),
    "float32": METRES,
    "float64": METRES.astype(np.float64),
    "uint8": CODES.astype(np.uint8),
    "uint16": CODES,
    "int16": (CODES // 2 - 1000).astype(np.int16),
    "int32": CODES.astype(np.int32) * -9,
    "uint32": CODES.astype(np.uint32) * 65537,
    "uint64": CODES.astype(np.uint64) << np.uint64(20),
}


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("kind", TIFFS)
def test_tiff_of_every_type_and_byte_order(tmp_path: Path, kind: str, byteorder: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    for tile in (None, (16, 16)):
        for compression in (None, "deflate"):
            for bigtiff in (False, True):
                tifffile.imwrite(
                    tmp_path / "a.tif",
                    TIFFS[kind],
                    byteorder=byteorder,
                    tile=tile,
                    compression=compression,
                    bigtiff=bigtiff,
                )
                np.testing.assert_array_equal(read_depth_map(tmp_path / "a.tif"), TIFFS[kind])


CHANNELS = {
    "Z": ["Z"],
    "Y": ["Y"],
    "R": ["R"],
    "V": ["V"],
    "ViewLayer.Depth.Z": ["ViewLayer.Depth.Z", "ViewLayer.Combined.R", "ViewLayer.Combined.G"],
    "View Layer.Depth.V": ["View Layer.Depth.V", "View Layer.Combined.A"],
    "depth": ["depth", "Y"],
    "B": ["R", "G", "B"],
}


@pytest.mark.parametrize("depth", CHANNELS)
def test_exr_of_any_channel_name(tmp_path: Path, depth: str) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    other = METRES if depth == "B" else METRES.astype(np.float16) / 2
    channels = {name: METRES if name == depth else other for name in CHANNELS[depth]}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(read_depth_map(tmp_path / "a.exr"), METRES)


def test_exr_whose_depth_is_not_known(tmp_path: Path) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    path = tmp_path / "a.exr"
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"left.Z": METRES, "right.Z": METRES + 1}).write(str(path))
    with pytest.raises(InputError, match=r"left\.Z, right\.Z, and which of them is depth"):
        read_depth_map(path)
    np.testing.assert_array_equal(read_depth_map(path, channel="right.Z"), METRES + 1)
    with pytest.raises(InputError, match="holds no 'Q'"):
        read_depth_map(path, channel="Q")
    OpenEXR.File(header, {"R": METRES, "G": METRES, "B": METRES + 1}).write(str(path))
    with pytest.raises(InputError, match=r"one \(h, w\) map"):
        read_depth_map(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="cannot be read"):
        read_depth_map(path)


def test_exr_parts(tmp_path: Path) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    header = {"type": OpenEXR.scanlineimage}
    colour = OpenEXR.Part(header, {"R": METRES, "G": METRES}, name="beauty")
    depth = OpenEXR.Part(dict(header), {"Z": METRES + 1}, name="depth")
    OpenEXR.File([colour, depth]).write(str(tmp_path / "a.exr"))
    path = tmp_path / "a.exr"
    np.testing.assert_array_equal(read_depth_map(path), METRES + 1)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="1 of 2 parts are damaged"):
        read_depth_map(path)
    with pytest.raises(InputError, match="--max-megapixels"):
        read_depth_map(path, max_megapixels=0.001)


@pytest.mark.parametrize(
    ("name", "save", "words"),
    [
        ("a.png", lambda p: PilImage.new("RGB", (4, 4)).save(p), "mode RGB; a whole grey map"),
        ("a.png", lambda p: PilImage.new("P", (4, 4)).save(p), "mode P"),
        ("a.npy", save_npy(METRES[0]), r"shape \(48,\)"),
        ("a.npy", save_npy(np.zeros((3, 4, 5))), r"shape \(3, 4, 5\)"),
        ("a.npy", save_npy(METRES > 1), "type bool"),
        ("a.npy", save_npy(METRES.astype(complex)), "type complex"),
        ("a.npz", save_npz(a=METRES, b=METRES), "a, b, and which of them is depth"),
        ("a.npz", save_npz(), "holds nothing"),
        ("a.dpt", lambda p: p.write_bytes(b"PIEH" + bytes(20)), "0 x 0"),
        ("a.dpt", lambda p: p.write_bytes(b"PIEH"), "cannot be read"),
        ("a.pfm", lambda p: p.write_bytes(b"Pf\n100000 100000\n-1.0\n"), "40000000000 are needed"),
        ("a.txt", lambda p: p.write_text("1 2 3"), "is not a picture"),
        ("a.npy", lambda p: p.mkdir(), "a folder, and a file is needed"),
    ],
)
def test_what_is_no_map_is_refused(tmp_path: Path, name: str, save, words: str) -> None:
    save(tmp_path / name)
    with pytest.raises(InputError, match=words) as caught:
        read_depth_map(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def claim(shape: str, dtype: str = "<f4") -> bytes:
    """An array file whose header claims a shape, with 3,200 bytes behind it."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(3200)


@pytest.mark.parametrize(
    "content",
    [
        claim("(100000, 100000)"),
        claim("(99999999999999999999,)"),
        claim("(-1, 5)"),
        claim("(" * 200 + ")" * 200),
        claim("(2,)", "|O"),
        claim("(2,)", "|V99999999999999"),
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"\x93NUMPY",
    ],
)
def test_headers_that_claim_too_much(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npy cannot be read"):
        read_npy(path)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("depth.npy", content)
    for read in (lambda path: read_npz(path, ()), read_depth_map):
        with pytest.raises(InputError, match=r"a\.npz cannot be read"):
            read(tmp_path / "a.npz")


def test_packed_arrays_are_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("leadline.io.boundary._FREE_BYTES", 1_000_000)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, depth=np.zeros((1000, 1000), np.float32))
    with pytest.raises(InputError, match=r"4 MB of arrays in a file of \d+ kB.*zip -0"):
        read_npz(path, ())
    with pytest.raises(InputError, match="4 MB of arrays"):
        read_depth_map(path)
    assert read_depth_map(path, max_megapixels=1).shape == (1000, 1000)
    write_npz(path, {"a": METRES})
    with pytest.raises(InputError, match="at most 0 MB"):
        read_npz(path, (), max_bytes=100)
    assert read_npz(path, ("a",), max_bytes=10_000)["a"].shape == METRES.shape


def test_other_members_of_an_archive_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("values", b"text")
    with pytest.raises(InputError, match="'values', which is no array"):
        read_npz(tmp_path / "a.npz", ())


MAP = np.linspace(1, 5, 2000).reshape(40, 50).astype(np.float32)


def with_holes(code: float, values: np.ndarray = MAP) -> np.ndarray:
    changed = values.copy()
    changed[:4] = code  # a tenth
    return changed


MILLIMETRES = (MAP * 1000).astype(np.uint16)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (with_holes(65535, MILLIMETRES), 65535),
        (with_holes(0, MILLIMETRES), 0),
        (with_holes(255, (MAP * 40).astype(np.uint8)), 255),
        (with_holes(0), 0),
        (with_holes(-1), -1),
        (with_holes(-999), -999),
        (with_holes(math.inf), math.inf),
        (with_holes(-math.inf), -math.inf),
        (with_holes(math.nan), math.nan),
        (with_holes(1000), 1000),
        (with_holes(10_000, MILLIMETRES), 10_000),
    ],
)
def test_holes_are_noticed(values: np.ndarray, code: float) -> None:
    (hole,) = find_holes(values)
    assert hole.code == code or (math.isnan(hole.code) and math.isnan(code))
    assert hole.share == pytest.approx(0.1)
    assert hole.why
    mask = hole_mask(values, [hole.code])
    assert mask[:4].all()
    assert not mask[4:].any()


def test_maps_without_holes_raise_no_question() -> None:
    for values in (MAP, MILLIMETRES, np.full((4, 4), 7.0), -MAP):
        assert find_holes(values) == ()
    near = MAP.copy()
    near[0] = MAP.max()  # a fiftieth: less than a far plane
    assert find_holes(near) == ()


def test_several_holes_come_by_their_share() -> None:
    values = with_holes(math.nan)
    values[4, :10] = -1
    values[5, :5] = 0
    assert [hole.code for hole in find_holes(values)][1:] == [-1, 0]
    assert hole_mask(values, [math.nan, -1]).sum() == 210
    assert [hole.why for hole in find_holes(np.full((2, 2), np.nan))] == ["not a number"]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    for name, (save, _) in FILES.items():
        save(folder / name)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_maps_raise_our_errors_only(tmp_path_factory, seeds, data) -> None:
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content) - 1, 200)))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(content)
    for read in (read_depth_map, read_pfm, read_npy, lambda path: read_npz(path, ())):
        try:
            read(path)
        except LeadlineError as error:
            assert "\n" not in str(error)  # noqa: PT017
