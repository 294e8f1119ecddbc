"""Decode a picture file: upright RGB pixels, its EXIF camera, and notes on what was left out.

Pillow is given an explicit list of formats, none of which starts another program, and pixels are
taken over in bands, so that a picture takes about seven bytes per pixel at most in most formats.
"""

from __future__ import annotations

import importlib
import re
import threading
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import ExifTags, UnidentifiedImageError
from PIL import Image as PilImage
from PIL.TiffImagePlugin import TiffImageFile

from leadline.errors import InputError, MissingDependencyError, TooLargeError
from leadline.image import Image
from leadline.io.boundary import check_pixels, reading, size_of, too_many_pixels
from leadline.io.exif import exif_camera, orientation, turn_back
from leadline.io.film_names import is_video
from leadline.io.tiff import doubt_of_pillow, is_tiff, read_tiff, refuse_raw
from leadline.io.tone import to_eight_bits

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from leadline.io.tiff import TiffPicture
    from leadline.io.tone import Tone

FORMATS = (
    *("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "AVIF", "JPEG2000"),
    *("TGA", "QOI"),
)
"""Pillow's names of the formats that are read; HEIF joins them when pillow-heif is installed."""

NEEDED = "a complete picture is needed: it is damaged, cut short or of another kind."

_FILM = rb"(?s)....ftyp(iso|mp4|M4V|avc|dash|qt|3gp)|\x1a\x45\xdf\xa3|RIFF....AVI "
"""How MP4 and MOV, Matroska and WebM, and AVI begin."""
_HEIC = rb"(?s)....ftyp(hei[csmx]|hev[cmsx]|mif1|msf1)"
_BAND_PIXELS = 1 << 20
_QUIET = threading.Lock()


def decode_file(
    file: BinaryIO, name: str, *, tone: Tone, max_megapixels: float | None = None
) -> Image:
    """Decode the first picture of an open file.

    Raises:
        InputError, MissingDependencyError: as :func:`open_trusted`, or damaged.
    """
    picture = open_trusted(file, name, max_megapixels=max_megapixels)
    if isinstance(picture, str):
        tiff = read_tiff(file, name, why=picture, max_megapixels=max_megapixels)
        return _of_tiff(tiff, name, tone)
    with picture:
        return decode_opened(picture, name, tone=tone)


def open_trusted(
    file: BinaryIO, name: str, *, max_megapixels: float | None = None
) -> PilImage.Image | str:
    """Open a picture with Pillow where its reading is right, else say why tifffile has to.

    Raises:
        InputError: no picture of a format that is read, too large, or a camera raw file.
        MissingDependencyError: a HEIC picture without pillow-heif.
    """
    with reading(name, NEEDED):
        start = file.read(16)
        file.seek(0)
        refuse_raw(start, name)
        try:
            picture = _open(file, name, max_megapixels)
        except UnidentifiedImageError:
            if is_tiff(start):
                return "a kind of TIFF that Pillow does not know"
            raise InputError(f"{name} {_why_unknown(file, name)}") from None
        if not isinstance(picture, TiffImageFile):
            return picture
        refuse_raw(start, name, picture.tag_v2)
        return doubt_of_pillow(picture.tag_v2) or picture


def decode_opened(picture: PilImage.Image, name: str, *, tone: Tone) -> Image:
    """Decode the first frame of a PIL picture.

    Raises:
        InputError: damaged, or values of a range that ``tone`` cannot use.
    """
    with reading(name, NEEDED):
        with _quiet():
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                picture.seek(0)
            picture.getexif().get_ifd(ExifTags.IFD.Exif)
        picture.load()  # Pillow turns TIFFs here, and takes their orientation out of the EXIF
        exif = picture.getexif()
        code = orientation(exif)
        if picture.mode.startswith("I") or picture.mode == "F":
            pixels, notes = _turned_tone(np.asarray(picture), code, tone, name)
        else:
            pixels = _rgb_pixels(picture, code)
            pixels, notes = to_eight_bits(pixels, tone, name)
        camera = exif_camera(exif, pixels.shape[1], pixels.shape[0])
        return Image(pixels=pixels, camera=camera, name=name, notes=(*_frames(frames), *notes))


def over_white(rgba: np.ndarray) -> np.ndarray:
    """(h, w, 4) uint8 laid over white, (h, w, 3) uint8."""
    out = np.empty((*rgba.shape[:2], 3), np.uint8)
    for rows in _bands(*rgba.shape[:2]):
        alpha = rgba[rows, :, 3:].astype(np.uint16)
        mixed = rgba[rows, :, :3] * alpha + 255 * (255 - alpha)  # at most 65025
        out[rows] = (mixed + 127) // 255
    return out


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    """(h, w) repeated to (h, w, 3)."""
    return np.repeat(grey[:, :, None], 3, axis=2)


def _of_tiff(tiff: TiffPicture, name: str, tone: Tone) -> Image:
    values = tiff.values
    if values.ndim not in (2, 3) or values.shape[2:] not in ((), (1,), (3,)):
        raise InputError(
            f"{name} holds an array of shape {values.shape}; grey or RGB is needed, without alpha "
            "and other channels. Save it as 8-bit."
        )
    if tiff.zero_is_white:
        values = np.iinfo(values.dtype).max - values
    pixels, notes = _turned_tone(values, 1, tone, name)
    return Image(pixels=pixels, name=name, notes=(*_frames(tiff.frames), *notes))


def _turned_tone(
    values: np.ndarray, code: int, tone: Tone, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Upright (h, w, 3) uint8 of grey or RGB values of any type, and notes."""
    eight, notes = to_eight_bits(values, tone, name)
    pixels = _upright_canvas(eight.shape[0], eight.shape[1], code)
    turn_back(pixels, code)[...] = eight if eight.ndim == 3 else eight[..., None]
    return pixels, notes


def _rgb_pixels(picture: PilImage.Image, code: int) -> np.ndarray:
    """Upright (h, w, 3) uint8 of a loaded 8-bit picture of any mode, over white, in bands."""
    clear = "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info
    pixels = _upright_canvas(picture.height, picture.width, code)
    stored = turn_back(pixels, code)
    for rows in _bands(picture.height, picture.width):
        band = picture.crop((0, rows.start, picture.width, rows.stop))
        if clear:
            stored[rows] = over_white(np.asarray(band.convert("RGBA")))
        else:
            stored[rows] = np.asarray(band.convert("RGB"))
    return pixels


def _upright_canvas(height: int, width: int, code: int) -> np.ndarray:
    turned = code in (5, 6, 7, 8)
    return np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)


def _bands(height: int, width: int) -> Iterator[slice]:
    rows = max(1, _BAND_PIXELS // width)
    for start in range(0, height, rows):
        yield slice(start, min(height, start + rows))


def _frames(count: int) -> tuple[str, ...]:
    return (f"picture 1 of {count} in the file was taken",) if count > 1 else ()


@contextmanager
def _quiet(*, unbounded: bool = False) -> Generator[None]:
    """Keep Pillow from warning of pictures that are large but not an attack, and of bad EXIF.

    Python's warning filters and Pillow's limit belong to the whole process, so threads take turns.
    """
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = PilImage.MAX_IMAGE_PIXELS
        if unbounded:
            PilImage.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            PilImage.MAX_IMAGE_PIXELS = limit


def _open(file: BinaryIO, name: str, max_megapixels: float | None) -> PilImage.Image:
    """Open a picture and check its size.

    Raises:
        UnidentifiedImageError: of no format that is read.
    """
    stored = size_of(file)
    try:
        with _quiet(unbounded=max_megapixels is not None):
            picture = PilImage.open(file, formats=_formats())
    except UnidentifiedImageError:
        picture = _open_heic(file, name)
    except PilImage.DecompressionBombError as error:
        most = 2 * (PilImage.MAX_IMAGE_PIXELS or 0)
        count = re.search(r"\((\d+) pixels\)", str(error))
        message = too_many_pixels(name, int(count[1]) if count else most, most, stored)
        raise TooLargeError(message) from error
    size = (picture.height, picture.width)
    check_pixels(size, name, stored=stored, max_megapixels=max_megapixels)
    return picture


@cache
def _formats() -> tuple[str, ...]:
    """Those of :data:`FORMATS` that this Pillow has."""
    PilImage.init()
    return tuple(name for name in FORMATS if name in PilImage.OPEN)


def _open_heic(file: BinaryIO, name: str) -> PilImage.Image:
    """Open what Pillow does not know: a HEIC picture, with pillow-heif.

    Raises:
        UnidentifiedImageError: it is none.
    """
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    if not re.match(_HEIC, start):
        raise UnidentifiedImageError(name)
    try:
        pillow_heif = importlib.import_module("pillow_heif")
    except ImportError as error:
        raise MissingDependencyError("pillow_heif", f"reading the HEIC {name}", "heic") from error
    pillow_heif.register_heif_opener()
    try:
        with _quiet():
            return PilImage.open(file, formats=("HEIF",))
    except UnidentifiedImageError:
        raise InputError(f"{name} is a damaged HEIC picture; {NEEDED}") from None


def _why_unknown(file: BinaryIO, name: str) -> str:
    file.seek(0)
    start = file.read(24)
    if not start:
        return "is empty (0 bytes); a picture is needed."
    if is_video(name) or re.match(_FILM, start):
        return (
            "is a film, and a picture is needed: `leadline video` makes a film of its depth, and "
            "in Python leadline.io.read_video gives its frames."
        )
    if start.startswith((b"\x89MCAP", b"SQLite format 3", b"#ROSBAG")):
        return "is a bag of ROS, and pictures are needed; `leadline rosbag` takes bags of ROS 2."
    if start.startswith((b"%!PS", b"%PDF")):
        return "is a PostScript or PDF document, and a picture is needed; save its page as PNG."
    return (
        "is not a picture that can be read; JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, AVIF, JPEG 2000, "
        "TGA, QOI and HEIC are. If it should be one, the file is damaged."
    )
