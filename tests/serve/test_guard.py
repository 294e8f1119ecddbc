"""Who may ask, and what browsers are told of every answer."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from leadline.errors import InputError
from leadline.serve import create_app, pages
from leadline.serve.guard import LOOPBACK, read_token
from testing.serving import encode, make_estimator, make_picture, run_app


@pytest.fixture(autouse=True)
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the page beside a file that is not its."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html>")
    (tmp_path / "secret.py").write_text("secret")
    monkeypatch.setattr(pages, "WEB", folder)
    return folder


PNG = encode(make_picture())
TOKEN = "0123456789abcdef-secret"


def test_requests_of_foreign_pages_are_refused() -> None:
    with run_app(create_app([make_estimator()])) as server:
        server.wait_ready()
        own = f"http://127.0.0.1:{server.port}"
        assert server.ask("/v1/depth", PNG, origin=own).status == 200
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
            reply = server.ask("/v1/depth", PNG, origin=origin)
            assert (reply.status, reply.json["code"]) == (403, "foreign_origin")
        assert server.ask("/v1/models", sec_fetch_site="cross-site").status == 403
        reply = server.ask("/v1/depth", method="OPTIONS", origin="http://evil.example")
        assert "access-control-allow-origin" not in reply.headers


def test_the_loopback_answers_to_its_own_names_alone() -> None:
    with run_app(create_app([make_estimator()], hosts=LOOPBACK)) as server:
        assert server.ask("/healthz", host=f"localhost:{server.port}").status == 200
        assert server.ask("/healthz", host="[::1]").status == 200
        reply = server.ask("/healthz", host="rebound.example")
        assert (reply.status, reply.json["code"]) == (421, "wrong_host")
        assert server.ask("/healthz", host="[").status == 421


def test_a_token_is_needed_where_there_is_one() -> None:
    with run_app(create_app([make_estimator()], token=TOKEN)) as server:
        server.wait_ready()
        for path in ("/v1/models", "/metrics", "/openapi.json", "/v2"):
            reply = server.ask(path)
            assert (reply.status, reply.json["code"]) == (401, "no_token")
            assert reply.headers["www-authenticate"] == "Bearer"
            assert server.ask(path, authorization=f"Bearer {TOKEN}").status == 200
        for wrong in ("Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}"):
            assert server.ask("/v1/models", authorization=wrong).status == 401
        assert server.ask("/readyz").status == 200
        assert server.ask("/").status == 200  # the page itself holds no secret


def test_a_token_file_holds_one_long_word(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert read_token(file) == TOKEN
    for text in ("short", "two words of enough letters"):
        file.write_text(text)
        with pytest.raises(InputError, match="one word of at least 16"):
            read_token(file)
    with pytest.raises(InputError, match="no such file"):
        read_token(tmp_path / "absent")


def test_every_answer_keeps_browsers_in() -> None:
    with run_app(create_app([make_estimator()])) as server:
        for path in ("/", "/healthz", "/web/nothing.mjs", "/v1/nothing"):
            headers = server.ask(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe-inline" not in headers["content-security-policy"]
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["cross-origin-embedder-policy"] == "require-corp"
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers


def test_files_outside_of_the_page_are_not_served() -> None:
    with run_app(create_app([make_estimator()])) as server:
        for path in ("/web/../secret.py", "/web/%2e%2e/secret.py", "/web//etc/passwd"):
            assert server.ask(path).status == 404
