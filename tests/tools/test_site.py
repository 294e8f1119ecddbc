"""The site's pages: links hold inside it, and the navigation misses none."""

import re
import tomllib
from pathlib import Path

import pytest

from tools import site


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    site.assemble(target)
    return target


def test_every_relative_link_is_there(pages: Path) -> None:
    links = 0
    for page in pages.rglob("*.md"):
        for found in re.finditer(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", page.read_text()):
            if not re.match("[a-z]+:", found[1]):
                links += 1
                assert (page.parent / found[1]).exists(), f"{page}: {found[1]}"
    assert links > 200


def test_the_navigation_names_every_page() -> None:
    config = tomllib.loads((site.ROOT / "zensical.toml").read_text())
    named = set(re.findall(r"'([^']+\.md)'", str(config["project"]["nav"])))
    written = {str(page.relative_to(site.DOCS)) for page in site.DOCS.rglob("*.md")}
    assert written == {name for name in named if not name.startswith("reference/")}


def test_the_reference_holds_every_module(pages: Path) -> None:
    assert (
        (pages / "reference" / "models" / "zoedepth.md")
        .read_text()
        .endswith("::: leadline.models.zoedepth\n")
    )
    assert (pages / "reference" / "index.md").exists()
    assert len(list((pages / "reference").rglob("*.md"))) == len(list(site.modules()))


def test_roles_of_docstrings_become_links() -> None:
    text = "See :meth:`~leadline.runtime.base.Runtime.run` and :data:`CMAPS`."
    assert site.link_roles(text) == (
        "See [`run`][leadline.runtime.base.Runtime.run] and [`CMAPS`][CMAPS]."
    )


def test_a_link_to_nothing_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        site._link("[x](nowhere.md)", site.DOCS / "a.md", tmp_path / "a.md", tmp_path)
