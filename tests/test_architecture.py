"""The house rules that a machine can check."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "leadline"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in FILES]


def contract_floors() -> list[set[str]]:
    """Modules of every floor in the import contract, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c for c in settings["contracts"] if c["id"] == "floors")["layers"]
    return [set(re.findall(r"\w+", layer)) for layer in layers]


def test_the_import_contract_holds() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed")
    run = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_the_architecture_page_and_the_contract_agree() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| \d+ \| ([^|]+) \|", page, re.MULTILINE)
    assert [set(re.findall(r"\w+", row)) for row in rows] == contract_floors()


def test_every_module_has_its_floor() -> None:
    known = set().union(*contract_floors())
    here = {path.stem for path in SOURCE.glob("*.py")} - {"__init__"}
    here |= {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert here <= known


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_modules_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), path
    assert not {"utils", "util", "helpers", "misc", "common"} & {path.stem, path.parent.name}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_bare_assert_and_no_swallowed_error(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            assert not (broad and silent), f"{path}:{node.lineno}"


def test_recipes_that_the_docs_name_exist() -> None:
    recipes = set(re.findall(r"^(\w[\w-]*)[^=\n]*:(?!=)", (ROOT / "justfile").read_text(), re.M))
    for file in ("README.md", "CONTRIBUTING.md", ".pre-commit-config.yaml", ".ci/run"):
        named = re.findall(r"\.venv/bin/just ([a-z][a-z -]*)", (ROOT / file).read_text())
        for words in named:
            assert set(words.split()) <= recipes, (file, words)


def test_continuous_integration_finds_the_readmes_two_commands() -> None:
    commands = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "leadline predict" in commands[0]
    assert "pytest" in commands[1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_ci_script_parses() -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
