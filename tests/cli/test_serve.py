"""``leadline serve`` as a process: start, answer, stop."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

import leadline
from leadline.cli import main
from testing.serving import Running, encode, make_picture

PNG = encode(make_picture())


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


@contextmanager
def process(*arguments: str, port: str = "0") -> Iterator[tuple[Running, subprocess.Popen[str]]]:
    """The command on a free port, ready."""
    command = [sys.executable, "-m", "leadline", "serve", "--port", port, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            line = running.stderr.readline()
            found = re.fullmatch(r"Leadline is at http://127\.0\.0\.1:(\d+)/\n", line)
            assert found, line + running.stderr.read()
            server = Running(int(found[1]))
            wait_for_connection(server)
            server.wait_ready(60)
            yield server, running
        finally:
            running.kill()


def wait_for_connection(server: Running) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            server.ask("/healthz")
            return
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.slow
def test_it_serves_and_stops_gracefully(tiny_model: Path) -> None:
    with process("--model", str(tiny_model)) as (server, running):
        assert [m["name"] for m in server.ask("/v1/models").json["models"]] == ["tiny"]
        reply = server.ask("/v1/depth?format=raw", PNG)
        assert (reply.status, reply.headers["x-depth-licence"]) == (200, "Apache-2.0")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.putrequest("POST", "/v1/depth?format=raw")
        connection.putheader("Content-Length", str(len(PNG)))
        connection.endheaders(PNG[:50])
        time.sleep(0.3)  # until the request has begun
        running.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.send(PNG[50:])
        assert connection.getresponse().status == 200  # what had begun is finished
        connection.close()
        assert running.wait(20) == 0


@pytest.mark.slow
def test_several_workers_share_a_port_and_their_metrics(tiny_model: Path) -> None:
    with process("--model", str(tiny_model), "--workers", "2") as (server, running):
        for _ in range(6):
            assert server.ask("/v1/depth?format=raw", PNG).status in (200, 503)
        time.sleep(0.2)
        text = server.ask("/metrics").body.decode()
        counted = re.findall(r'^leadline_requests_total\{.*model="tiny"\} (\S+)', text, re.M)
        assert sum(map(float, counted)) == 6
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0


@pytest.mark.slow
def test_replicas_on_a_local_ray_cluster(tiny_model: Path) -> None:
    pytest.importorskip("ray.serve", exc_type=ImportError)
    given = ("--model", str(tiny_model), "--ray", "local", "--replicas", "2")
    with process(*given, port=free_port()) as (server, running):
        expected = leadline.load(tiny_model).predict(PNG).values
        replies = [server.ask("/v1/depth?format=raw", PNG) for _ in range(8)]
        assert {reply.status for reply in replies} <= {200, 503}  # the other may still load
        done = [reply for reply in replies if reply.status == 200]
        assert len(done) >= 4
        for reply in done:
            values = np.frombuffer(reply.body, "<f4").reshape(expected.shape)
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
        assert server.ask("/v1/depth", b"no picture").json["code"] == "unusable_input"
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


def test_ray_needs_a_port(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", str(tiny_model), "--ray", "local", "--port", "0") == 2
    assert "give a port" in capsys.readouterr().err


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    return ended.value.code


def test_what_cannot_be_opened_is_said_before_anything_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", "no-such-model") == 2
    assert "unknown model" in capsys.readouterr().err
    (tmp_path / "token").write_text("short")
    assert run("--token-file", str(tmp_path / "token")) == 2
    assert "at least 16" in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from leadline.serve.server import bind

    with bind("127.0.0.1", 0) as listening:
        listening.listen()
        port = str(listening.getsockname()[1])
        assert run("--model", str(tiny_model), "--port", port) == 2
    assert "cannot be listened on" in capsys.readouterr().err


def test_a_missing_package_is_named(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "leadline.serve", None)
    assert run() == 2
    assert "leadline[serve]" in capsys.readouterr().err


def test_importing_the_command_imports_no_server() -> None:
    code = "import leadline.cli.app, sys; assert not {'fastapi', 'uvicorn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
