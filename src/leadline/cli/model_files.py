"""``leadline models``: list the models, download their weights, remove them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from leadline.cli.models import models as list_models
from leadline.cli.options import Json
from leadline.errors import InputError, MissingWeightsError

if TYPE_CHECKING:
    from leadline.spec import ModelSpec, WeightsFile


class ListGroup(TyperGroup):
    """A group whose first command is meant where none is named: ``leadline models lite``."""

    default_command = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of words that name none."""
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


models = typer.Typer(
    cls=ListGroup,
    help="List the models and what they cost (options: `leadline models list --help`); download or "
    "remove their weights.",
    rich_markup_mode=None,
)
models.command("list")(list_models)

Names = Annotated[
    list[str], typer.Argument(help="Names of models, see `leadline models`.", show_default=False)
]


@models.command("pull")
def pull(names: Names, as_json: Json = False) -> None:
    """Download the weights of models, with progress; what is here already is checked.

    A broken download is resumed. Every file is compared with the SHA-256 that is known of it: the
    catalogue's, the hub's, or that of its first download.
    """
    from leadline import hub

    made = []
    for spec in _specs(names):
        for weights in _choose_files(spec):
            here = hub.locate(weights)
            path = here or hub.fetch(weights, needed_by=spec.name)
            known = here is None or weights.embedded
            digest = hub.sha256_of(path) if known else hub.verify(weights, path)
            entry = _entry(spec, weights, path, digest)
            made.append(entry | {"downloaded": here is None})
            if not as_json:
                said = "downloaded" if here is None else "here already"
                typer.echo(f"{spec.name}: {said}, {entry['size_mb']} MB, sha256 {digest}\n  {path}")
    if as_json:
        typer.echo(json.dumps(made, indent=2))


@models.command("remove")
def remove(names: Names, as_json: Json = False) -> None:
    """Delete the downloaded weights of models from the hub's cache, which other programs share.

    Weights inside the package stay.
    """
    from leadline import hub

    specs = _specs(names)
    inside = [spec.name for spec in specs if all(weights.embedded for weights in spec.weights)]
    if inside:
        raise InputError(
            f"{', '.join(inside)}: nothing of it is ever downloaded; weights inside the package go "
            "with it (pip uninstall leadline)."
        )
    made = []
    for spec in specs:
        repos = dict.fromkeys(weights.repo for weights in spec.weights if weights.repo)
        freed = sum(hub.remove(repo) for repo in repos)
        made.append({"name": spec.name, "repos": list(repos), "freed_mb": round(freed / 1e6, 1)})
        if not as_json:
            said = f"{freed / 1e6:.1f} MB are free again" if freed else "nothing was here"
            typer.echo(f"{spec.name}: {said} ({', '.join(repos)}).")
    if as_json:
        typer.echo(json.dumps(made, indent=2))


def _specs(names: list[str]) -> list[ModelSpec]:
    from leadline import catalog

    return [catalog.get(name) for name in dict.fromkeys(names)]


def _choose_files(spec: ModelSpec) -> list[WeightsFile]:
    """The files that loading the model takes: all of the package's, or one of the hub's."""
    from leadline import hub

    if not spec.weights:
        raise MissingWeightsError(f"{spec.name}: {spec.advice or 'nobody publishes weights'}.")
    if spec.weights[0].embedded:
        return [weights for weights in spec.weights if weights.embedded]
    here = next((weights for weights in spec.weights if hub.locate(weights)), None)
    return [here or spec.weights[0]]


def _entry(spec: ModelSpec, weights: WeightsFile, path: Path, digest: str) -> dict[str, Any]:
    from leadline.licences import find_terms

    return {
        "name": spec.name,
        "file": weights.file,
        "path": str(path),
        "size_mb": round(path.stat().st_size / 1e6, 1),
        "sha256": digest,
        "licence": weights.licence,
        "commercial": find_terms(weights.licence).commercial,
    }
