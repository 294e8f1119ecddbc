"""Films in: frames one after another, upright, by PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError, MissingDependencyError
from leadline.image import Image
from leadline.io.boundary import check_pixels, open_file, reading, reason_of, size_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".mts", ".m2ts"),
)
"""Suffixes (lower case) of files that are taken for films."""

_NEEDED = "give a complete file, or convert it first: ffmpeg -i FILE film.mp4"


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a film."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def read_video(
    path: str | os.PathLike[str], *, every: int = 1, max_megapixels: float | None = None
) -> Iterator[Image]:
    """Frames of a film, named ``STEM-000012`` by their number.

    A film that breaks off gives the frames before; one that gives none is an error.

    Args:
        path: the film.
        every: take each so-manieth frame.
        max_megapixels: of a frame; see :func:`leadline.io.read_image`.

    Raises:
        InputError: no such file, no film in it, or none of its frames can be decoded.
        MissingDependencyError: PyAV is not installed.
    """
    path = Path(path)
    if every < 1:
        raise InputError(f"every={every}: 1 (all frames) or more is needed.")
    with open_file(path, _NEEDED) as file:  # PyAV would wait for a pipe
        stored = size_of(file)
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("av", "reading films", "video") from error
    count = 0
    with reading(str(path), _NEEDED):
        try:
            with av.open(str(path), metadata_errors="replace") as container:
                if not container.streams.video:
                    raise InputError(
                        f"{path} holds no pictures that can be decoded (sound alone, or cut "
                        "short?); a complete film is needed."
                    )
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                size = (stream.height or 0, stream.width or 0)
                check_pixels(size, str(path), stored=stored, max_megapixels=max_megapixels)
                for number, frame in enumerate(container.decode(stream)):
                    if number % every:
                        continue
                    yield Image(pixels=_upright(frame), name=f"{path.stem}-{number:06d}")
                    count += 1
        except (av.error.FFmpegError, UnicodeError) as error:
            if count == 0:
                raise InputError(
                    f"{path} cannot be decoded as a film ({reason_of(error)}); {_NEEDED}"
                ) from error
    if count == 0:
        raise InputError(f"{path} holds no frames; a complete film is needed.")


def _upright(frame: Any) -> np.ndarray:
    """RGB pixels, turned as the film's display matrix says."""
    pixels = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # counter-clockwise, as in rot90
    return np.ascontiguousarray(np.rot90(pixels, turns))
