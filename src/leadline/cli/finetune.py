"""``leadline finetune``: a folder of pictures and depth makes a network better at such pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import Camera, Holes, Json, find_run, parse_holes, split_pair
from leadline.errors import InputError, MissingDependencyError, UnknownNameError


def finetune(
    folder: Annotated[
        Path, typer.Argument(help="Folder with rgb/ and depth/ (or the like).", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; default: runs/FOLDER-TIME.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Network to start from: name, file, run folder.")
    ] = "lite",
    goal: Annotated[
        str, typer.Option(help="metric (metres; a relative network gets a head) or relative.")
    ] = "metric",
    per_metre: Annotated[
        float | None,
        typer.Option(
            help="Numbers per metre of the depth files: 1 for metres, 1000 for mm, 256 for KITTI."
        ),
    ] = None,
    hole: Holes = None,
    camera: Camera = None,
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 1000,
    held_out: Annotated[
        float, typer.Option(help="Share of the pictures to measure with; whole groups of names.")
    ] = 0.2,
    trust: Annotated[
        bool, typer.Option("--trust", help="Do not check whether the depth is upside down.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the run."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    as_json: Json = False,
) -> None:
    """Check units and kinds, hold some pictures out, train, and say what it was worth.

    The folder is only read. `leadline predict --model RUN` takes the result.
    """
    if goal not in ("metric", "relative"):
        raise UnknownNameError("goal", goal, ("metric", "relative"))
    if steps < 1:
        raise InputError(f"--steps {steps}: at least 1 is needed.")
    from leadline.cli.cameras import folder_intrinsics

    holes, changes = parse_holes(hole), dict(split_pair(text) for text in set_ or [])
    run_folder = find_run(folder.resolve().name, out, resume=resume, below=("data",))
    intrinsics = None if camera is None else folder_intrinsics(folder, camera)
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("torch", "leadline finetune", "train") from error
    from dataclasses import asdict

    from leadline.training.finetune import finetune as run

    report = run(
        folder,
        run_folder,
        model=model,
        goal="relative" if goal == "relative" else "metric",
        per_metre=per_metre,
        holes=holes,
        intrinsics=intrinsics,
        steps=steps,
        held_out=held_out,
        trust=trust,
        changes=changes,
        resume=resume,
        report=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        typer.echo(report.text())
        typer.echo(f"predict: leadline predict --model {report.run} PICTURES --out depth")
