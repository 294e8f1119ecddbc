"""``leadline train``: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import find_run, split_pair
from leadline.errors import InputError, MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from leadline.training import TrainConfig


def train(
    recipe: Annotated[
        str,
        typer.Argument(help="A recipe, a network of the catalogue, or a TOML file."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; default: runs/RECIPE-TIME.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Another network.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:SPLIT][=ROOT][@WEIGHT]",
            help="Source of pictures: world, or a name of `leadline datasets`; repeat to mix.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file whose settings replace the recipe's.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; options.loss=l1."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run directory.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell size, memory and speed here.")
    ] = False,
) -> None:
    """Train a network on the built-in world or on data of your own.

    The samples are a function of (seed, step), so that a run that was stopped resumes exactly.
    """
    if recipe == "superpixel":
        given = {"--model": model, "--data": data, "--config": config, "--dry-run": dry_run}
        _train_superpixel(out, set_ or [], resume, [name for name, value in given.items() if value])
        return
    _check_names([recipe, *([] if config is None else [str(config)])], data or [], model)
    folder = find_run(Path(recipe).stem, out, resume=resume, below=("pictures", "best"))
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("torch", "leadline train", "train") from error
    from leadline.training import train as run

    settings = _settings(recipe, config, model, data, set_ or [])
    if dry_run:
        from leadline.training.engine.dry_run import dry_run as try_out

        for line in try_out(settings):
            typer.echo(line)
        return
    delivered = run(settings, folder, resume=resume, report=typer.echo)
    typer.echo(f"weights: {delivered}")
    typer.echo(f"predict: leadline predict --model {folder} PICTURES --out depth")


def _check_names(recipes: list[str], data: list[str], model: str | None) -> None:
    """Refuse names that nobody knows, before PyTorch takes seconds to import.

    Raises:
        UnknownNameError: no such recipe, data set or network.
        InputError: no such file.
    """
    import re
    from importlib import resources

    from leadline import models
    from leadline.datasets import DATASETS

    presets = resources.files("leadline.training").joinpath("presets")
    known = sorted(file.name.removesuffix(".toml") for file in presets.iterdir())
    for recipe in recipes:
        if Path(recipe).suffix and not Path(recipe).is_file():
            raise InputError(f"{recipe}: no such file; check the path.")
        if not Path(recipe).suffix and recipe not in known:
            raise UnknownNameError("recipe or preset", recipe, [*known, "superpixel"])
    for text in data:
        name = re.split("[:=@]", text)[0]
        if name not in ("world", *DATASETS):
            raise UnknownNameError("data set", name, ["world", *DATASETS])
    if model is not None and model not in models.names():
        raise UnknownNameError("model", model, models.names())


def _train_superpixel(out: Path | None, pairs: list[str], resume: bool, given: list[str]) -> None:
    """The statistical model, which needs no torch and has settings of its own."""
    if given:
        raise InputError(
            f"{', '.join(given)} with the recipe superpixel, which is no network; its settings are "
            "given with --set, as in --set views=200."
        )
    from leadline.superpixel.training import SuperpixelTraining
    from leadline.superpixel.training import train as run

    folder = find_run("superpixel", out, resume=resume)
    config = SuperpixelTraining().updated(dict(split_pair(text) for text in pairs))
    delivered = run(config, folder, resume=resume, report=typer.echo)
    typer.echo(f"weights: {delivered}")
    typer.echo(f"predict: leadline predict --model {delivered} PICTURES --out depth")


def _settings(
    recipe: str, file: Path | None, model: str | None, data: list[str] | None, pairs: list[str]
) -> TrainConfig:
    from leadline.training import TrainConfig
    from leadline.training.config import overlay, read_settings

    settings: dict[str, Any] = read_settings(recipe)
    if file is not None:
        settings = overlay(settings, read_settings(file))
    if model is not None:
        settings = overlay(settings, {"model": model})
    if data:
        settings["data"] = list(data)
    return TrainConfig.from_dict(settings).updated(dict(split_pair(text) for text in pairs))
