"""One server and one static site for all tests of the page."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from leadline.load_options import LoadOptions
from leadline.static_site import write_site
from testing.pages import serve_folder, serve_models

MODELS = ("lite", "lite-metric")
SHOTS = Path(__file__).parents[2] / "out" / "page"
"""Screenshots to look at; ignored by git."""


def _options() -> list[LoadOptions]:
    return [LoadOptions(model=name, threads=1) for name in MODELS]


@pytest.fixture(scope="module")
def served(browser: Any) -> Generator[str]:
    del browser  # without one there is no need for a server
    with serve_models(_options()) as address:
        yield address


@pytest.fixture(scope="module")
def static(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The static site under a sub-path."""
    del browser
    folder = tmp_path_factory.mktemp("host")
    write_site(folder / "some" / "where", _options())
    with serve_folder(folder) as address:
        yield f"{address}some/where/"


@pytest.fixture
def context(browser: Any) -> Generator[Any]:
    """A fresh visitor; fails the test where a page asks a foreign host or breaks."""
    faults: list[str] = []
    visitor = browser.new_context(viewport={"width": 1280, "height": 800})
    visitor.set_default_timeout(60_000)
    visitor.on("request", lambda request: _note_foreign(request.url, faults))
    visitor.on("weberror", lambda error: faults.append(str(error.error)))
    yield visitor
    visitor.close()
    assert not faults


def _note_foreign(address: str, faults: list[str]) -> None:
    if not address.startswith(("http://127.0.0.1:", "blob:", "data:")):
        faults.append(f"a request to {address}")


@pytest.fixture
def page(context: Any) -> Any:
    return context.new_page()
