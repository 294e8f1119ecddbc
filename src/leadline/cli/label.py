"""``leadline label``: a teacher's maps of a folder of pictures, for training a student."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import (
    Cluster,
    Gpus,
    Json,
    MaxMegapixels,
    Tone,
    Workers,
    with_load_options,
)
from leadline.cli.outputs import with_standard_input
from leadline.cli.pictures import Reading
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions
    from leadline.shards import BulkJob

_LAYOUTS = ("auto", "folder", "webdataset", "parquet")


@with_load_options(help="The teacher: name, file, folder or hub id.")
def label(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders, addresses (s3://...), WebDataset shards (.tar), or - for a "
            "list on standard input.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Folder or address for the labels.", show_default=False),
    ],
    load: LoadOptions,
    layout: Annotated[
        str, typer.Option(help="auto, folder (single files), webdataset or parquet.")
    ] = "auto",
    metric: Annotated[
        bool, typer.Option("--metric", help="Keep a metric teacher's metres; else disparity.")
    ] = False,
    sky: Annotated[
        Path | None, typer.Option(help="Folder of sky masks, <stem>.png, not black where sky.")
    ] = None,
    side: Annotated[
        int | None, typer.Option(help="Short side of the labels in pixels; default: the picture's.")
    ] = None,
    with_pictures: Annotated[
        bool, typer.Option("--with-pictures", help="Put the pictures into the shards too.")
    ] = False,
    shard: Annotated[int, typer.Option(help="Pictures of a shard.")] = 1000,
    cluster: Cluster = None,
    workers: Workers = None,
    gpus: Gpus = 0.0,
    cpus: Annotated[float, typer.Option(help="Cores of an actor.")] = 1.0,
    batch: Annotated[int, typer.Option(help="Pictures that the network sees at once.")] = 8,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write 16-bit pseudo labels of every INPUT to --out, and a manifest that says what they are.

    Labels that are there, of the same pictures, are left as they are: run the same command again
    after a crash. With layout `folder` each picture gets OUT/depth/<stem>.png; `webdataset` and
    `parquet` write shards, here or on a cluster. Exit code: 0 all done, 1 some inputs failed, 2
    cannot start.
    """
    from leadline.shards import BulkJob

    inputs = with_standard_input(inputs)
    if workers is None:
        workers = 0 if cluster is None else 2
    chosen = _layout(layout, cluster, workers, out)
    reading = Reading.of(tone, max_megapixels)
    job = BulkJob(
        model=load,
        out=out,
        layout="webdataset" if chosen == "folder" else chosen,
        disparity=not metric,
        sky=None if sky is None else str(sky.absolute()),
        side=side,
        keep_pictures=with_pictures,
        batch_size=batch,
        tone=reading.tone,
        max_megapixels=reading.max_megapixels,
    )
    if chosen == "folder":
        summary = _label_files(job, inputs)
    else:
        from leadline.cli.naming import check_folder
        from leadline.cli.shards import run_shards
        from leadline.shards import Where
        from leadline.shards.sources import is_address

        if not is_address(out):
            check_folder(Path(out))
        where = Where(address=cluster, workers=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
        summary = run_shards(job, inputs, where, per_part=shard)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(
            f"{summary['done']} labels made, {summary['skipped']} {summary['unit']} already there, "
            f"{summary['failed']} failed, in {summary['seconds']:.1f} s. {out}/manifest.json says "
            "what they are.",
            err=True,
        )
        if summary.get("foreign"):
            typer.echo(
                f"{summary['foreign']} labels that were there were made anew: of another picture "
                "or setting, or not noted.",
                err=True,
            )
    if summary["failed"]:
        raise typer.Exit(1)


def _layout(layout: str, cluster: str | None, workers: int, out: str) -> str:
    """The layout that is meant; single files are written here only."""
    from leadline.shards.sources import is_address

    if layout not in _LAYOUTS:
        raise UnknownNameError("layout", layout, _LAYOUTS)
    elsewhere = cluster is not None or workers > 0 or is_address(out)
    if layout == "folder" and elsewhere:
        raise InputError(
            "--layout folder with --cluster, --workers or an address: single files are written by "
            "this process to this machine; take webdataset or parquet."
        )
    if layout == "auto":
        return "webdataset" if elsewhere else "folder"
    return layout


def _label_files(job: BulkJob, inputs: list[str]) -> dict[str, Any]:
    from leadline.cli.naming import check_folder, check_inside, output_files, without_results
    from leadline.cli.predict import explain
    from leadline.cli.progress import progress_bar
    from leadline.io import list_images
    from leadline.shards import label_files
    from leadline.shards.sources import is_address

    out = Path(job.out)
    check_folder(out)
    check_inside(out, "depth")
    if any(is_address(entry) or entry.endswith(".tar") for entry in inputs):
        raise InputError(
            "addresses and .tar shards become shards: add --layout webdataset (or parquet)."
        )
    pictures = without_results(list_images(inputs, recursive=True), map(Path, inputs))
    files = output_files(pictures, out / "depth", {"png16": ".png"})
    foreign: list[int] = []
    with progress_bar("labels") as (show, say):
        report = label_files(
            job,
            {picture: by_format["png16"] for picture, by_format in files.items()},
            on_progress=show,
            on_failure=lambda failure: say(f"leadline: {explain(failure)}"),
            on_foreign=foreign.append,
            on_note=lambda line: say(f"leadline: {line}"),
        )
    return {
        "unit": "labels",
        "done": len(report.results),
        "skipped": len(report.skipped),
        "failed": len(report.failures),
        "foreign": sum(foreign),
        "seconds": round(report.seconds, 3),
        "out": job.out,
    }
