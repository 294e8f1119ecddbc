"""serve_on_ray: the application as a deployment of Ray Serve, with replicas on many machines."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from fastapi import FastAPI

from leadline.cluster import LOCAL, join_cluster
from leadline.errors import InputError, MissingDependencyError
from leadline.load_options import LoadOptions
from leadline.serve.app import create_app
from leadline.serve.limits import Limits
from leadline.serve.server import Listen

_NAME = "leadline"
_ROOM = 16  # requests beyond a replica's queue that reach it, to be refused by it with their reason


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """What runs on a cluster.

    Attributes:
        address: of the cluster; ``local`` starts one here.
        count: replicas, each with models of its own.
        cpus: processor cores that each reserves.
        gpus: GPUs that each reserves; below 1, several share one.
    """

    address: str = LOCAL
    count: int = 1
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"replicas={self.count}: 1 or more is needed.")


def serve_on_ray(
    models: Sequence[LoadOptions],
    listen: Listen,
    replicas: Replicas,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    on_start: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve on a Ray cluster until interrupted.

    Args:
        models: what is served, the default first; their files need to be on every machine.
        listen: where Ray's proxies listen; a port of its own is needed.
        replicas: how many, and where.
        limits: of every replica.
        token: that requests must carry; None: no token is needed.
        on_start: called with the address of the page.

    Raises:
        MissingDependencyError: Ray Serve is not installed.
        JobError: the cluster cannot be joined.
        InputError: no port.
    """
    if listen.port == 0 or listen.workers > 1:
        raise InputError(
            f"port {listen.port} and {listen.workers} workers on Ray, whose proxies listen on "
            "every machine: give a port, and replicas in place of workers."
        )
    limits = limits or Limits()
    hosts = listen.hosts or None

    def make() -> FastAPI:  # Ray takes a function, and would take a partial for an application
        return create_app(tuple(models), limits=limits, token=token, hosts=hosts)

    with join_cluster(replicas.address, cores=replicas.count * replicas.cpus + 1):
        serve = _ray_serve()
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        serve.start(http_options={"host": listen.host, "port": listen.port})
        deployment = serve.deployment(
            serve.ingress(make)(),
            name=_NAME,
            num_replicas=replicas.count,
            max_ongoing_requests=limits.queue_size + _ROOM,
            ray_actor_options={"num_cpus": replicas.cpus, "num_gpus": replicas.gpus},
        )
        try:
            serve.run(deployment.bind(), name=_NAME, route_prefix="/")
            on_start(f"http://{listen.host}:{listen.port}/")
            _wait_for_signal()
        finally:
            serve.shutdown()


def _wait_for_signal() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.set())
    stop.wait()


def _ray_serve() -> ModuleType:
    try:
        from ray import serve
    except ImportError as error:
        raise MissingDependencyError("ray[serve]", "--ray", "cluster") from error
    return serve
