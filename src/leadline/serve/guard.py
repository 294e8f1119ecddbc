"""Who may ask: no foreign pages, no foreign names of this host, and a token where there is one."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from leadline.errors import InputError
from leadline.io.text import read_text
from leadline.serve.faults import Fault, answer_fault

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OPEN = ("/healthz", "/readyz")
_SHORTEST = 16


class Guard:
    """Refuses requests before anything is read of them.

    A browser lets any page send pictures to this host, though not read the answers, so requests
    from other origins are refused (403). A server that listens on the loopback alone also refuses
    other names of the host, which a foreign page may have given it (421).

    Args:
        app: what is guarded.
        token: of ``Authorization: Bearer``; None: everybody may ask.
        hosts: names of this host that requests may use; None: any.
    """

    def __init__(
        self, app: ASGIApp, *, token: str | None = None, hosts: Collection[str] | None = None
    ) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            fault = self._refuse(scope["path"], Headers(scope=scope))
            if fault is not None:
                await answer_fault(fault)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuse(self, path: str, headers: Headers) -> Fault | None:
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            text = f"host {host}: this server answers to {', '.join(self._hosts)} alone."
            return Fault(421, "wrong_host", text)
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return Fault(403, "foreign_origin", "requests from other origins are not taken.")
        if self._token is None or path in _OPEN or path == "/" or path.startswith("/web/"):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        return Fault(
            401,
            "no_token",
            "this server takes requests with its token alone: Authorization: Bearer TOKEN.",
            {"WWW-Authenticate": "Bearer"},
        )


def _name_of(host: str) -> str | None:
    """The name in ``name:port``; None where there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def read_token(path: Path) -> str:
    """The token that a file holds.

    Raises:
        InputError: no file, or fewer than 16 characters.
    """
    token = read_text(path, "a text file with one word is needed.").strip()
    if len(token) < _SHORTEST or any(letter.isspace() for letter in token):
        raise InputError(
            f"{path} holds a token of {len(token)} characters: one word of at least {_SHORTEST} "
            "is needed; make one with: openssl rand -hex 32."
        )
    return token
