"""A server in a thread of the test, and plain requests to it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvicorn
from PIL import Image as PilImage

import leadline
from leadline.kinds import DepthKind
from leadline.serve.server import configure
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec, WeightsFile


def make_estimator(
    name: str = "red",
    *,
    kind: DepthKind = DepthKind.METRIC_DEPTH,
    run: Callable[[np.ndarray], np.ndarray] = lambda images: 1 + images[:, 0],
) -> leadline.DepthEstimator:
    """A network whose map is 1 + the red channel, in [1, 2]."""
    mean, std = NORMALIZE["unit"]
    spec = ModelSpec(
        name=name,
        kind=kind,
        preprocess=PreprocessSpec(
            size=(64, 64), resize="short_side", multiple_of=8, mean=mean, std=std
        ),
        weights=(WeightsFile(file="red.onnx", licence="Apache-2.0"),),
    )
    return leadline.wrap(run, spec)


def make_picture(height: int = 48, width: int = 64, *, seed: int = 0) -> np.ndarray:
    """(h, w, 3) uint8: smooth, so that JPEG changes little."""
    ramp = np.linspace(0, 255, width) * np.ones((height, 1))
    return np.stack([ramp, ramp[:, ::-1], np.full_like(ramp, 40 * seed % 255)], -1).astype(np.uint8)


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    PilImage.fromarray(pixels).save(file, format=kind)
    return file.getvalue()


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    port: int

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        *,
        method: str | None = None,
        timeout: float = 30,
        **headers: str,
    ) -> Reply:
        """One request on a connection of its own; ``content_type=`` becomes Content-Type."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        made = Reply(reply.status, found, reply.read())
        connection.close()
        return made

    def wait_ready(self, seconds: float = 30) -> None:
        """Until every model is there."""
        end = time.monotonic() + seconds
        while self.ask("/readyz").status != 200:
            if time.monotonic() > end:
                raise TimeoutError("the server did not become ready")
            time.sleep(0.02)


@contextlib.contextmanager
def run_app(app: Any) -> Generator[Running]:
    """Serve an application on a free port."""
    server = uvicorn.Server(configure(lambda: app, port=0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    try:
        yield Running(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10)


def make_form(files: Mapping[str, bytes], **fields: str) -> tuple[bytes, str]:
    """Body and content type of a form."""
    mark = "mark5f1c"
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="../../etc/passwd"\r\n\r\n%s'
        % (mark.encode(), name.encode(), data)
        for name, data in files.items()
    ]
    parts += [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    return b"\r\n".join(
        [*parts, f"--{mark}--\r\n".encode()]
    ), f"multipart/form-data; boundary={mark}"
