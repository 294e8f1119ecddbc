"""HTTP connections that cannot be held for ever: bounds on slow heads, unread bodies, slow readers.

uvicorn bounds the time between requests alone. Here a request's head has a deadline, a body that
nobody reads is not waited for, and a client has to take some of its answer now and then.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""Seconds that the head of a request may take."""
LINGER_S = 5.0
"""Seconds that what is left of a body is read and thrown away after the answer."""
STALL_S = 30.0
"""Seconds in which a client has to take some of its answer."""
MOST = 1000
"""Connections at a time."""

_FULL = {"error": f"{MOST} connections are open; try again.", "code": "full", "status": 503}


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with deadlines; see the module."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _unsent = 0

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.write(_plain_answer(b"503 Service Unavailable", _FULL))
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        for timer in (self._head, self._stall):
            if timer is not None:
                timer.cancel()
        self._head = self._stall = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the deadline of a head begins with its first byte."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif self._head is None and not self.transport.is_closing():
            self._await_head()

    def on_response_complete(self) -> None:
        """Go on with the next request, once what is left of this one's body has come."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.loop.call_later(LINGER_S, self._end_if, h11.SEND_BODY, self.cycle)

    def pause_writing(self) -> None:
        """Begin to watch a client that does not take its answer."""
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(STALL_S, self._check_progress)

    def resume_writing(self) -> None:
        """The client has taken enough."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in the form of every fault."""
        content = {"error": msg, "code": "bad_request", "status": 400}
        self.transport.write(_plain_answer(b"400 Bad Request", content))
        self.transport.close()

    def _await_head(self) -> None:
        self._head = self.loop.call_later(HEAD_S, self._end_if, h11.IDLE, self.cycle)

    def _end_if(self, state: Any, cycle: Any) -> None:
        """Close the connection where it still waits for the same."""
        if self.conn.their_state is state and self.cycle is cycle:
            self.transport.close()

    def _check_progress(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= self._unsent:
            self.transport.abort()
            return
        self._unsent = left
        self._stall = self.loop.call_later(STALL_S, self._check_progress)


def _plain_answer(status: bytes, content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    return head % (status, len(body)) + b"connection: close\r\n\r\n" + body
