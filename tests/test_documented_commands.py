"""Every command line in the documents is one that the program takes."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import typer.main

from leadline.catalog import MODELS
from leadline.cli.app import app
from leadline.datasets import DATASETS
from leadline.evaluation import protocols

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)
NAMES = {
    "--dataset": set(DATASETS),
    "--protocol": set(protocols.names()),
    "--model": {name.lower() for name in MODELS},
}


def _commands() -> Iterator[tuple[str, str]]:
    for file in DOCUMENTS:
        for block in FENCE.findall(file.read_text().replace("\\\n", " ")):
            for line in block.splitlines():
                for part in re.split(r"\s(?:&&|\||;)\s", line.removeprefix("$ ").strip()):
                    if part.startswith("leadline "):
                        yield file.name, part


def _parse(words: list[str]) -> None:
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words[0]]  # ty: ignore[unresolved-attribute]
        words = words[1:]
    default = getattr(command, "default_command", None)
    if default is not None:
        command = command.commands[default]  # ty: ignore[unresolved-attribute]
    rest = getattr(command, "commands", None)
    assert rest is None or not words, f"no such command: {words[:1]}"
    if rest is None:
        command.make_context("leadline", list(words))  # what is required is there, too


@pytest.mark.parametrize(("file", "line"), sorted(set(_commands())))
def test_a_documented_command_is_taken(file, line):
    words = shlex.split(line, comments=True)[1:]
    if "--help" not in words and words:
        _parse(words)


@pytest.mark.parametrize(("file", "line"), sorted(set(_commands())))
def test_names_in_documented_commands_exist(file, line):
    words = shlex.split(line, comments=True)
    for option, value in pairwise(words):
        # Capitals and paths stand for something of the reader's own.
        if option in NAMES and value == value.lower() and not re.search(r"[./]", value):
            assert value in NAMES[option], f"{file}: {line}"


def test_a_wrong_line_would_be_told():
    with pytest.raises(Exception, match="No such option: --depth-please"):
        _parse(["predict", "a.jpg", "--depth-please"])
    with pytest.raises(AssertionError, match="no such command"):
        _parse(["predicted", "a.jpg"])
