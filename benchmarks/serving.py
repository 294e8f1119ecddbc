"""What HTTP costs, and what a crowd does to the server: `leadline serve` on the loopback.

    python benchmarks/serving.py [--clients 200] [--seconds 120] [--soak 10000] [--json FILE]

The server is a process of its own; clients are coroutines of this one, on the same cores.

- `overhead_ms`: one request after the other, raw float32 back, less `predict` of the same bytes
  here; both in turns, the median of the differences.
- `throughput`: pictures of one size over HTTP by 16 clients, against `predict_batch` of the same
  bytes here; both in turns, the median of the ratios.
- `crowd`: many clients at once for a while, after a warm-up. Those that are refused come again
  after at most a second. `p99_s` of what is accepted is held against `bound_s`, the queue's size
  times the seconds of a picture; `slope_mb_per_minute` is of the server's memory after the first
  third.
- `slow`: the time of a request while as many connections dribble their heads, against before.
- `soak`: requests one by one and by 16 clients; memory after the first third.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import io
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

import leadline

ROOT = Path(__file__).resolve().parents[1]
QUEUE = 32
WARM_S = 10.0
PATH = "/v1/depth?format=raw"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server in another process."""

    pid: int
    port: int

    def memory_mb(self) -> float:
        """Resident memory."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        return int(found[1]) / 1e3 if found else 0.0


@contextlib.contextmanager
def start_server(model: str) -> Generator[Server]:
    command = [sys.executable, "-m", "leadline", "serve", "--port", "0", "--model", model]
    command += ["--queue", str(QUEUE)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = "" if process.stderr is None else process.stderr.readline()
            found = re.search(r":(\d+)/", line)
            if found is None:
                raise RuntimeError(f"the server did not start: {line}")
            server = Server(pid=process.pid, port=int(found[1]))
            _wait_ready(server)
            yield server
        finally:
            process.terminate()
            process.wait(60)


def _wait_ready(server: Server) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not become ready")


def make_bodies(count: int) -> list[bytes]:
    """JPEGs of one size, each different."""
    with PilImage.open(ROOT / "examples" / "room.jpg") as opened:
        pixels = np.asarray(opened.convert("RGB"))
    bodies = []
    for index in range(count):
        file = io.BytesIO()
        PilImage.fromarray(np.roll(pixels, 13 * index, axis=1)).save(file, "JPEG", quality=90)
        bodies.append(file.getvalue())
    return bodies


@dataclass
class Crowd:
    """Clients that ask on kept connections.

    Attributes:
        server, bodies: whom and what they ask.
        statuses: how often each status came; 0: the connection broke.
        seconds: of every accepted request.
    """

    server: Server
    bodies: Sequence[bytes]
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    async def ask_until(self, end: float) -> None:
        """One client, until a time."""
        while time.perf_counter() < end:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._ask_on_connection(lambda: time.perf_counter() < end)

    async def ask_times(self, left: list[int]) -> None:
        """One client, until nothing is left."""

        def go_on() -> bool:
            left[0] -= 1
            return left[0] >= 0

        await self._ask_on_connection(go_on)

    async def _ask_on_connection(self, go_on: Any) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            while go_on():
                start = time.perf_counter()
                status = await _ask(reader, writer, random.choice(self.bodies))
                self.statuses[status] += 1
                if status == 200:
                    self.seconds.append(time.perf_counter() - start)
                elif status == 429:
                    await asyncio.sleep(random.random())
        except (OSError, asyncio.IncompleteReadError):
            self.statuses[0] += 1
            raise
        finally:
            writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    reply = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", reply, re.IGNORECASE)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(reply.split(b" ", 2)[1])


def measure_overhead(server: Server, model: str, bodies: Sequence[bytes]) -> dict[str, float]:
    estimator = leadline.load(model)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    here, there = [], []
    for body in (bodies[0], *bodies):  # the first warms up
        start = time.perf_counter()
        estimator.predict(body)
        middle = time.perf_counter()
        connection.request("POST", PATH, body)
        reply = connection.getresponse()
        reply.read()
        here.append(middle - start)
        there.append(time.perf_counter() - middle)
    del here[0], there[0]
    differences = [b - a for a, b in zip(here, there, strict=True)]
    return {
        "predict_ms": 1e3 * statistics.median(here),
        "http_ms": 1e3 * statistics.median(there),
        "overhead_ms": 1e3 * statistics.median(differences),
    }


def measure_throughput(
    server: Server, model: str, bodies: Sequence[bytes], rounds: int
) -> dict[str, Any]:
    estimator = leadline.load(model)
    estimator.predict_batch(bodies)
    here, there = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        estimator.predict_batch(bodies)
        middle = time.perf_counter()
        asyncio.run(_ask_all(Crowd(server, bodies), len(bodies)))
        here.append(len(bodies) / (middle - start))
        there.append(len(bodies) / (time.perf_counter() - middle))
    ratios = [b / a for a, b in zip(here, there, strict=True)]
    return {
        "predict_batch_per_s": statistics.median(here),
        "http_per_s": statistics.median(there),
        "ratio": statistics.median(ratios),
    }


async def _ask_all(crowd: Crowd, count: int, clients: int = 16) -> None:
    left = [count]
    await asyncio.gather(*(crowd.ask_times(left) for _ in range(clients)))


async def _watch_memory(server: Server, found: list[tuple[float, float]]) -> None:
    start = time.perf_counter()
    while True:
        found.append((time.perf_counter() - start, server.memory_mb()))
        await asyncio.sleep(0.5)


def fit_slope(found: Sequence[tuple[float, float]]) -> float:
    """MB a minute after the first third."""
    rest = np.array(found[len(found) // 3 :])
    return float(np.polyfit(rest[:, 0], rest[:, 1], 1)[0] * 60) if len(rest) > 2 else 0.0


async def measure_crowd(
    server: Server, bodies: Sequence[bytes], clients: int, seconds: float
) -> dict[str, Any]:
    before = time.perf_counter() + WARM_S
    await asyncio.gather(*(Crowd(server, bodies).ask_until(before) for _ in range(clients)))
    crowd = Crowd(server, bodies)
    memory: list[tuple[float, float]] = []
    watching = asyncio.create_task(_watch_memory(server, memory))
    end = time.perf_counter() + seconds
    await asyncio.gather(*(crowd.ask_until(end) for _ in range(clients)))
    watching.cancel()
    done = crowd.statuses[200]
    service = seconds / max(1, done)
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": {str(status): count for status, count in sorted(crowd.statuses.items())},
        "only_200_and_429": set(crowd.statuses) <= {200, 429},
        "per_s": done / seconds,
        "p50_s": float(np.quantile(crowd.seconds, 0.5)) if done else None,
        "p99_s": float(np.quantile(crowd.seconds, 0.99)) if done else None,
        "bound_s": QUEUE * service,
        "memory_mb": memory[-1][1],
        "slope_mb_per_minute": fit_slope(memory),
    }


async def measure_soak(server: Server, bodies: Sequence[bytes], count: int) -> dict[str, Any]:
    crowd = Crowd(server, bodies)
    memory: list[tuple[float, float]] = []
    watching = asyncio.create_task(_watch_memory(server, memory))
    start = time.perf_counter()
    await _ask_all(crowd, count)
    watching.cancel()
    return {
        "requests": count,
        "seconds": time.perf_counter() - start,
        "statuses": {str(status): many for status, many in sorted(crowd.statuses.items())},
        "memory_mb": memory[-1][1],
        "slope_mb_per_minute": fit_slope(memory),
    }


async def measure_slow(server: Server, bodies: Sequence[bytes], count: int) -> dict[str, Any]:
    before = Crowd(server, bodies)
    await _ask_all(before, len(bodies), clients=2)
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
    for _, writer in held:
        writer.write(b"POST /v1/depth HTTP/1.1\r\nHost: ")
    during = Crowd(server, bodies)
    await _ask_all(during, len(bodies), clients=2)
    for _, writer in held:
        writer.close()
    medians = [statistics.median(crowd.seconds) for crowd in (before, during)]
    return {"connections": count, "ratio": medians[1] / medians[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--soak", type=int, default=10_000)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/serving.json")
    options = parser.parse_args()
    bodies = make_bodies(options.pictures)
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "model": options.model,
        "picture": "640x480 JPEG",
    }
    with start_server(options.model) as server:
        found["overhead"] = measure_overhead(server, options.model, bodies)
        found["throughput"] = measure_throughput(server, options.model, bodies, options.rounds)
        crowd = measure_crowd(server, bodies, options.clients, options.seconds)
        found["crowd"] = asyncio.run(crowd)
        found["slow"] = asyncio.run(measure_slow(server, bodies, options.clients))
        found["soak"] = asyncio.run(measure_soak(server, bodies, options.soak))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
