"""One loop over frames, wherever they come from.

```python
with open_source("walk.mp4") as source:
    for frame in source.frames():
        frame.image, frame.time, frame.number
```

A film, a folder or pattern of pictures, a camera (``cam:0``), raw frames from a pipe (``-``), a
network stream, and a made-up camera for tests (``cam:virtual``) all give the same: upright RGB
pictures of one size with the time of each in seconds, exact where the source is.
"""

from __future__ import annotations

import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from leadline.errors import InputError
from leadline.image import Image
from leadline.io.film_names import is_video
from leadline.io.images import list_images, read_image

if TYPE_CHECKING:
    import os
    from types import TracebackType

USUAL_RATE = Fraction(25)
"""Frames per second of sources that say none."""

ADDRESS = re.compile(r"(rtsp|rtsps|rtmp|http|https|udp|tcp|srt)://", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ColorTags:
    """What a film says of its colours, in the numbers of ITU-T H.273; 2 is `not said`."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is PQ or HLG."""
        return self.transfer in (16, 18)


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """What is known of a source before its first frame.

    Attributes:
        name: stem for the names of frames and results.
        size: (height, width) of the upright frames.
        rate: frames per second; of variable rates, the mean.
        time_base: seconds that times are whole multiples of.
        begin: time of the first frame in seconds.
        count: frames; None where only the end will say.
        turns: quarter turns, counter-clockwise, from the stored frames to upright ones.
        tags: colours of the stored frames.
        film: the file that has the sound; None: there is none.
        live: frames are lost when nobody takes them, and come once.
    """

    name: str
    size: tuple[int, int]
    rate: Fraction = USUAL_RATE
    time_base: Fraction = Fraction(1, 90_000)
    begin: Fraction = Fraction(0)
    count: int | None = None
    turns: int = 0
    tags: ColorTags = field(default_factory=ColorTags)
    film: Path | None = None
    live: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceFrame:
    """One frame: its picture, its time in seconds, and its number from where the selection starts.

    The number counts the frames that ``every`` and ``fps`` leave out, too; ``undecodable`` is how
    many frames up to here nothing could read.
    """

    image: Image
    time: Fraction
    number: int
    undecodable: int = 0


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which frames of a source to take.

    Attributes:
        start: seconds from the first frame.
        end: likewise; frames from there on are left out. None: to the end.
        every: each so-manieth frame of these.
        fps: at most so many a second, in place of ``every``.

    Raises:
        InputError: numbers that take nothing.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    every: int = 1
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"every={self.every}: 1 (all frames) or more is needed.")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise InputError(
                f"start {float(self.start):g} s and end {self.end and float(self.end)} s: a start "
                "of 0 or more, and a later end, are needed."
            )
        if self.fps is not None and (self.fps <= 0 or self.every > 1):
            raise InputError(
                f"fps={float(self.fps):g} and every={self.every}: more than 0 frames per second "
                "are needed, and one of the two."
            )

    def rate_of(self, info: SourceInfo) -> Fraction:
        """Frames per second that it takes of a source."""
        rate = info.rate / self.every
        return rate if self.fps is None else min(rate, self.fps)

    def count_of(self, info: SourceInfo) -> int | None:
        """About how many frames it takes."""
        if info.count is None:
            return None
        end = info.count / info.rate if self.end is None else self.end
        seconds = min(Fraction(end), info.count / info.rate) - self.start
        return max(1, round(seconds * self.rate_of(info)))


EVERYTHING = Selection()


class Source(ABC):
    """Frames one after another; closed by ``with``.

    Attributes:
        info: see :class:`SourceInfo`.
        undecodable: frames so far that the source held and nothing could read.
    """

    info: SourceInfo
    undecodable: int = 0

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def read(self, since: Fraction) -> Iterator[tuple[Fraction, Image]]:
        """Times and pictures from the time ``since`` on; earlier ones may come too."""

    def close(self) -> None:
        """Give back what is open."""
        return

    def glance(self, selection: Selection, count: int) -> Iterator[Image]:
        """About ``count`` pictures spread over the selection, before :meth:`frames`.

        None of a source whose frames come once.
        """
        info = self.info
        if info.live or info.count is None:
            return
        begin, end = info.begin + selection.start, info.begin + info.count / info.rate
        if selection.end is not None:
            end = min(end, info.begin + selection.end)
        count = min(count, info.count)
        for place in range(count):
            picture = self._near(begin + (end - begin) * (2 * place + 1) / (2 * count))
            if picture is not None:
                yield picture

    def _near(self, moment: Fraction) -> Image | None:
        """A picture near a time."""
        return next((image for _, image in self.read(moment)), None)

    def frames(
        self,
        selection: Selection = EVERYTHING,
        *,
        after: tuple[int, Fraction] | None = None,
    ) -> Iterator[SourceFrame]:
        """The selected frames in the order of time.

        Args:
            selection: which.
            after: number and time of the last frame that an earlier loop took; goes on behind it.
        """
        begin = self.info.begin + selection.start
        end = None if selection.end is None else self.info.begin + selection.end
        number, since = (-1, begin) if after is None else after
        slot = -1 if after is None or not selection.fps else int((since - begin) * selection.fps)
        for moment, image in self.read(since):
            if moment < since or (after is not None and moment == since):
                continue
            if end is not None and moment >= end:
                return
            number += 1
            if selection.fps:
                before, slot = slot, max(slot, int((moment - begin) * selection.fps))
                wanted = slot > before
            else:
                wanted = number % selection.every == 0
            if wanted:
                name = f"{self.info.name}-{number:06d}"
                yield SourceFrame(
                    image=replace(image, name=name),
                    time=moment,
                    number=number,
                    undecodable=self.undecodable,
                )


