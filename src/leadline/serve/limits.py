"""Limits: how much of the machine requests may take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from leadline.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server takes on; everything beyond is refused at once and says why.

    Attributes:
        max_body_mb: size of a request's body in 10^6 bytes (413 above).
        max_buffered_mb: of all bodies that are being read together (503 above).
        max_megapixels: pixels of a picture, in millions (413 above, before it is decoded).
        queue_size: pictures that are worked on or wait (429 above, with ``Retry-After``).
        batch_size: pictures of one input size that run at once.
        decoders: threads that decode pictures and encode answers.
        timeout_s: seconds from the end of an upload to its answer (504 above).
        upload_s: seconds that an upload may take (408 above).
        max_jobs: long jobs that run or wait (429 above).
        keep_job_s: seconds that the result of a job is kept.
    """

    max_body_mb: float = 64.0
    max_buffered_mb: float = 512.0
    max_megapixels: float = 64.0
    queue_size: int = 32
    batch_size: int = 8
    decoders: int = 2
    timeout_s: float = 60.0
    upload_s: float = 60.0
    max_jobs: int = 4
    keep_job_s: float = 600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise InputError(f"{field.name}={value}: a number above 0 is needed.")

    @property
    def max_body(self) -> int:
        """Bytes of a request's body."""
        return int(self.max_body_mb * 1e6)
