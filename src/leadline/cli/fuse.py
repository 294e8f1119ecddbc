"""``leadline fuse``: frames with poses to one mesh, and to a model of COLMAP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.frames import read_frames, with_cameras, with_poses
from leadline.cli.options import (
    Camera,
    Every,
    Fov,
    Json,
    MaxMegapixels,
    OutFolder,
    Tone,
    split_words,
    with_load_options,
)
from leadline.cli.pictures import Reading
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from leadline.image import Image
    from leadline.io import Mesh
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction

_WAYS = ("motion", "model")


@with_load_options()
def fuse(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FRAME... | VIDEO",
            help="Two or more pictures in the order of time, a folder, a pattern, or one film.",
            show_default=False,
        ),
    ],
    out: OutFolder,
    load: LoadOptions,
    poses: Annotated[
        Path,
        typer.Option(
            help="File or folder of the frames' poses, in metres (world from camera).",
            show_default=False,
        ),
    ],
    formats: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="Of the mesh: any of ply, glb, obj, html; colmap: sparse/0."
        ),
    ] = "ply,colmap",
    voxel: Annotated[
        float | None,
        typer.Option(help="Metres of the finest detail; default: 1/200 of the scene."),
    ] = None,
    max_depth_m: Annotated[
        float | None, typer.Option(help="Metres from the camera beyond which nothing counts.")
    ] = None,
    least: Annotated[
        int, typer.Option(min=1, help="Frames that must agree that there is a surface.")
    ] = 1,
    metres_from: Annotated[
        str,
        typer.Option(
            help="motion: maps are fitted to what the poses triangulate; model: the metric model's "
            "own metres."
        ),
    ] = "motion",
    camera: Camera = None,
    fov: Fov = None,
    every: Every = 1,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write one coloured mesh of FRAMES with poses to the folder --out.

    mesh.ply (.glb, .obj, .html) lies in the world's frame of the poses; sparse/0 is a text model of
    COLMAP (cameras, images, points3D) from which gaussian splatting starts. Maps are averaged in
    voxels, and the mesh is their common surface.
    """
    from leadline.cli.naming import check_folder
    from leadline.geometry import fuse as fuse_maps
    from leadline.sequence import predict_posed

    names = _check_formats(formats)
    if metres_from not in _WAYS:
        raise UnknownNameError("way to metres", metres_from, _WAYS)
    _check_positive({"--voxel": voxel, "--max-depth-m": max_depth_m})
    check_folder(out)
    reading = Reading.of(tone, max_megapixels)
    frames = with_poses(with_cameras(read_frames(inputs, every, reading), camera, fov), poses)
    estimator = load.open()
    maps = predict_posed(frames, estimator.predict, from_motion=metres_from == "motion")
    mesh = fuse_maps(maps, voxel=voxel, max_depth=max_depth_m, least=least)
    files = _write(mesh, maps, frames, out, names)
    report = {
        "model": estimator.spec.name,
        "frames": len(frames),
        "vertices": len(mesh.points),
        "faces": 0 if mesh.faces is None else len(mesh.faces),
        "size_m": [round(float(side), 3) for side in mesh.points.max(0) - mesh.points.min(0)],
        "files": [str(file) for file in files],
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        sides = " x ".join(f"{side:.3g}" for side in report["size_m"])
        typer.echo(
            f"{report['vertices']} vertices from {len(frames)} frames, {sides} m. Results are in "
            f"{out}.",
            err=True,
        )


def _check_formats(text: str) -> list[str]:
    from leadline.io import SHAPE_FORMATS

    names, known = split_words(text), (*SHAPE_FORMATS, "colmap")
    for name in names:
        if name not in known:
            raise UnknownNameError("format", name, known)
    if not names:
        raise InputError(f"--format names nothing; give one or more of {', '.join(known)}.")
    return names


def _check_positive(given: dict[str, float | None]) -> None:
    for name, value in given.items():
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value:g}: a positive number of metres is needed.")


def _write(
    mesh: Mesh, maps: list[Prediction], frames: list[Image], out: Path, names: list[str]
) -> list[Path]:
    from leadline.io import SHAPE_FORMATS, PointCloud, write_colmap
    from leadline.multi_view import COLMAP_POINTS, draw_points

    files: list[Path] = []
    for name in names:
        if name != "colmap":
            files.append(out / f"mesh{SHAPE_FORMATS[name]}")
            mesh.save(files[-1], format=name)
            continue
        cameras: dict[str, Any] = {
            Path(frame.name).name: made.camera for frame, made in zip(frames, maps, strict=True)
        }
        cloud = draw_points(PointCloud(points=mesh.points, colors=mesh.colors), COLMAP_POINTS)
        files += write_colmap(out / "sparse" / "0", cameras, cloud)
    return files