class PictureSource(Source):
    """A folder, a pattern, or one picture after another.

    Args:
        paths: the pictures in the order of time; those that cannot be read are counted.
        rate: frames per second.
        name: stem for the results.
    """

    def __init__(self, paths: Sequence[Path], *, rate: Fraction | None, name: str) -> None:
        self._paths = list(paths)
        first = read_image(self._paths[0])
        rate = rate or USUAL_RATE
        self.info = SourceInfo(
            name=name,
            size=first.size,
            rate=rate,
            time_base=1 / rate,
            count=len(self._paths),
        )

    def read(self, since: Fraction) -> Iterator[tuple[Fraction, Image]]:
        """See :class:`Source`."""
        first = max(0, int(since * self.info.rate))
        for place in range(first, len(self._paths)):
            try:
                image = read_image(self._paths[place])
            except InputError:
                self.undecodable += 1
                continue
            _check_size(image, self.info, self._paths[place])
            yield place / self.info.rate, image


class RawSource(Source):
    """Raw RGB frames, 8 bits each, from a pipe: what ``ffmpeg -f rawvideo -pix_fmt rgb24`` gives.

    Args:
        stream: of bytes.
        size: (height, width).
        rate: frames per second.
    """

    def __init__(self, stream: BinaryIO, size: tuple[int, int], rate: Fraction | None) -> None:
        self._stream = stream
        rate = rate or USUAL_RATE
        self.info = SourceInfo(name="pipe", size=size, rate=rate, time_base=1 / rate)

    def read(self, since: Fraction) -> Iterator[tuple[Fraction, Image]]:
        """See :class:`Source`; a piece of a frame at the end is counted as undecodable."""
        height, width = self.info.size
        place = 0
        while data := self._stream.read(height * width * 3):
            if len(data) < height * width * 3:
                self.undecodable += 1
                return
            pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            yield place / self.info.rate, Image(pixels=pixels)
            place += 1


class VirtualCamera(Source):
    """A camera that is none: a bright bar that moves over a ramp, in real time.

    Args:
        size: (height, width).
        rate: frames per second.
        count: frames until it is switched off.
    """

    def __init__(
        self,
        size: tuple[int, int] = (120, 160),
        rate: Fraction = Fraction(30),
        count: int | None = None,
    ) -> None:
        self.info = SourceInfo(
            name="virtual", size=size, rate=rate, time_base=1 / rate, count=count, live=True
        )

    def read(self, since: Fraction) -> Iterator[tuple[Fraction, Image]]:
        """See :class:`Source`; frames come when they are due."""
        height, width = self.info.size
        ramp = np.broadcast_to(np.linspace(40, 200, width)[None], self.info.size)
        begin, place = time.monotonic(), 0
        while self.info.count is None or place < self.info.count:
            due = begin + float(place / self.info.rate)
            time.sleep(max(0.0, due - time.monotonic()))
            grey = ramp.astype(np.uint8)
            left = place * 3 % width
            grey[height // 4 : height // 2, left : left + width // 8] = 255
            yield place / self.info.rate, Image(pixels=np.repeat(grey[..., None], 3, axis=2))
            place += 1


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
    from leadline.io.film_reader import CameraSource, FilmSource

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
    from leadline.io.film_reader import FilmSource

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


def _check_size(image: Image, info: SourceInfo, path: Path) -> None:
    if image.size != info.size:
        raise InputError(
            f"{path} has {image.size[1]}x{image.size[0]} pixels and the first picture "
            f"{info.size[1]}x{info.size[0]}; frames of one size are needed. Resize them, or give "
            "them to `leadline predict`."
        )
