"""Pictures in: whatever a user hands over becomes an upright RGB Image with its camera.

What is done to unusual pictures:

- EXIF orientation is applied; EXIF focal length becomes the camera.
- Transparency (RGBA, LA, palettes) is laid over white.
- 16-bit grey is scaled by its full range (65535 becomes 255); grey is repeated into RGB.
- CMYK, LAB, YCbCr and others are converted to RGB; colour profiles are not applied.
- Of an animation or a multi-page file the first picture is read.
"""

from __future__ import annotations

import glob
import io
import os
import re
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import ExifTags, UnidentifiedImageError
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.image import Image
from leadline.io.exif import exif_camera, orientation
from leadline.io.video import is_video

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    ImageSource = str | os.PathLike[str] | bytes | BinaryIO | PilImage.Image | np.ndarray | Image

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".ppm", ".pgm", ".pnm", ".avif", ".heic", ".heif", ".jp2", ".tga"),
)
"""Suffixes (lower case) of the files that :func:`list_images` takes from folders."""

_TRANSPOSE = {
    2: PilImage.Transpose.FLIP_LEFT_RIGHT,
    3: PilImage.Transpose.ROTATE_180,
    4: PilImage.Transpose.FLIP_TOP_BOTTOM,
    5: PilImage.Transpose.TRANSPOSE,
    6: PilImage.Transpose.ROTATE_270,
    7: PilImage.Transpose.TRANSVERSE,
    8: PilImage.Transpose.ROTATE_90,
}
_FILM = rb"(?s)....ftyp(iso|mp4|M4V|avc|dash|qt|3gp)|\x1a\x45\xdf\xa3|RIFF....AVI "
"""How MP4 and MOV, Matroska and WebM, and AVI begin."""

_QUIET = threading.Lock()
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, RuntimeError),
    *(ArithmeticError, struct.error, zlib.error),
)
"""What Pillow's decoders raise on damaged files."""


def read_image(source: ImageSource) -> Image:
    """Read a picture from anything that holds one.

    Args:
        source: a path, the file's bytes, a binary file object, a PIL image, an array, or an Image
            (returned as it is). Arrays are (h, w, 3) RGB, (h, w) or (h, w, 1) grey, or (h, w, 4)
            RGBA; uint8, uint16 (scaled by 65535) or bool.

    Raises:
        InputError: one line that names the file and says what is wrong with it.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, np.ndarray):
        return Image(pixels=_array_pixels(source))
    if isinstance(source, PilImage.Image):
        return _from_pil(source, getattr(source, "filename", "") or "PIL image")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_file(io.BytesIO(source), f"{len(source)} bytes")
    if isinstance(source, str) and re.match(r"\w{2,}://", source):
        raise InputError(f"{source} is an address; download the picture and give the file.")
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source))
    if not callable(getattr(source, "read", None)):
        raise InputError(
            f"picture of type {type(source).__name__}: a path, bytes, a binary file, a PIL image, "
            "an (h, w, 3) uint8 array or a leadline.Image is needed."
        )
    name = getattr(source, "name", "")
    file = source if source.seekable() else io.BytesIO(source.read())
    return _from_file(file, name if isinstance(name, str) and name else "file object")


def list_images(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, recursive: bool = False
) -> list[Path]:
    """Expand files, folders and glob patterns to picture files, each once.

    Files keep the order given; what a folder or pattern gives is in natural order (2 before 10).
    What does not exist, or holds no pictures, is kept, so that reading it later fails with a
    message while the rest of the batch goes on. Hidden files in folders are left out.

    Args:
        inputs: one or several paths or patterns (``*``, ``?``, ``[...]``, ``**``).
        recursive: go into the folders' folders.
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    found: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry)
        if path.is_dir():
            files = _pictures_in(path, recursive) or [path]
        elif path.exists() or not glob.has_magic(str(path)):
            files = [path]
        else:
            matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207
            files = sorted((m for m in matches if _is_picture(m)), key=natural_key) or [path]
        found.update(dict.fromkeys(files))
    return list(found)


def natural_key(path: str | os.PathLike[str]) -> tuple[object, ...]:
    """Sort key with numbers in numeric order: frame2 before frame10."""
    parts = re.split(r"(\d+)", os.fspath(path))
    keys = tuple((int(p), "") if p.isdigit() else (-1, p.casefold()) for p in parts)
    return keys, os.fspath(path)


