"""``/v1/films``: films as jobs that are started, watched, cancelled and fetched.

One film runs at a time and a few wait. The film and its result lie in a folder of the job, which is
removed with it: when the next is asked for, from ``Limits.keep_job_s`` seconds after its end.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from leadline.errors import UnknownNameError
from leadline.io import open_source
from leadline.io.film_writer import get_codec, usual_codec
from leadline.jobs import Progress
from leadline.serve import openapi
from leadline.serve.depth import check_names, only_picture
from leadline.serve.faults import Fault, fault_of, hide_folder
from leadline.serve.limits import Limits
from leadline.serve.models import ServedModel
from leadline.serve.service import Service
from leadline.video import FilmJob, FilmOptions, Look, Parts, get_format
from leadline.viz import CMAPS

_CONTAINERS = (
    (rb"(?s)....ftyp", ".mp4"),
    (rb"\x1a\x45\xdf\xa3", ".mkv"),
    (rb"(?s)RIFF....AVI ", ".avi"),
)
"""How a film begins -> its suffix. Nothing else is opened: playlists and their like name files."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(eq=False, kw_only=True)
class _Job:
    """A film on its way.

    Attributes:
        id: that clients know it by; not to be guessed.
        model, format, cmap: what is made of it.
        folder: of the film and its result.
        state: how far it is.
        progress: frames.
        result: the film that was made.
        error: why it failed.
        ended: when, on the clock of :func:`time.monotonic`.
    """

    id: str
    model: ServedModel
    format: str
    cmap: str
    folder: Path
    film: Path
    state: State = "waiting"
    progress: Progress | None = None
    result: Path | None = None
    error: Fault | None = None
    ended: float | None = None

    def describe(self) -> dict[str, Any]:
        """What clients are told."""
        progress = self.progress
        return {
            "id": self.id,
            "state": self.state,
            "model": self.model.name,
            "format": self.format,
            "frames": 0 if progress is None else progress.done,
            "total": None if progress is None else progress.total,
            "error": None if self.error is None else str(self.error),
        }

    def run(self, limits: Limits) -> None:
        """Make the film."""
        if self.state == "cancelled":
            return
        self.state = "running"
        try:
            with hide_folder(self.folder):
                self._make(limits)
        except Exception as error:
            self.error = fault_of(error)
        self._end()

    def _end(self) -> None:
        if self.state != "cancelled":
            self.state = "done" if self.error is None else "failed"
        self.ended = time.monotonic()
        self.film.unlink(missing_ok=True)

    def _make(self, limits: Limits) -> None:
        content = get_format(self.format).content
        if content is None:
            raise UnknownNameError("format of films", self.format, ("color", "side", "gray16"))
        codec = usual_codec(content)
        result = self.folder / f"depth{get_codec(codec, content).suffixes[0]}"
        options = FilmOptions(
            outputs={self.format: result}, codecs={self.format: codec}, look=Look(cmap=self.cmap)
        )

        def note(progress: Progress) -> None:
            self.progress = progress
            if self.state == "cancelled":
                raise KeyboardInterrupt  # how a film is ended early

        with open_source(self.film, max_megapixels=limits.max_megapixels) as source:
            parts = Parts(self.folder / "parts", {}, resume=False)
            FilmJob(source, self.model.estimator, options, parts).run(note)
        self.result = result


class Films:
    """The films of a server.

    Args:
        limits: how many may wait, and how long results are kept.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: dict[str, _Job] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="leadline-film")

    def start(self, data: bytes, model: ServedModel, given: Mapping[str, str]) -> _Job:
        """Put a film in the queue.

        Raises:
            Fault: no film (422), the queue is full (429), or the model is not there (503).
            UnknownNameError: no such format or colour map.
        """
        self._forget_old()
        name, cmap = given.get("format", "color"), given.get("cmap", "inferno")
        get_format(name)
        if cmap not in CMAPS:
            raise UnknownNameError("colour map", cmap, CMAPS)
        _ = model.estimator
        if sum(job.ended is None for job in self._jobs.values()) >= self._limits.max_jobs:
            text = "as many films as may wait do so already; try again in a minute."
            raise Fault(429, "busy", text, {"Retry-After": "60"})
        suffix = next((end for start, end in _CONTAINERS if re.match(start, data[:16])), None)
        if suffix is None:
            raise Fault(
                422, "unusable_input", "no film: MP4, MOV, WebM, Matroska or AVI is needed."
            )
        folder = Path(mkdtemp(prefix="leadline-film-"))
        film = folder / f"film{suffix}"
        film.write_bytes(data)
        job = _Job(
            id=secrets.token_urlsafe(16),
            model=model,
            format=name,
            cmap=cmap,
            folder=folder,
            film=film,
        )
        self._jobs[job.id] = job
        self._pool.submit(job.run, self._limits)
        return job

    def find(self, name: str) -> _Job:
        """A film by its id.

        Raises:
            Fault: 404.
        """
        self._forget_old()
        if name not in self._jobs:
            raise Fault(404, "no_job", "no such film here; it may have been forgotten.")
        return self._jobs[name]

    def cancel(self, job: _Job) -> None:
        """Stop a film, and remove what was made of it as soon as it has stopped."""
        if job.state in ("waiting", "running"):
            if job.state == "waiting":
                job.ended = time.monotonic()
            job.state = "cancelled"
        else:
            self._remove(job)

    def stop(self) -> None:
        """End all of it."""
        for job in list(self._jobs.values()):
            self.cancel(job)
        self._pool.shutdown(wait=True, cancel_futures=True)
        for job in list(self._jobs.values()):
            self._remove(job)

    def _forget_old(self) -> None:
        for job in list(self._jobs.values()):
            if job.ended is not None and time.monotonic() > job.ended + self._limits.keep_job_s:
                self._remove(job)

    def _remove(self, job: _Job) -> None:
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)


def make_router(service: Service, films: Films) -> APIRouter:
    """The routes of films."""
    router = APIRouter(prefix="/v1/films", tags=["films"])

    @router.post("", status_code=202, openapi_extra=openapi.FILM)
    async def start(request: Request) -> JSONResponse:
        """Start a film; its address is in ``Location``."""
        upload = await service.uploads.read(request)
        check_names(upload.fields, ("model", "format", "cmap"))
        model = service.models.find(upload.fields.get("model") or None)
        request.state.model = model.name
        data = only_picture(upload)
        job = await service.engine.in_thread(
            lambda film: films.start(film, model, upload.fields), data
        )
        return JSONResponse(
            job.describe(), status_code=202, headers={"Location": f"/v1/films/{job.id}"}
        )

    @router.get("/{job}")
    async def show(job: str) -> JSONResponse:
        """How far a film is."""
        return JSONResponse(films.find(job).describe())

    @router.get("/{job}/result", response_class=FileResponse)
    async def result(job: str) -> Response:
        """The film that was made."""
        found = films.find(job)
        if found.error is not None:
            raise found.error
        if found.state != "done" or found.result is None:
            raise Fault(409, "not_done", f"the film is {found.state}; ask again when it is done.")
        return FileResponse(found.result, filename=found.result.name)

    @router.delete("/{job}")
    async def cancel(job: str) -> JSONResponse:
        """Cancel a film, or forget one that is done."""
        found = films.find(job)
        films.cancel(found)
        return JSONResponse(found.describe())

    return router
