"""``leadline triangulate``: depth and a point cloud from a camera that moved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.frames import read_frames, with_cameras, with_poses
from leadline.cli.options import (
    Camera,
    Every,
    Formats,
    Fov,
    Json,
    MaxMegapixels,
    OutFolder,
    Tone,
    parse_formats,
    with_load_options,
)
from leadline.cli.outputs import LeftOut, Look
from leadline.cli.pictures import Reading, measure_span, say_span
from leadline.errors import DegenerateError, InputError

if TYPE_CHECKING:
    from leadline.estimator import DepthEstimator
    from leadline.image import Image
    from leadline.load_options import LoadOptions
    from leadline.sequence import Trajectory


@with_load_options(
    default=None, help="A network whose map, fitted to them, completes the dense maps."
)
def triangulate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FRAME... | VIDEO",
            help="Two or more pictures in the order of time, a folder, a pattern, one film, or - "
            "for a list on standard input.",
            show_default=False,
        ),
    ],
    out: OutFolder,
    load: LoadOptions,
    camera: Camera = None,
    fov: Fov = None,
    poses: Annotated[
        Path | None, typer.Option(help="File or folder of the frames' poses, in metres.")
    ] = None,
    baseline_m: Annotated[
        float | None, typer.Option(help="Metres between the first two frames.")
    ] = None,
    camera_height_m: Annotated[
        float | None, typer.Option(help="Metres of the camera above level ground in view.")
    ] = None,
    every: Every = 1,
    maps: Annotated[
        int, typer.Option(min=0, help="Frames of which dense maps are made; 0 for points alone.")
    ] = 1,
    fill: Annotated[
        bool, typer.Option("--fill", help="Give values to what no other frame confirms, too.")
    ] = False,
    formats: Formats = None,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Write the points that FRAMES see, the camera's way and dense depth to the folder --out.

    points.ply and points.npz hold the points, poses.txt the camera's pose in every frame (name and
    3x4 matrix, world from camera; its first line says whether in metres), report.json what was
    found; <frame>.npz is the dense depth of a frame. Without --poses, --baseline-m or
    --camera-height-m all of it is right up to one scale.
    """
    from leadline.cli.naming import check_folder, keep_inputs
    from leadline.io import output_suffixes
    from leadline.sequence import track, triangulate_posed

    _one_way({"--poses": poses, "--baseline-m": baseline_m, "--camera-height-m": camera_height_m})
    suffixes = output_suffixes(parse_formats(formats))
    check_folder(out)
    if fill and load.model is not None:
        raise InputError(
            "--fill with --model: the network's map completes what no other frame confirms; leave "
            "one of them out."
        )
    reading = Reading.of(tone, max_megapixels)
    frames = with_cameras(read_frames(inputs, every, reading), camera, fov)
    estimator = load.open() if load.model is not None else None
    if maps:
        names = [Path(frame.name) for frame in frames]
        made = (out / f"{name.stem}{suffix}" for name in names for suffix in suffixes.values())
        keep_inputs(made, names)
    if poses is not None:
        found = triangulate_posed(with_poses(frames, poses))
    else:
        found = _in_metres(track(frames), frames, baseline_m, camera_height_m)
    report = _report(found, frames, poses=poses, baseline=baseline_m, height=camera_height_m)
    report["files"] = _write(found, frames, out)
    dense = _Dense(suffixes=suffixes, count=maps, fill=fill, estimator=estimator)
    left_out = LeftOut(suffixes)
    report["maps"] = _write_maps(found, frames, out, dense, left_out)
    report["left_out"] = left_out.to_dict()
    from leadline.jobs import write_text

    write_text(out / "report.json", json.dumps(report, indent=2) + "\n")
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        unit = "in metres" if found.metric else "up to one scale (scaled_depth)"
        typer.echo(
            f"{len(found.points)} points from {len(frames)} frames, {unit}. Results are in {out}.",
            err=True,
        )
        for line in left_out.lines():
            typer.echo(line, err=True)
        for made in report["maps"]:
            if made.get("metres"):
                typer.echo(f"{made['frame']}: {say_span(made['metres'])}", err=True)


