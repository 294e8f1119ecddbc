"""Films of depth: what they keep of their source, and that a stopped run goes on alike."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("cv2")

import av

from leadline.errors import InputError, UnknownNameError
from leadline.io import Selection, open_source
from leadline.io.film_writer import get_codec, usual_codec
from leadline.jobs import Progress
from leadline.video import FILM_FORMATS, FilmJob, FilmOptions, FilmReport, Parts, way_of
from testing.films import NTSC, bright_is_near, moving_frames, read_pictures, write_film


def make(
    film: Path,
    out: Path,
    *names: str,
    resume: bool = False,
    stop_at: int | None = None,
    suffix: str = ".mp4",
    **more: Any,
) -> FilmReport:
    """Run one film; stopped like Ctrl-C does after ``stop_at`` frames."""
    codecs = {n: usual_codec(c) for n in names if (c := FILM_FORMATS[n].content) is not None}
    codecs |= more.pop("codecs", {})
    outputs = {name: out / (f"{name}{suffix}" if name in codecs else name) for name in names}
    options = FilmOptions(outputs=outputs, codecs=codecs, segment=4, **more)

    def watch(progress: Progress) -> None:
        if stop_at is not None and progress.finished >= stop_at:
            raise KeyboardInterrupt

    with open_source(film) as source:
        parts = Parts(out / "film.parts", way_of(source, options, {}), resume=resume)
        return FilmJob(source, bright_is_near(), options, parts).run(watch)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of variable rate, turned, with sound."""
    times = [1001 * n + (300 if n == 5 else 0) for n in range(14)]
    path = tmp_path_factory.mktemp("film") / "walk.mp4"
    return write_film(path, moving_frames(14), times=times, rotation=90, sound=True)


def test_times_rotation_and_sound_survive(film: Path, tmp_path: Path) -> None:
    report = make(film, tmp_path, "color", "gray16")
    assert (report.frames, report.undecodable, report.interrupted) == (14, 0, False)
    _, wanted = read_pictures(film)
    with av.open(str(film)) as given:
        sound = [(p.pts, bytes(p)) for p in given.demux(audio=0) if p.pts is not None]
        seconds = given.duration
    for name in ("color", "gray16"):
        _, times = read_pictures(tmp_path / f"{name}.mp4")
        assert times == wanted
        with av.open(str(tmp_path / f"{name}.mp4")) as made:
            assert next(made.decode(video=0)).rotation == 90
            assert made.streams.video[0].average_rate == NTSC
            assert made.duration == pytest.approx(seconds, abs=2000)
        with av.open(str(tmp_path / f"{name}.mp4")) as made:
            kept = [(p.pts, bytes(p)) for p in made.demux(audio=0) if p.pts is not None]
        assert kept == sound
    assert not (tmp_path / "film.parts").exists()


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_ffprobe_says_the_same_of_both(film: Path, tmp_path: Path) -> None:
    make(film, tmp_path, "color")
    entries = "stream=avg_frame_rate,duration,nb_frames:stream_side_data=rotation:format=duration"
    told = []
    for path in (film, tmp_path / "color.mp4"):
        command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "compact", str(path)]
        told.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told[0] == told[1]
    assert "rotation=90" in told[0]


def test_bright_things_are_near_and_codes_mean_what_the_film_says(
    film: Path, tmp_path: Path
) -> None:
    make(film, tmp_path, "gray16", "npz", steady="off")
    codes, _ = read_pictures(tmp_path / "gray16.mp4")
    with av.open(str(tmp_path / "gray16.mp4")) as made:
        words = made.metadata["comment"].split()
    low, step = float(words[words.index("=") + 1]), float(words[-1])
    with np.load(tmp_path / "npz" / "walk-000003.npz") as stored:
        values = stored["values"]
    assert values.shape == (64, 48)
    found = low + np.rot90(codes[3]).astype(float) / 65535 * step
    assert np.abs(found - values).max() < 1.5 * step / 65535 + 0.02


def test_a_stopped_film_plays_and_goes_on_alike(film: Path, tmp_path: Path) -> None:
    names = ("color", "gray16", "npz")
    make(film, tmp_path / "whole", *names)
    stopped = make(film, tmp_path / "cut", *names, stop_at=10)
    assert stopped.interrupted
    pictures, _ = read_pictures(tmp_path / "cut" / "color.mp4")
    assert len(pictures) == stopped.frames >= 10
    went_on = make(film, tmp_path / "cut", *names, resume=True)
    assert (went_on.resumed, went_on.frames) == (8, 14)
    for name in ("color", "gray16"):
        one, two = (read_pictures(tmp_path / d / f"{name}.mp4") for d in ("whole", "cut"))
        assert one[1] == two[1]
        np.testing.assert_array_equal(np.stack(one[0]), np.stack(two[0]))
    for file in (tmp_path / "whole" / "npz").iterdir():
        with np.load(file) as a, np.load(tmp_path / "cut" / "npz" / file.name) as b:
            np.testing.assert_array_equal(a["values"], b["values"])


