"""``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import os
import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leadline.serve.service import Service

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "leadline_requests", "Requests answered.", ("model", "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "leadline_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue = Gauge(
            "leadline_queue_depth",
            "Pictures that are worked on or wait.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.batches = Histogram(
            "leadline_batch_pictures",
            "Pictures that ran together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self.runs = Counter("leadline_run_seconds", "Seconds in networks.", registry=self.registry)

    def count_batch(self, pictures: int, seconds: float) -> None:
        """Count a run of a network."""
        self.batches.observe(pictures)
        self.runs.inc(seconds)

    def text(self) -> bytes:
        """What Prometheus reads, of all processes of the server."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        everywhere = CollectorRegistry()
        MultiProcessCollector(everywhere)
        return generate_latest(everywhere)


class CountRequests:
    """Counts answers by model and status, and how long they took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        codes = ["500"]

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                codes[0] = str(message["status"])
            await send(message)

        scope.setdefault("state", {})
        try:
            await self._app(scope, receive, send_counted)
        finally:
            model = scope["state"].get("model", "")
            route = scope.get("route")
            self._metrics.requests.labels(model, codes[0]).inc()
            self._metrics.seconds.labels(getattr(route, "path", "other")).observe(
                time.perf_counter() - start
            )


def make_router(service: Service, metrics: Metrics) -> APIRouter:
    """The routes that machines ask."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        """Whether the process answers."""
        return JSONResponse({"status": "alive"})

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether every model can predict: 200, or 503."""
        states = {model.name: model.state for model in service.models.all}
        ready = service.engine.ready
        content = {"status": "ready" if ready else "not ready", "models": states}
        return JSONResponse(content, status_code=200 if ready else 503)

    @router.get("/metrics", response_class=Response)
    async def metrics_text() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
