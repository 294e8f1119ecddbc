"""Films and cameras in, by PyAV: upright frames with their exact times."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError, MissingDependencyError
from leadline.image import Image
from leadline.io.boundary import check_pixels, open_file, reading, reason_of, size_of
from leadline.io.frame_source import USUAL_RATE, ColorTags, Source, SourceInfo
from leadline.io.hdr import tone_map
from leadline.io.pictures import over_white

if TYPE_CHECKING:
    import os

_NEEDED = "give a complete file, or convert it first: ffmpeg -i FILE film.mp4"
_DEVICES = {
    "Linux": ("v4l2", "/dev/video{}"),
    "Darwin": ("avfoundation", "{}"),
    "Windows": ("dshow", "video={}"),
}
_WAIT_S = 10.0  # for a stream of the network


def import_av(feature: str = "reading films") -> Any:
    """The module ``av``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("av", feature, "video") from error
    return av


class FilmSource(Source):
    """A film file or a stream.

    Args:
        path: file or address.
        live: a stream, which comes once and in its own time.
        max_megapixels: of a frame; see :func:`leadline.io.read_image`.

    Raises:
        InputError: no such file, or nothing in it that can be decoded.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        live: bool = False,
        max_megapixels: float | None = None,
    ) -> None:
        self._name, self._live = str(path), live
        stored = 1 << 40
        if not live:
            with open_file(path, _NEEDED) as file:  # PyAV would wait for a pipe
                stored = size_of(file)
        options = {"timeout": _WAIT_S} if live else {}
        self._open(self._name, live=live, stored=stored, most=max_megapixels, **options)

    def _open(
        self, address: str, *, live: bool, stored: int, most: float | None, **options: Any
    ) -> None:
        av = import_av()
        with reading(self._name, _NEEDED):
            try:
                self._container = av.open(address, metadata_errors="replace", **options)
            except (av.error.FFmpegError, UnicodeError) as error:
                raise self._undecodable(error) from error
            if not self._container.streams.video:
                self.close()
                raise InputError(
                    f"{self._name} holds no pictures that can be decoded (sound alone, or cut "
                    "short?); a complete film is needed."
                )
            stream = self._stream = self._container.streams.video[0]
            stream.thread_type = "AUTO"
            stored_size = (stream.height or 0, stream.width or 0)
            check_pixels(stored_size, self._name, stored=stored, max_megapixels=most)
            self._fresh = True
            first = next(self._decode(), None)
        if first is None:
            raise InputError(
                f"{self._name} holds no frames that can be decoded; a complete film is needed."
            )
        self.undecodable = 0
        self.info = self._describe(first, live=live)
        self._first = first if live else None
        self._fresh = False

    def _describe(self, first: Any, *, live: bool) -> SourceInfo:
        stream = self._stream
        turns = round(first.rotation / 90) % 4
        size = (first.height, first.width)
        rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
        rate = Fraction(rate) if 0 < rate <= 1000 else USUAL_RATE
        base = Fraction(stream.time_base or 1 / rate)
        count = stream.frames or None
        if count is None and stream.duration:
            count = max(1, round(stream.duration * base * rate))
        elif count is None and self._container.duration:
            count = max(1, round(Fraction(self._container.duration, 1_000_000) * rate))
        context = stream.codec_context
        return SourceInfo(
            name=Path(self._name).stem or "stream",
            size=size if turns % 2 == 0 else size[::-1],
            rate=rate,
            time_base=base,
            begin=Fraction(0) if first.pts is None else first.pts * base,
            count=None if live else count,
            turns=turns,
            tags=ColorTags(
                primaries=int(context.color_primaries),
                transfer=int(context.color_trc),
                matrix=int(context.colorspace),
                range=int(context.color_range),
            ),
            film=None if live else Path(self._name),
            live=live,
        )

    def _decode(self) -> Iterator[Any]:
        """Decoded frames; what cannot be decoded is counted."""
        av = import_av()
        packets = self._container.demux(self._stream)
        failed: Exception | None = None
        given = 0
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                for frame in packet.decode():
                    given += 1
                    yield frame
            except av.error.EOFError:
                break
            except av.error.FFmpegError as error:
                self.undecodable += 1
                failed = error
                if not isinstance(error, av.error.InvalidDataError):
                    break
        if not given and failed is not None and self._fresh:
            raise self._undecodable(failed) from failed

    def _undecodable(self, error: Exception) -> InputError:
        return InputError(
            f"{self._name} cannot be decoded as a film ({reason_of(error)}); {_NEEDED}"
        )

    def read(self, since: Fraction) -> Iterator[tuple[Fraction, Image]]:
        """See :class:`Source`; goes to the last key frame before ``since``."""
        info, last = self.info, None
        for frame in self._from(since):
            if frame.pts is not None:
                moment = frame.pts * info.time_base
            else:
                moment = info.begin if last is None else last + 1 / info.rate
            if last is not None and moment <= last:
                continue  # a frame that comes twice
            last = moment
            if moment < since:
                self.undecodable = 0  # of what was looked at before
                continue
            yield moment, self._picture(frame)

    def _near(self, moment: Fraction) -> Image | None:
        """The key frame before a time, which needs no other frame."""
        frame = next(self._from(moment), None)
        return None if frame is None else self._picture(frame)

    def _from(self, since: Fraction) -> Iterator[Any]:
        if self._first is not None:  # a stream goes on where it is
            yield self._first
            self._first = None
        elif since > self.info.begin:
            self._container.seek(int(since / self.info.time_base), stream=self._stream)
        else:
            self._rewind()
        yield from self._decode()

    def _rewind(self) -> None:
        """Begin again; not every container can seek to its first frame."""
        self.close()
        self._container = import_av().open(self._name, metadata_errors="replace")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"

    def _picture(self, frame: Any) -> Image:
        """RGB pixels, turned as the film's display matrix says, of the first frame's size."""
        info = self.info
        height, width = info.size if info.turns % 2 == 0 else info.size[::-1]
        sized = {"width": width, "height": height}
        if info.tags.is_hdr:
            wide = frame.reformat(format="rgb48le", **sized).to_ndarray()
            pixels = tone_map(wide, info.tags.transfer, wide=info.tags.primaries == 9)
        elif any(component.is_alpha for component in frame.format.components):
            pixels = over_white(frame.reformat(format="rgba", **sized).to_ndarray())
        else:
            pixels = frame.reformat(format="rgb24", **sized).to_ndarray()
        return Image(pixels=np.ascontiguousarray(np.rot90(pixels, info.turns)))

    def close(self) -> None:
        """Close the file."""
        self._container.close()


class CameraSource(FilmSource):
    """A camera of this machine.

    Args:
        device: its number, or what the system calls it.
    """

    def __init__(self, device: str) -> None:
        self._name, self._live = f"cam:{device}", True
        system = platform.system()
        driver, pattern = _DEVICES.get(system, _DEVICES["Linux"])
        address = pattern.format(device) if device.isdigit() else device
        if system == "Linux" and not Path(address).exists():
            raise InputError(
                f"{self._name}: there is no {address}; connect a camera, or give the number of "
                "another (ls /dev/video*)."
            )
        av = import_av("reading cameras")
        if driver not in av.formats_available:
            raise InputError(
                f"{self._name}: this PyAV is built without {driver}, by which cameras are read on "
                f"{system}. Pipe the camera instead: ffmpeg -f {driver} -i {address} -f rawvideo "
                "-pix_fmt rgb24 - | leadline video - --raw 640x480 --out OUT"
            )
        self._open(address, live=True, stored=1 << 40, most=None, format=driver)
