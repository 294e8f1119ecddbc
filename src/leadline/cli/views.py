"""``leadline views``: depth, lens and poses of several pictures of one scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import (
    Camera,
    Cmap,
    Formats,
    Fov,
    Json,
    OutFolder,
    parse_formats,
    with_load_options,
)
from leadline.cli.outputs import LeftOut, with_standard_input
from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadline.image import Image
    from leadline.load_options import LoadOptions
    from leadline.multi_view import MultiView


@with_load_options(default="da3-small")
def views(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE...",
            help="Two or more pictures of one scene, a folder, a pattern, or - for a list on "
            "standard input.",
            show_default=False,
        ),
    ],
    out: OutFolder,
    load: LoadOptions,
    formats: Formats = None,
    poses: Annotated[
        Path | None, typer.Option(help="File or folder of the frames' poses, in metres.")
    ] = None,
    camera: Camera = None,
    fov: Fov = None,
    ray_poses: Annotated[
        bool,
        typer.Option("--ray-poses", help="Cameras from the network's rays, not its camera head."),
    ] = False,
    max_points: Annotated[
        int, typer.Option(min=1, help="Points of points.ply; of more, so many are drawn evenly.")
    ] = 1_000_000,
    cmap: Cmap = "inferno",
    as_json: Json = False,
) -> None:
    """Write depth and poses of PICTURES, looked at together, to the folder --out.

    <picture>.npz is the depth of a picture, poses.json and poses.txt hold the cameras' poses (world
    from camera), points.ply the points of all pictures in the world's frame, and sparse/0 the same
    as a text model of COLMAP. Without --poses or a metric model all of it is right up to one scale;
    --poses needs the lens too: --camera, --fov or the pictures' EXIF. `leadline triangulate` does
    so with geometry alone. Exit code: 0 done, 2 it could not start.
    """
    from leadline.cli.naming import check_folder, output_files, output_stems
    from leadline.io import output_suffixes
    from leadline.io.colmap import check_image_name

    _check_cameras(poses, camera, fov, ray_poses=ray_poses)
    _check_model(load.model)
    pictures = _list_pictures(inputs)
    sources: Sequence[Any] = pictures if poses is None else _posed(pictures, poses, camera, fov)
    names = parse_formats(formats)
    check_folder(out)
    planned = output_files(pictures, out, output_suffixes(names))
    stems = output_stems(pictures)
    for stem in stems.values():
        check_image_name(stem)
    estimator = load.open()
    if estimator.spec.max_views < 2:
        raise _one_view(estimator.spec.name)
    made = estimator.predict_views(
        sources, poses="given" if poses else "rays" if ray_poses else "predicted"
    )
    files = made.save(
        out,
        names,
        names=[stems[picture] for picture in pictures],
        cmap=cmap,
        max_points=max_points,
    )
    left_out = LeftOut(names)
    for view in made:
        left_out.add(view)
    report = {**_report(made, planned, files), "left_out": left_out.to_dict()}
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    kind, cut = report["kind"], report["cut"]
    unit = "in metres" if kind == "metric_depth" else f"up to one scale ({kind})"
    typer.echo(f"{len(made)} views, {unit}. Results are in {out}.", err=True)
    for line in left_out.lines():
        typer.echo(line, err=True)
    if cut:
        typer.echo(
            f"The views have different sizes; of {len(cut)} the network saw the middle alone: "
            f"{', '.join(cut)}.",
            err=True,
        )


def _check_cameras(
    poses: Path | None, camera: str | None, fov: float | None, *, ray_poses: bool
) -> None:
    """Raise InputError for options that contradict one another."""
    from leadline.cli.cameras import check_camera

    check_camera(camera, fov)
    if poses is not None and ray_poses:
        raise InputError("--poses and --ray-poses were both given; one of them is needed.")
    if poses is None and (camera is not None or fov is not None):
        raise InputError(
            "--camera and --fov go with --poses FILE: without given poses the network finds the "
            "lens itself. Give the poses too, or leave the lens out."
        )


def _posed(pictures: list[Path], poses: Path, camera: str | None, fov: float | None) -> list[Image]:
    """The pictures with their lens and pose.

    Raises:
        InputError: a picture without a lens, or without a pose.
    """
    from dataclasses import replace

    from leadline.cli.cameras import camera_for
    from leadline.io import read_image, read_poses

    found = read_poses(poses, [str(picture) for picture in pictures], metres=True)
    images = [read_image(picture) for picture in pictures]
    lenses = [camera_for(image, camera=camera, fov_deg=fov) for image in images]
    return [
        replace(image, camera=lens.moved(pose))
        for image, lens, pose in zip(images, lenses, found, strict=True)
    ]


def _check_model(model: object) -> None:
    """Raise InputError for a name whose network takes one picture, before it is downloaded."""
    from leadline import catalog

    spec = catalog.MODELS.get(str(model))
    if spec is not None and spec.max_views < 2:
        raise _one_view(spec.name)


def _one_view(name: str) -> InputError:
    from leadline import catalog

    several = [spec.name for spec in catalog.MODELS.values() if spec.max_views > 1]
    return InputError(
        f"{name} takes one picture at a time; several together are taken by {', '.join(several)}. "
        "Give one of these with --model, or `leadline predict` the pictures one by one."
    )


def _list_pictures(inputs: list[str]) -> list[Path]:
    from leadline.io import list_images

    inputs = with_standard_input(inputs)
    twice = sorted({entry for entry in inputs if inputs.count(entry) > 1})
    if twice:
        raise InputError(f"{', '.join(twice)} given twice; every view is needed once.")
    pictures = list_images(inputs)
    if len(pictures) < 2:
        raise InputError(
            f"{len(pictures)} picture: two or more of one scene are needed; `leadline predict` "
            "takes one."
        )
    return pictures


def _report(
    made: MultiView, planned: dict[Path, dict[str, Path]], files: list[Path]
) -> dict[str, Any]:
    """What was written, and what the network found of every camera."""
    own = [[str(file) for file in each.values()] for each in planned.values()]
    of_views = {file for each in own for file in each}
    views = [
        {
            "input": str(picture),
            "files": mine,
            "camera": view.camera and view.camera.to_dict(),
        }
        for picture, mine, view in zip(planned, own, made, strict=True)
    ]
    sizes = {view.size for view in made}
    cut = [
        picture.name
        for picture, view in zip(planned, made, strict=True)
        if len(sizes) > 1 and not view.known.all()
    ]
    return {
        "model": made[0].model,
        "kind": str(made[0].kind),
        "shared_scale": made.shared_scale,
        "views": views,
        "files": [str(file) for file in files if str(file) not in of_views],
        "cut": cut,
    }
