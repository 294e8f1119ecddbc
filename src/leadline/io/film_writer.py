"""Films out, by PyAV: pictures with exact times, in segments that join to one film.

A segment is a whole film file of some seconds. Its codec has no frames that lean on later ones, so
that segments join by copying packets, and what was encoded before a crash need not be made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.io.film_reader import import_av
from leadline.io.frame_source import ColorTags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadline.io.frame_source import SourceInfo

Content = Literal["color", "fine", "grey"]
"""What a film shows: pictures; pictures whose colours may not be blurred (anaglyphs); 16-bit grey
codes."""

BT709 = ColorTags(primaries=1, transfer=1, matrix=1, range=1)


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How films of one codec are made.

    Attributes:
        encoder: FFmpeg's name.
        pixels: content -> pixel format; what is missing cannot be kept.
        suffixes: of the containers that it goes into, the usual first.
        options: of the encoder.
        tag: of the stream in MP4, where the usual one is not played everywhere.
    """

    encoder: str
    pixels: Mapping[Content, str]
    suffixes: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str | None = None


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "h264": Codec(
            encoder="libx264",
            pixels={"color": "yuv420p", "fine": "yuv444p"},
            suffixes=(".mp4", ".mkv", ".mov"),
            options={"preset": "veryfast", "crf": "18", "bf": "0", "rc-lookahead": "10"},
        ),
        "hevc": Codec(
            encoder="libx265",
            pixels={"color": "yuv420p", "fine": "yuv444p", "grey": "gray12le"},
            suffixes=(".mp4", ".mkv", ".mov"),
            options={
                "preset": "fast",
                "x265-params": "bframes=0:rc-lookahead=10:log-level=error:crf=20",
            },
            tag="hvc1",
        ),
        "ffv1": Codec(
            encoder="ffv1",
            pixels={"color": "bgr0", "fine": "bgr0", "grey": "gray16le"},
            suffixes=(".mkv", ".mp4"),
            options={"level": "3", "slices": "4", "slicecrc": "1"},
        ),
        "prores": Codec(
            encoder="prores_ks",
            pixels={"color": "yuv422p10le", "fine": "yuv444p10le", "grey": "yuv444p10le"},
            suffixes=(".mov", ".mkv"),
        ),
    }
)
"""Codecs by name. Of 16-bit codes ffv1 keeps all, hevc 12 bits without loss, prores about 8."""

_LOSSLESS_X265 = "bframes=0:rc-lookahead=10:log-level=error:lossless=1"


def usual_codec(content: Content) -> str:
    """The codec of a film of which nothing else is said."""
    return "ffv1" if content == "grey" else "h264"


def get_codec(name: str, content: Content) -> Codec:
    """A codec that keeps a content.

    Raises:
        UnknownNameError: no such codec.
        InputError: it would lose the content.
    """
    if name not in CODECS:
        raise UnknownNameError("codec", name, CODECS)
    if content not in CODECS[name].pixels:
        able = ", ".join(key for key, codec in CODECS.items() if content in codec.pixels)
        raise InputError(
            f"codec {name} for 16-bit grey codes, of which it would keep 8 bits and not their "
            f"range; one of {able} is needed."
        )
    return CODECS[name]


@dataclass(frozen=True, kw_only=True)
class FilmFormat:
    """All that stays the same over a film.

    Attributes:
        codec: name of :data:`CODECS`.
        content: see :data:`Content`.
        size: (height, width) of the upright pictures.
        rate: frames per second, in the mean.
        time_base: seconds that times are whole multiples of.
        turns: quarter turns by which players turn the film; pictures are turned back first.
        tags: what the film says of its colours.
    """

    codec: str
    content: Content
    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    turns: int = 0
    tags: ColorTags = BT709

    @classmethod
    def of(
        cls,
        info: SourceInfo,
        codec: str,
        content: Content,
        *,
        size: tuple[int, int] | None = None,
        rate: Fraction | None = None,
    ) -> FilmFormat:
        """The format of a film that is made of another, frame by frame.

        Codes of 16 bits keep the tags of the film that they belong to, so that an editor treats
        both alike; pictures are SDR and say so.
        """
        return cls(
            codec=codec,
            content=content,
            size=size or info.size,
            rate=rate or info.rate,
            time_base=info.time_base,
            turns=info.turns,
            tags=info.tags if content == "grey" else BT709,
        )


class FilmWriter:
    """One segment of a film.

    Args:
        path: the file, ``.mp4`` or ``.mov``.
        form: what the film is.
    """

    def __init__(self, path: Path, form: FilmFormat) -> None:
        av = import_av("writing films")
        codec = get_codec(form.codec, form.content)
        self._form, self._pixels = form, codec.pixels[form.content]
        options = dict(codec.options)
        if form.content == "grey" and form.codec == "hevc":
            options["x265-params"] = _LOSSLESS_X265
        if form.codec == "prores":
            options["profile"] = "4" if "444" in self._pixels else "3"
        self._container = av.open(str(path), "w", format=segment_suffix(form.codec)[1:])
        stream = self._container.add_stream(codec.encoder, rate=form.rate, options=options)
        height, width = form.size if form.turns % 2 == 0 else form.size[::-1]
        even = self._pixels in ("yuv420p", "yuv422p10le")
        self._pad = (height % 2, width % 2) if even else (0, 0)
        stream.height, stream.width = height + self._pad[0], width + self._pad[1]
        stream.pix_fmt = self._pixels
        context = stream.codec_context
        stream.time_base = context.time_base = form.time_base
        if codec.tag is not None:
            context.codec_tag = codec.tag
        context.color_primaries, context.color_trc = form.tags.primaries, form.tags.transfer
        if self._pixels.startswith("yuv") or form.content == "grey":
            context.colorspace, context.color_range = form.tags.matrix, form.tags.range
        if form.turns:
            stream.set_display_rotation(form.turns * 90)
        self._stream = stream
        self._first: Fraction | None = None

    def add(self, picture: np.ndarray, time: Fraction) -> None:
        """One picture.

        Args:
            picture: (h, w, 3) uint8 RGB, or (h, w) uint16 codes; upright.
            time: seconds, later than that of the last.
        """
        self._first = time if self._first is None else self._first
        frame = self._frame(picture)
        frame.pts = round((time - self._first) / self._form.time_base)
        frame.time_base = self._form.time_base
        self._container.mux(self._stream.encode(frame))

    def _frame(self, picture: np.ndarray) -> Any:
        av = import_av()
        turned = np.rot90(picture, -self._form.turns)
        if any(self._pad):
            edges = ((0, self._pad[0]), (0, self._pad[1]), (0, 0))[: turned.ndim]
            turned = np.pad(turned, edges, mode="edge")
        name = "gray16le" if picture.ndim == 2 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(turned), format=name)
        if self._pixels == name:
            return frame
        return frame.reformat(format=self._pixels, dst_colorspace="ITU709")

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._container.mux(self._stream.encode())
        self._container.close()


