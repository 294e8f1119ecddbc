"""Every row of docs/equations.md leads to code, and every file with an equation has a row."""

import ast
import re
from pathlib import Path

import pytest

from leadline.evaluation import protocols

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\[`([\w.]+)`\]\(\.\./(src/leadline/[\w/]+\.py)\)", PAGE)))
WITHOUT = {
    "geometry/drawing.py",
    "geometry/inputs.py",
    "geometry/opencv.py",
    "geometry/views.py",
    "metrics/arrays.py",
    "metrics/pixel_sums.py",  # pixelwise.py's sums
    "models/base.py",
    "models/depth_anything_3_config.py",
    "models/depth_anything_names.py",
    "models/depth_pro_names.py",
    "models/dinov2_names.py",
    "models/dpt_midas_names.py",
    "models/encoders.py",
    "models/keras_h5.py",
    "models/moge_config.py",
    "models/signatures.py",
    "models/tf_checkpoint.py",
    "models/variant.py",
    "models/weightless.py",
    "models/weights.py",
    "models/zoedepth_names.py",
    "ops/antialias.py",  # PyTorch's own resize as matrix products
}
"""Files of the rooms below that hold no equation: readers, names, checks, drawing."""

HERE = ROOT / "src" / "leadline"
FILES = [
    path.relative_to(HERE).as_posix()
    for room in ("losses", "metrics", "ops", "geometry", "models")
    for path in sorted((HERE / room).glob("[!_]*.py"))
]


def defined_in(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Functions, classes and constants of a module's or class's body by name."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found.update({t.id: node for t in node.targets if isinstance(t, ast.Name)})
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


@pytest.mark.parametrize(("symbol", "file"), LINKS)
def test_a_link_leads_to_the_code(symbol: str, file: str) -> None:
    assert (ROOT / file).is_file(), f"docs/equations.md links {file}, which is not there"
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for name in symbol.split("."):
        names = defined_in(body)
        assert name in names, f"docs/equations.md: {file} defines no {symbol}"
        body = getattr(names[name], "body", [])


def test_every_link_of_the_page_was_understood() -> None:
    assert len(re.findall(r"\]\(", PAGE)) == len(re.findall(r"\[`[\w.]+`\]\(\.\./src/", PAGE))
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert all(line.count(" | ") == 3 or line.startswith("| **") for line in rows)


@pytest.mark.parametrize("file", FILES)
def test_every_file_with_an_equation_has_a_row(file: str) -> None:
    linked = f"src/leadline/{file}" in {path for _, path in LINKS}
    assert linked or file in WITHOUT, f"add a row for {file} to docs/equations.md"


def test_every_protocol_has_a_row() -> None:
    missing = [name for name in protocols.names() if f"`{name}`" not in PAGE]
    assert not missing


def test_known_names_are_two_hops_from_the_readme() -> None:
    assert "(docs/equations.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    for words in (
        *("STN", "DLT", "MRF", "left-right consistency", "feature alignment", "FixRes"),
        *("log-binomial", "Garg crop", "plane MRF"),
    ):
        assert words in PAGE
