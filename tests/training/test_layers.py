"""The rooms of training: no circle, whatever the kind of import, and a light TrainConfig."""

import ast
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
ROOM = "leadline.training"


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in (SOURCE / "leadline" / "training").rglob("*.py")}


def imports_of(path: Path) -> set[str]:
    """Modules of training that a file imports: at its top, in functions and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & FILES.keys() or {node.module}
    return found & FILES.keys()


GRAPH = {name: imports_of(path) for name, path in FILES.items()}


def test_nothing_imports_in_a_circle():
    # The package itself only says where its public names live.
    graph = {name: others for name, others in GRAPH.items() if name != ROOM}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


def test_imports_go_down_also_in_functions_and_for_types():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c for c in settings["contracts"] if c["id"] == "training")["layers"]
    floor = {name: n for n, row in enumerate(layers) for name in row.split(" | ")}
    for name, others in GRAPH.items():
        for other in others - {ROOM}:
            if name == ROOM:
                continue
            mine, theirs = (each.removeprefix(f"{ROOM}.").split(".")[0] for each in (name, other))
            assert mine == theirs or floor[mine] < floor[theirs], f"{name} imports {other}"


def test_the_config_imports_no_opencv():
    pytest.importorskip("torch")
    code = (
        "import sys; from leadline.training import TrainConfig; TrainConfig(recipe='stereo'); "
        "assert 'cv2' not in sys.modules, 'OpenCV'"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
