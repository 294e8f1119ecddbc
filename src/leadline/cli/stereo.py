"""``leadline stereo``: depth from a rectified stereo pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import (
    Camera,
    Cmap,
    Formats,
    Json,
    Legend,
    MaxMegapixels,
    OutFolder,
    Tone,
    parse_formats,
)
from leadline.cli.outputs import LeftOut, Look
from leadline.cli.pictures import Reading, measure_span, say_span
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.camera import Camera as Intrinsics
    from leadline.prediction import Prediction

LEAST_AGREEMENT = 0.1
"""Share of the pixels on which a rectified pair agrees at least."""

_USUAL_BASELINE_M = (0.005, 5.0)


def stereo(
    left: Annotated[Path, typer.Argument(help="Picture of the left camera.", show_default=False)],
    right: Annotated[Path, typer.Argument(help="Picture of the right camera.", show_default=False)],
    out: OutFolder,
    focal_px: Annotated[
        float | None, typer.Option(help="Focal length of the rectified pictures, in pixels.")
    ] = None,
    baseline_m: Annotated[
        float | None, typer.Option(help="Metres between the two cameras.")
    ] = None,
    doffs: Annotated[
        float, typer.Option(help="x of the right principal point less x of the left, in pixels.")
    ] = 0.0,
    camera: Camera = None,
    formats: Formats = None,
    max_disparity: Annotated[
        int | None, typer.Option(help="Pixels; default: a sixth of the width.")
    ] = None,
    fill: Annotated[
        bool, typer.Option(help="Give values to what only one view sees, or leave it out.")
    ] = True,
    cmap: Cmap = "inferno",
    legend: Legend = False,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write the depth of LEFT to the folder --out, in metres.

    The pair must be rectified: a point lies in one row of both pictures. Without --focal-px (or
    --camera, of the left picture) and --baseline-m the result is the disparity in pixels. A pair
    whose views agree on less than a tenth of the pixels is refused.
    """
    from dataclasses import replace

    from leadline.cli.cameras import camera_for
    from leadline.cli.naming import check_folder, keep_inputs
    from leadline.geometry import stereo_disparity
    from leadline.image import Image
    from leadline.io import output_suffixes

    look = Look(cmap=cmap, legend=legend)
    if camera is not None and focal_px is not None:
        raise InputError("--camera and --focal-px were both given; one of them is needed.")
    camera_known = _both_or_none(focal_px, baseline_m, camera)
    if baseline_m is not None:
        _question_baseline(baseline_m)
    check_folder(out)
    suffixes = output_suffixes(parse_formats(formats), alone=True)
    files = {name: out / f"{left.stem}{suffix}" for name, suffix in suffixes.items()}
    keep_inputs(files.values(), (left, right))
    reading = Reading.of(tone, max_megapixels)
    pair = [reading.read_aloud(path) for path in (left, right)]
    view = Image(pixels=pair[0].pixels, name=str(left))
    if focal_px is not None:
        view = replace(view, camera=_camera(view.size, focal_px, left))
    elif camera is not None:
        view = replace(view, camera=camera_for(view, camera=camera, fov_deg=None))
    found = stereo_disparity(
        view,
        Image(pixels=pair[1].pixels, name=str(right)),
        max_disparity=max_disparity,
        fill=fill,
    )
    share = _check_agreement(found, left, right)
    if camera_known:
        found = found.to_depth(baseline_m=baseline_m, doffs_px=doffs)
    look.save(found, files)
    left_out = LeftOut(files)
    left_out.add(found)
    span = measure_span(found)
    if as_json:
        summary = {
            "kind": str(found.kind),
            "confident": round(share, 4),
            "metres": span,
            "files": [str(file) for file in files.values()],
            "left_out": left_out.to_dict(),
        }
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(
            f"{found.kind} of {left}: both views agree on {share:.0%} of the pixels. Results are "
            f"in {out}.",
            err=True,
        )
        for line in left_out.lines():
            typer.echo(line, err=True)
        if span is not None:
            typer.echo(f"{left}: {say_span(span)}", err=True)


def _check_agreement(found: Prediction, left: Path, right: Path) -> float:
    """Share of the pixels on which both views agree.

    Raises:
        InputError: so few that this is hardly a rectified pair.
    """
    from leadline.geometry import CONFIDENT

    sure = found.known if found.confidence is None else found.confidence >= CONFIDENT
    share = float(sure.mean())
    if share < LEAST_AGREEMENT:
        raise InputError(
            f"{left} and {right} agree on {share:.1%} of the pixels, and a rectified pair agrees "
            f"on {LEAST_AGREEMENT:.0%} at least. Are left and right swapped, are the pictures not "
            "rectified, or are things nearer than --max-disparity allows?"
        )
    return share


def _question_baseline(baseline_m: float) -> None:
    """Say so when a baseline looks like another unit."""
    low, high = _USUAL_BASELINE_M
    if low <= baseline_m <= high:
        return
    guess = f"; if these are millimetres, say {baseline_m / 1000:g}" if baseline_m > high else ""
    typer.echo(
        f"leadline: --baseline-m {baseline_m:g} is in metres, and stereo cameras are {low:g} to "
        f"{high:g} m apart{guess}.",
        err=True,
    )


def _both_or_none(focal_px: float | None, baseline_m: float | None, camera: str | None) -> bool:
    given = [focal_px is not None or camera is not None, baseline_m is not None]
    if any(given) and not all(given):
        raise InputError(
            "metres need --baseline-m and either --focal-px or --camera; give both, or neither for "
            "the disparity in pixels."
        )
    for name, value in (("--focal-px", focal_px), ("--baseline-m", baseline_m)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value}: a positive number is needed.")
    return all(given)


def _camera(size: tuple[int, int], focal_px: float, name: Path) -> Intrinsics:
    from leadline.camera import Camera as Intrinsics

    camera = Intrinsics.from_focal(size[1], size[0], focal_px=focal_px)
    if not 5 < camera.fov_deg < 150:
        raise InputError(
            f"--focal-px {focal_px:g} for {name}, {size[1]} pixels wide, is a field of view of "
            f"{camera.fov_deg:.1f} degrees; between 5 and 150 are plausible. Give pixels of this "
            "picture size, not millimetres."
        )
    return camera
