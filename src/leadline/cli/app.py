"""The table of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from leadline.cli.benchmark import benchmark
from leadline.cli.camera import camera
from leadline.cli.cloud import cloud
from leadline.cli.datasets import datasets
from leadline.cli.doctor import doctor
from leadline.cli.epipolar import epipolar
from leadline.cli.evaluate import evaluate
from leadline.cli.export import export
from leadline.cli.finetune import finetune
from leadline.cli.fuse import fuse
from leadline.cli.label import label
from leadline.cli.leaderboard import leaderboard
from leadline.cli.mcp import mcp
from leadline.cli.measure import SeveralPoints, measure
from leadline.cli.model_files import models
from leadline.cli.predict import predict
from leadline.cli.quantize import quantize
from leadline.cli.reproduce import reproduce
from leadline.cli.rosbag import rosbag
from leadline.cli.segment import segment
from leadline.cli.serve import serve
from leadline.cli.stereo import stereo
from leadline.cli.stereo_view import stereo_view
from leadline.cli.train import train
from leadline.cli.triangulate import triangulate
from leadline.cli.video import video
from leadline.cli.views import views
from leadline.cli.webcam import webcam
from leadline.version import __version__

app = typer.Typer(
    help="Depth from one camera.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(predict)
app.command()(cloud)
app.command()(camera)
app.command()(video)
app.command()(webcam)
app.command()(finetune)
app.command()(label)
app.command()(train)
app.command()(export)
app.command()(evaluate)
app.command()(leaderboard)
app.command()(reproduce)
app.command()(triangulate)
app.command()(views)
app.command()(fuse)
app.command()(epipolar)
app.command()(stereo)
app.command("stereo-view")(stereo_view)
app.command()(quantize)
app.command()(benchmark)
app.command()(segment)
app.command()(rosbag)
app.command()(mcp)
app.command()(serve)
app.command(cls=SeveralPoints)(measure)
app.command()(doctor)
app.add_typer(models, name="models")
app.add_typer(datasets, name="datasets")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"leadline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
