"""One loop over frames: films, folders, pipes and cameras give the same kind of frames."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.io import Selection, open_source
from leadline.io.frame_source import RawSource
from leadline.io.hdr import HLG, PQ, tone_map

pytest.importorskip("av")

from testing.films import NTSC, moving_frames, write_film


def test_a_film_gives_frames_upright_with_their_exact_times(tmp_path: Path) -> None:
    times = [0, 1001, 2002, 3500, 4004, 9000]
    frames = moving_frames(6)
    film = write_film(tmp_path / "walk.mp4", frames, times=times, rotation=90)
    with open_source(film) as source:
        assert source.info.size == (64, 48)
        found = list(source.frames())
    assert [frame.time for frame in found] == [Fraction(t, 30000) for t in times]
    turned = np.rot90(frames[2])
    assert np.abs(found[2].image.pixels.astype(int) - turned).mean() < 6


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(every=4), [0, 4, 8]),
        (Selection(start=Fraction(1, 5), end=Fraction(3, 10)), [0, 1, 2]),
        (Selection(fps=Fraction(10)), [0, 3, 6, 9]),
    ],
)
def test_a_selection_takes_what_it_says(
    tmp_path: Path, selection: Selection, numbers: list
) -> None:
    film = write_film(tmp_path / "walk.mp4", moving_frames(11), group=3)
    with open_source(film) as source:
        found = list(source.frames(selection))
        assert [frame.number for frame in found] == numbers
        assert selection.count_of(source.info) == pytest.approx(len(numbers), abs=1)
        later = list(source.frames(selection, after=(found[0].number, found[0].time)))
    assert [frame.number for frame in later] == numbers[1:]
    for one, two in zip(found[1:], later, strict=True):
        assert one.time == two.time
        np.testing.assert_array_equal(one.image.pixels, two.image.pixels)


def test_folders_patterns_and_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, frame in enumerate(moving_frames(3)):
        PilImage.fromarray(frame).save(tmp_path / f"f{number}.png")
    (tmp_path / "f1.png").write_bytes(b"broken")
    with open_source(tmp_path, rate=Fraction(5)) as source:
        found = list(source.frames())
    assert [frame.time for frame in found] == [0, Fraction(2, 5)]
    assert source.undecodable == 1
    assert len(list(open_source(f"{tmp_path}/f[02].png").frames())) == 2
    data = b"".join(frame.tobytes() for frame in moving_frames(3)) + b"rest"
    pipe = RawSource(io.BytesIO(data), (48, 64), Fraction(30))
    assert [frame.number for frame in pipe.frames(Selection(every=2))] == [0, 2]
    assert pipe.undecodable == 1


def test_the_virtual_camera_is_live() -> None:
    with open_source("cam:virtual:3") as source:
        assert source.info.live
        assert len(list(source.frames())) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("-", "--raw"),
        ("rtsp://host/stream", "--allow-network"),
        ("cam:77", "cam:77"),
        ("absent.mp4", "no such file"),
    ],
)
def test_what_gives_no_frames_is_one_line(given: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        open_source(given)
    assert "\n" not in str(told.value)


def test_a_broken_middle_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    film = write_film(tmp_path / "walk.mkv", moving_frames(30), codec="mjpeg", pixels="yuvj420p")
    content = bytearray(film.read_bytes())
    starts = [i for i in range(len(content) - 1) if content[i : i + 2] == b"\xff\xd8"]
    content[starts[15] : starts[16] - 20] = bytes(starts[16] - 20 - starts[15])
    film.write_bytes(content)
    with open_source(film) as source:
        found = list(source.frames())
    assert source.undecodable == 1
    assert len(found) == 29


def test_odd_films_are_read(tmp_path: Path) -> None:
    wide = write_film(tmp_path / "ten.mkv", moving_frames(3), codec="ffv1", pixels="yuv444p10le")
    assert len(list(open_source(wide).frames())) == 3
    alpha = [np.dstack([f, np.zeros(f.shape[:2], np.uint8)]) for f in moving_frames(2)]
    see_through = write_film(tmp_path / "a.mkv", alpha, codec="ffv1", pixels="bgra")
    assert next(iter(open_source(see_through).frames())).image.pixels.min() == 255
    slow = write_film(tmp_path / "slow.mp4", moving_frames(3), rate=Fraction(1))
    assert [f.time for f in open_source(slow).frames()] == [0, 1, 2]
    picture = tmp_path / "picture.mp4"
    PilImage.fromarray(moving_frames(1)[0]).save(picture, format="PNG")
    assert len(list(open_source(picture).frames())) == 1


def test_hdr_is_mapped_before_the_network(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "hdr.mkv",
        [np.full((48, 64, 3), level, np.uint8) for level in (60, 148, 200)],
        codec="ffv1",
        pixels="yuv420p10le",
        tags=(9, PQ, 9, 1),
    )
    with open_source(film) as source:
        assert source.info.tags.is_hdr
        levels = [frame.image.pixels.mean() for frame in source.frames()]
    assert levels[0] < 40 < levels[1] < levels[2] < 256  # 203 cd/m2 is code 148: white paper
    assert levels[1] > 150


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_tone_mapping_rises_and_keeps_grey_grey(transfer: int) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    rgb = np.repeat(ramp[None, :, None], 3, axis=2)
    mapped = tone_map(rgb, transfer).astype(int)
    assert (np.diff(mapped[0, :, 0]) >= 0).all()
    assert mapped[0, 0].tolist() == [0, 0, 0]
    assert mapped[0, -1].min() > 240
    assert np.ptp(mapped, axis=2).max() <= 1


def test_rates(tmp_path: Path) -> None:
    film = write_film(tmp_path / "walk.mp4", moving_frames(4))
    info = open_source(film).info
    assert (info.rate, info.count) == (NTSC, 4)
