"""``leadline epipolar``: what the fundamental matrix of two pictures means, drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import Json, MaxMegapixels, Tone
from leadline.cli.pictures import Reading
from leadline.errors import InputError


def epipolar(
    first: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another of the scene.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="PNG or JPEG to write.", show_default=False)
    ],
    points: Annotated[int, typer.Option(help="Pairs of points to draw.")] = 24,
    detector: Annotated[str, typer.Option(help="sift or orb.")] = "sift",
    threshold: Annotated[
        float, typer.Option(help="Pixels that a right match may be from its line.")
    ] = 1.0,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Draw matched points and their epipolar lines on both pictures, side by side.

    A point of one picture and the line of its colour in the other: wherever the point is in the
    world, the other picture shows it on that line. All lines meet where the other camera stands.
    """
    from PIL import Image as PilImage

    from leadline.cli.naming import check_folder
    from leadline.geometry import draw_epipolar, fundamental, match
    from leadline.jobs import atomic_write

    kind = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(out.suffix.lower())
    if kind is None:
        raise InputError(f"--out {out}: a name that ends in .png or .jpg is needed.")
    if points < 1:
        raise InputError(f"--points {points}: 1 or more is needed.")
    check_folder(out.parent)
    reading = Reading.of(tone, max_megapixels)
    pictures = reading.read_aloud(first), reading.read_aloud(second)
    matches = match(*pictures, method=detector)  # ty: ignore[invalid-argument-type] - checked there
    found = fundamental(matches, threshold_px=threshold)
    drawn = draw_epipolar(*pictures, matches.only(found.inliers), found.matrix, points=points)
    with atomic_write(out) as file:
        PilImage.fromarray(drawn).save(file, format=kind)
    inliers = int(found.inliers.sum())
    if as_json:
        record = {
            "matches": len(matches),
            "inliers": inliers,
            "fundamental": found.matrix.tolist(),
            "file": str(out),
        }
        typer.echo(json.dumps(record, indent=2))
    else:
        typer.echo(f"{inliers} of {len(matches)} matches agree. The drawing is {out}.", err=True)
