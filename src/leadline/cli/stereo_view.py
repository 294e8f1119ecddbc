"""``leadline stereo-view``: pictures for both eyes, depth of field and fog from one photo."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Json, MaxMegapixels, OutFolder, Tone, with_load_options
from leadline.cli.pictures import Reading
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction

_SUFFIXES = {
    "sbs": ".sbs.png",
    "half-sbs": ".half-sbs.png",
    "anaglyph": ".anaglyph.png",
    "wiggle": ".wiggle.gif",
    "mono": ".mono.png",
}
_WIGGLE_MS = 90
"""Milliseconds of each frame of a wiggle."""


@with_load_options()
def stereo_view(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Pictures, folders or patterns.", show_default=False
        ),
    ],
    out: OutFolder,
    load: LoadOptions,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="sbs (left and right side by side), half-sbs (at half width), anaglyph (red and "
            "cyan), wiggle (a moving GIF) or mono (one view, for the effects alone).",
        ),
    ] = "sbs",
    divergence: Annotated[
        float, typer.Option(help="Depth of the result in percent of half the width; up to 10.")
    ] = 2.0,
    convergence: Annotated[
        float, typer.Option(help="What lies in the screen: 0 the farthest, 1 the nearest.")
    ] = 0.5,
    refocus: Annotated[
        str | None,
        typer.Option(metavar="X,Y", help="Pixel that is sharp; before and behind it is soft."),
    ] = None,
    aperture: Annotated[
        float, typer.Option(help="Of --refocus: the largest blur in percent of the long side.")
    ] = 1.0,
    fog: Annotated[
        float | None, typer.Option(help="Share of the farthest that fog hides, 0.7 say.")
    ] = None,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write a stereo picture of every INPUT, OUT/<stem>.<format>.png (wiggle: .gif).

    Any model serves, for only what is nearer counts. What comes to light behind near things is
    filled with what lies beside them farther away. Effects come first: --refocus, then --fog.
    """
    from leadline.cli.naming import check_folder, output_files, without_results
    from leadline.cli.outputs import with_standard_input
    from leadline.io import list_images

    if format_ not in _SUFFIXES:
        raise UnknownNameError("format", format_, _SUFFIXES)
    focus = None if refocus is None else parse_pixel("--refocus", refocus)
    check_folder(out)
    inputs = with_standard_input(inputs)
    pictures = without_results(list_images(inputs), map(Path, inputs), out)
    planned = output_files(pictures, out, {format_: _SUFFIXES[format_]})
    reading = Reading.of(tone, max_megapixels)
    estimator = load.open()
    made = []
    for picture, files in planned.items():
        prediction = estimator.predict(reading.read_aloud(picture))
        prediction = _with_effects(prediction, focus, aperture, fog)
        _write(prediction, files[format_], format_, divergence, convergence)
        made.append({"input": str(picture), "files": [str(files[format_])]})
    if as_json:
        summary = {"model": estimator.spec.name, "format": format_, "done": made}
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"{len(made)} {format_} written. Results are in {out}.", err=True)


def parse_pixel(option: str, text: str) -> tuple[float, float]:
    """``x,y`` as numbers.

    Raises:
        InputError: another text.
    """
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: x,y in pixels is needed, 320,240 say.") from None
    return x, y


def _with_effects(
    prediction: Prediction,
    focus: tuple[float, float] | None,
    aperture: float,
    fog: float | None,
) -> Prediction:
    from leadline import effects
    from leadline.image import Image

    def show(pixels: Any) -> Prediction:
        return replace(prediction, image=Image(pixels=pixels))

    if focus is not None:
        prediction = show(effects.refocus(prediction, focus, aperture=aperture))
    if fog is not None:
        prediction = show(effects.add_fog(prediction, fog))
    return prediction


def _write(
    prediction: Prediction, file: Path, format_: str, divergence: float, convergence: float
) -> None:
    from PIL import Image as PilImage

    from leadline import effects
    from leadline.jobs import atomic_write

    amounts: dict[str, Any] = {"divergence": divergence, "convergence": convergence}
    more: dict[str, Any] = {}
    if format_ == "mono":
        frames = [effects.find_photo(prediction)]
    elif format_ == "wiggle":
        frames = effects.render_wiggle(prediction, **amounts)
        more = {"duration": _WIGGLE_MS, "loop": 0}
    else:
        frames = [effects.pack_pair(*effects.render_pair(prediction, **amounts), format_)]
    first, *others = (PilImage.fromarray(frame) for frame in frames)
    if others:
        more |= {"save_all": True, "append_images": others}
    with atomic_write(file) as stream:
        first.save(stream, format=file.suffix[1:].upper(), **more)
