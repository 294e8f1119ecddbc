"""``leadline evaluate``: numbers of a model, or of another program's files, on a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import (
    Camera,
    Every,
    Holes,
    Json,
    SkipBad,
    parse_holes,
    split_words,
    with_load_options,
)
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.datasets import Frame
    from leadline.evaluation.film import FilmScores
    from leadline.evaluation.predictors import Predictor
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction


@with_load_options(default=None, help="Name, file, hub id, constant or vertical-ramp; lite.")
def evaluate(
    dataset: Annotated[
        str, typer.Option(help="Name; see `leadline datasets`.", show_default=False)
    ],
    load: LoadOptions,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data set.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the report.", show_default=False),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", "-p", help="Default: the data set's usual one.", show_default=False
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of another program's files (npz, npy, pfm, png).", show_default=False
        ),
    ] = None,
    pred_per_metre: Annotated[
        float | None, typer.Option(help="Codes per metre of their 16-bit PNGs.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set.")] = None,
    per_metre: Annotated[
        float | None,
        typer.Option(help="Numbers per metre of a folder's depth files: 1 for metres."),
    ] = None,
    hole: Holes = None,
    camera: Camera = None,
    every: Every = 1,
    metrics: Annotated[
        str, typer.Option(help="More metrics, e.g. boundary_f1,edge_accuracy.")
    ] = "",
    video: Annotated[
        bool,
        typer.Option("--video", help="The frames are a film: also TAE, OPW and change over time."),
    ] = False,
    steady: Annotated[
        str, typer.Option(help="With --video: off, scale or flow; see `leadline video`.")
    ] = "off",
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Score a model on a data set by a published protocol; write the report to --out.

    The files of --predictions hold what they say, or what --kind says, or else metric_depth.

    Exit code: 0 done, 1 some frames were left out, 2 could not start or a frame cannot be used.
    """
    from leadline.cli.naming import check_folder
    from leadline.cli.progress import progress_bar
    from leadline.datasets import Options, get, open_dataset
    from leadline.evaluation import protocols
    from leadline.evaluation.normal_protocol import NormalProtocol
    from leadline.evaluation.page import render_page
    from leadline.evaluation.run import evaluate as run
    from leadline.jobs import write_text

    if out is not None:
        check_folder(out)
    chosen = protocols.get(protocol or get(dataset).protocol)
    options = Options(
        split=split,
        every=every,
        per_metre=per_metre,
        holes=parse_holes(hole),
        intrinsics=None if camera is None else _intrinsics(dataset, root, camera),
        normals=isinstance(chosen, NormalProtocol),
    )
    refs = open_dataset(dataset, root, options)
    predict, name = _predictor(load, predictions, pred_per_metre)
    if steady != "off" and not video:
        raise InputError(f"--steady {steady} is for films; give --video, or leave it out.")
    scores = None
    if video:
        predict, scores = _film_predictor(predict, steady)
    with progress_bar("frames") as (show, say):
        report = run(
            predict,
            refs,
            chosen,
            model=name,
            dataset=dataset,
            metrics=split_words(metrics),
            skip_bad=skip_bad,
            on_progress=show,
            on_failure=lambda failure: say(
                f"leadline: left out {failure.item.name}: {failure.error}"
            ),
        )
    if out is not None:
        report.save(out, page=None if video else render_page(report, refs, predict))
    record = report.to_dict()
    if scores is not None:
        record["film"] = {"steady": steady, **scores.result()}
        if out is not None:
            write_text(out / "film.json", json.dumps(record["film"], indent=2) + "\n")
    if as_json:
        typer.echo(json.dumps(record, indent=2))
    else:
        lines = [f"{key:18}{value}" for key, value in record.get("film", {}).items()]
        typer.echo("\n".join([report.table(), *lines]))
    if report.skipped:
        raise typer.Exit(1)


def _intrinsics(dataset: str, root: Path | None, camera: str) -> dict[str, float]:
    """What ``--camera`` says of a folder's pictures."""
    from leadline.cli.cameras import folder_intrinsics

    if dataset != "folder" or root is None:
        raise InputError(
            f"--camera with --dataset {dataset}: data sets know their own cameras; it is for "
            "--dataset folder --root FOLDER."
        )
    return folder_intrinsics(root, camera)


def _film_predictor(predict: Predictor, steady: str) -> tuple[Predictor, FilmScores]:
    """The predictor made steady, and the scores that it fills as it goes."""
    from leadline.evaluation.film import FilmScores
    from leadline.video import Stabiliser, check_steady

    stabiliser, scores = Stabiliser(check_steady(steady)), FilmScores()

    def run(frame: Frame) -> Prediction:
        prediction = stabiliser(predict(frame), frame.image.pixels)
        scores.add(frame, prediction)
        return prediction

    return run, scores


def _predictor(
    load: LoadOptions, predictions: Path | None, per_metre: float | None
) -> tuple[Predictor, str]:
    from leadline.errors import UnknownNameError
    from leadline.evaluation.predictors import open_folder, open_predictor
    from leadline.kinds import DepthKind

    if load.model is not None and predictions is not None:
        raise InputError("--model and --predictions are both given; one of them is needed.")
    if per_metre is not None and predictions is None:
        raise InputError(
            "--pred-per-metre tells what files hold, and a model tells that itself; give "
            "--predictions FOLDER, or leave it out."
        )
    if load.kind is not None and load.kind not in list(DepthKind):
        raise UnknownNameError("depth kind", load.kind, list(DepthKind))
    if predictions is not None:
        return open_folder(predictions, kind=load.kind, per_metre=per_metre), predictions.name
    return open_predictor(load), str(load.model or load.weights or "lite")
