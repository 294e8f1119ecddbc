"""Whatever gives frames, opened by its name; see :mod:`leadline.io.frame_source`."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.errors import InputError
from leadline.io.film_names import is_video
from leadline.io.film_reader import CameraSource, FilmSource
from leadline.io.frame_source import PictureSource, RawSource, Source, VirtualCamera
from leadline.io.images import list_images

if TYPE_CHECKING:
    import os

ADDRESS = re.compile(r"(rtsp|rtsps|rtmp|http|https|udp|tcp|srt)://", re.IGNORECASE)


def open_source(
    given: str | os.PathLike[str],
    *,
    rate: Fraction | None = None,
    raw_size: tuple[int, int] | None = None,
    allow_network: bool = False,
    max_megapixels: float | None = None,
) -> Source:
    """Open whatever gives frames.

    Args:
        given: a film, a folder or pattern of pictures, ``cam:0``, ``cam:virtual`` (or
            ``cam:virtual:90``, which ends after 90 frames), ``-`` for raw frames on standard
            input, or the address of a stream.
        rate: frames per second of pictures and raw frames.
        raw_size: (height, width) of raw frames.
        allow_network: whether addresses may be opened.
        max_megapixels: of a frame; see :func:`leadline.io.read_image`.

    Raises:
        InputError: nothing there that gives frames; one line says why.
        MissingDependencyError: a film or camera, and PyAV is not installed.
    """
    text = str(given)
    if text == "-":
        if raw_size is None:
            raise InputError(
                "- takes raw frames from a pipe, whose size nothing says; give --raw "
                "WIDTHxHEIGHT, as in: ffmpeg -i IN -f rawvideo -pix_fmt rgb24 - | leadline video - "
                "--raw 1280x720 --out OUT"
            )
        return RawSource(sys.stdin.buffer, raw_size, rate)
    if text.startswith("cam:virtual"):
        words = text.split(":")[2:]
        return VirtualCamera(count=int(words[0]) if words and words[0].isdigit() else None)
    if text.startswith("cam:"):
        return CameraSource(text.removeprefix("cam:"))
    path = Path(text)
    if ADDRESS.match(text) and not path.exists():
        if not allow_network:
            raise InputError(
                f"{text} is an address, and nothing is fetched unasked; give --allow-network, or "
                "download the film."
            )
        return FilmSource(text, live=True)
    if is_video(path):
        return FilmSource(path, max_megapixels=max_megapixels)
    pictures = list_images(path)
    if len(pictures) == 1 and pictures[0] == path and path.is_file():
        return _open_by_content(path, rate, max_megapixels)
    return PictureSource(pictures, rate=rate, name=_name_of(path))


def _open_by_content(path: Path, rate: Fraction | None, max_megapixels: float | None) -> Source:
    """A file whose suffix is no film's: a picture, or else a film after all."""
    try:
        return PictureSource([path], rate=rate, name=path.stem)
    except InputError as error:
        try:
            return FilmSource(path, max_megapixels=max_megapixels)
        except InputError:
            raise error from None


def _name_of(path: Path) -> str:
    """A stem for what a folder or pattern becomes."""
    stem = path.name if path.is_dir() else path.parent.name
    return re.sub(r"[^\w.-]+", "_", stem).strip("_.") or "frames"
