"""``leadline rosbag``: depth of the pictures in a ROS 2 bag, as a bag."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import Camera, Every, Fov, Json, SkipBad, with_load_options
from leadline.errors import InputError, KindError, LeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadline.io import BagFrame, BagReader, BagWriter
    from leadline.jobs import Progress
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction


@with_load_options(default="lite-metric")
def rosbag(
    bag: Annotated[Path, typer.Argument(help="ROS 2 bag: folder, .mcap or .db3.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the new bag.", show_default=False)
    ],
    load: LoadOptions,
    topic: Annotated[
        str, typer.Option(help="Topic of the pictures, where there are several.")
    ] = "",
    namespace: Annotated[
        str, typer.Option(help="Of the new topics image_rect and camera_info.")
    ] = "/leadline/depth",
    camera: Camera = None,
    fov: Fov = None,
    every: Every = 1,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Write the depth of a bag's pictures, 32FC1 in metres, to the bag --out.

    The camera is that of the camera_info beside the pictures. Stamps and frame ids are those of the
    pictures. Models without metres are refused. Exit code: 0 done, 1 some frames were left out, 2
    it could not start or a frame cannot be used.
    """
    from leadline.cli.cameras import check_camera
    from leadline.cli.naming import check_folder
    from leadline.cli.progress import progress_bar
    from leadline.io import BagReader, write_bag

    check_folder(out)
    check_camera(camera, fov)
    if every < 1:
        raise InputError(f"--every {every}: 1 (all frames) or more is needed.")
    reader = BagReader(bag, topic=topic)
    estimator = load.open()

    def predict(frame: BagFrame) -> Prediction:
        from dataclasses import replace

        from leadline.cli.cameras import camera_for

        image = frame.image
        if camera is not None or fov is not None:
            image = replace(image, camera=camera_for(image, camera=camera, fov_deg=fov))
        return estimator.predict(image)

    with write_bag(out, namespace=namespace) as writer, progress_bar("frames") as (show, say):
        done, failed = _write_all(
            reader, writer, predict, every=every, skip_bad=skip_bad, show=show, say=say
        )
    if as_json:
        summary = {"topic": reader.topic, "done": done, "failed": failed, "out": str(out)}
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"{done} depth pictures of {reader.topic}. The bag is {out}.", err=True)
    if failed:
        raise typer.Exit(1)


def _write_all(
    reader: BagReader,
    writer: BagWriter,
    predict: Callable[[BagFrame], Prediction],
    *,
    every: int,
    skip_bad: bool,
    show: Callable[[Progress], None],
    say: Callable[[str], None],
) -> tuple[int, int]:
    """How many frames were written, and how many could not be."""
    import numpy as np

    from leadline.jobs import Progress

    start, done, bad = time.perf_counter(), 0, []

    def leave_out(error: LeadlineError) -> None:
        if not skip_bad:
            raise error
        bad.append(error)
        say(f"leadline: {error}")

    for frame in reader.frames(every=every, on_bad=leave_out):
        try:
            made = predict(frame)
        except LeadlineError as error:
            leave_out(error)
            continue
        if not made.kind.is_metric:
            raise KindError(
                f"{reader.topic}: {made.kind} of {made.model}, and a bag holds metres (REP 118). "
                "Use --model lite-metric or another metric model; where the bag has no "
                "camera_info, also --fov or --camera."
            )
        depth = np.where(made.known, made.values, np.nan)
        writer.write(depth, made.camera, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)
        done += 1
        seconds = time.perf_counter() - start
        total = -(-reader.count // every)
        show(Progress(total=total, done=done, failed=len(bad), seconds=seconds))
    return done, len(bad)
