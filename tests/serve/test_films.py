"""``/v1/films``: started, watched, fetched, cancelled; and never more than may wait."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("av")
pytest.importorskip("cv2")

from leadline.serve import Limits, create_app
from testing.films import bright_is_near, moving_frames, read_pictures, write_film
from testing.serving import Running, make_estimator, make_form, run_app


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "walk.mp4"
    return write_film(path, moving_frames(12)).read_bytes()


@contextmanager
def serving(models: list[Any], tmp_path: Path, **limits: Any) -> Generator[Running]:
    """A server whose folders are seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        with run_app(create_app(models, limits=Limits(**limits))) as server:
            server.wait_ready()
            yield server
    assert not list(tmp_path.iterdir())  # nothing is left behind


def wait_for(server: Running, place: str, state: str) -> dict[str, Any]:
    end = time.monotonic() + 60
    while True:
        found = server.ask(place).json
        if found["state"] == state:
            return found
        assert found["state"] in ("waiting", "running"), found
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_film_is_made_and_forgotten(film: bytes, tmp_path: Path) -> None:
    with serving([bright_is_near()], tmp_path / "") as server:
        body, kind = make_form({"film": film}, format="color")
        begun = server.ask("/v1/films", body, content_type=kind)
        assert begun.status == 202, begun.body
        place = begun.headers["location"]
        done = wait_for(server, place, "done")
        assert (done["frames"], done["total"], done["error"]) == (12, 12, None)
        reply = server.ask(f"{place}/result")
        (tmp_path / "result.mp4").write_bytes(reply.body)
        frames, _ = read_pictures(tmp_path / "result.mp4")
        (tmp_path / "result.mp4").unlink()
        assert len(frames) == 12
        assert frames[0].shape == (48, 64, 3)
        assert np.ptp(frames[0]) > 100
        assert server.ask(place, method="DELETE").status == 200
        assert server.ask(place).json["code"] == "no_job"


def test_films_are_bounded_and_cancelled(film: bytes, tmp_path: Path) -> None:
    leave, calls = threading.Event(), []

    def run(images: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > 1:
            leave.wait(20)
        return 1 + images[:, 0]

    with serving([make_estimator(run=run)], tmp_path, max_jobs=2) as server:
        first, second = (server.ask("/v1/films", film).headers["location"] for _ in range(2))
        refused = server.ask("/v1/films", film)
        assert (refused.status, refused.json["code"]) == (429, "busy")
        assert server.ask(f"{first}/result").json["code"] == "not_done"
        assert server.ask(second, method="DELETE").json["state"] == "cancelled"
        assert server.ask(first, method="DELETE").json["state"] == "cancelled"
        leave.set()
        end = time.monotonic() + 20
        while server.ask("/v1/films", film).status != 202:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 422),
        ("", b"ffconcat version 1.0\nfile /etc/passwd\n", 422),
        ("", b"http://127.0.0.1/film.mp4", 422),
        ("?format=gif", b"", 400),
        ("?speed=2", b"", 400),
        ("?cmap=ink", b"", 400),
        ("?model=blue", b"", 404),
    ],
)
def test_what_is_no_film_is_never_opened(
    film: bytes, tmp_path: Path, query: str, body: bytes, status: int
) -> None:
    with serving([make_estimator()], tmp_path) as server:
        reply = server.ask(f"/v1/films{query}", body or film)
        assert reply.status == reply.json["status"] == status, reply.body


def test_a_broken_film_fails_with_its_reason(film: bytes, tmp_path: Path) -> None:
    with serving([make_estimator()], tmp_path) as server:
        place = server.ask("/v1/films", film[:60]).headers["location"]
        failed = wait_for(server, place, "failed")
        assert failed["error"]
        reply = server.ask(f"{place}/result")
        assert reply.status == 422
        assert str(tmp_path) not in reply.json["error"]
