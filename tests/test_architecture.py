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


def module_name(path: Path) -> str:
    """Dotted name of a file under src."""
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def imports_of(module: str) -> set[str]:
    """Our own modules that ``module`` imports: anywhere in the file, for types too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:  # what is imported from a module is a module itself, or is in it
            found.add(name if name in MODULES else name.rpartition(".")[0])
    return found & set(MODULES) - {module}


def find_circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Largest sets of modules that all reach each other."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    reached = {module: reach(module) for module in edges}
    circles = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in edges
        if module in reached[module]
    }
    return [set(circle) for circle in circles]


def test_no_import_circle_is_left_of_any_kind() -> None:
    edges = {module: imports_of(module) for module in MODULES}
    circles = [
        "\n".join(f"{m} -> {', '.join(sorted(edges[m] & circle))}" for m in sorted(circle))
        for circle in find_circles(edges)
    ]
    assert not circles, "\n\n".join(circles)


def test_circles_are_found_and_chains_are_not() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert find_circles(edges) == [{"a", "b", "c"}]


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
