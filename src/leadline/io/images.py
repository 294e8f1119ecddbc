"""Pictures in: whatever a user hands over becomes an upright RGB Image with its camera.

What is done to unusual pictures:

- EXIF and TIFF orientation is applied; EXIF focal length becomes the camera.
- Transparency (RGBA, LA, palettes) is laid over white.
- Grey of 16 bits is scaled by its full range (65535 becomes 255), wider integers and floats by the
  range that they hold, or as ``tone`` says; grey is repeated into RGB.
- CMYK, LAB, YCbCr and others are converted to RGB; colour profiles are not applied.
- Of an animation or a multi-page file the first picture is read, and the Image's notes say so.
- Camera raw files, films, documents and addresses are refused, each with what to do.
"""

from __future__ import annotations

import glob
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.image import Image
from leadline.io.boundary import open_file, reading
from leadline.io.pictures import NEEDED, decode_file, decode_opened, grey_to_rgb, over_white
from leadline.io.tiff import RAW_SUFFIXES
from leadline.io.tone import Tone, check_tone, to_eight_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    ImageSource = str | os.PathLike[str] | bytes | BinaryIO | PilImage.Image | np.ndarray | Image

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".ppm", ".pgm", ".pnm", ".avif", ".heic", ".heif", ".jp2", ".tga", ".qoi"),
)
"""Suffixes (lower case) of the files that :func:`list_images` takes from folders."""

_ADDRESS = r"(\w{2,}://|(https?|ftp|s3|gs|file|data):)"


def read_image(
    source: ImageSource, *, tone: Tone = "linear", max_megapixels: float | None = None
) -> Image:
    """Read a picture from anything that holds one.

    Args:
        source: a path, the file's bytes, a binary file object, a PIL image, an array, or an Image
            (returned as it is). Arrays are (h, w, 3) RGB, (h, w) or (h, w, 1) grey, or (h, w, 4)
            RGBA; uint8, uint16 or bool.
        tone: how values become 8 bits: ``linear``, by the range of their type (16 bits) or the
            range they hold (32 bits), or ``percentile``, stretched from the 0.5th to the 99.5th.
        max_megapixels: pixels (in millions) up to which files are decoded; None: 178, and less
            where a file is small for what it claims to hold.

    Raises:
        InputError: one line that names the file and says what is wrong with it.
        MissingDependencyError: HEIC, or a TIFF that needs tifffile, without the package.
    """
    check_tone(tone)
    if isinstance(source, Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source, tone)
    if isinstance(source, PilImage.Image):
        name = getattr(source, "filename", "") or "PIL image"
        return decode_opened(source, name, tone=tone)
    if isinstance(source, (bytes, bytearray, memoryview)):
        name = f"{len(source)} bytes"
        return decode_file(io.BytesIO(source), name, tone=tone, max_megapixels=max_megapixels)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(source, tone, max_megapixels)
    if not callable(getattr(source, "read", None)):
        raise InputError(
            f"picture of type {type(source).__name__}: a path, bytes, a binary file, a PIL image, "
            "an (h, w, 3) uint8 array or a leadline.Image is needed."
        )
    named = getattr(source, "name", "")
    name = named if isinstance(named, str) and named else "file object"
    with reading(name, NEEDED):
        file = source if source.seekable() else io.BytesIO(source.read())
    return decode_file(file, name, tone=tone, max_megapixels=max_megapixels)


def list_images(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, recursive: bool = False
) -> list[Path]:
    """Expand files, folders and glob patterns to picture files, each once.

    Files keep the order given; what a folder or pattern gives is in natural order (2 before 10).
    What does not exist, or holds no pictures, is kept, so that reading it later fails with a
    message while the rest of the batch goes on. Hidden files in folders are left out; links to
    folders are followed, each folder once.

    Args:
        inputs: one or several paths or patterns (``*``, ``?``, ``[...]``, ``**``).
        recursive: go into the folders' folders.

    Raises:
        InputError: an address, of which nothing is fetched.
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    found: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry)
        _refuse_address(os.fspath(entry), path)
        if path.is_dir():
            files = _pictures_in(path, recursive) or [path]
        elif path.exists() or not glob.has_magic(str(path)):
            files = [path]
        else:
            found_here = filter(_is_picture, _matches(str(path)))
            files = sorted(set(found_here), key=natural_key) or [path]
        found.update(dict.fromkeys(files))
    return list(found)


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files with one of ``suffixes`` (lower case) in a folder and those below, in natural order.

    Hidden files are left out; links to folders are followed, each folder once.
    """
    entries = (entry for inner in _folders_below(folder, set()) for entry in inner.iterdir())
    shown = (entry for entry in entries if not entry.name.startswith("."))
    found = (entry for entry in shown if entry.suffix.lower() in suffixes and entry.is_file())
    return sorted(found, key=natural_key)


