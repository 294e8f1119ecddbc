"""serve: the application on a port, in one process or several, with uvicorn."""

from __future__ import annotations

import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from leadline.errors import InputError
from leadline.load_options import LoadOptions
from leadline.serve.app import create_app
from leadline.serve.connections import BoundedProtocol
from leadline.serve.guard import LOOPBACK
from leadline.serve.limits import Limits

_PATIENCE_S = 30
"""Seconds that requests have to end in when the server is stopped."""
_METRICS = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where a server listens, and how.

    Attributes:
        host: address; 127.0.0.1 is this machine alone.
        port: 0 takes a free one.
        workers: processes, each with the models of its own.
        hosts: names of the host that requests may use, beside those of the loopback where it is
            listened on alone; none elsewhere: any.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    workers: int = 1
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers={self.workers}: 1 or more is needed.")
        if self.host in LOOPBACK:
            object.__setattr__(self, "hosts", (*LOOPBACK, *self.hosts))


def serve(
    models: Sequence[LoadOptions] = (LoadOptions(),),
    listen: Listen | None = None,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    on_start: Callable[[str], None] = lambda address: None,
    open_page: bool = False,
) -> None:
    """Serve until interrupted; what is being worked on is finished then.

    Args:
        models: what is served, the default first.
        listen: where.
        limits: of what is taken on, in every process.
        token: that requests must carry; None: no token is needed.
        on_start: called with the address of the page.
        open_page: whether to open it in the browser.

    Raises:
        InputError: the address cannot be listened on.
    """
    listen = listen or Listen()
    listening = bind(listen.host, listen.port)
    make = partial(
        create_app, tuple(models), limits=limits, token=token, hosts=listen.hosts or None
    )
    config = configure(make, workers=listen.workers)
    shown = f"[{listen.host}]" if ":" in listen.host else listen.host
    address = f"http://{shown}:{listening.getsockname()[1]}/"
    with listening, _ending_well():
        on_start(address)
        if open_page:
            threading.Timer(0.5, webbrowser.open, (address,)).start()
        if listen.workers == 1:
            uvicorn.Server(config).run(sockets=[listening])
        else:
            with _shared_metrics():
                Multiprocess(config, sockets=[listening]).run()


def configure(make: Callable[[], FastAPI], **options: Any) -> uvicorn.Config:
    """How uvicorn serves an application.

    Args:
        make: makes the application, in every process anew.
        **options: what else uvicorn is told.
    """
    return uvicorn.Config(
        make,
        factory=True,
        http=BoundedProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE_S,
        timeout_worker_healthcheck=60,
        **options,
    )


def bind(host: str, port: int) -> socket.socket:
    """A socket that connections can be taken from.

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


@contextmanager
def _ending_well() -> Generator[None]:
    """Let the process go on after uvicorn's graceful stop, which sends the signal once more."""

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    numbers = (signal.SIGINT, signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, ignore) for number in numbers} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shared_metrics() -> Generator[None]:
    """A folder through which processes add up their metrics; see prometheus-client."""
    with TemporaryDirectory(prefix="leadline-metrics-") as folder:
        os.environ[_METRICS] = str(Path(folder))
        try:
            yield
        finally:
            del os.environ[_METRICS]
