"""``leadline datasets``: what can be read, where its files go, whether a folder is in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Every, Json, with_load_options

if TYPE_CHECKING:
    from leadline.datasets import DatasetSpec, FrameRef
    from leadline.load_options import LoadOptions

datasets = typer.Typer(
    help="List the data sets, say where their files go, check a folder, audit its ground truth.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

Root = Annotated[
    Path | None, typer.Option("--root", help="Folder of the data set.", show_default=False)
]
Split = Annotated[str | None, typer.Option(help="Part of the set.", show_default=False)]


@datasets.callback()
def _list(
    context: typer.Context,
    as_json: Json = False,
) -> None:
    from leadline.datasets import DATASETS

    if context.invoked_subcommand is not None:
        return
    if as_json:
        typer.echo(json.dumps([_record(spec) for spec in DATASETS.values()], indent=2))
        return
    width = max(map(len, DATASETS))
    for spec in DATASETS.values():
        typer.echo(f"{spec.name:{width}}  {spec.summary}")
    typer.echo("\n`leadline datasets where NAME` says which files it needs.")


@datasets.command("where")
def where(name: Annotated[str, typer.Argument(help="Name of the data set.")]) -> None:
    """Say where the files of a data set come from and where they go."""
    from leadline.datasets import get

    spec = get(name)
    typer.echo(f"{spec.name}: {spec.summary}\nfrom {spec.source} ({spec.terms})")
    if spec.download:
        typer.echo(f"download: {spec.download}")
    typer.echo("below --root:")
    for line in spec.layout.splitlines():
        typer.echo(f"  {line}")
    if spec.splits:
        typer.echo(f"splits: {', '.join(spec.splits)}")
    typer.echo(f"usual protocol: {spec.protocol}")


@datasets.command("check")
def check(
    name: Annotated[str, typer.Argument(help="Name of the data set.")],
    root: Root = None,
    split: Split = None,
    frames: Annotated[int, typer.Option(help="Read so many frames, evenly spaced; 0: all.")] = 10,
    as_json: Json = False,
) -> None:
    """Read frames of a folder and tell what is there, what is missing and what looks odd.

    Exit code: 0 in order, 1 some frames cannot be read, 2 nothing can be opened.
    """
    from leadline.datasets import Options, open_dataset

    refs = open_dataset(name, root, Options(split=split))
    step = max(1, len(refs) // frames) if frames else 1
    chosen = refs[::step][: frames or None]
    read, failed = _read(chosen)
    report = {"dataset": name, "frames": len(refs), "read": read, "failed": failed}
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(report)
    if failed:
        raise typer.Exit(1)


@datasets.command("audit")
@with_load_options(default=None, help="A network whose fitted maps are compared with the truth.")
def audit(
    name: Annotated[str, typer.Argument(help="Name of the data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report.")],
    load: LoadOptions,
    root: Root = None,
    split: Split = None,
    every: Every = 1,
    against: Annotated[
        str | None,
        typer.Option(help="Another data set of the same frames in the same folder, to compare."),
    ] = None,
    frames: Annotated[int, typer.Option(help="At most so many frames; 0: all.")] = 50,
) -> None:
    """Measure how far the ground truth can be trusted; write a page with pictures and JSON.

    See-through laser points, holes, colour against depth edges, contradictions between frames, and
    one source or a network against it. Exit code: 0 done, 1 some frames could not be read.
    """
    from leadline.cli.naming import check_folder
    from leadline.datasets import Options, open_dataset
    from leadline.evaluation import audit as auditing
    from leadline.jobs import write_text

    check_folder(out)
    options = Options(split=split, every=every)
    refs = open_dataset(name, root, options)[: frames or None]
    others = open_dataset(against, root, options) if against else []
    predict = None
    if load.model is not None:
        from leadline.evaluation.predictors import open_predictor

        predict = open_predictor(load)
    found, figures, failed = auditing.audit(refs, against=others, predict=predict)
    write_text(out / "index.html", auditing.render_page(name, found, figures, failed))
    record = auditing.to_dict(name, found, failed)
    write_text(out / "audit.json", json.dumps(record, indent=2) + "\n")
    for key, value in record["median"].items():
        typer.echo(f"{key:16} {value:.4g}")
    for line in failed:
        typer.echo(f"leadline: {line}", err=True)
    if failed:
        raise typer.Exit(1)


def _read(refs: list[FrameRef]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    import numpy as np

    from leadline.errors import LeadlineError

    read: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for ref in refs:
        try:
            frame = ref.read()
        except LeadlineError as error:
            failed.append({"name": ref.name, "error": str(error)})
            continue
        known = frame.depth[frame.valid]
        camera = frame.image.camera
        read.append(
            {
                "name": ref.name,
                "size": list(frame.image.size),
                "known_share": round(float(frame.valid.mean()), 4),
                "depth_m": [round(float(v), 3) for v in np.percentile(known, (1, 50, 99))]
                if known.size
                else None,
                "pairs": len(frame.pairs),
                "fov_deg": None if camera is None else round(camera.fov_deg, 1),
                "pose": camera is not None and camera.world_from_camera is not None,
            }
        )
    return read, failed


def _print(report: dict[str, Any]) -> None:
    read, failed = report["read"], report["failed"]
    typer.echo(
        f"{report['dataset']}: {report['frames']} frames, {len(read)} of "
        f"{len(read) + len(failed)} tried can be read"
    )
    for row in read:
        height, width = row["size"]
        wide = "" if row["fov_deg"] is None else f", {row['fov_deg']:.0f} deg wide"
        if row["depth_m"] is not None:
            low, middle, high = row["depth_m"]
            known = f"{100 * row['known_share']:.1f} % known, {low:.2f} to {high:.2f} m, "
            known += f"median {middle:.2f} m"
        elif row["pairs"]:
            known = f"{row['pairs']} pairs of points"
        else:
            known = "no pixel has a depth that counts: is the scale right?"
        typer.echo(f"  {row['name']}: {width}x{height}, {known}{wide}")
    for row in failed:
        typer.echo(f"  {row['name']}: {row['error']}")


def _record(spec: DatasetSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "summary": spec.summary,
        "layout": spec.layout.splitlines(),
        "source": spec.source,
        "terms": spec.terms,
        "download": spec.download,
        "protocol": spec.protocol,
        "splits": list(spec.splits),
    }
