"""``leadline camera``: what is known of the lens of pictures, and where from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Camera as CameraOption
from leadline.cli.options import Fov, Json, MaxMegapixels

if TYPE_CHECKING:
    from leadline.camera import Camera
    from leadline.image import Image


def camera(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders, patterns, or - for a list on standard input.",
            show_default=False,
        ),
    ],
    camera: CameraOption = None,
    fov: Fov = None,
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Print the focal length and field of view of every INPUT, and where they come from.

    Exit code: 0 all are known, 1 some are not, 2 the command could not start.
    """
    from leadline.cli.cameras import camera_for, check_camera
    from leadline.cli.outputs import with_standard_input
    from leadline.cli.pictures import Reading
    from leadline.io import list_images

    check_camera(camera, fov)
    reading = Reading.of("linear", max_megapixels)
    rows, unknown = [], 0
    for picture in list_images(with_standard_input(inputs)):
        image = reading.read(picture)
        found = image.camera
        if camera is not None or fov is not None:
            found = camera_for(image, camera=camera, fov_deg=fov)
        unknown += found is None
        rows.append({"input": str(picture), "camera": None if found is None else found.to_dict()})
        if not as_json:
            typer.echo(f"{picture}: {_describe(image, found)}")
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    if unknown:
        raise typer.Exit(1)


_SOURCES: dict[str, Any] = {
    "exif": "the picture's EXIF",
    "xmp": "the picture's XMP",
    "given": "what was given",
}


def _describe(image: Image, found: Camera | None) -> str:
    height, width = image.size
    if found is None:
        return (
            f"{width}x{height} pixels, no focal length in its EXIF or XMP. Give --fov DEGREES or "
            "--camera, or take a model that predicts it (depth-pro, moge-2-vitl-normal)."
        )
    source = _SOURCES.get(found.source, found.source)
    centre = f"{found.cx:.1f}, {found.cy:.1f}"
    return (
        f"{width}x{height} pixels, focal length {found.fx:.1f} px, field of view "
        f"{found.fov_deg:.1f} degrees, principal point {centre}, from {source}."
    )
