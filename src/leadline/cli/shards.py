"""What ``label`` and ``predict --cluster`` share: run a bulk job and say how it goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions
    from leadline.shards import BulkJob, Where


def run_shards(job: BulkJob, inputs: list[str], where: Where, *, per_part: int) -> dict[str, Any]:
    """Run the job with a progress bar over its shards; returns a JSON-able summary."""
    from leadline.cli.progress import progress_bar
    from leadline.shards import list_sources, run_bulk

    sources = list_sources(inputs)
    with progress_bar("shards") as (show, say):
        report = run_bulk(job, sources, where=where, per_part=per_part, on_progress=show)
        for index, why in (*report.kept, *report.errors):
            say(f"leadline: part {index}: {why}")
        for source, note in report.notes:
            say(f"leadline: {source}: {note}.")
        for source, why in report.tally.failed:
            say(f"leadline: {why if source in why else f'{source}: {why}'}")
    return {
        "unit": "shards",
        "done": report.made,
        "skipped": report.skipped,
        "failed": len(report.errors) + len(report.tally.failed),
        "shards": report.parts,
        "maps": report.tally.count,
        "bytes": report.tally.size,
        "range": [report.tally.low, report.tally.high],
        "seconds": round(report.seconds, 3),
        "out": job.out,
    }


def predict_shards(
    model: LoadOptions,
    inputs: list[str],
    where: Where,
    *,
    out: str,
    layout: str,
    as_json: bool,
) -> None:
    """``leadline predict --cluster``: the model's own maps in shards."""
    from leadline.shards import BulkJob

    job = BulkJob(model=model, out=out, layout=layout)
    summary = run_shards(job, inputs, where, per_part=1000)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(
            f"{summary['done']} pictures done in {summary['seconds']:.1f} s, {summary['skipped']} "
            f"shards already there, {summary['failed']} failed. Results are in {out}.",
            err=True,
        )
    if summary["failed"]:
        raise typer.Exit(1)
