"""Every message that names an extra, a command, an option, a file or an address can be followed."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer
import typer.main

from leadline.catalog import MODELS
from leadline.cli.app import app
from leadline.datasets import DATASETS
from leadline.errors import MissingDependencyError, UnknownNameError

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "leadline").rglob("*.py"))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OF_OTHERS = {"--head"}
"""Options of pip, ffmpeg and other programs that messages name."""


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text that may be shown, with a word in place of what is filled in; no docstrings."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in docstrings or id(node) in inside:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "FILLED" for p in node.values)
            yield node.lineno, "".join(map(str, parts))


TEXTS = [
    (f"{file.relative_to(ROOT)}:{line}", text)
    for file in SOURCES
    for line, text in _texts(ast.parse(file.read_text(encoding="utf-8")))
]


def _commands(command: object) -> Iterator[object]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _commands(inner)


OPTIONS = {
    name
    for command in _commands(typer.main.get_command(app))
    for parameter in command.params  # ty: ignore[unresolved-attribute]
    for name in (*parameter.opts, *parameter.secondary_opts)
} | {"--help"}


def _follow(words: list[str]) -> None:
    """Parse a command line; what has to be given is left to the reader."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words[0]]  # ty: ignore[unresolved-attribute]
        words = words[1:]
    assert not getattr(command, "commands", None) or not words, f"no such command: {words[:1]}"
    command.make_parser(typer.Context(command)).parse_args(list(words))


def test_commands_in_messages_are_taken():
    found = 0
    for where, text in TEXTS:
        for line in re.findall(r"`leadline ([^`]+)`", text):
            words = [word for word in shlex.split(line) if word != "..."]
            if words[0] == "FILLED":
                continue
            try:
                _follow(words)
            except Exception as error:
                raise AssertionError(f"{where}: `leadline {line}`: {error}") from error
            found += 1
    assert found > 10


def test_options_in_messages_exist():
    for where, text in TEXTS:
        if where.startswith("src/leadline/cli/foreign_flags.py"):
            continue  # which names the options of other programs
        for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+\b", text):
            assert name in OPTIONS | OF_OTHERS, f"{where}: {name}"


def test_options_in_help_exist():
    for command in _commands(typer.main.get_command(app)):
        for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+\b", command.help or ""):
            assert name in OPTIONS, f"{command.name}: {name}"


def test_extras_in_messages_exist_and_bring_the_package():
    for where, text in TEXTS:
        for extra in re.findall(r"leadline\[([a-z,]+)\]", text):
            assert extra in EXTRAS, f"{where}: {extra}"
    named = [
        (file, [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args])
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "MissingDependencyError"
    ]
    assert len(named) > 20
    installed = packages_distributions()
    for file, (package, _, extra) in named:
        if package is None or extra is None or package == "huggingface_hub":  # in the base
            continue
        assert extra in EXTRAS, f"{file.name}: {extra}"
        brought = {name.lower().replace("_", "-") for name in _brought_by(extra)}
        homes = {name.lower().replace("_", "-") for name in installed.get(package, [package])}
        homes |= {"openexr"} if package == "OpenEXR" else set()
        if package == "pyarrow":
            homes = {"ray"}  # which brings it
        assert homes & brought, f"{file.name}: leadline[{extra}] does not bring {package}"


def test_documents_say_what_installs_from_a_checkout_too():
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for file in documents:
        for line in file.read_text(encoding="utf-8").splitlines():
            for extras in re.findall(r"pip install 'leadline\[([a-z,]+)\]", line):
                assert set(extras.split(",")) <= set(EXTRAS), f"{file.name}: {line}"
                assert f"'.[{extras}]'" in line, f"{file.name}: {line}"


def _brought_by(extra: str) -> Iterator[str]:
    for requirement in EXTRAS[extra]:
        name, inner = re.match(r"([A-Za-z0-9_-]+)(?:\[([a-z,]+)\])?", requirement).groups()  # ty: ignore[unresolved-attribute]
        if name == "leadline":
            for other in inner.split(","):
                yield from _brought_by(other)
        else:
            yield name


NAMESPACES = (
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.adobe.com/xmp/note/",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
)
"""Names of XML that nobody opens."""


def test_files_and_addresses_in_messages_are_there():
    for where, text in TEXTS:
        for name in re.findall(r"\bdocs/[\w/-]+\.md\b", text):
            assert (ROOT / name).is_file(), f"{where}: {name}"
        for address in re.findall(r"https?://[^\s'\")}]+", text):
            if address in NAMESPACES:
                continue
            parts = urlsplit(address)
            assert parts.scheme == "https", f"{where}: {address}"
            assert "." in parts.netloc or "FILLED" in parts.netloc, f"{where}: {address}"


PYTHON_CALL = re.compile(r"\b(?:leadline(?:\.\w+)+|np\.\w+|PIL\.\w+(?:\.\w+)*|\w+\.\w+)\(|\bPIL\.")
OF_ARRAYS = (
    *("image.py", "images.py", "estimator.py", "models/", "ops/", "losses/", "__init__.py"),
    *("geometry/", "multi_view.py", "metric_scale.py"),
)
"""Files whose messages answer those who hand over arrays, or build networks, in Python."""


def test_no_advice_can_be_followed_in_python_only():
    for where, text in TEXTS:
        if any(part in where for part in OF_ARRAYS) or " " not in text:
            continue
        if PYTHON_CALL.search(text):
            assert re.search(r"--[a-z]|`leadline|\bin Python\b", text), f"{where}: {text}"


@pytest.mark.parametrize("table", [MODELS, DATASETS])
def test_long_lists_are_cut_to_the_nearest_five(table):
    what = {id(MODELS): "model", id(DATASETS): "data set"}[id(table)]
    error = UnknownNameError(what, next(iter(table)) + "x", table)
    listed = str(error).partition("Known: ")[2].partition(" and ")[0].split(", ")
    assert len(listed) == 5
    assert set(listed) <= set(table)
    assert f"{len(table) - 5} more, which `leadline {what.replace('data set', 'dataset')}s`" in str(
        error
    )
    assert error.options == tuple(table)


def test_a_short_list_is_whole():
    assert str(UnknownNameError("goal", "x", ["a", "b"])).endswith("Known: a, b.")


def test_a_missing_package_is_told_for_a_checkout_too():
    text = str(MissingDependencyError("torch", "training", "torch"))
    assert "pip install 'leadline[torch]'" in text
    assert "pip install -e '.[torch]'" in text