def _pictures_in(folder: Path, recursive: bool) -> list[Path]:
    walk = folder.rglob("*") if recursive else folder.iterdir()
    inside = (p for p in walk if not any(s.startswith(".") for s in p.relative_to(folder).parts))
    return sorted((p for p in inside if _is_picture(p)), key=natural_key)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _from_path(path: Path) -> Image:
    try:
        with path.open("rb") as file:
            return _from_file(file, str(path))
    except IsADirectoryError:
        raise InputError(
            f"{path} is a folder without pictures in it; give pictures, or search its folders too "
            "with --recursive."
        ) from None
    except FileNotFoundError:
        hint = " (the pattern matches nothing)" if glob.has_magic(str(path)) else ""
        raise InputError(f"{path}: no such file{hint}; check the path.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be opened: {why}. A readable file is needed.") from error


def _from_file(file: BinaryIO, name: str) -> Image:
    try:
        with _quiet():
            picture = PilImage.open(file)
    except PilImage.DecompressionBombError as error:
        raise InputError(
            f"{name}: {_bomb_text(error)}, too many to decode safely. Make the picture smaller "
            "first, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
        ) from error
    except UnidentifiedImageError:
        raise InputError(f"{name} {_why_unknown(file, name)}") from None
    except _DAMAGE as error:
        raise InputError(_damaged(name, error)) from error
    with picture:
        return _from_pil(picture, name)


def _from_pil(picture: PilImage.Image, name: str) -> Image:
    try:
        with _quiet():
            exif = picture.getexif()
            exif.get_ifd(ExifTags.IFD.Exif)
        code = orientation(exif)
        pixels = _rgb_pixels(picture, name)
        if code in _TRANSPOSE:
            pixels = np.array(PilImage.fromarray(pixels).transpose(_TRANSPOSE[code]))
        camera = exif_camera(exif, pixels.shape[1], pixels.shape[0])
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(_damaged(name, error)) from error
    return Image(pixels=pixels, camera=camera, name=name)


@contextmanager
def _quiet() -> Generator[None]:
    """Keep Pillow from warning of pictures that are large but not an attack, and of bad EXIF.

    Python's warning filters belong to the whole process, so threads take turns.
    """
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _rgb_pixels(picture: PilImage.Image, name: str) -> np.ndarray:
    """(h, w, 3) uint8 of the first frame, any mode."""
    if getattr(picture, "n_frames", 1) > 1:
        picture.seek(0)
    mode = picture.mode
    if mode.startswith("I"):
        return _grey_to_rgb(_sixteen_to_eight(np.asarray(picture), name))
    if mode == "F":
        return _grey_to_rgb(_float_to_eight(np.asarray(picture), name))
    if "A" in mode or "a" in mode or "transparency" in picture.info:
        return _over_white(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _array_pixels(array: np.ndarray) -> np.ndarray:
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
    elif kind == np.uint16:
        array = _sixteen_to_eight(array, "image array")
    elif kind != np.uint8:
        raise InputError(
            f"image array of type {kind}: uint8, uint16 or bool is needed; convert floats in "
            "[0, 1] with (x * 255).round().astype('uint8')."
        )
    if channels == 4:
        return _over_white(array)
    if channels == 1:
        return _grey_to_rgb(array.reshape(shape[:2]))
    return array


def _sixteen_to_eight(values: np.ndarray, name: str) -> np.ndarray:
    values = values.astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InputError(
            f"{name} holds integers from {values.min()} to {values.max()}; 0..255 or 0..65535 is "
            "needed. Scale the picture and save it as 8-bit."
        )
    return ((values + 128) // 257).astype(np.uint8)


def _float_to_eight(values: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise InputError(
            f"{name} holds floating-point values outside 0..1; scale the picture and save it as "
            "8-bit."
        )
    return (values * 255).round().astype(np.uint8)


def _grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.uint32)
    mixed = rgba[..., :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _bomb_text(error: Exception) -> str:
    pixels = re.search(r"\((\d+) pixels\)", str(error))
    return f"{int(pixels[1]) / 1e6:.0f} million pixels" if pixels else "far more pixels than usual"


def _why_unknown(file: BinaryIO, name: str) -> str:
    file.seek(0)
    start = file.read(16)
    if not start:
        return "is empty (0 bytes); a picture is needed."
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return (
            "is a HEIC picture, which this Pillow cannot read; convert it to JPEG, or install "
            "pillow-heif and call pillow_heif.register_heif_opener()."
        )
    if is_video(name) or re.match(_FILM, start):
        return (
            "is a film, and pictures are needed: take its frames out (ffmpeg -i FILM "
            "frames/%06d.png) and give their folder. `leadline triangulate` takes a film itself; "
            "in Python, leadline.io.read_video gives its frames."
        )
    return (
        "is not a picture that can be read; JPEG, PNG, WebP, TIFF, BMP, GIF, PNM and AVIF are. "
        "If it should be one, the file is damaged."
    )


def _damaged(name: str, error: Exception) -> str:
    reason = str(error).rstrip(".") or type(error).__name__
    return f"{name} is damaged or cut short ({reason}); a complete picture is needed."
