"""Service: what the routes of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from leadline.serve.engine import Engine
from leadline.serve.faults import Fault
from leadline.serve.limits import Limits
from leadline.serve.models import Models
from leadline.serve.uploads import Uploads

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the routes of one server share.

    Attributes:
        models: by name.
        engine: runs them.
        uploads: reads bodies.
        limits: of all.
    """

    models: Models
    engine: Engine
    uploads: Uploads
    limits: Limits


async def run_while_connected(request: Request, work: Coroutine[None, None, Made]) -> Made:
    """Work on an answer, and stop when nobody waits for it any more.

    Raises:
        Fault: 499, the client has gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_wait_for_end(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Fault(499, "gone", "the client went before its answer was there.")
        return task.result()
    finally:
        for one in (task, gone):
            if not one.done():
                one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _wait_for_end(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
