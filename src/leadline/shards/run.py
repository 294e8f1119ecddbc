"""A whole job: plan, work where it is wanted, gather, and say in the manifest what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from leadline import cluster, jobs
from leadline.jobs import Outcome, Progress
from leadline.shards.manifest import check_manifest, describe_maps, holds_maps, write_manifest
from leadline.shards.parts import Part, plan, todo
from leadline.shards.receipts import Receipt, Tally, gather
from leadline.shards.worker import BulkJob, ShardWriter


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where the parts are worked on.

    Attributes:
        address: of a Ray cluster, ``local`` for one on this machine alone; None for no cluster.
        workers: actors of the cluster, or processes here; 0 works in this process.
        cpus_per_worker: cores that an actor reserves.
        gpus_per_worker: GPUs that an actor reserves.
    """

    address: str | None = None
    workers: int = 0
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0

    def run(self, parts: Sequence[Part], job: BulkJob) -> Iterator[Outcome[Part, Receipt]]:
        """Work on the parts; outcomes come as they are ready."""
        make = partial(ShardWriter, job)
        if self.address is None:
            return jobs.run_parts(parts, make, workers=self.workers)
        return cluster.run_parts(
            parts,
            make,
            address=self.address,
            workers=self.workers or 1,
            cpus_per_worker=self.cpus_per_worker,
            gpus_per_worker=self.gpus_per_worker,
        )


@dataclass(frozen=True, kw_only=True)
class BulkReport:
    """What came of a job.

    Attributes:
        tally: of all parts, those of earlier runs too.
        made: maps made by this run.
        parts, skipped: number of parts in all, and of those that were there.
        errors: parts that could not be done, ``(index, why)``; run again to try them again.
        kept: parts that are there and were not done again, ``(index, why)``, although a picture
            that failed can be read now.
        notes: of the pictures that were read, ``(source, what was left out or changed)``.
        seconds: of this run.
    """

    tally: Tally
    made: int
    parts: int
    skipped: int
    errors: tuple[tuple[int, str], ...]
    kept: tuple[tuple[int, str], ...]
    notes: tuple[tuple[str, str], ...]
    seconds: float


def run_bulk(
    job: BulkJob,
    sources: Sequence[str],
    *,
    where: Where | None = None,
    per_part: int = 1000,
    on_progress: Callable[[Progress], None] | None = None,
) -> BulkReport:
    """Make the maps of ``sources``; what is there already is left as it is.

    Args:
        job: what to make.
        sources: from :func:`leadline.shards.list_sources`.
        where: see :class:`Where`; None works in this process.
        per_part: pictures of a shard.
        on_progress: called after every part; it counts parts.

    Raises:
        InputError: the folder holds the maps of another network.
        JobError: the cluster failed; finished shards are kept.
    """
    start, where = time.perf_counter(), where or Where()
    record = describe_maps(job, job.layout)
    check_manifest(job.out, record)
    parts = plan(job.out, sources, per_part=per_part, anew=not holds_maps(job.out))
    kept: list[tuple[int, str]] = []
    left = todo(job.out, parts, job.suffix, on_kept=lambda index, why: kept.append((index, why)))
    write_manifest(job.out, record, Tally(), complete=False)
    made, done, errors = 0, 0, []
    notes: list[tuple[str, str]] = []
    for outcome in where.run(left, job):
        if outcome.result is None:
            errors.append((outcome.item.index, outcome.error or "no reason given"))
        else:
            made += outcome.result.count
            notes += outcome.result.notes
            done += 1
        if on_progress is not None:
            on_progress(
                Progress(
                    total=len(parts),
                    done=done,
                    skipped=len(parts) - len(left),
                    failed=len(errors),
                    seconds=time.perf_counter() - start,
                )
            )
    tally = gather(job.out, [part.index for part in parts])
    write_manifest(job.out, record, tally, complete=not errors)
    return BulkReport(
        tally=tally,
        made=made,
        parts=len(parts),
        skipped=len(parts) - len(left),
        errors=tuple(sorted(errors)),
        kept=tuple(kept),
        notes=tuple(notes),
        seconds=time.perf_counter() - start,
    )
