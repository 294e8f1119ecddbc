"""``leadline webcam``: depth of a camera, live."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Cmap, Json, with_load_options
from leadline.cli.video import AllowNetwork, Opening, SteadyMode
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions

_TITLE = "Leadline (q ends)"


@with_load_options()
def webcam(
    load: LoadOptions,
    camera: Annotated[
        str, typer.Option("--source", help="cam:0, cam:virtual, or the address of a stream.")
    ] = "cam:0",
    format_: Annotated[str, typer.Option("--format", "-f", help="side or color.")] = "side",
    window: Annotated[
        bool, typer.Option("--window/--no-window", help="Show it in a window.")
    ] = True,
    record: Annotated[Path | None, typer.Option(help="Film to record what is shown into.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="End after so many frames.")] = None,
    steady: SteadyMode = "flow",
    cmap: Cmap = "inferno",
    allow_network: AllowNetwork = False,
    as_json: Json = False,
) -> None:
    """Show the depth of a camera as it comes; q in the window, or Ctrl-C, ends it.

    Frames are dropped where the network is slower than the camera, so that what is shown is never
    older than two of its times.
    """
    from leadline.cli.signals import end_early_on_interrupt
    from leadline.video import Look, Recorder, check_steady, watch

    end_early_on_interrupt()
    if format_ not in ("side", "color"):
        raise InputError(f"--format {format_}: side or color is needed.")
    show = _open_window() if window else None
    if show is None and record is None and frames is None:
        raise InputError("--no-window shows nothing; give --record FILM, or --frames N.")
    shown, dropped, ages = 0, 0, [0.0]
    with Opening(allow_network=allow_network).open(camera) as source:
        estimator = load.open()
        recorder = None if record is None else Recorder(record, source, format=format_)
        try:
            for live in watch(
                source,
                estimator,
                format=format_,
                steady=check_steady(steady),
                look=Look(cmap=cmap),
            ):
                shown, dropped = shown + 1, live.dropped
                ages.append(live.age_s)
                if recorder is not None:
                    recorder.add(live)
                if show is not None and not show(live.picture):
                    break
                if frames is not None and shown >= frames:
                    break
        except KeyboardInterrupt:
            pass
        finally:
            if recorder is not None:
                recorder.close()
    if as_json:
        summary = {"shown": shown, "dropped": dropped, "oldest_s": round(max(ages), 3)}
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"{shown} frames shown, {dropped} dropped.", err=True)


def _open_window() -> Any:
    """A function that shows a picture and returns whether to go on.

    Raises:
        InputError: no display, or an OpenCV without windows.
    """
    from leadline.geometry.opencv import opencv

    cv2 = opencv("windows")
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise InputError("there is no display to show a window on; give --no-window --record FILM.")
    try:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL)
    except cv2.error as error:
        raise InputError(
            "this OpenCV is built without windows; install opencv-python in place of "
            "opencv-python-headless, or give --no-window --record FILM."
        ) from error

    def show(picture: Any) -> bool:
        cv2.imshow(_TITLE, picture[..., ::-1])
        return cv2.waitKey(1) & 0xFF != ord("q")

    return show
