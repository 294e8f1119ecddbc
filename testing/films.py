"""Films made on the spot: their times, sound, rotation and tags are to be found again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from leadline import wrap
from leadline.estimator import DepthEstimator
from leadline.kinds import DepthKind
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec

NTSC = Fraction(30000, 1001)
TONE_HZ = 440


def moving_frames(count: int, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """A bright block that moves over a ramp with texture."""
    height, width = size
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 40, (height // 4 + 1, width // 4 + 1)).repeat(4, 0).repeat(4, 1)
    ground = np.linspace(30, 150, width)[None] + texture[:height, :width]
    frames = []
    for number in range(count):
        grey = ground.astype(np.uint8)
        left = (4 + 2 * number) % (width - width // 4)
        grey[height // 3 : 2 * height // 3, left : left + width // 4] = 230
        frames.append(np.repeat(grey[..., None], 3, axis=2))
    return frames


def write_film(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    rate: Fraction = NTSC,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    sound: bool = False,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    tags: tuple[int, int, int, int] | None = None,
    group: int = 6,
) -> Path:
    """Write a film.

    Args:
        path: where.
        frames: (h, w, 3) uint8, or (h, w, 4) with alpha, as they are stored.
        rate: frames per second.
        times: of the frames in 1 / ``rate.numerator`` seconds; None: even ones.
        rotation: degrees that players turn it by, counter-clockwise.
        sound: with a tone as long as the film.
        codec: FFmpeg's encoder.
        pixels: format.
        tags: primaries, transfer, matrix, range.
        group: frames from key frame to key frame.
    """
    times = times or [n * rate.denominator for n in range(len(frames))]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.gop_size = pixels, group
        base = Fraction(1, rate.numerator)
        stream.time_base = stream.codec_context.time_base = base
        if tags is not None:
            context = stream.codec_context
            context.color_primaries, context.color_trc = tags[:2]
            context.colorspace, context.color_range = tags[2:]
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream("aac", rate=44100, layout="mono") if sound else None
        for frame, time in zip(frames, times, strict=True):
            name = "rgba" if frame.shape[2] == 4 else "rgb24"
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=name)
            made = made.reformat(format=pixels)
            made.pts, made.time_base = time, base
            container.mux(stream.encode(made))
        container.mux(stream.encode())
        if tone is not None:
            _add_tone(container, tone, float(len(frames) / rate))
    return path


def _add_tone(
    container: av.container.OutputContainer, stream: av.AudioStream, seconds: float
) -> None:
    wave = np.sin(2 * np.pi * TONE_HZ * np.arange(int(44100 * seconds)) / 44100)
    for start in range(0, len(wave), 1024):
        part = (0.3 * wave[None, start : start + 1024]).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def bright_is_near(size: tuple[int, int] = (24, 32)) -> DepthEstimator:
    """A network without weights: the brighter, the nearer."""
    mean, std = NORMALIZE["unit"]
    preprocess = PreprocessSpec(size=size, multiple_of=8, mean=mean, std=std)
    spec = ModelSpec(name="bright", kind=DepthKind.AFFINE_DISPARITY, preprocess=preprocess)
    return wrap(lambda images: images.mean(axis=1), spec)


def read_pictures(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    """All frames of a film as they are stored, and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        grey = frames[0].format.name.startswith("gray")
        arrays = [frame.to_ndarray(format="gray16le" if grey else "rgb24") for frame in frames]
        times = [frame.pts * frame.time_base for frame in frames]
    return arrays, times
