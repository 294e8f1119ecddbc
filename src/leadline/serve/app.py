"""create_app: the server as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from leadline.serve import cloud, depth, films, health, kserve, pair, uses
from leadline.serve.engine import Engine
from leadline.serve.faults import CatchFaults, add_fault_handlers
from leadline.serve.guard import Guard
from leadline.serve.health import CountRequests, Metrics
from leadline.serve.limits import Limits
from leadline.serve.models import ModelLike, Models
from leadline.serve.openapi import FAULT_SCHEMA
from leadline.serve.pages import SafeHeaders, add_page
from leadline.serve.service import Service
from leadline.serve.uploads import Uploads
from leadline.version import __version__


def create_app(
    models: Sequence[ModelLike] = ("lite",),
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = None,
) -> FastAPI:
    """The page and the REST interface on some models.

    The models are opened when the application starts; until then requests are answered 503.

    Args:
        models: names, files, LoadOptions or open estimators; requests that name none get the first.
        limits: of what is taken on.
        token: that requests must carry (``Authorization: Bearer``); None: no token is needed.
        hosts: names of the host that requests may use; None: any.

    Raises:
        InputError: no model, or two of one name.
    """
    limits = limits or Limits()
    metrics = Metrics()
    found = Models(models)
    jobs = films.Films(limits)
    engine = Engine(found.all, limits, on_batch=metrics.count_batch, on_queue=metrics.queue.set)
    service = Service(models=found, engine=engine, uploads=Uploads(limits), limits=limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        engine.start()
        yield
        jobs.stop()
        engine.stop()

    app = FastAPI(
        title="Leadline",
        version=__version__,
        description="Depth from one camera.",
        docs_url=None,  # Swagger's page loads its scripts from a foreign host
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    add_fault_handlers(app)
    app.include_router(depth.make_router(service))
    app.include_router(cloud.make_router(service))
    app.include_router(uses.make_router(service))
    app.include_router(films.make_router(service, jobs))
    app.include_router(pair.make_router(service))
    app.include_router(kserve.make_router(service))
    app.include_router(health.make_router(service, metrics))
    add_page(app)
    app.add_middleware(CatchFaults)
    app.add_middleware(Guard, token=token, hosts=hosts)
    app.add_middleware(CountRequests, metrics=metrics)
    app.add_middleware(SafeHeaders)  # the last is the outermost
    app.openapi = lambda: _describe(app)
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI's description, with the schema of faults."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        made.setdefault("components", {}).setdefault("schemas", {})["Fault"] = FAULT_SCHEMA
        app.openapi_schema = made
    return app.openapi_schema