def test_parts_of_another_way_are_not_taken(film: Path, tmp_path: Path) -> None:
    make(film, tmp_path, "color", stop_at=10)
    assert make(film, tmp_path, "color", steady="off", resume=True).resumed == 0


def test_a_selection_moves_film_and_sound_together(film: Path, tmp_path: Path) -> None:
    selection = Selection(start=Fraction(1, 10), end=Fraction(3, 10))
    report = make(film, tmp_path, "color", selection=selection)
    assert report.frames == 6
    _, times = read_pictures(tmp_path / "color.mp4")
    assert times[0] == 0
    with av.open(str(tmp_path / "color.mp4")) as made:
        packets = [p.pts * p.time_base for p in made.demux(audio=0) if p.pts is not None]
    assert 0 <= min(packets) < 0.04
    assert max(packets) < 0.25


@pytest.mark.parametrize(
    ("name", "codec", "suffix"),
    [("color", "hevc", ".mp4"), ("gray16", "hevc", ".mp4"), ("color", "prores", ".mov")],
)
def test_other_codecs(film: Path, tmp_path: Path, name: str, codec: str, suffix: str) -> None:
    make(film, tmp_path, name, codecs={name: codec}, suffix=suffix)
    pictures, times = read_pictures(tmp_path / f"{name}{suffix}")
    assert len(pictures) == 14
    assert times == read_pictures(film)[1]


def test_stereo_and_side_films(film: Path, tmp_path: Path) -> None:
    make(film, tmp_path, "side", "sbs", "half-sbs", "anaglyph", selection=Selection(every=7))
    widths = {
        name: read_pictures(tmp_path / f"{name}.mp4")[0][0].shape[0]
        for name in ("side", "sbs", "half-sbs", "anaglyph")
    }  # stored on their side
    assert widths == {"side": 104, "sbs": 96, "half-sbs": 48, "anaglyph": 48}


def test_odd_sizes_and_single_frames(tmp_path: Path) -> None:
    frames = [frame[:47, :61] for frame in moving_frames(1)]
    odd = write_film(tmp_path / "odd.mkv", frames, codec="ffv1", pixels="bgr0")
    make(odd, tmp_path, "color", "gray16")
    assert read_pictures(tmp_path / "color.mp4")[0][0].shape[:2] == (48, 62)
    assert read_pictures(tmp_path / "gray16.mp4")[0][0].shape == (47, 61)


def test_tags_of_hdr_stay_with_codes_and_not_with_colours(tmp_path: Path) -> None:
    hdr = write_film(
        tmp_path / "hdr.mkv",
        moving_frames(3),
        codec="ffv1",
        pixels="yuv420p10le",
        tags=(9, 16, 9, 1),
    )
    make(hdr, tmp_path, "color", "gray16")
    tags = {}
    for name in ("color", "gray16"):
        with av.open(str(tmp_path / f"{name}.mp4")) as made:
            context = made.streams.video[0].codec_context
            tags[name] = (context.color_primaries, context.color_trc, context.colorspace)
    assert tags == {"color": (1, 1, 1), "gray16": (9, 16, 9)}


def test_no_frame_is_one_line(film: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame was taken"):
        make(film, tmp_path, "color", selection=Selection(start=Fraction(99)))


def test_codecs_that_lose_codes_are_refused() -> None:
    with pytest.raises(InputError, match="ffv1"):
        get_codec("h264", "grey")
    with pytest.raises(UnknownNameError, match="hevc"):
        get_codec("vp9", "color")


def test_frames_that_come_too_fast_wait(film: Path, tmp_path: Path) -> None:
    """However slow the end is, only a few frames are between it and the source."""
    taken: list[int] = []

    class Counted(type(open_source(film))):  # ty: ignore[unsupported-base]
        def frames(self, *given: Any, **named: Any) -> Any:
            for frame in super().frames(*given, **named):
                taken.append(frame.number)
                yield frame

    ahead: list[int] = []
    options = FilmOptions(
        outputs={"color": tmp_path / "c.mp4"}, codecs={"color": "h264"}, live=True
    )
    with Counted(film) as source:
        parts = Parts(tmp_path / "p", {}, resume=False)
        job = FilmJob(source, bright_is_near(), options, parts)
        job.run(lambda progress: ahead.append(len(taken) - progress.done))
    assert max(ahead) <= 16
