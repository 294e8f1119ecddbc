"""serve: the application on a port, with uvicorn."""

from __future__ import annotations

import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from leadline.errors import InputError
from leadline.serve.app import create_app
from leadline.serve.guard import LOOPBACK
from leadline.serve.limits import Limits
from leadline.serve.models import ModelLike


def serve(
    models: Sequence[ModelLike] = ("lite",),
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    limits: Limits | None = None,
    token: str | None = None,
    on_start: Callable[[str], None] | None = None,
    open_page: bool = False,
) -> None:
    """Serve until interrupted; what is being worked on is finished then.

    Args:
        models: see :func:`create_app`.
        host: address to listen on; 127.0.0.1 is this machine alone.
        port: 0 takes a free one.
        on_start: called with the address of the page.
        limits: likewise.
        token: likewise.
        open_page: whether to open it in the browser.

    Raises:
        InputError: the address cannot be listened on.
    """
    hosts = LOOPBACK if host in LOOPBACK else None
    app = create_app(models, limits=limits, token=token, hosts=hosts)
    listening = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/"
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
    )
    if on_start is not None:
        on_start(address)
    if open_page:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: the address is taken, not this machine's, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise InputError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}); give another --port "
            "or --host, or end what listens there."
        ) from error
    listening.set_inheritable(True)
    return listening


def _ignore(number: int, frame: FrameType | None) -> None:
    """What uvicorn calls after its graceful stop: the process then ends as it should."""