def natural_key(path: str | os.PathLike[str]) -> tuple[object, ...]:
    """Sort key with numbers in numeric order: frame2 before frame10."""
    parts = re.split(r"(\d+)", os.fspath(path))
    keys = tuple((int(p), "") if p.isdecimal() else (-1, p.casefold()) for p in parts)
    return keys, os.fspath(path)


def _pictures_in(folder: Path, recursive: bool) -> list[Path]:
    if recursive:
        return list_files(folder, IMAGE_SUFFIXES)
    shown = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(filter(_is_picture, shown), key=natural_key)


def _folders_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """A folder and those inside, linked ones too but hidden ones not; each once, so loops end."""
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir(), key=lambda entry: (entry.is_symlink(), entry))
    except OSError:
        return  # not to be read, or a link to nothing
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    yield folder
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith("."):
            yield from _folders_below(entry, seen)


def _matches(pattern: str) -> Iterator[Path]:
    """What a pattern names; ``**`` follows links, each folder once, where glob follows loops."""
    base, *rest = re.split(r"(?:^|/)\*\*(?:/|$)", pattern, maxsplit=1)
    if not rest:
        yield from map(Path, glob.glob(pattern))  # noqa: PTH207
        return
    start = "/" if pattern.startswith("/") and not base else base or "."
    for top in _matches(start) if glob.has_magic(start) else (Path(start),):
        for folder in _folders_below(top, set()):
            yield from _matches(f"{glob.escape(str(folder))}/{rest[0] or '*'}")


def _refuse_address(name: str, path: Path) -> None:
    """Raise InputError for an address; a file of such a name is one."""
    if re.match(_ADDRESS, name) and not path.exists():
        raise InputError(f"{name} is an address (URL), and nothing is fetched; download the file.")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _from_path(path: str | os.PathLike[str], tone: Tone, max_megapixels: float | None) -> Image:
    name = os.fspath(path)
    with reading(name, NEEDED):
        there = os.path.exists(name)  # noqa: PTH110 - a name with a NUL byte is an error here
    if not there:
        _refuse_address(name, Path(name))
    if not there and glob.has_magic(name):
        raise InputError(f"{name}: no such file (the pattern matches nothing); check the path.")
    if os.path.isdir(name):  # noqa: PTH112
        raise InputError(f"{name} is a folder without pictures in it{_advice(Path(name))}")
    with open_file(name, NEEDED) as file:
        return decode_file(file, name, tone=tone, max_megapixels=max_megapixels)


def _advice(folder: Path) -> str:
    """How to go on from a folder that holds no picture."""
    with reading(str(folder), NEEDED):
        suffixes = [path.suffix.lower() for path in folder.iterdir()]
    raw = sum(suffix in RAW_SUFFIXES for suffix in suffixes)
    if raw:
        return f", but {raw} camera raw files; develop them to JPEG, PNG or TIFF first."
    return "; give pictures, or search its folders too with --recursive."


def _from_array(array: np.ndarray, tone: Tone) -> Image:
    shape, kind = array.shape, array.dtype
    channels = shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        hint = ""
        if array.ndim == 3 and shape[0] in (1, 3, 4):
            hint = " It looks like (c, h, w): use array.transpose(1, 2, 0)."
        raise InputError(
            f"image array of shape {shape}: (h, w, 3) RGB, (h, w) grey or (h, w, 4) RGBA with at "
            f"least one pixel is needed.{hint}"
        )
    if kind == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif kind not in (np.uint8, np.uint16):
        raise InputError(
            f"image array of type {kind}: uint8, uint16 or bool is needed; convert floats in "
            "[0, 1] with (x * 255).round().astype('uint8')."
        )
    pixels, notes = to_eight_bits(array, tone, "image array")
    if channels == 4:
        pixels = over_white(pixels)
    elif channels == 1:
        pixels = grey_to_rgb(pixels.reshape(shape[:2]))
    return Image(pixels=pixels, notes=notes)