def segment_suffix(codec: str) -> str:
    """Suffix of a codec's segments: a container that keeps times exactly."""
    return ".mov" if codec == "prores" else ".mp4"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A closed segment: its file, and the time of its first picture in the whole film."""

    path: Path
    begin: Fraction


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Which sound a film gets.

    Attributes:
        film: the file that has it.
        start: seconds of its clock at which the sound begins.
        end: and ends; None: with the file.
        shift: seconds that are taken from its times.
    """

    film: Path
    start: Fraction | None = None
    end: Fraction | None = None
    shift: Fraction = Fraction(0)


def join_segments(
    segments: Sequence[Segment],
    path: Path,
    form: FilmFormat,
    *,
    sound: Sound | None = None,
    comment: str = "",
) -> str | None:
    """Join segments to one film by copying their packets, with the sound of another film.

    Args:
        segments: in the order of time, made with ``form``.
        path: the film to write; its suffix says the container.
        form: what the film is.
        sound: copied as it is.
        comment: for the film's metadata.

    Returns:
        Why there is no sound although there should be; None when all is well.
    """
    av = import_av("writing films")
    options = {"avoid_negative_ts": "disabled"} if path.suffix == ".mkv" else {}
    with av.open(str(path), "w", options=options) as target:
        if comment:
            target.metadata["comment"] = comment
        with av.open(str(segments[0].path)) as first:
            stream = target.add_stream_from_template(first.streams.video[0])
            if form.turns:
                stream.set_display_rotation(form.turns * 90)
            stream.time_base = form.time_base
            packets = _film_packets(segments, stream, form)
        if sound is None:
            for _, packet in packets:
                target.mux(packet)
            return None
        with av.open(str(sound.film), metadata_errors="replace") as source:
            tracks, why = _copy_tracks(source, target)
            others = _sound_packets(source, tracks, sound)
            for packet in _merge(packets, others):
                target.mux(packet)
    return why


def _copy_tracks(source: Any, target: Any) -> tuple[dict[int, Any], str | None]:
    """Streams of sound in the target by their number in the source; and what cannot be there."""
    tracks, why = {}, None
    for stream in source.streams.audio:
        name = stream.codec_context.name
        try:
            if name not in target.supported_codecs:
                raise ValueError(name)
            tracks[stream.index] = target.add_stream_from_template(stream)
        except ValueError:
            why = (
                f"sound of codec {name} does not go into this container and is left out; give "
                "--out a name that ends in .mkv to keep it"
            )
    return tracks, why


def _film_packets(
    segments: Sequence[Segment], stream: Any, form: FilmFormat
) -> Iterator[tuple[Fraction, Any]]:
    """Packets of all segments with their times in the whole film."""
    av, held = import_av(), None
    for segment in segments:
        with av.open(str(segment.path)) as part:
            source = part.streams.video[0]
            for packet in part.demux(source):
                if packet.pts is None:
                    continue
                time = segment.begin + packet.pts * source.time_base
                packet.stream, packet.time_base = stream, form.time_base
                packet.pts = packet.dts = round(time / form.time_base)
                if held is not None:
                    held[1].duration = packet.pts - held[1].pts
                    yield held
                held = (time, packet)
    if held is not None:
        held[1].duration = round(1 / form.rate / form.time_base)
        yield held


def _sound_packets(
    source: Any, tracks: Mapping[int, Any], sound: Sound
) -> Iterator[tuple[Fraction, Any]]:
    if not tracks:
        return
    chosen = [source.streams[index] for index in tracks]
    if sound.start is not None:
        source.seek(int(sound.start * 1_000_000), backward=True)
    for packet in source.demux(chosen):
        if packet.dts is None:
            continue
        base = Fraction(packet.time_base)
        time = packet.pts * base
        before = sound.start is not None and time < sound.start
        if before or (sound.end is not None and time >= sound.end):
            continue
        shift = round(sound.shift / base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = tracks[packet.stream.index]
        yield time - sound.shift, packet


def _merge(
    first: Iterator[tuple[Fraction, Any]], second: Iterator[tuple[Fraction, Any]]
) -> Iterator[Any]:
    """Packets of two streams in the order of time."""
    one, two = next(first, None), next(second, None)
    while one is not None or two is not None:
        if two is None or (one is not None and one[0] <= two[0]):
            if one is not None:
                yield one[1]
            one = next(first, None)
        else:
            yield two[1]
            two = next(second, None)
