"""The documents as a site: pages of docs/, a reference made of docstrings, no foreign address.

``just docs`` calls :func:`assemble` and lets Zensical build ``site/`` from what it wrote. Pages
stay readable where they are: links to source files become links to the reference, links to other
files of the repository to copies of them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS, SOURCE = ROOT / "docs", ROOT / "src"
PACKAGE = SOURCE / "leadline"
TARGET = ROOT / "build" / "site"

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_ADDRESS = re.compile(r"[a-z]+:", re.IGNORECASE)
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?([^`]+)`")


def assemble(target: Path = TARGET) -> None:
    """Write the pages that the site is built from.

    Args:
        target: a folder, replaced as a whole.

    Raises:
        FileNotFoundError: a page links to a file that is not there.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in sorted(DOCS.rglob("*")):
        if not file.is_file():
            continue
        place = target / file.relative_to(DOCS)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            place.write_text(_link(file.read_text(encoding="utf-8"), file, place, target))
        else:
            shutil.copy(file, place)
    for module in modules():
        page = target / _reference_of(module)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"# {module}\n\n::: {module}\n")


def modules() -> Iterator[str]:
    """Every module of the package, as it is imported."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name != "__main__.py":
            yield _module_of(file)


def link_roles(text: str) -> str:
    """Sphinx roles of docstrings as links of mkdocstrings, which looks names up in their scope."""
    return _ROLE.sub(lambda found: f"[`{found[1].rpartition('.')[2]}`][{found[1]}]", text)


def _link(text: str, page: Path, place: Path, target: Path) -> str:
    """A page's text with links that hold inside the site."""

    def change(found: re.Match[str]) -> str:
        start, address, part, end = found[1], found[2], found[3] or "", found[4]
        if _ADDRESS.match(address):
            return found[0]
        file = (page.parent / address).resolve()
        if not file.exists():
            raise FileNotFoundError(f"{page.relative_to(ROOT)} links to {address}, which is not")
        if file.is_relative_to(DOCS):
            return found[0]
        if file.is_relative_to(PACKAGE) and (file.suffix == ".py" or file.is_dir()):
            to, part = target / _reference_of(_module_of(file)), ""
        else:
            to = target / "files" / file.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            to = to.with_name(to.name + ".txt") if to.suffix in (".py", ".md") else to
            shutil.copy(file, to)
        return f"{start}{os.path.relpath(to, place.parent)}{part}{end}"

    return _LINK.sub(change, text)


def _module_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _reference_of(module: str) -> str:
    inner = module.split(".")[1:]
    return "/".join(("reference", *inner)) + ".md" if inner else "reference/index.md"


if __name__ == "__main__":
    assemble()
