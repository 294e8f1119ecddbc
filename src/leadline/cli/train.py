"""``leadline train``: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.errors import InputError, MissingDependencyError


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a TOML file.")],
    out: Annotated[Path, typer.Option(help="Run directory: weights, checkpoints, log.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the run directory.")] = False,
) -> None:
    """Train a network; the data order is a function of (seed, step), so resuming is exact."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("torch", "leadline train", "train") from error
    from leadline.training import TrainConfig
    from leadline.training import train as run

    config = TrainConfig.from_toml(recipe).updated(dict(_pair(text) for text in set_ or []))
    delivered = run(config, out, resume=resume, report=typer.echo)
    typer.echo(f"weights: {delivered}")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: KEY=VALUE is needed, as in --set steps=100.")
    return key, value
