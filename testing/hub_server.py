"""A small model hub on loopback: what ``huggingface_hub`` asks for, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(kw_only=True)
class HubServer:
    """Files by ``owner/name/file``, and what was asked for.

    Attributes:
        files: contents.
        requests: (method, path, Range header or "") of every request.
        break_after: the next GET sends only this many bytes and then hangs up.
        commit: revision of all files.
        etag: of all files; None: their SHA-256.
        licences: ``owner/name`` -> what the repository's card says.
    """

    files: dict[str, bytes]
    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    break_after: int | None = None
    commit: str = COMMIT
    etag: str | None = None
    licences: dict[str, str] = field(default_factory=dict)


@contextmanager
def serve_hub(files: dict[str, bytes]) -> Generator[HubServer]:
    """Serve ``files`` on a free port of 127.0.0.1 until the block ends."""
    hub = HubServer(files=files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _answer(self, *, body: bool) -> None:
            if not hub.url:  # closed, but a client kept its connection
                self.close_connection = True
                return
            wanted = self.headers.get("Range", "")
            hub.requests.append((self.command, self.path, wanted))
            asked = re.match(r"/api/models/([^/]+/[^/?]+)", self.path)
            if asked and asked[1] in hub.licences:
                card = {"id": asked[1], "cardData": {"license": hub.licences[asked[1]]}}
                self._send_json(card)
                return
            match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path.split("?")[0])
            content = hub.files.get("/".join(match.groups())) if match else None
            if content is None:
                known = match and any(name.startswith(match[1] + "/") for name in hub.files)
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
                self.send_header("X-Repo-Commit", hub.commit)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
            part = content[first:]
            self.send_response(206 if wanted else 200)
            etag = hub.etag or hashlib.sha256(content).hexdigest()
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            if wanted:
                self.send_header(
                    "Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            if body and hub.break_after is not None:
                self.wfile.write(part[: hub.break_after])
                hub.break_after = None
                self.close_connection = True
            elif body:
                self.wfile.write(part)

        def _send_json(self, record: object) -> None:
            content = json.dumps(record).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.url = ""
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, url: str, cache: Path) -> None:
    """Point ``huggingface_hub`` to ``url`` and an empty cache for one test.

    It reads HF_ENDPOINT and HF_HOME when it is imported, so its constants are set instead.
    """
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
