"""Bounds: queue, sizes, times, states; and that pictures of one size run together."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("fastapi")

from leadline.errors import InputError
from leadline.serve import Limits, create_app
from testing.serving import Reply, Running, encode, make_estimator, make_picture, run_app

PNG = encode(make_picture())


class Held:
    """A network that waits for leave, and notes how many pictures came together."""

    def __init__(self) -> None:
        self.leave = threading.Event()
        self.entered = threading.Event()
        self.sizes: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        self.entered.set()
        assert self.leave.wait(20)
        return 1 + images[:, 0]


@contextmanager
def held_server(limits: Limits) -> Iterator[tuple[Running, Held, Callable[[], Reply]]]:
    """A server whose network waits, and a function that asks it."""
    held = Held()
    with run_app(create_app([make_estimator(run=held)], limits=limits)) as server:
        held.leave.set()
        server.wait_ready()
        held.leave.clear()
        held.entered.clear()
        held.sizes.clear()
        try:
            yield server, held, lambda: server.ask("/v1/depth?format=raw", PNG)
        finally:
            held.leave.set()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def queue_depth(server: Running) -> float:
    lines = server.ask("/metrics").body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("leadline_queue_depth"))


def test_a_full_queue_is_429_with_retry_after() -> None:
    with held_server(Limits(queue_size=2)) as (server, held, ask), ThreadPoolExecutor() as pool:
        waiting = [pool.submit(ask) for _ in range(2)]
        wait_until(lambda: queue_depth(server) == 2)
        refused = ask()
        assert (refused.status, refused.json["code"]) == (429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        held.leave.set()
        assert [one.result().status for one in waiting] == [200, 200]
        assert ask().status == 200


def test_pictures_of_one_size_run_together_and_keep_their_own_maps() -> None:
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in range(0, 200, 20)]
    limits = Limits(queue_size=20, batch_size=4)
    with held_server(limits) as (server, held, ask), ThreadPoolExecutor(12) as pool:
        first = pool.submit(ask)
        assert held.entered.wait(10)
        others = [
            pool.submit(server.ask, "/v1/depth?format=raw", encode(picture)) for picture in pictures
        ]
        wait_until(lambda: queue_depth(server) == 1 + len(pictures))
        time.sleep(0.2)  # until those that may be decoded are
        held.leave.set()
        assert first.result().status == 200
        for picture, other in zip(pictures, others, strict=True):
            values = np.frombuffer(other.result().body, "<f4")
            np.testing.assert_allclose(values, 1 + picture[0, 0, 0] / 255, rtol=1e-6)
    assert 4 in held.sizes
    assert set(held.sizes) <= {1, 4}


def test_one_picture_that_fails_leaves_the_rest_of_its_batch() -> None:
    limits = Limits(queue_size=20, batch_size=3)

    def run(images: np.ndarray) -> np.ndarray:
        maps = 1 + images[:, 0]
        maps[maps.mean((1, 2)) > 1.9] = np.nan
        held(images)
        return maps

    held = Held()
    with run_app(create_app([make_estimator(run=run)], limits=limits)) as server:
        held.leave.set()
        server.wait_ready()
        held.leave.clear()
        held.entered.clear()
        with ThreadPoolExecutor() as pool:
            levels = (100, 120, 255, 140)
            first = pool.submit(server.ask, "/v1/depth", PNG)
            assert held.entered.wait(10)
            asked = [
                pool.submit(server.ask, "/v1/depth", encode(np.full((48, 64, 3), level, np.uint8)))
                for level in levels[1:]
            ]
            wait_until(lambda: queue_depth(server) == 4)
            time.sleep(0.2)
            held.leave.set()
            assert first.result().status == 200
            assert [one.result().status for one in asked] == [200, 422, 200]


def test_a_late_answer_is_504() -> None:
    with held_server(Limits(timeout_s=0.2)) as (server, held, ask):
        reply = ask()
        assert (reply.status, reply.json["code"]) == (504, "timeout")
        held.leave.set()
        wait_until(lambda: queue_depth(server) == 0)
        assert ask().status == 200


def test_a_client_that_goes_gives_its_place_back() -> None:
    with held_server(Limits(queue_size=2)) as (server, held, ask), ThreadPoolExecutor() as pool:
        first = pool.submit(ask)
        assert held.entered.wait(10)
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/v1/depth", PNG)
        wait_until(lambda: queue_depth(server) == 2)
        connection.close()
        wait_until(lambda: queue_depth(server) == 1)
        second = pool.submit(ask)
        wait_until(lambda: queue_depth(server) == 2)
        held.leave.set()
        assert first.result().status == second.result().status == 200
        assert held.sizes == [1, 1]  # nothing was computed for the one that had gone


def test_a_body_is_refused_by_its_length_before_it_is_read() -> None:
    with run_app(create_app([make_estimator()], limits=Limits(max_body_mb=0.01))) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(
                b"POST /v1/depth HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n"
            )
            assert b" 413 " in connection.recv(4096).splitlines()[0]  # no byte of it was sent
        chunked = b"4000\r\n" + b"x" * 0x4000 + b"\r\n0\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(
                b"POST /v1/depth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunked
            )
            assert b" 413 " in connection.recv(4096).splitlines()[0]


def test_bodies_together_are_bounded() -> None:
    limits = Limits(max_body_mb=1, max_buffered_mb=0.05)
    with run_app(create_app([make_estimator()], limits=limits)) as server:
        server.wait_ready()
        reply = server.ask("/v1/depth", b"x" * 100_000)
        assert (reply.status, reply.json["code"]) == (503, "uploads_full")
        assert server.ask("/v1/depth", PNG).status == 200


def test_a_slow_upload_is_408() -> None:
    head = b"POST /v1/depth HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"
    with (
        run_app(create_app([make_estimator()], limits=Limits(upload_s=0.2))) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection,
    ):
        connection.sendall(head + b"ab")
        assert b" 408 " in connection.recv(4096).splitlines()[0]


def test_a_model_that_loads_is_503_and_not_ready() -> None:
    held = Held()
    with run_app(create_app([make_estimator(run=held)])) as server:
        assert server.ask("/healthz").status == 200
        assert server.ask("/readyz").json["models"] == {"red": "loading"}
        reply = server.ask("/v1/depth", PNG)
        assert (reply.status, reply.json["code"]) == (503, "loading")
        assert "retry-after" in reply.headers
        held.leave.set()
        server.wait_ready()
        assert server.ask("/v1/depth", PNG).status == 200


def test_a_model_that_cannot_be_opened_says_so() -> None:
    with run_app(create_app(["no-such-file.onnx"])) as server:
        wait_until(lambda: server.ask("/v1/models").json["models"][0]["state"] == "failed")
        assert server.ask("/readyz").status == 503
        reply = server.ask("/v1/depth", PNG)
        assert (reply.status, reply.json["code"]) == (503, "model_failed")
        assert "no-such-file" in reply.json["error"]


def test_a_fault_of_ours_is_500_without_details(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def fail(images: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > 1:
            raise ZeroDivisionError("secret")
        return images[:, 0]

    with run_app(create_app([make_estimator(run=fail)])) as server:
        server.wait_ready()
        reply = server.ask("/v1/depth", PNG)
    assert (reply.status, reply.json["code"]) == (500, "internal")
    assert b"secret" not in reply.body
    assert "secret" in caplog.text


def test_metrics_count_answers_by_model_and_code() -> None:
    with run_app(create_app([make_estimator()])) as server:
        server.wait_ready()
        server.ask("/v1/depth", PNG)
        server.ask("/v1/depth", b"no picture")
        text = server.ask("/metrics").body.decode()
    assert 'leadline_requests_total{code="200",model="red"} 1.0' in text
    assert 'leadline_requests_total{code="422",model="red"} 1.0' in text
    assert 'leadline_request_duration_seconds_count{path="/v1/depth"} 2.0' in text


def test_limits_are_positive() -> None:
    with pytest.raises(InputError, match="queue_size=0"):
        Limits(queue_size=0)


def test_models_need_names_of_their_own() -> None:
    with pytest.raises(InputError, match="each of another name"):
        create_app([make_estimator(), make_estimator()])
    with pytest.raises(InputError, match="one or more"):
        create_app([])
