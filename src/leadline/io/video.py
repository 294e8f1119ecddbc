"""Films in: frames one after another, upright, by PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadline.io.film_reader import FilmSource
from leadline.io.frame_source import Selection

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from leadline.image import Image


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
    selection = Selection(every=every)
    with FilmSource(path, max_megapixels=max_megapixels) as source:
        yield from (frame.image for frame in source.frames(selection))
