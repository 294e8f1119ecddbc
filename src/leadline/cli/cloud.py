"""``leadline cloud``: point clouds and textured meshes of pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import (
    Camera,
    Fov,
    Json,
    MaxMegapixels,
    OutFolder,
    Tone,
    split_words,
    with_load_options,
)
from leadline.cli.pictures import Reading, notes_of
from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadline.cloud import CloudOptions
    from leadline.estimator import DepthEstimator
    from leadline.io import Mesh, PointCloud
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction
    from leadline.prepared import Prepared


@with_load_options(default="lite-metric")
def cloud(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures, folders, patterns, or - for a list on standard input.",
            show_default=False,
        ),
    ],
    out: OutFolder,
    load: LoadOptions,
    formats: Annotated[
        str, typer.Option("--format", "-f", help="Any of ply, glb, obj, html.")
    ] = "glb",
    mesh: Annotated[
        bool, typer.Option("--mesh/--points", help="Textured triangles, or points alone.")
    ] = True,
    max_points: Annotated[
        int, typer.Option(help="Points at most; 0: one for every pixel.")
    ] = 200_000,
    sky: Annotated[
        str, typer.Option(help="cut or keep the sky and planes at the end of depth.")
    ] = "cut",
    edges: Annotated[
        str,
        typer.Option(help="cut what floats between near and far, keep it, or relative-3x3."),
    ] = "cut",
    up: Annotated[
        str | None, typer.Option(help="Axis that points up in ply and obj: y (default) or z.")
    ] = None,
    relief: Annotated[
        float | None,
        typer.Option(
            help="A relief for looks, without units, from any map: 0.1 is deep, 1 is flat."
        ),
    ] = None,
    camera: Camera = None,
    fov: Fov = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search the folders' folders too.")
    ] = False,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write every INPUT in three dimensions to the folder --out.

    In metres with a metric model (the default is one) and a focal length: the picture's EXIF or
    XMP, --fov, --camera or a model that predicts it. glb is for viewers, Blender and engines; html
    is one page that any browser opens from disk; ply is for MeshLab and CloudCompare. Exit code: 0
    all done, 1 some inputs failed, 2 the command could not start.
    """
    from leadline.cli.cameras import check_camera
    from leadline.cloud import CloudOptions

    reading = Reading.of(tone, max_megapixels)
    check_camera(camera, fov)
    names = _check_formats(formats, up)
    options = CloudOptions(
        edges=edges, sky=sky, max_points=max_points or None, normals="ply" in names
    )
    files = _plan(inputs, out, names, recursive=recursive)
    estimator = load.open()
    work = _Work(
        estimator=estimator,
        files=files,
        options=options,
        mesh=mesh,
        up=up or "y",
        relief=relief,
        camera=camera,
        fov_deg=fov,
        reading=reading,
    )
    work.run(as_json=as_json)


def _check_formats(formats: str, up: str | None) -> list[str]:
    from leadline.io import SHAPE_FORMATS

    names = split_words(formats)
    if not names:
        raise InputError(f"--format names nothing; give one or more of {', '.join(SHAPE_FORMATS)}.")
    for name in names:
        if name not in SHAPE_FORMATS:
            raise UnknownNameError("format of a cloud", name, SHAPE_FORMATS)
    if up not in (None, "y", "z"):
        raise UnknownNameError("axis", up, ("y", "z"))
    if up == "z" and not {"ply", "obj"} & set(names):
        raise InputError(
            f"--up z with --format {formats}, which is y-up by its definition; leave --up out, or "
            "take ply or obj."
        )
    return names


def _plan(
    inputs: list[str], out: Path, names: list[str], *, recursive: bool
) -> dict[Path, dict[str, Path]]:
    """Picture -> format -> the file to write."""
    from leadline.cli.naming import check_folder, keep_inputs, output_files, without_results
    from leadline.cli.outputs import with_standard_input
    from leadline.io import SHAPE_FORMATS, list_images
    from leadline.io.obj import list_files

    check_folder(out)
    inputs = with_standard_input(inputs)
    found = list_images(inputs, recursive=recursive)
    pictures = without_results(found, map(Path, inputs), out)
    files = output_files(pictures, out, {name: SHAPE_FORMATS[name] for name in names})
    keep_inputs((list_files(made["obj"])[2] for made in files.values() if "obj" in made), pictures)
    return files


@dataclass(kw_only=True)
class _Work:
    """The pictures' way from file to file; the fields are the options of the command."""

    estimator: DepthEstimator
    files: dict[Path, dict[str, Path]]
    options: CloudOptions
    mesh: bool
    up: str
    relief: float | None
    camera: str | None
    fov_deg: float | None
    reading: Reading
    say: Callable[[str], None] = print
    made: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def run(self, *, as_json: bool) -> None:
        """Do all pictures and say what came of it."""
        from leadline.cli.predict import explain
        from leadline.cli.progress import progress_bar
        from leadline.jobs import run_job

        with progress_bar("cloud") as (show, say):
            self.say = say
            report = run_job(
                list(self.files),
                prepare=self.prepare,
                work=self.build,
                finish=self.write,
                is_done=lambda _: False,
                on_progress=show,
                on_failure=lambda failure: say(f"leadline: {explain(failure)}"),
                catch=(Exception,),
            )
        if as_json:
            done = [{"input": str(item), **self.made[item]} for item, _ in report.results]
            failed = [{"input": str(f.item), "error": explain(f)} for f in report.failures]
            typer.echo(json.dumps({"done": done, "failed": failed}, indent=2))
        if report.failures:
            raise typer.Exit(1)

    def prepare(self, picture: Path) -> Prepared:
        """Read a picture, with the camera that the options name."""
        image = self.reading.read(picture)
        for line in notes_of(image, picture):
            self.say(f"leadline: {line}")
        if self.camera is not None or self.fov_deg is not None:
            from leadline.cli.cameras import camera_for

            found = camera_for(image, camera=self.camera, fov_deg=self.fov_deg)
            image = replace(image, camera=found)
        return self.estimator.prepare(image)

    def build(self, picture: Path, prepared: Prepared) -> PointCloud | Mesh:
        """The shape of a picture."""
        prediction: Prediction = self.estimator.predict_prepared(prepared)
        make = prediction.mesh if self.mesh else prediction.point_cloud
        return make(
            relief=self.relief,
            edges=self.options.edges,
            sky=self.options.sky,
            max_points=self.options.max_points,
            normals=self.options.normals,
        )

    def write(self, picture: Path, shape: PointCloud | Mesh) -> list[str]:
        """Every file of a picture."""
        files = self.files[picture]
        for name, file in files.items():
            shape.save(file, name, up=self.up if name in ("ply", "obj") else None)
        faces = 0 if shape.faces is None else len(shape.faces)
        made = [str(file) for file in files.values()]
        source = "" if shape.camera is None else shape.camera.source
        self.made[picture] = {
            "files": made,
            "points": len(shape.points),
            "faces": faces,
            "unit": shape.unit,
            "camera": None if shape.camera is None else shape.camera.to_dict(),
        }
        self.say(
            f"{picture}: {len(shape.points)} points, {faces} faces, {_UNITS[shape.unit]}, focal "
            f"length {source}: {', '.join(made)}"
        )
        return made


_UNITS = {
    "m": "metres",
    "1": "no unit (right up to one scale)",
    "relief": "a relief without units",
}
