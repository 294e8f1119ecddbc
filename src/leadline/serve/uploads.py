"""The body of a request, read into memory within bounds: raw bytes, or a form with files.

Nothing touches the disk, and no name in a form is used as a path.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from leadline.serve.faults import Fault
from leadline.serve.limits import Limits

_MOST_FILES, _MOST_FIELDS, _FIELD_BYTES = 4, 32, 1 << 16


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What a request brought.

    Attributes:
        files: field -> bytes, in their order; a raw body is ``image``.
        fields: the words of query and form.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


class _InMemory(MultiPartParser):
    """Starlette's parser, whose files never go to the disk: :class:`Uploads` bounds them."""

    spool_max_size = 1 << 40


class Uploads:
    """Reads bodies; knows how many bytes of them lie in memory.

    Args:
        limits: how many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffered = 0

    async def read(self, request: Request) -> Upload:
        """The body of a request.

        Raises:
            Fault: too large (413), too slow (408), too many at once (503), broken (400), or the
                client has gone (499).
        """
        self._check_length(request)
        before = dict(request.query_params)
        taken = [0]
        stream = self._stream(request, taken)
        try:
            async with asyncio.timeout(self._limits.upload_s):
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind == "multipart/form-data":
                    return await self._read_form(request, stream, before)
                data = b"".join([chunk async for chunk in stream])
                return Upload(files={"image": data} if data else {}, fields=before)
        except TimeoutError:
            raise Fault(
                408,
                "too_slow",
                f"the upload took more than {self._limits.upload_s:g} s; send it faster or make "
                "the picture smaller.",
                {"Connection": "close"},
            ) from None
        except ClientDisconnect:
            raise Fault(499, "gone", "the client went before its upload was whole.") from None
        finally:
            self._buffered -= taken[0]

    def _check_length(self, request: Request) -> None:
        """Refuse by what the header says, before any byte is read."""
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limits.max_body:
            raise self._too_large(f"{int(length) / 1e6:.1f} MB")

    def _too_large(self, given: str) -> Fault:
        return Fault(
            413,
            "too_large",
            f"a body of {given}: at most {self._limits.max_body_mb:g} MB are taken; make the "
            "picture smaller or save it as JPEG.",
            {"Connection": "close"},
        )

    async def _stream(self, request: Request, taken: list[int]) -> AsyncGenerator[bytes]:
        async for chunk in request.stream():
            taken[0] += len(chunk)
            self._buffered += len(chunk)
            if taken[0] > self._limits.max_body:
                raise self._too_large("more")
            if self._buffered > self._limits.max_buffered_mb * 1e6:
                raise Fault(
                    503,
                    "uploads_full",
                    "too much is being uploaded at once; try again later.",
                    {"Retry-After": "5", "Connection": "close"},
                )
            if chunk:
                yield chunk

    async def _read_form(
        self, request: Request, stream: AsyncGenerator[bytes], fields: dict[str, str]
    ) -> Upload:
        parser = _InMemory(
            request.headers,
            stream,
            max_files=_MOST_FILES,
            max_fields=_MOST_FIELDS,
            max_part_size=_FIELD_BYTES,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise Fault(400, "bad_form", f"the form cannot be read: {error.message}") from None
        files: dict[str, bytes] = {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
                await value.close()
            else:
                fields[name] = value
        return Upload(files=files, fields=fields)
