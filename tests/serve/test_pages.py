"""The page's files: types that browsers insist on, and ETags."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from leadline.serve import create_app, pages
from testing.serving import make_estimator, run_app


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "app.mjs").write_text("export const a = 1;")
    (tmp_path / "net.wasm").write_bytes(b"\0asm")
    monkeypatch.setattr(pages, "WEB", tmp_path)
    return tmp_path


def test_the_page_and_its_files_are_served(web: Path) -> None:
    with run_app(create_app([make_estimator()])) as server:
        page = server.ask("/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        module = server.ask("/web/app.mjs")
        assert module.body == b"export const a = 1;"
        assert module.headers["content-type"].startswith("text/javascript")
        assert module.headers["cache-control"] == "no-cache"
        assert server.ask("/web/net.wasm").headers["content-type"] == "application/wasm"
        again = server.ask("/web/app.mjs", if_none_match=module.headers["etag"])
        assert (again.status, again.body) == (304, b"")
