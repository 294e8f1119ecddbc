"""``leadline video``: steady depth of a film, a folder of frames, a camera or a pipe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import (
    Camera,
    Cmap,
    Every,
    Fov,
    Json,
    MaxMegapixels,
    split_words,
    with_load_options,
)
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from fractions import Fraction

    from leadline.cli.motion import FilmMotion
    from leadline.io import Selection, Source
    from leadline.load_options import LoadOptions
    from leadline.video import FilmOptions, FilmReport, Look

FilmFormats = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        help="Any of color, gray16, side, npz, exr, sbs, half-sbs, anaglyph.",
    ),
]
SteadyMode = Annotated[
    str,
    typer.Option(
        "--steady", help="off, scale (one scale over time) or flow (also averaged along motion)."
    ),
]
AllowNetwork = Annotated[
    bool, typer.Option("--allow-network", help="Open addresses: rtsp://, http:// ...")
]
Raw = Annotated[
    str | None,
    typer.Option(metavar="WIDTHxHEIGHT", help="Size of the raw rgb24 frames that - reads."),
]


@with_load_options()
def video(
    given: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="Film, folder or pattern of frames, cam:0, an address, or - for raw frames.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the results; of one format also a file, depth.mp4.",
            show_default=False,
        ),
    ],
    load: LoadOptions,
    formats: FilmFormats = "color",
    codec: Annotated[
        str | None,
        typer.Option(
            help="h264, hevc, ffv1 or prores; default: ffv1 for gray16, else h264.",
            show_default=False,
        ),
    ] = None,
    steady: SteadyMode = "flow",
    live: Annotated[
        bool, typer.Option("--live", help="Take ranges of colours from what has been seen alone.")
    ] = False,
    start: Annotated[str | None, typer.Option(help="Seconds, or 1:02:03.5.")] = None,
    end: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    every: Every = 1,
    fps: Annotated[
        str | None,
        typer.Option(help="Frames a second at most; of pictures and pipes: their rate."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped or killed.")
    ] = False,
    cmap: Cmap = "inferno",
    divergence: Annotated[float, typer.Option(help="Of stereo: depth in percent.")] = 2.0,
    convergence: Annotated[
        float, typer.Option(help="Of stereo: share of nearness in the plane of the screen.")
    ] = 0.5,
    metres_from: Annotated[
        str | None, typer.Option(help="motion: metres by the camera's way through the film.")
    ] = None,
    poses: Annotated[
        Path | None, typer.Option(help="The frames' poses (world_from_camera, metres).")
    ] = None,
    baseline_m: Annotated[
        float | None,
        typer.Option(help="In place of poses: metres between the first two keyframes."),
    ] = None,
    camera: Camera = None,
    fov: Fov = None,
    raw: Raw = None,
    allow_network: AllowNetwork = False,
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write the depth of every frame of IN to --out, steady over time.

    Films keep the times of their frames, the way up and the sound. A run that was stopped leaves a
    film that plays, and --resume goes on with it. Exit code: 0 done, 1 some frames could not be
    decoded, 2 could not start, 130 stopped.
    """
    from leadline.cli.motion import film_motion
    from leadline.video import Look

    _check_looks(cmap)
    opening = Opening(raw=raw, fps=fps, allow_network=allow_network, max_megapixels=max_megapixels)
    run = FilmRun(
        load=load,
        formats=split_words(formats),
        codec=codec,
        steady=steady,
        live=live,
        resume=resume,
        selection=parse_selection(start, end, every, None if opening.is_rate(given) else fps),
        look=Look(cmap=cmap, divergence=divergence, convergence=convergence),
        motion=film_motion(metres_from, poses, baseline_m, (camera, fov)),
        as_json=as_json,
    )
    with opening.open(given) as source:
        run(source, given, out)


