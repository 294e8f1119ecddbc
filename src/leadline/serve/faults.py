"""Every fault of a request as one JSON object: ``{"error": why, "code": word, "status": number}``.

``error`` is one sentence for people, as the command line prints it; it is also what the Open
Inference Protocol asks for. ``code`` is for programs and does not change.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leadline.errors import (
    DeviceError,
    InputError,
    KindError,
    LeadlineError,
    MissingDependencyError,
    TooLargeError,
    UnknownNameError,
    WeightsError,
)

log = logging.getLogger("leadline.serve")


class Fault(Exception):  # noqa: N818 (an answer, not always an error of ours)
    """An answer other than 200.

    Args:
        status: of HTTP.
        code: one word for programs.
        message: what was given; what is needed; what to do.
        headers: to send along.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


CODES: Mapping[type[Exception], tuple[int, str]] = {
    TooLargeError: (413, "too_large"),
    KindError: (422, "kind"),
    InputError: (422, "unusable_input"),
    UnknownNameError: (400, "unknown_name"),
    MissingDependencyError: (501, "missing_package"),
    WeightsError: (503, "model_failed"),
    DeviceError: (503, "model_failed"),
    LeadlineError: (422, "failed"),
    MemoryError: (503, "out_of_memory"),
}
"""Exception -> status and code; the first that fits counts."""


def fault_of(error: Exception) -> Fault:
    """The answer to an exception; what is not raised on purpose is a 500 without details."""
    if isinstance(error, Fault):
        return error
    for kind, (status, code) in CODES.items():
        if isinstance(error, kind):
            text = " ".join(str(error).split())
            return Fault(status, code, text or "memory ran out; give a smaller picture.")
    log.error("a request failed", exc_info=error)
    return Fault(500, "internal", "the server failed at this request; its log says how.")


def answer_fault(error: Exception) -> JSONResponse:
    """The JSON answer to an exception."""
    fault = fault_of(error)
    content = {"error": str(fault), "code": fault.code, "status": fault.status}
    return JSONResponse(content, status_code=fault.status, headers=fault.headers)


def add_fault_handlers(app: FastAPI) -> None:
    """Answer every exception that is raised on purpose by :func:`answer_fault`."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        return answer_fault(error)

    def answer_http(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return answer_fault(error)
        word = HTTPStatus(error.status_code).phrase
        code = word.lower().replace(" ", "_")
        text = (
            f"{request.method} {request.url.path}: {word.lower()}; /openapi.json lists the paths."
        )
        return answer_fault(Fault(error.status_code, code, text, error.headers))

    for kind in (Fault, *CODES):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(HTTPException, answer_http)


@contextmanager
def hide_folder(folder: str | os.PathLike[str]) -> Generator[None]:
    """Leave a folder of this machine out of the messages of what goes wrong inside."""
    try:
        yield
    except LeadlineError as error:
        error.args = (str(error).replace(f"{os.fspath(folder)}/", ""),)
        raise


class CatchFaults:
    """Answers what no handler has, a fault of ours, inside of the other middlewares."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        started = [scope["type"] != "http"]

        async def send_on(message: Message) -> None:
            started[0] = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if started[0]:
                raise
            await answer_fault(error)(scope, receive, send)
