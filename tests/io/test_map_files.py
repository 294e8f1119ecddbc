"""PFM, 16-bit PNG, NPZ and PLY at the level of bytes; predictions use them in test_prediction."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.io import (
    CHUNK,
    encode_png,
    format_of,
    is_map,
    read_depth_png,
    read_npy,
    read_npz,
    read_pfm,
    read_png16,
    read_png16_record,
    write_npz,
    write_pfm,
    write_ply,
    write_png16,
)


@settings(max_examples=30, deadline=None)
@given(
    values=arrays(
        np.float32,
        st.sampled_from([(1, 1), (3, 4), (5, 2, 3)]),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_pfm_keeps_every_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("pfm") / "a.pfm"
    write_pfm(path, values)
    np.testing.assert_array_equal(read_pfm(path), values)


def test_pfm_is_written_bottom_up_in_little_endian(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.array([[1.0, 2.0], [3.0, 4.0]]))
    header, data = (tmp_path / "a.pfm").read_bytes()[:-16], (tmp_path / "a.pfm").read_bytes()[-16:]
    assert header == b"Pf\n2 2\n-1.0\n"
    assert np.frombuffer(data, "<f4").tolist() == [3, 4, 1, 2]


def test_pfm_of_the_other_byte_order(tmp_path):
    data = np.array([[3.0, 4.0], [1.0, 2.0]], ">f4").tobytes()
    (tmp_path / "a.pfm").write_bytes(b"Pf\n2 2\n1.0\n" + data)
    assert read_pfm(tmp_path / "a.pfm").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "content",
    [b"", b"Pf\n", b"Pf\n2 2\n-1.0\n123", b"P6\n2 2\n255\n", b"Pf\n0 2\n-1\n", b"Pf\nx y\n-1\n"],
)
def test_damaged_pfm(tmp_path, content):
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pfm"):
        read_pfm(tmp_path / "a.pfm")


def test_missing_files(tmp_path):
    for read in (
        read_pfm,
        read_png16,
        lambda p: read_depth_png(p, per_unit=256),
        lambda p: read_npz(p, ()),
    ):
        with pytest.raises(InputError, match=r"none\.\w"):
            read(tmp_path / "none.x")


def test_pfm_refuses_other_shapes(tmp_path):
    with pytest.raises(InputError, match="shape"):
        write_pfm(tmp_path / "a.pfm", np.zeros((2, 2, 2)))


def test_text_of_no_letters_is_refused(tmp_path):
    text = np.array("metric")
    codes = text.tobytes()
    array = tmp_path / "a.npy"
    np.save(array, text)
    array.write_bytes(array.read_bytes().replace(codes, codes[:4] + b"\xff" * 4 + codes[8:]))
    with pytest.raises(InputError, match="no letters"):
        read_npy(array)


def test_depth_png_of_data_sets(tmp_path):
    codes = np.array([[0, 256], [65535, 128]], np.uint16)
    PilImage.fromarray(codes).save(tmp_path / "a.png")
    depth = read_depth_png(tmp_path / "a.png", per_unit=256)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, codes / np.float32(256))


def test_depth_pgm_is_read_in_its_byte_order(tmp_path):
    codes = np.array([[1, 256, 4000]], np.uint16)
    (tmp_path / "a.pgm").write_bytes(b"P5\n3 1\n65535\n" + codes.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_depth_png(tmp_path / "a.pgm", per_unit=1), codes)


def test_colour_pictures_are_no_depth(tmp_path):
    PilImage.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="RGB"):
        read_depth_png(tmp_path / "a.png", per_unit=256)
    with pytest.raises(InputError, match="positive"):
        read_depth_png(tmp_path / "a.png", per_unit=0)


@pytest.mark.parametrize(
    "values", [np.full((2, 3), np.nan), np.full((2, 3), 7.5), np.zeros((1, 1))]
)
def test_png16_of_maps_without_a_range(tmp_path, values):
    write_png16(tmp_path / "a.png", values)
    back = read_png16(tmp_path / "a.png")
    np.testing.assert_array_equal(back.values, values)
    np.testing.assert_array_equal(back.valid, np.isfinite(values))


@pytest.mark.parametrize(
    "record", ["{", "[1]", "{}", '{"scale": [], "offset": 0}', "[" * 100_000, '{"scale": "x"}']
)
def test_png16_with_a_damaged_record(tmp_path, record):
    codes = PilImage.fromarray(np.zeros((2, 2), np.uint16))
    codes.save(tmp_path / "a.png")
    (tmp_path / "a.png.json").write_text(record)
    with pytest.raises(InputError, match="record"):
        read_png16(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(encode_png(np.asarray(codes), texts={CHUNK: record}))
    with pytest.raises(InputError, match="record"):
        read_png16(tmp_path / "b.png")


def test_a_png_of_others_has_no_record(tmp_path):
    PilImage.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="no record of Leadline's"):
        read_png16_record(tmp_path / "a.png")
    with pytest.raises(InputError, match="its scale is unknown"):
        read_png16(tmp_path / "a.png")
    (tmp_path / "a.png.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"a\.png\.json cannot be read"):
        read_png16(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert not is_map(tmp_path / "a.png")
    readers = (read_npy, read_pfm, read_png16, read_png16_record, lambda p: read_npz(p, ()))
    for read in readers:
        with pytest.raises(InputError, match="a pipe, and a file is needed"):
            read(tmp_path / "a.png")


def test_npz_holds_strings_without_pickles(tmp_path):
    write_npz(tmp_path / "a.npz", {"a": np.arange(3), "b": "é"})
    data = read_npz(tmp_path / "a.npz", ("a", "b"))
    assert str(data["b"]) == "é"
    with pytest.raises(InputError, match=r"\['c'\]"):
        read_npz(tmp_path / "a.npz", ("c",))


@pytest.mark.parametrize("cut", [10, 100, 200])
def test_npz_cut_short(tmp_path, cut):
    write_npz(tmp_path / "a.npz", {"a": np.arange(3)})
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:cut])
    with pytest.raises(InputError, match=r"a\.npz"):
        read_npz(tmp_path / "a.npz", ("a",))


@pytest.mark.parametrize(
    "header",
    [b"{'descr': (", b"{1: 2, 'a': 3}", b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"],
)
def test_npy_with_a_damaged_header(tmp_path, header):
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (tmp_path / "a.npy").write_bytes(start + header + bytes(64))
    with pytest.raises(InputError, match=r"a\.npy"):
        read_npy(tmp_path / "a.npy")


def test_ply(tmp_path):
    points = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    colors = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    write_ply(tmp_path / "a.ply", points, colors)
    header, data = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")
    assert b"element vertex 2\nproperty float x\n" in header
    assert b"property uchar blue\n" in header
    table = np.frombuffer(data, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    np.testing.assert_array_equal(table["xyz"], points)
    np.testing.assert_array_equal(table["rgb"], colors)
    write_ply(tmp_path / "b.ply", np.zeros((0, 3)))
    assert b"vertex 0" in (tmp_path / "b.ply").read_bytes()
    with pytest.raises(InputError):
        write_ply(tmp_path / "c.ply", points, colors[:1])
    with pytest.raises(InputError):
        write_ply(tmp_path / "c.ply", points.T)


def test_formats_by_name(tmp_path):
    expected = {"x.png": "color", "x.depth.png": "png16", "x.side.png": "side", "x.v2.PFM": "pfm"}
    expected |= {"x.color.png": "color", "x.png16.png": "png16"}
    for name, wanted in expected.items():
        assert format_of(tmp_path / name) == wanted
    for name in ("x", "x.jpg"):
        with pytest.raises(InputError, match="suffix"):
            format_of(tmp_path / name)
