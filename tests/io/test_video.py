"""Films: frames as they were written, and files that are none."""

from pathlib import Path

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.io import is_video, read_video

av = pytest.importorskip("av")


def write_film(path: Path, frames: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_frames_come_in_order_with_names(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 20 * i + 30, np.uint8) for i in range(6)]
    film = write_film(tmp_path / "walk.mp4", frames)
    images = list(read_video(film, every=2))
    assert [image.name for image in images] == ["walk-000000", "walk-000002", "walk-000004"]
    assert [round(float(image.pixels.mean())) for image in images] == pytest.approx(
        [30, 70, 110], abs=6
    )
    assert images[0].size == (48, 64)


def test_names_tell_films() -> None:
    assert is_video("a/B.MP4")
    assert not is_video("a.png")


def test_what_is_no_film_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a film at all" * 50)
    with pytest.raises(InputError, match=r"broken\.mp4 cannot be decoded"):
        next(read_video(broken))
    with pytest.raises(InputError, match="no such file"):
        next(read_video(tmp_path / "absent.mp4"))
    with pytest.raises(InputError, match="a folder, and a file is needed"):
        next(read_video(tmp_path))
    film = write_film(tmp_path / "cut.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    film.write_bytes(film.read_bytes()[:200])
    with pytest.raises(InputError, match="decoded"):
        next(read_video(film))
    whole = write_film(tmp_path / "whole.mp4", [np.zeros((48, 64, 3), np.uint8)])
    with pytest.raises(InputError, match="--max-megapixels"):
        next(read_video(whole, max_megapixels=0.001))
    with pytest.raises(InputError, match="every=0"):
        next(read_video(film, every=0))


def test_words_of_a_film_that_are_no_utf8_do_no_harm(tmp_path: Path) -> None:
    film = write_film(tmp_path / "walk.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 2)
    content = film.read_bytes()
    film.write_bytes(content.replace(b"VideoHandler", b"Video\xd1andler"))
    assert film.read_bytes() != content
    assert len(list(read_video(film))) == 2