@dataclass(frozen=True, kw_only=True)
class _Dense:
    """Which dense maps to make.

    Attributes:
        suffixes: format -> suffix.
        count: how many.
        fill: whether pixels that nothing confirms get values along the picture's edges.
        estimator: gives them values of a network, fitted to the rest, in place of that.
    """

    suffixes: dict[str, str]
    count: int
    fill: bool
    estimator: DepthEstimator | None


def _one_way(ways: dict[str, object]) -> None:
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} were given; one way to metres is needed, or none.")


def _in_metres(
    found: Trajectory, frames: list[Image], baseline: float | None, height: float | None
) -> Trajectory:
    from leadline.sequence import scale_by_baseline, scale_by_height

    if baseline is not None:
        return scale_by_baseline(found, baseline)
    if height is not None:
        return scale_by_height(found, lambda number: frames[number], height)
    return found


def _report(
    found: Trajectory,
    frames: list[Image],
    *,
    poses: Path | None,
    baseline: float | None,
    height: float | None,
) -> dict[str, Any]:
    import numpy as np

    ways = {"poses": poses, "baseline": baseline, "camera height": height}
    return {
        "frames": len(frames),
        "keyframes": [frames[key].name for key in found.keyframes],
        "points": len(found.points),
        "kind": "metric_depth" if found.metric else "scaled_depth",
        "scale_from": next((name for name, way in ways.items() if way is not None), "nothing"),
        "reprojection_error_px": float(np.median(found.error_px)),
        "way": float(np.linalg.norm(np.diff(found.positions(), axis=0), axis=1).sum()),
        "camera": found.cameras[0].moved(None).to_dict(),
    }


def _write(found: Trajectory, frames: list[Image], out: Path) -> list[str]:
    import numpy as np

    from leadline.io import write_npz, write_ply, write_poses

    kind = "metric_depth" if found.metric else "scaled_depth"
    write_ply(out / "points.ply", found.points.astype(np.float32), found.colors)
    write_npz(
        out / "points.npz",
        {
            "points": found.points,
            "colors": found.colors,
            "error_px": found.error_px,
            "kind": kind,
        },
    )
    poses = {
        frame.name: np.asarray(camera.world_from_camera)
        for frame, camera in zip(frames, found.cameras, strict=True)
    }
    write_poses(out / "poses.txt", poses, metric=found.metric)
    return [str(out / name) for name in ("points.ply", "points.npz", "poses.txt")]


def _write_maps(
    found: Trajectory, frames: list[Image], out: Path, dense: _Dense, left_out: LeftOut
) -> list[dict[str, Any]]:
    """Dense maps of keyframes spread over the way; a keyframe that allows none is told."""
    import numpy as np

    from leadline.geometry import complete, fill
    from leadline.sequence import dense_map

    keys = found.keyframes
    count = min(dense.count, len(keys))
    chosen = [keys[i] for i in np.linspace(0, len(keys) - 1, count).round().astype(int)]
    if count == 1:
        chosen = [keys[0 if len(keys) == 2 else len(keys) // 2]]
    made: list[dict[str, Any]] = []
    for number in chosen:
        stem = Path(frames[number].name).stem
        try:
            prediction = dense_map(found, frames, number)
        except DegenerateError as error:
            made.append({"frame": frames[number].name, "error": str(error)})
            continue
        sure = float(prediction.known.mean())
        if dense.estimator is not None:
            prediction = complete(prediction, dense.estimator.predict(frames[number]))
        elif dense.fill:
            prediction = fill(prediction)
        files = {name: out / f"{stem}{suffix}" for name, suffix in dense.suffixes.items()}
        Look().save(prediction, files)
        left_out.add(prediction)
        made.append(
            {
                "frame": frames[number].name,
                "confident": round(sure, 4),
                "metres": measure_span(prediction),
                "files": [str(file) for file in files.values()],
            }
        )
    return made
