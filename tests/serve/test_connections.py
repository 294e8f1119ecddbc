"""Connections that hold on: slow heads, bodies that nobody reads, clients that take nothing."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")

from leadline.serve import connections, create_app
from testing.serving import Running, encode, make_estimator, make_picture, run_app

PNG = encode(make_picture())
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    monkeypatch.setattr(connections, "LINGER_S", 0.3)
    monkeypatch.setattr(connections, "STALL_S", 0.2)
    with run_app(create_app([make_estimator()])) as running:
        running.wait_ready()
        yield running


def connect(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def read_to_end(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            found += data
    return bytes(found)


def read_reply(connection: socket.socket) -> bytes:
    """One answer of ``/healthz``."""
    found = b""
    while not found.endswith(b"}"):
        found += connection.recv(1 << 16)
    return found


def test_a_head_that_does_not_come_ends_the_connection(server: Running) -> None:
    with connect(server) as silent, connect(server) as slow:
        slow.sendall(HEAD)
        assert server.ask("/v1/depth", PNG).status == 200  # others are served meanwhile
        assert read_to_end(silent) == read_to_end(slow) == b""


def test_a_dribbled_head_gains_no_time(server: Running) -> None:
    with connect(server) as connection:
        start = time.monotonic()
        with contextlib.suppress(OSError):  # a broken pipe or a reset, as it happens
            while time.monotonic() < start + 5:
                connection.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() < start + 3


def test_a_second_head_has_its_deadline_too(server: Running) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert b"200 OK" in read_reply(connection)
        connection.sendall(HEAD)
        assert read_to_end(connection) == b""


def test_a_connection_is_used_again_and_again(server: Running) -> None:
    with connect(server) as connection:
        for _ in range(3):
            connection.sendall(HEAD + b"\r\n")
            assert b"200 OK" in read_reply(connection)
            time.sleep(0.15)
        time.sleep(0.3)  # longer than a head may take: none has begun
        connection.sendall(HEAD + b"\r\n")
        assert b"200 OK" in read_reply(connection)


def test_a_body_that_nobody_reads_is_not_waited_for(server: Running) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\nab")
        assert b"200 OK" in read_to_end(connection)


def test_a_client_that_takes_nothing_is_left(server: Running) -> None:
    big = encode(make_picture(1500, 2000), "JPEG")  # 12 MB of answer
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    with connection:
        connection.connect(("127.0.0.1", server.port))
        head = b"POST /v1/depth?format=raw HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(big) + big)
        time.sleep(1.5)
        assert len(read_to_end(connection)) < 4 * 1500 * 2000


def test_half_closed_and_broken_connections_hurt_nobody(server: Running) -> None:
    with connect(server) as half, connect(server) as torn:
        half.sendall(HEAD + b"\r\n")
        half.shutdown(socket.SHUT_WR)
        torn.sendall(b"POST /v1/depth HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nabc")
        torn.shutdown(socket.SHUT_WR)
        read_to_end(half)
        read_to_end(torn)
    assert server.ask("/v1/depth", PNG).status == 200


def test_what_is_no_http_is_one_json_error(server: Running) -> None:
    with connect(server) as connection:
        connection.sendall(b"\x16\x03\x01 not HTTP\r\n\r\n")
        reply = connection.recv(1 << 16)
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert b'"code": "bad_request"' in reply


def test_connections_are_bounded(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    with connect(server), connect(server), connect(server) as third:
        assert third.recv(1 << 16).startswith(b"HTTP/1.1 503 ")