def predict_films(
    inputs: list[str],
    out: Path,
    load: LoadOptions,
    *,
    formats: str | None,
    cmap: str,
    resume: bool,
    as_json: bool,
) -> None:
    """What ``leadline predict`` does with films: as ``leadline video`` with all as it comes.

    Raises:
        InputError: pictures among them.
    """
    from leadline.io import Selection, is_video
    from leadline.video import Look

    others = [entry for entry in inputs if not is_video(entry)]
    if others:
        raise InputError(
            f"{others[0]} is given beside films; give films and pictures in two commands."
        )
    _check_looks(cmap)
    run = FilmRun(
        load=load,
        formats=["color"] if formats is None else split_words(formats),
        resume=resume,
        selection=Selection(),
        look=Look(cmap=cmap),
        as_json=as_json,
    )
    codes = []
    for entry in inputs:
        with Opening().open(entry) as source:
            try:
                run(source, entry, out)
            except typer.Exit as end:
                codes.append(end.exit_code)
                if end.exit_code != 1:
                    break
    if codes:
        raise typer.Exit(max(codes))


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a source is opened.

    Attributes:
        raw: WIDTHxHEIGHT of raw frames.
        fps: as it was given.
        allow_network, max_megapixels: see :func:`leadline.io.open_source`.
    """

    raw: str | None = None
    fps: str | None = None
    allow_network: bool = False
    max_megapixels: float | None = None

    def is_rate(self, given: str) -> bool:
        """Whether ``--fps`` says how fast the source was taken, which it does not say itself."""
        from leadline.io import is_video
        from leadline.io.sources import ADDRESS

        return not (is_video(given) or given.startswith("cam:") or ADDRESS.match(given))

    def open(self, given: str) -> Source:
        """The source that is meant.

        Raises:
            InputError: nothing that gives frames.
        """
        from leadline.io import open_source

        size = None
        if self.raw is not None:
            width, x, height = self.raw.lower().partition("x")
            if not (x and width.isdigit() and height.isdigit()):
                raise InputError(f"--raw {self.raw}: WIDTHxHEIGHT is needed, 1280x720 say.")
            size = int(height), int(width)
        rate = parse_fraction("--fps", self.fps) if self.is_rate(given) else None
        return open_source(
            given,
            rate=rate,
            raw_size=size,
            allow_network=self.allow_network,
            max_megapixels=self.max_megapixels,
        )


def parse_selection(start: str | None, end: str | None, every: int, fps: str | None) -> Selection:
    """What ``--start``, ``--end``, ``--every`` and ``--fps`` say.

    Raises:
        InputError: no times or rates, or none that fit together.
    """
    from fractions import Fraction

    from leadline.io import Selection

    return Selection(
        start=parse_time("--start", start) or Fraction(0),
        end=parse_time("--end", end),
        every=every,
        fps=parse_fraction("--fps", fps),
    )


def parse_time(option: str, text: str | None) -> Fraction | None:
    """``90``, ``1:30`` or ``1:02:03.5`` in seconds.

    Raises:
        InputError: another text.
    """
    from fractions import Fraction

    if text is None:
        return None
    try:
        words = [Fraction(word) for word in text.split(":")]
    except (ValueError, ZeroDivisionError):
        words = []
    if not 1 <= len(words) <= 3 or any(word < 0 for word in words):
        raise InputError(f"{option} {text}: seconds are needed, or minutes: 90, 1:30, 1:02:03.5.")
    return sum((word * 60**place for place, word in enumerate(reversed(words))), Fraction(0))


def parse_fraction(option: str, text: str | None) -> Fraction | None:
    """``25``, ``29.97`` or ``30000/1001``.

    Raises:
        InputError: another text.
    """
    from fractions import Fraction

    if text is None:
        return None
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise InputError(f"{option} {text}: frames per second are needed: 25, or 30000/1001.")
    return value


@dataclass(frozen=True, kw_only=True)
class FilmRun:
    """A film through a network, as the command line asks for it.

    Attributes:
        load: the network.
        formats, codec: of the results.
        steady, live, selection, look: see :class:`leadline.video.FilmOptions`.
        resume: go on with an earlier run.
        motion: how metres come from motion.
        as_json: print the result as JSON.
    """

    load: LoadOptions
    formats: list[str]
    codec: str | None = None
    steady: str = "flow"
    live: bool = False
    resume: bool = False
    selection: Selection
    look: Look
    motion: FilmMotion | None = None
    as_json: bool = False

    def __call__(self, source: Source, given: str, out: Path) -> None:
        """Make the film, and say what became of it.

        Raises:
            typer.Exit: something is missing.
        """
        from leadline.cli.progress import progress_bar
        from leadline.cli.signals import end_early_on_interrupt
        from leadline.io import Ledger
        from leadline.video import FilmJob, Parts, way_of

        options, parts_folder = self._plan(source, out)
        way = way_of(source, options, self.load.stamp(), motion=self.motion and self.motion.way)
        markers = [
            path if name in options.codecs else path / "film.json"
            for name, path in options.outputs.items()
        ]
        ledger = Ledger(parts_folder.parent, {Path(given): markers}, way, resume=self.resume)
        if ledger.done:
            self._say({"film": given, "files": _names(options), "done": "was there already"})
            return
        parts = Parts(parts_folder, way, resume=self.resume)
        estimator = self.load.open()
        if self.motion is not None:
            options = self.motion.add(options, source, estimator)
        with progress_bar("film", unit="frames") as (show, _):
            end_early_on_interrupt()
            report = FilmJob(source, estimator, options, parts).run(show)
        if not report.interrupted:
            _write_markers(options, report)
            ledger.add(Path(given))
        self._tell(report, given, options)

    def _plan(self, source: Source, out: Path) -> tuple[FilmOptions, Path]:
        """Which files the source becomes, and where its parts lie meanwhile."""
        from leadline.cli.naming import check_folder, keep_inputs
        from leadline.video import FilmOptions, check_steady

        outputs, codecs = plan_films(source.info.name, out, self.formats, self.codec)
        folder = next(iter(outputs.values())).parent
        check_folder(folder)
        film = source.info.film
        keep_inputs(outputs.values(), [] if film is None else [film])
        options = FilmOptions(
            outputs=outputs,
            codecs=codecs,
            steady=check_steady(self.steady),
            live=self.live,
            selection=self.selection,
            look=self.look,
        )
        stem = next(iter(outputs.values())).name if _is_film(out) else source.info.name
        return options, folder / f"{stem}.parts"

    def _tell(self, report: FilmReport, given: str, options: FilmOptions) -> None:
        rate = (report.frames - report.resumed) / report.seconds if report.seconds else 0.0
        record: dict[str, Any] = {
            "film": given,
            "files": _names(options),
            "frames": report.frames,
            "resumed": report.resumed,
            "undecodable": report.undecodable,
            "kind": report.kind,
            "seconds": round(report.seconds, 3),
            "frames_per_second": round(rate, 3),
            "stopped": report.interrupted,
            "notes": report.notes,
        }
        self._say(record)
        for note in report.notes:
            typer.echo(f"leadline: {given}: {note}.", err=True)
        if report.undecodable:
            typer.echo(
                f"leadline: {report.undecodable} frames could not be decoded and are left out.",
                err=True,
            )
        if report.interrupted:
            raise typer.Exit(130)
        if report.undecodable:
            raise typer.Exit(1)

    def _say(self, record: dict[str, Any]) -> None:
        if self.as_json:
            typer.echo(json.dumps(record, indent=2))
            return
        files = ", ".join(record["files"])
        if "frames" not in record:
            typer.echo(f"{files}: {record['done']}.", err=True)
            return
        text = (
            f"{record['frames']} frames, {record['frames_per_second']:.1f} frames/s. "
            f"The result is {files}."
        )
        if record["stopped"]:
            text += " Stopped before the end; --resume does the rest."
        typer.echo(text, err=True)


def plan_films(
    stem: str, out: Path, formats: list[str], codec: str | None
) -> tuple[dict[str, Path], dict[str, str]]:
    """The file of every format, and its codec.

    Args:
        stem: of the source.
        out: folder, or the only film.
        formats: that are asked for.
        codec: as it was given.

    Raises:
        InputError: a codec or a container that does not keep a format.
        UnknownNameError: no such format or codec.
    """
    from leadline.io.film_writer import get_codec, usual_codec
    from leadline.video import get_format

    if not formats:
        raise InputError("--format names nothing; give color, say.")
    outputs: dict[str, Path] = {}
    codecs: dict[str, str] = {}
    for name in dict.fromkeys(formats):
        form = get_format(name)
        if form.content is None:
            outputs[name] = out / f"{stem}.{name}"
            if _is_film(out):
                raise InputError(
                    f"--out {out} is a film, and {name} a file per frame; give a folder."
                )
            continue
        chosen = codec or usual_codec(form.content)
        suffixes = get_codec(chosen, form.content).suffixes
        if not _is_film(out):
            inner = form.inner or f".{name}"
            outputs[name] = out / f"{stem}{inner}{suffixes[0]}"
        elif len(formats) > 1:
            raise InputError(f"--out {out} is one film for {len(formats)} formats; give a folder.")
        elif out.suffix.lower() not in suffixes:
            raise InputError(
                f"--out {out} with codec {chosen}, which goes into {', '.join(suffixes)}; rename "
                "it, or give another --codec."
            )
        else:
            outputs[name] = out
        codecs[name] = chosen
    return outputs, codecs


def _is_film(out: Path) -> bool:
    from leadline.io import is_video

    return is_video(out) and not out.is_dir()


def _check_looks(cmap: str) -> None:
    from leadline.viz import CMAPS

    if cmap not in CMAPS:
        raise UnknownNameError("colour map", cmap, CMAPS)


def _names(options: FilmOptions) -> list[str]:
    return [str(path) for path in options.outputs.values()]


def _write_markers(options: FilmOptions, report: FilmReport) -> None:
    """Say in every folder of frames that it is whole."""
    from leadline.jobs import write_text

    record = {"frames": report.frames, "kind": report.kind, "undecodable": report.undecodable}
    for name in options.outputs.keys() - options.codecs.keys():
        write_text(options.outputs[name] / "film.json", json.dumps(record) + "\n")
