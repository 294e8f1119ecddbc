"""``leadline models pull``, ``remove`` and ``--licence`` against a hub on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from leadline import catalog, hub
from leadline.cli.app import app
from leadline.errors import InputError, MissingWeightsError, UnknownNameError, WeightsError
from leadline.kinds import DepthKind
from leadline.licences import TERMS, describe_use, find_terms
from leadline.spec import ModelSpec, PreprocessSpec, WeightsFile
from testing.hub_server import HubServer, serve_hub, use_hub

REPO = "some-lab/some-net"
CONTENT = bytes(range(256)) * 8192
SPEC = ModelSpec(
    name="some-net",
    kind=DepthKind.METRIC_DEPTH,
    preprocess=PreprocessSpec(size=(56, 56)),
    weights=(WeightsFile(repo=REPO, file="net.pth", size_mb=2.1, licence="CC-BY-NC-4.0"),),
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(catalog, "MODELS", MappingProxyType({**catalog.MODELS, SPEC.name: SPEC}))
    with serve_hub({f"{REPO}/net.pth": CONTENT}) as running:
        use_hub(monkeypatch, running.url, tmp_path / "cache")
        yield running


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["models", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_names_and_options_alone_list(server: HubServer) -> None:
    assert "some-net" in run()
    named = run("some-net")
    assert "some-net" in named
    assert "da3-small" not in named
    assert [entry["name"] for entry in json.loads(run("--json", "lite"))] == ["lite"]
    assert run("list", "some-net") == named
    for word in ("list", "pull", "remove"):
        assert word in run("--help")
        assert word not in catalog.MODELS


def test_pull_downloads_once(server: HubServer) -> None:
    (entry,) = json.loads(run("pull", "some-net", "--json"))
    assert entry["downloaded"]
    assert (entry["commercial"], entry["size_mb"]) == ("no", 2.1)
    assert Path(entry["path"]).read_bytes() == CONTENT
    asked = len(server.requests)
    (again,) = json.loads(run("pull", "some-net", "some-net", "--json"))
    assert not again["downloaded"]
    assert again["sha256"] == entry["sha256"]
    assert len(server.requests) == asked
    assert entry["sha256"] in run("pull", "some-net")


def test_the_size_is_said_before_a_download(
    server: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.fetch(SPEC.weights[0])
    said = capsys.readouterr()
    assert said.out == ""
    for needed in ("net.pth", REPO, "2.1 MB", "CC-BY-NC-4.0 (no commercial use)"):
        assert needed in said.err


def test_a_broken_pull_is_resumed(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65_536)
    server.break_after = 1_000_000
    try:
        run("pull", "some-net")
    except MissingWeightsError:
        run("pull", "some-net")
    ranges = [wanted for method, _, wanted in server.requests if method == "GET"]
    assert len(ranges) == 2
    assert ranges[1].startswith("bytes=")


def test_pull_finds_a_file_that_changed_here(server: HubServer) -> None:
    (entry,) = json.loads(run("pull", "some-net", "--json"))
    Path(entry["path"]).resolve().write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match="was recorded at its first download"):
        run("pull", "some-net")
    (again,) = json.loads(run("pull", "some-net", "--json"))  # it was removed, and comes again
    assert again["downloaded"]
    assert again["sha256"] == entry["sha256"]


def test_remove_frees_the_disk_and_keeps_the_record(server: HubServer, tmp_path: Path) -> None:
    run("pull", "some-net")
    (entry,) = json.loads(run("remove", "some-net", "--json"))
    assert entry["freed_mb"] == 2.1
    assert sum(f.stat().st_size for f in (tmp_path / "cache").rglob("*") if f.is_file()) < 10_000
    assert hub.locate(SPEC.weights[0]) is None
    assert "nothing was here" in run("remove", "some-net")
    server.files[f"{REPO}/net.pth"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match="first download"):
        run("pull", "some-net")
    assert hub.locate(SPEC.weights[0]) is None


def test_remove_takes_what_a_broken_download_left(server: HubServer, tmp_path: Path) -> None:
    blobs = tmp_path / "cache" / f"models--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "0.incomplete").write_bytes(CONTENT)
    assert "2.1 MB are free" in run("remove", "some-net")
    assert not blobs.exists()


def test_what_cannot_be_pulled_or_removed_is_said(server: HubServer) -> None:
    with pytest.raises(InputError, match="inside the package"):
        run("remove", "lite")
    with pytest.raises(MissingWeightsError, match="no weights ship"):
        run("pull", "moge-2-vits")
    with pytest.raises(UnknownNameError, match="some-nett"):
        run("pull", "some-nett")
    with pytest.raises(UnknownNameError, match="pul"):
        run("pul", "some-net")
    entries = json.loads(run("pull", "lite", "--json"))
    assert [entry["file"] for entry in entries] == ["lite.onnx", "lite.safetensors"]
    assert not any(entry["downloaded"] for entry in entries)


def test_licences_say_whether_commercial_use_is_allowed(server: HubServer) -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("--licence", "--json"))}
    assert set(entries) == set(catalog.MODELS)
    wanted = {"da3-small": "yes", "da3-large": "no", "depth-pro": "no", "moge-2-vits": "-"}
    assert {name: entries[name]["commercial"] for name in wanted} == wanted
    line = next(line for line in run("--licence", "da3-large").splitlines() if "da3" in line)
    assert line.split() == ["da3-large", "CC-BY-NC-4.0", "no", TERMS["CC-BY-NC-4.0"].url]


def test_every_licence_of_the_catalogue_is_known() -> None:
    named = {weights.licence for spec in catalog.MODELS.values() for weights in spec.weights}
    assert named <= set(TERMS)
    assert find_terms("Some-New-1.0").commercial == "see"
    assert describe_use("Apache-2.0") == ""
