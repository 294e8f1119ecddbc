from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import features

from leadline.errors import InputError, LeadlineError
from leadline.image import Image
from leadline.io import list_images, parse_list, read_image

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = np.linspace(0, 255, 240).round().astype(np.uint8).reshape(12, 20)


def saved(array: np.ndarray, path: Path, mode: str | None = None, **options) -> Path:
    picture = PilImage.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and that holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return saved(RGB, tmp_path / "rgb.png")


def test_every_source_gives_the_same_picture(png):
    with png.open("rb") as file, PilImage.open(png) as opened:
        sources = [png, str(png), png.read_bytes(), io.BytesIO(png.read_bytes()), file, opened, RGB]
        for source in sources:
            np.testing.assert_array_equal(read_image(source).pixels, RGB)
    image = Image(pixels=RGB)
    assert read_image(image) is image


def test_a_pipe_is_read_to_its_end(png):
    reading, writing = os.pipe()
    os.write(writing, png.read_bytes())
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        np.testing.assert_array_equal(read_image(pipe).pixels, RGB)


def test_addresses_are_not_fetched():
    for address in ("https://example.com/a.jpg", Path("https://example.com/a.jpg"), "s3://b/a.png"):
        with pytest.raises(InputError, match=r"address \(URL\).*download"):
            read_image(address)


def test_names(png):
    assert read_image(png).name == str(png)
    with png.open("rb") as file:
        assert read_image(file).name == str(png)
    with PilImage.open(png) as opened:
        assert read_image(opened).name == str(png)


