"""``leadline predict``: depth of pictures and folders of pictures."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import (
    Camera,
    Cluster,
    Cmap,
    Formats,
    Fov,
    Gpus,
    Json,
    Workers,
    split_words,
    with_load_options,
)
from leadline.errors import InputError, LeadlineError

if TYPE_CHECKING:
    from leadline.cli.motion import MetresFromMotion
    from leadline.estimator import DepthEstimator
    from leadline.io import Ledger
    from leadline.jobs import Failure, JobReport
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction
    from leadline.preprocess import Prepared

Files = dict[str, Path]

_FORMATS = "npz,color"


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What to write for every picture.

    Attributes:
        files: picture -> format -> file.
        folder: of all of them.
        cmap: colour map of the pictures among them.
    """

    files: dict[Path, Files]
    folder: Path
    cmap: str

    def ledger(self, way: dict[str, Any], *, resume: bool) -> Ledger:
        """The notes of a run that fills them in this way."""
        from leadline.io import Ledger

        files = {picture: list(made.values()) for picture, made in self.files.items()}
        return Ledger(self.folder, files, {**way, "cmap": self.cmap}, resume=resume)


@with_load_options()
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders, patterns, or - for a list on standard input; with --cluster "
            "also addresses (s3://...) and WebDataset shards (.tar).",
            show_default=False,
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder for the results.", show_default=False)
    ],
    load: LoadOptions,
    formats: Formats = _FORMATS,
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
    as_json: Json = False,
) -> None:
    """Write the depth of every INPUT to the folder --out.

    Results are named OUT/<stem>.<ext>; only where stems collide, OUT/<parent>__<stem>.<ext>. Where
    several formats end in .png, their names tell them apart: <stem>.color.png. OUT/made.jsonl notes
    what they were made of; --resume makes anew what is of another picture, model or setting. With
    --cluster the maps go into shards of 16-bit PNGs, and a rerun goes on where it stopped. Exit
    code: 0 all done, 1 some inputs failed, 2 the command could not start.
    """
    from leadline.cli.cameras import check_camera, numbers_of
    from leadline.cli.motion import MetresFromMotion, motion_options

    check_camera(camera, fov)
    motion = motion_options(metres_from, poses, camera, fov)
    if prior:
        load = replace(load, model=_choose_prior(load))
    if cluster is not None:
        if camera is not None or fov is not None:
            raise InputError(
                "--camera and --fov are not handed to a cluster, whose maps keep no camera; leave "
                "them or --cluster out."
            )
        if motion is not None:
            raise InputError(
                "--metres-from motion looks at neighbouring frames, which a cluster works on "
                "apart; leave --cluster out."
            )
        from leadline.cli.shards import predict_shards
        from leadline.shards import Where

        if formats != _FORMATS:
            raise InputError(
                f"--format {formats} with --cluster, whose shards hold 16-bit PNGs; choose their "
                "--layout, webdataset or parquet, and leave --format out."
            )
        where = Where(
            address=cluster, workers=2 if workers is None else workers, gpus_per_worker=gpus
        )
        predict_shards(load, inputs, where, out=out, layout=layout, as_json=as_json)
        return
    folder = Path(out)
    outputs = _plan(inputs, folder, split_words(formats), cmap, recursive=recursive)
    estimator = load.open()
    try:
        metres = None
        if motion is not None:
            metres = MetresFromMotion(estimator, list(outputs.files), motion)
        way = {
            **load.stamp(),
            "camera": camera and numbers_of(camera),
            "fov": fov,
            "motion": metres and metres.way,
        }
        work = _Work(
            estimator=estimator,
            outputs=outputs,
            ledger=outputs.ledger(way, resume=resume),
            metres=metres,
            camera=camera,
            fov_deg=fov,
        )
        report = work.run()
    except KeyboardInterrupt:
        typer.echo("leadline: stopped; what is done is kept, and --resume does the rest.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(_summary(work, report), indent=2))
    else:
        typer.echo(_sentence(work, report), err=True)
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


def _plan(
    inputs: list[str], out: Path, formats: list[str], cmap: str, *, recursive: bool
) -> Outputs:
    """Which pictures there are and which files they become; refuses what cannot be."""
    from leadline.cli.naming import output_files, without_results
    from leadline.errors import UnknownNameError
    from leadline.io import FORMATS, list_images, output_suffixes
    from leadline.viz import CMAPS

    if not formats:
        raise InputError(f"--format names nothing; give one or more of {', '.join(FORMATS)}.")
    if cmap not in CMAPS:
        raise UnknownNameError("colour map", cmap, CMAPS)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; a folder is needed.")
    given = _with_standard_input(inputs)
    pictures = without_results(list_images(given, recursive=recursive), map(Path, given), out)
    files = output_files(pictures, out, output_suffixes(formats))
    return Outputs(files=files, folder=out, cmap=cmap)


def _with_standard_input(inputs: list[str]) -> list[str]:
    """``inputs`` with ``-`` replaced by the lines of standard input."""
    given: list[str] = []
    for entry in inputs:
        if entry == "-":
            lines = (line.rstrip("\r\n") for line in sys.stdin)
            given += [line for line in lines if line.strip()]
        else:
            given.append(entry)
    return given


@dataclass(kw_only=True)
class _Work:
    """The pictures' way from file to file.

    Attributes:
        estimator, outputs: what predicts, and what it fills.
        ledger: notes what was filled.
        metres: takes maps to metres, where it is asked for.
        camera, fov_deg: of all pictures; see :func:`leadline.cli.cameras.camera_for`.
        kinds: of the maps made so far.
        without_camera: how many of them would be metres if their camera were known.
    """

    estimator: DepthEstimator
    outputs: Outputs
    ledger: Ledger
    metres: MetresFromMotion | None
    camera: str | None
    fov_deg: float | None
    kinds: set[str] = field(default_factory=set)
    without_camera: int = 0

    def run(self) -> JobReport[Path, list[str]]:
        """Do all pictures but those that the ledger says are done."""
        from leadline.cli.progress import progress_bar
        from leadline.jobs import run_job

        with progress_bar("depth") as (show, say):
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
        if self.camera is None and self.fov_deg is None:
            return self.estimator.prepare(picture)
        from leadline.cli.cameras import camera_for
        from leadline.io import read_image

        image = read_image(picture)
        camera = camera_for(image, camera=self.camera, fov_deg=self.fov_deg)
        return self.estimator.prepare(replace(image, camera=camera))

    def predict(self, picture: Path, prepared: Prepared) -> Prediction:
        """The map, in metres where that was asked for."""
        prediction = self.estimator.predict_prepared(prepared)
        if self.metres is not None:
            prediction = self.metres(picture, prediction)
        elif self.estimator.spec.canonical_focal_px and not prediction.kind.is_metric:
            self.without_camera += 1
        self.kinds.add(str(prediction.kind))
        return prediction

    def write(self, picture: Path, prediction: Prediction) -> list[str]:
        """Every file of a picture."""
        files = self.outputs.files[picture]
        for name, file in files.items():
            prediction.save(file, format=name, cmap=self.outputs.cmap)
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
        "done": [{"input": str(item), "files": files} for item, files in report.results],
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
    text = f"{', '.join(parts)}. Results are in {work.outputs.folder}."
    if work.ledger.foreign:
        text += (
            f" {work.ledger.foreign} that were there count for nothing: of another picture, model "
            "or setting, or not noted."
        )
    return text
