"""Pages in a real browser: servers on free ports, and Chromium when it is here."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import socket
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@contextmanager
def open_browser() -> Generator[Any]:
    """Chromium of the system, or Playwright's own; skips the test without either."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with playwright.sync_playwright() as driver:
        if path is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("there is no Chromium here")
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


class _Files(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 - of the base class
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - of the base class
        del format, args


@contextmanager
def serve_folder(folder: Path) -> Generator[str]:
    """A static host as dull as they come; gives its address."""
    handler = functools.partial(_Files, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serve_models(models: Sequence[Any], *, token: str | None = None) -> Generator[str]:
    """Leadline's own server, with its models open; gives its address."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    from leadline.serve import create_app

    app = create_app(models, token=token)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    end = time.monotonic() + 120
    while not (server.started and app.state.service.engine.ready):
        assert time.monotonic() < end, "the models were not opened in time"
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(30)


def find_axe() -> str:
    """The source of axe-core; skips the test without it."""
    given = os.environ.get("LEADLINE_AXE", "node_modules/axe-core/axe.min.js")
    path = Path(given)
    if not path.is_file():
        pytest.skip("axe-core is not here: npm install axe-core, or LEADLINE_AXE=axe.min.js")
    return path.read_text(encoding="utf-8")