@pytest.mark.parametrize(
    "suffix", ["jpg", "webp", "bmp", "tif", "gif", "ppm", "avif", "tga", "jp2", "qoi"]
)
def test_formats(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    smooth = np.repeat(np.linspace(0, 250, 64, dtype=np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    image = read_image(saved(smooth, tmp_path / f"a.{suffix}"))
    assert image.size == (64, 64)
    assert np.abs(image.pixels.astype(int) - smooth).mean() < 4


def test_sixteen_bit_grey_is_scaled_by_its_full_range(tmp_path):
    ramp = np.linspace(0, 65535, 240).round().astype(np.uint16).reshape(12, 20)
    image = read_image(saved(ramp, tmp_path / "a.png"))
    np.testing.assert_array_equal(image.pixels, np.repeat(GREY[..., None], 3, 2))
    np.testing.assert_array_equal(read_image(ramp).pixels, image.pixels)
    tif = read_image(saved(ramp, tmp_path / "a.tif"))
    np.testing.assert_array_equal(tif.pixels, image.pixels)


def test_grey_is_repeated(tmp_path):
    image = read_image(saved(GREY, tmp_path / "a.png"))
    np.testing.assert_array_equal(image.pixels, np.repeat(GREY[..., None], 3, 2))
    black_white = read_image(saved(GREY, tmp_path / "b.png", "1"))
    assert set(np.unique(black_white.pixels)) == {0, 255}


def test_palette(tmp_path):
    few = (RGB // 128) * 255
    image = read_image(saved(few, tmp_path / "a.png", "P"))
    assert np.abs(image.pixels.astype(int) - few).max() <= 1


def test_transparency_lies_over_white(tmp_path):
    rgba = np.dstack([RGB, np.zeros((12, 20), np.uint8)])
    rgba[:6, :, 3] = 255
    rgba[6, :, 3] = 128
    for image in (read_image(saved(rgba, tmp_path / "a.png")), read_image(rgba)):
        np.testing.assert_array_equal(image.pixels[:6], RGB[:6])
        assert (image.pixels[7:] == 255).all()
        half = (RGB[6].astype(float) * 128 + 255 * 127) / 255
        assert np.abs(image.pixels[6] - half).max() <= 0.5
    la = np.dstack([GREY, np.zeros((12, 20), np.uint8)])
    assert (read_image(saved(la, tmp_path / "la.png")).pixels == 255).all()


def test_palette_transparency_lies_over_white(tmp_path):
    picture = PilImage.fromarray((GREY > 100).astype(np.uint8)).convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "a.gif", transparency=0)
    pixels = read_image(tmp_path / "a.gif").pixels
    assert (pixels[GREY <= 100] == 255).all()
    assert (pixels[GREY > 100] == (40, 50, 60)).all()


def test_cmyk(tmp_path):
    cyan = np.zeros((8, 8, 3), np.uint8)
    cyan[..., 1:] = 255
    image = read_image(saved(cyan, tmp_path / "a.jpg", "CMYK", quality=95))
    assert image.pixels[..., 0].max() < 12
    assert image.pixels[..., 1:].min() > 243


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [PilImage.fromarray(np.full((8, 9, 3), v, np.uint8)) for v in (200, 90, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with PilImage.open(tmp_path / "a.gif") as opened:
        opened.seek(2)
        for source in (tmp_path / "a.gif", opened):
            assert np.abs(read_image(source).pixels.astype(int) - 200).max() <= 2


@pytest.mark.parametrize(("h", "w"), [(1, 1), (10, 20000), (20000, 10)])
def test_extreme_sizes(tmp_path, h, w):
    array = np.full((h, w, 3), 7, np.uint8)
    assert read_image(saved(array, tmp_path / "a.png")).size == (h, w)


def test_float_tiff(tmp_path):
    image = read_image(saved((GREY / 255).astype(np.float32), tmp_path / "a.tif"))
    np.testing.assert_array_equal(image.pixels[..., 0], GREY)
    wide = read_image(saved(GREY.astype(np.float32), tmp_path / "b.tif"))
    np.testing.assert_array_equal(wide.pixels[..., 0], GREY)
    with pytest.raises(InputError, match=r"c\.tif.*-5 to .*--tone percentile"):
        read_image(saved(GREY.astype(np.float32) - 5, tmp_path / "c.tif"))


def damaged_files() -> dict[str, bytes]:
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PilImage.fromarray(noise).save(buffer, "PNG")
    png = buffer.getvalue()
    buffer = io.BytesIO()
    PilImage.fromarray(noise).save(buffer, "JPEG")
    jpeg = buffer.getvalue()
    return {
        "empty.jpg": b"",
        "text.png": b"this is no picture",
        "cut.png": png[: len(png) // 2],
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "header.png": png[:20],
        "header.jpg": jpeg[:3],
        "nothing.png": png_of_size(4, 4),
        "zeros.jpg": bytes(1000),
        "photo.heic": b"\0\0\0\x18ftypheic" + bytes(50),
        "bomb.png": png_of_size(60000, 60000),
    }


@pytest.mark.parametrize("name", damaged_files())
def test_what_is_no_picture_gives_one_line_that_names_it(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(damaged_files()[name])
    with pytest.raises(LeadlineError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    with pytest.raises(LeadlineError):
        read_image(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("empty.jpg", "empty"),
        ("cut.jpg", "cut short"),
        ("bomb.png", "3600 million"),
        ("photo.heic", "HEIC"),
    ],
)
def test_messages_say_what_is_wrong(tmp_path, name, word):
    (tmp_path / name).write_bytes(damaged_files()[name])
    with pytest.raises(LeadlineError, match=word):
        read_image(tmp_path / name)


def test_a_large_picture_is_read_without_a_warning(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(PilImage, "MAX_IMAGE_PIXELS", 200)
    assert read_image(saved(RGB, tmp_path / "a.png")).size == (12, 20)
    assert not recwarn.list
    monkeypatch.setattr(PilImage, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="--max-megapixels"):
        read_image(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_megapixels=1).size == (12, 20)
    assert PilImage.MAX_IMAGE_PIXELS == 100


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="matches nothing"):
        read_image("none*.jpg")
    with pytest.raises(InputError, match="folder"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="null byte"):
        read_image("nul\0byte.jpg")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 12, 20), np.uint8),
        np.zeros((12, 20, 3), np.float32),
        np.zeros((12, 20, 2), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((12, 20), np.int64),
    ],
)
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(InputError):
        read_image(array)


def test_repairs_are_named():
    with pytest.raises(InputError, match="transpose"):
        read_image(np.zeros((3, 12, 20), np.uint8))
    with pytest.raises(InputError, match="255"):
        read_image(np.zeros((12, 20, 3)))
    with pytest.raises(InputError, match="list"):
        read_image([1, 2])  # ty: ignore[invalid-argument-type]


def test_grey_and_bool_arrays():
    for grey in (GREY, GREY[..., None]):
        np.testing.assert_array_equal(read_image(grey).pixels, np.repeat(GREY[..., None], 3, 2))
    assert set(np.unique(read_image(GREY > 9).pixels)) == {0, 255}


def marked(code: int) -> PilImage.Image:
    """A picture that is upright once the EXIF orientation ``code`` is applied."""
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:4, :8] = (250, 0, 0)
    undo = {
        2: PilImage.Transpose.FLIP_LEFT_RIGHT,
        3: PilImage.Transpose.ROTATE_180,
        4: PilImage.Transpose.FLIP_TOP_BOTTOM,
        5: PilImage.Transpose.TRANSPOSE,
        6: PilImage.Transpose.ROTATE_90,
        7: PilImage.Transpose.TRANSVERSE,
        8: PilImage.Transpose.ROTATE_270,
    }
    picture = PilImage.fromarray(upright)
    return picture.transpose(undo[code]) if code in undo else picture


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 7, 8, 99])
def test_exif_orientation_is_applied(tmp_path, code):
    exif = PilImage.Exif()
    exif[0x0112] = code
    marked(code).save(tmp_path / "a.png", exif=exif)
    pixels = read_image(tmp_path / "a.png").pixels
    assert pixels.shape == (8, 16, 3)
    assert (pixels[:4, :8, 0] == 250).all()
    assert pixels.sum() == 250 * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("img10.png", "img2.jpg", "IMG1.JPG", "notes.txt", ".hidden.png", "sub/img3.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_folders_in_natural_order(folder):
    assert names(list_images(folder)) == ["IMG1.JPG", "img2.jpg", "img10.png"]
    deep = list_images([folder], recursive=True)
    assert names(deep) == ["IMG1.JPG", "img2.jpg", "img10.png", "img3.png"]


def test_figures_that_are_no_numbers_are_sorted_too(tmp_path):
    for name in ("²1.png", "a²2.png"):
        (tmp_path / name).touch()
    assert names(list_images(tmp_path)) == ["a²2.png", "²1.png"]


def test_patterns(folder):
    assert names(list_images(str(folder / "img*"))) == ["img2.jpg", "img10.png"]
    assert names(list_images(str(folder / "**" / "*.png"))) == ["img10.png", "img3.png"]


def test_order_given_is_kept_and_nothing_comes_twice(folder):
    first, second = folder / "img10.png", folder / "img2.jpg"
    assert list_images([first, second, folder, first]) == [first, second, folder / "IMG1.JPG"]


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    for name in ("set/a/1.png", "set/a/deep/2.png", "else/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "else")
    (tmp_path / "set" / "a" / "deep" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "Aloop").symlink_to(tmp_path / "set" / "a")
    (tmp_path / "set" / "gone").symlink_to(tmp_path / "nothing")
    found = [tmp_path / "set" / name for name in ("a/1.png", "a/deep/2.png", "linked/3.png")]
    assert list_images(tmp_path / "set", recursive=True) == found
    by_pattern = list_images(str(tmp_path / "set" / "**" / "*.png"))
    assert by_pattern == found
    assert list_images(str(tmp_path / "s*" / "**" / "l*" / "**")) == found[2:]


def test_names_that_are_no_utf8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        saved(RGB, path)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    assert list_images(tmp_path) == [path]
    assert read_image(path).name == str(path)
    with pytest.raises(InputError, match="no such file"):
        read_image(path.with_suffix(".jpg"))


LISTS = {
    "plain": "a.png\nb ü.png\n".encode(),
    "without an end": "a.png\nb ü.png".encode(),
    "windows": "a.png\r\nb ü.png\r\n\r\n".encode(),
    "byte order mark": "a.png\nb ü.png\n".encode("utf-8-sig"),
    "powershell": "a.png\r\nb ü.png\r\n".encode("utf-16"),
    "big endian": b"\xfe\xff" + "a.png\nb ü.png\n".encode("utf-16-be"),
    "no mark": "a.png\r\nb ü.png\r\n".encode("utf-16-le"),
    "no mark, big endian": "a.png\nb ü.png\n".encode("utf-16-be"),
    "print0": "a.png\0b ü.png\0".encode(),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_every_encoding(name):
    assert parse_list(LISTS[name]) == ["a.png", "b ü.png"]


def test_lists_keep_names_that_are_no_utf8():
    (name,) = parse_list(b"caf\xe9.png\n")
    assert os.fsencode(name) == b"caf\xe9.png"
    assert parse_list(b"") == parse_list(b"\n \n") == []
    with pytest.raises(InputError, match="list of files"):
        parse_list(b"\xff\xfea")


def test_what_is_not_there_stays_in_the_list(folder):
    (folder / "empty").mkdir()
    wanted = [folder / "none.jpg", folder / "none*.jpg", folder / "empty", folder / "notes.txt"]
    assert list_images(wanted) == wanted


def test_a_name_with_brackets_is_a_file_first(tmp_path):
    path = tmp_path / "photo[1].png"
    path.touch()
    assert list_images(str(path)) == [path]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "avif"])
def test_damage_anywhere_gives_a_picture_or_one_error(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    content = saved(RGB, tmp_path / f"a.{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = np.frombuffer(content, np.uint8)[: rng.integers(1, 2 * len(content))].copy()
        at = rng.integers(0, len(damaged), rng.integers(1, 6))
        damaged[at] = rng.integers(0, 256, len(at))
        try:
            assert read_image(damaged.tobytes()).pixels.dtype == np.uint8
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("film.mp4", b"\0\0\0\x20ftypisom"),
        ("film", b"\0\0\0\x14ftypqt  "),
        ("film.bin", b"\x1a\x45\xdf\xa3"),
        ("film.jpg", b"RIFF\0\0\1\0AVI LIST"),
        ("cut.mkv", b"half a film"),
    ],
)
def test_a_film_is_called_a_film(name: str, start: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(start + bytes(100))
    with pytest.raises(InputError, match=rf"{name} is a film.*read_video") as told:
        read_image(tmp_path / name)
    assert "damaged" not in str(told.value)
