"""``leadline measure``: lengths, areas and angles in a photo."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from leadline.cli.options import Camera, Fov, Json, MaxMegapixels, Tone, with_load_options
from leadline.cli.pictures import Reading
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from leadline.cloud import Measure
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction

_SEVERAL = ("--points", "--plane")
_MAPS = (".npz", ".npy", ".pfm")


class SeveralPoints(TyperCommand):
    """A command whose --points and --plane take every following ``x,y``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its points, as the parser wants it."""
        spread: list[str] = []
        option = ""
        for word in args:
            is_point = re.fullmatch(r"-?[\d.]+,-?[\d.]+", word) is not None
            if is_point and option and spread[-1] != option:
                spread.append(option)
            spread.append(word)
            if not is_point:
                option = word if word in _SEVERAL else ""
        return super().parse_args(ctx, spread)


@with_load_options(default="lite-metric")
def measure(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A picture, or a map in metres that `predict` wrote (.npz).",
            show_default=False,
        ),
    ],
    load: LoadOptions,
    points: Annotated[
        list[str],
        typer.Option(metavar="X,Y X,Y ...", help="Pixels from the left and from the top."),
    ],
    what: Annotated[
        str,
        typer.Option(
            help="distance (the way over all points), area (of their polygon) or angle (at the "
            "second of three)."
        ),
    ] = "distance",
    plane: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y X,Y X,Y ...",
            help="Three or more pixels of a plane (floor, wall) on which all points lie.",
        ),
    ] = None,
    depth_error: Annotated[
        float | None,
        typer.Option(
            help="Relative error of the depths, 0.1 for ten percent, of a model whose error on "
            "held-out pictures is not known."
        ),
    ] = None,
    focal_error: Annotated[
        float | None, typer.Option(help="Relative error of the focal length; by its source.")
    ] = None,
    camera: Camera = None,
    fov: Fov = None,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Print a distance in metres, an area or an angle, with its 90 % interval.

    Metres need a metric model and the focal length. The interval follows from the model's error on
    held-out pictures, the roughness of the map and the uncertainty of the focal length. Relative
    maps are refused.
    """
    from leadline.catalog import DepthError
    from leadline.cli.stereo_view import parse_pixel
    from leadline.cloud import QUANTITIES

    quantities = {str(name): name for name in QUANTITIES}
    if what not in quantities:
        raise UnknownNameError("quantity", what, QUANTITIES)
    pixels = [parse_pixel("--points", word) for word in points]
    corners = None if not plane else [parse_pixel("--plane", word) for word in plane]
    error = None if depth_error is None else DepthError(scale=depth_error, local=0.5 * depth_error)
    reading = Reading.of(tone, max_megapixels)
    prediction = _open(source, load, reading, camera, fov)
    found = prediction.measure(
        pixels, quantity=quantities[what], plane=corners, error=error, focal_error=focal_error
    )
    if as_json:
        typer.echo(json.dumps(_summary(found, prediction, pixels, corners), indent=2))
    else:
        typer.echo(say_measure(found))


def say_measure(found: Measure) -> str:
    """A value and its interval in one line."""
    text = f"{found.quantity} {found.value:.3g} {found.unit}"
    if found.low is None or found.high is None:
        return (
            f"{text}; the error of this model on held-out pictures is not known, so there is no "
            "interval: --depth-error gives one."
        )
    return f"{text}, 90 % interval {found.low:.3g} to {found.high:.3g} {found.unit}"


def _open(
    source: Path, load: LoadOptions, reading: Reading, camera: str | None, fov: float | None
) -> Prediction:
    """The map of a picture, or a map that was written before."""
    from dataclasses import replace

    from leadline.cli.cameras import camera_for, check_camera
    from leadline.prediction import read_prediction

    check_camera(camera, fov)
    if source.suffix.lower() in _MAPS:
        found = read_prediction(source)
        if camera is not None or fov is not None:
            raise InputError(f"--camera or --fov with {source}, which holds its own; leave it out.")
        return found
    image = reading.read_aloud(source)
    if camera is not None or fov is not None:
        image = replace(image, camera=camera_for(image, camera=camera, fov_deg=fov))
    return load.open().predict(image)


def _summary(
    found: Measure,
    prediction: Prediction,
    pixels: list[tuple[float, float]],
    plane: list[tuple[float, float]] | None,
) -> dict[str, Any]:
    table = asdict(found) | {"points": [[round(float(v), 5) for v in p] for p in found.points]}
    return table | {
        "pixels": pixels,
        "plane": plane,
        "model": prediction.model,
        "focal_px": prediction.camera and prediction.camera.fx,
        "focal_from": prediction.camera and prediction.camera.source,
    }
