"""``leadline predict``: depth of pictures and folders of pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import (
    Camera,
    Cluster,
    Cmap,
    ControlSide,
    Formats,
    Fov,
    Gpus,
    Holes,
    Json,
    Legend,
    MaxMegapixels,
    Tone,
    Workers,
    parse_holes,
    with_load_options,
)
from leadline.cli.outputs import LeftOut, Look, Outputs, plan_outputs, with_standard_input
from leadline.cli.pictures import Reading, measure_span, notes_of, say_span
from leadline.errors import InputError, LeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadline.cli.motion import MetresFromMotion
    from leadline.cli.prompts import Prompts
    from leadline.estimator import DepthEstimator
    from leadline.io import Ledger
    from leadline.jobs import Failure, JobReport
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction
    from leadline.prepared import Prepared

_MOST_LINES = 20
"""Pictures of which each gets a line about its metres; of more, one line is about all."""


@with_load_options()
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders, patterns, or - for a list on standard input; films; with "
            "--cluster also addresses (s3://...) and WebDataset shards (.tar).",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the results; of one picture also a file, map.png.",
            show_default=False,
        ),
    ],
    load: LoadOptions,
    formats: Formats = None,
    layout: Annotated[
        str, typer.Option(help="With --cluster: webdataset or parquet.")
    ] = "webdataset",
    prior: Annotated[
        bool,
        typer.Option("--prior", help="No learned model: segments, lower is nearer; for teaching."),
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search the folders' folders too.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave out pictures whose results, made just so, are there."),
    ] = False,
    cmap: Cmap = "inferno",
    legend: Legend = False,
    control_side: ControlSide = None,
    cluster: Cluster = None,
    workers: Workers = None,
    gpus: Gpus = 0.0,
    metres_from: Annotated[
        str | None,
        typer.Option(help="motion: metres for frames in the order of time, by their poses."),
    ] = None,
    poses: Annotated[
        Path | None, typer.Option(help="The frames' poses (world_from_camera, metres).")
    ] = None,
    camera: Camera = None,
    fov: Fov = None,
    prompt_depth: Annotated[
        Path | None,
        typer.Option(
            help="Depth file of the same view, or a folder of them by the pictures' stems, for "
            "networks that ask for it."
        ),
    ] = None,
    prompt_per_metre: Annotated[
        float | None, typer.Option(help="Its numbers per metre: 1 for metres, 1000 for mm.")
    ] = None,
    hole: Holes = None,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write the depth of every INPUT to the folder --out.

    Results are named OUT/<stem>.npz, .color.png, .depth.png (16 bits), .side.png and so on, of one
    picture in one format OUT/<stem>.png; where stems collide, OUT/<parent>__<stem>... An --out that
    ends in .png, .npz, .npy, .pfm, .ply or .exr is the file of the only picture. OUT/made.jsonl
    notes what they were made of; --resume makes anew what is of another picture, model or setting.
    With --cluster the maps go into shards of 16-bit PNGs, and a rerun goes on where it stopped.
    Exit code: 0 all done, 1 some inputs failed, 2 the command could not start.
    """
    from leadline.cli.cameras import check_camera, numbers_of
    from leadline.cli.motion import MetresFromMotion, motion_options
    from leadline.io import is_video

    reading = Reading.of(tone, max_megapixels)
    prompts = None
    if prompt_depth is not None or prompt_per_metre is not None:
        from leadline.cli.prompts import make_prompts

        prompts = make_prompts(prompt_depth, prompt_per_metre, parse_holes(hole))
    check_camera(camera, fov)
    motion = motion_options(metres_from, poses, camera, fov)
    if prior:
        load = replace(load, model=_choose_prior(load))
    if cluster is not None:
        from leadline.cli.shards import predict_shards
        from leadline.shards import Where

        _refuse_with_cluster(
            {
                "--camera": camera,
                "--fov": fov,
                "--metres-from": motion,
                "--prompt-depth": prompts,
                "--tone and --max-megapixels": None if reading == Reading() else reading,
                "--format": formats,
            }
        )
        where = Where(
            address=cluster, workers=2 if workers is None else workers, gpus_per_worker=gpus
        )
        predict_shards(
            load, with_standard_input(inputs), where, out=out, layout=layout, as_json=as_json
        )
        return
    if any(is_video(entry) for entry in inputs):
        from leadline.cli.video import predict_films

        if prompts is not None or motion is not None:
            raise InputError("--prompt-depth and --metres-from with a film; use `leadline video`.")
        looks = {"formats": formats, "cmap": cmap, "resume": resume, "as_json": as_json}
        predict_films(inputs, Path(out), load, **looks)
        return
    look = Look(cmap=cmap, legend=legend, control_side=control_side)
    outputs = plan_outputs(inputs, Path(out), formats, look, recursive=recursive)
    if prompts is not None:
        prompts.find(list(outputs.files))
    estimator = load.open()
    if prompts is not None:
        prompts.check_network(estimator.spec)
    metres = None
    if motion is not None:
        metres = MetresFromMotion(estimator, list(outputs.files), motion, reading)
    way = {
        **load.stamp(),
        "camera": camera and numbers_of(camera),
        "fov": fov,
        "motion": metres and metres.way,
        **reading.way,
        **(prompts.way if prompts else {}),
    }
    work = _Work(
        estimator=estimator,
        outputs=outputs,
        ledger=outputs.ledger(way, resume=resume),
        metres=metres,
        camera=camera,
        fov_deg=fov,
        reading=reading,
        prompts=prompts,
    )
    report = work.run()
    _say_result(work, report, as_json=as_json)


def _say_result(work: _Work, report: JobReport[Path, list[str]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_summary(work, report), indent=2))
    else:
        typer.echo(_sentence(work, report), err=True)
        for line in work.left_out.lines():
            typer.echo(line, err=True)
        if work.without_camera:
            typer.echo(
                f"No focal length is known of {work.without_camera} of them, so their depth is "
                "right up to one scale only; --fov DEGREES or --camera makes it metres.",
                err=True,
            )
    if report.failures:
        raise typer.Exit(1)


def _choose_prior(load: LoadOptions) -> str:
    """The name of the zero-parameter model, in place of the default or the learned one."""
    if load.model not in ("lite", "superpixel", "superpixel-prior") or load.weights is not None:
        given = f"--model {load.model}" if load.weights is None else f"--weights {load.weights}"
        raise InputError(f"--prior with {given}: the prior has no weights; leave one of them out.")
    return "superpixel-prior"


def _refuse_with_cluster(given: dict[str, object]) -> None:
    """Raise InputError for options that the workers of a cluster know nothing of."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(
            f"{', '.join(names)} with --cluster, whose workers take single pictures as they are "
            "and write 16-bit PNGs without cameras into shards (--layout webdataset or parquet); "
            "leave it out, or --cluster."
        )


@dataclass(kw_only=True)
class _Work:
    """The pictures' way from file to file.

    Attributes:
        estimator, outputs: what predicts, and what it fills.
        ledger: notes what was filled.
        metres: takes maps to metres, where it is asked for.
        camera, fov_deg: of all pictures; see :func:`leadline.cli.cameras.camera_for`.
        reading: how pictures are read.
        prompts: depth that is shown to the network beside the pictures.
        kinds: of the maps made so far.
        spans: picture -> least, median and largest metres of its map.
        notes: picture -> what reading it left out.
        without_camera: how many of them would be metres if their camera were known.
        left_out: what the files do not hold.
    """

    estimator: DepthEstimator
    outputs: Outputs
    ledger: Ledger
    metres: MetresFromMotion | None
    camera: str | None
    fov_deg: float | None
    reading: Reading
    prompts: Prompts | None
    kinds: set[str] = field(default_factory=set)
    spans: dict[Path, dict[str, float]] = field(default_factory=dict)
    notes: dict[Path, list[str]] = field(default_factory=dict)
    without_camera: int = 0
    left_out: LeftOut = field(init=False)
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self.left_out = LeftOut(name for files in self.outputs.files.values() for name in files)

    def run(self) -> JobReport[Path, list[str]]:
        """Do all pictures but those that the ledger says are done."""
        from leadline.cli.progress import progress_bar
        from leadline.jobs import run_job

        with progress_bar("depth") as (show, say):
            self.say = say
            return run_job(
                list(self.outputs.files),
                prepare=self.prepare,
                work=self.predict,
                finish=self.write,
                is_done=self.ledger.done.__contains__,
                on_progress=show,
                on_failure=lambda failure: say(f"leadline: {explain(failure)}"),
                catch=(Exception,),
            )

    def prepare(self, picture: Path) -> Prepared:
        """Read a picture, with the camera that the options name."""
        image = self.reading.read(picture)
        if self.camera is not None or self.fov_deg is not None:
            from leadline.cli.cameras import camera_for

            camera = camera_for(image, camera=self.camera, fov_deg=self.fov_deg)
            image = replace(image, camera=camera)
        if self.prompts is not None:
            image = replace(image, prompt_depth=self.prompts.read(picture))
        return self.estimator.prepare(image)

    def predict(self, picture: Path, prepared: Prepared) -> Prediction:
        """The map, in metres where that was asked for."""
        prediction = self.estimator.predict_prepared(prepared)
        if self.metres is not None:
            prediction = self.metres(picture, prediction)
        elif self.estimator.spec.canonical_focal_px and not prediction.kind.is_metric:
            self.without_camera += 1
        self.kinds.add(str(prediction.kind))
        if lines := notes_of(prepared.image, picture):
            self.notes[picture] = lines
            for line in lines:
                self.say(f"leadline: {line}")
        if (span := measure_span(prediction)) is not None:
            self.spans[picture] = span
            if len(self.outputs.files) <= _MOST_LINES:
                self.say(f"{picture}: {say_span(span)}")
        return prediction

    def write(self, picture: Path, prediction: Prediction) -> list[str]:
        """Every file of a picture."""
        files = self.outputs.files[picture]
        self.outputs.look.save(prediction, files)
        self.left_out.add(prediction)
        self.ledger.add(picture)
        return [str(file) for file in files.values()]


def explain(failure: Failure[Path]) -> str:
    """One line on why a picture failed; it names the picture."""
    error = failure.error
    if isinstance(error, LeadlineError):
        text = " ".join(str(error).split())
    elif isinstance(error, OSError):
        text = f"{error.strerror or error}"
    elif isinstance(error, MemoryError):
        text = "too little memory for this picture; make it smaller first"
    else:
        text = f"{type(error).__name__}: {error} (a fault of Leadline: please report it)"
        text = " ".join(text.split())
    return text if str(failure.item) in text else f"{failure.item}: {text}"


def _summary(work: _Work, report: JobReport[Path, list[str]]) -> dict[str, Any]:
    estimator, seconds = work.estimator, report.seconds
    return {
        "model": estimator.spec.name,
        "kind": ", ".join(sorted(work.kinds)) or str(estimator.spec.kind),
        "runtime": estimator.runtime.name,
        "device": estimator.runtime.device,
        "precision": estimator.runtime.precision,
        "seconds": round(seconds, 3),
        "pictures_per_second": round(len(report.results) / seconds, 3) if seconds else None,
        "done": [
            {
                "input": str(item),
                "files": files,
                "metres": work.spans.get(item),
                "notes": work.notes.get(item, []),
            }
            for item, files in report.results
        ],
        "left_out": work.left_out.to_dict(),
        "skipped": [str(item) for item in report.skipped],
        "failed": [{"input": str(f.item), "error": explain(f)} for f in report.failures],
    }


def _sentence(work: _Work, report: JobReport[Path, list[str]]) -> str:
    done = len(report.results)
    parts = [f"{done} picture{'' if done == 1 else 's'} done in {report.seconds:.1f} s"]
    if report.skipped:
        parts.append(f"{len(report.skipped)} already there")
    if report.failures:
        parts.append(f"{len(report.failures)} failed")
    out = work.outputs
    place = f"Results are in {out.folder}" if out.file is None else f"The result is {out.file}"
    text = f"{', '.join(parts)}."
    if done or report.skipped:
        text += f" {place}."
    if len(work.spans) > _MOST_LINES:
        text += f" Depths: {say_span(_join_spans(list(work.spans.values())))}."
    if work.ledger.foreign:
        text += (
            f" {work.ledger.foreign} that were there count for nothing: of another picture, model "
            "or setting, or not noted."
        )
    return text


def _join_spans(spans: list[dict[str, float]]) -> dict[str, float]:
    """The span of many maps; its median is that of their medians."""
    from statistics import median

    return {
        "min": min(span["min"] for span in spans),
        "median": median(span["median"] for span in spans),
        "max": max(span["max"] for span in spans),
    }
