import hashlib
import json
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from leadline import hub
from leadline.errors import MissingWeightsError, WeightsError
from leadline.spec import WeightsFile
from testing.hub_server import COMMIT, HubServer, serve_hub, use_hub

REPO = "some-lab/some-net"
CONTENT = bytes(range(256)) * 4096
FILE = WeightsFile(
    repo=REPO,
    file="net.pth",
    size_mb=1.05,
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="Apache-2.0",
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serve_hub({f"{REPO}/net.pth": CONTENT, f"{REPO}/config.json": b"{}"}) as running:
        use_hub(monkeypatch, running.url, tmp_path / "cache")
        yield running


def test_fetch_downloads_once_and_then_stays_off_the_network(server: HubServer) -> None:
    assert hub.locate(FILE) is None
    path = hub.fetch(FILE)
    assert path.read_bytes() == CONTENT
    assert hub.locate(FILE) == path
    asked = len(server.requests)
    assert hub.fetch(FILE) == path
    assert len(server.requests) == asked
    assert hub.repo_of(path) == REPO


def test_a_broken_download_is_resumed(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65_536)
    server.break_after = 300_000
    try:
        path = hub.fetch(FILE)
    except MissingWeightsError:
        path = hub.fetch(FILE)
    assert path.read_bytes() == CONTENT
    ranges = [wanted for method, _, wanted in server.requests if method == "GET"]
    assert ranges == ["", f"bytes={4 * 65_536}-"]


def test_a_wrong_digest_is_refused_and_removed(server: HubServer) -> None:
    server.files[f"{REPO}/net.pth"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match="SHA-256"):
        hub.fetch(FILE)
    assert hub.locate(FILE) is None


def test_the_first_download_is_recorded_and_another_content_of_it_refused(
    server: HubServer, tmp_path: Path
) -> None:
    free = replace(FILE, sha256=None)
    hub.fetch(free)
    assert hub.digests_file() == tmp_path / "leadline-digests.json"
    wanted = {f"{REPO}/net.pth": {COMMIT: FILE.sha256}}
    assert json.loads(hub.digests_file().read_text()) == wanted
    shutil.rmtree(tmp_path / "cache")
    server.files[f"{REPO}/net.pth"] = CONTENT[::-1]
    with pytest.raises(WeightsError, match=r"recorded at its first download.*digests\.json"):
        hub.fetch(free)
    assert hub.locate(free) is None
    server.commit = "f" * 40  # a new revision may have another content
    hub.fetch(free)
    assert set(json.loads(hub.digests_file().read_text())[f"{REPO}/net.pth"]) == {COMMIT, "f" * 40}


def test_content_needs_the_digest_that_the_hub_states(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = replace(FILE, sha256=None)
    server.etag = "0" * 64
    with pytest.raises(WeightsError, match="the hub states"):
        hub.fetch(free)
    server.etag = "0" * 40  # a small file's: of git, no SHA-256
    assert hub.fetch(free).read_bytes() == CONTENT


def test_a_stated_revision_is_asked_for_and_found_again(server: HubServer) -> None:
    pinned = replace(FILE, revision=COMMIT)
    assert f"/resolve/{COMMIT}/" in hub.address(pinned)
    path = hub.fetch(pinned)
    assert all(f"/resolve/{COMMIT}/" in asked for _, asked, _ in server.requests)
    assert hub.locate(pinned) == path
    assert hub.locate(replace(FILE, revision="e" * 40)) is None


def test_a_damaged_record_is_no_reason_to_trust(server: HubServer, tmp_path: Path) -> None:
    hub.digests_file().write_text("[1")
    with pytest.raises(WeightsError, match="delete it"):
        hub.fetch(FILE)


def test_a_digest_that_cannot_be_recorded_is_a_warning(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(hub, "digests_file", lambda: tmp_path / "file" / "digests.json")
    with pytest.warns(UserWarning, match="cannot be recorded"):
        path = hub.fetch(FILE)
    assert path.read_bytes() == CONTENT


def test_fetch_file_tells_absent_files_from_absent_hubs(server: HubServer) -> None:
    path = hub.fetch_file(REPO, "config.json")
    assert path is not None
    assert path.read_bytes() == b"{}"
    assert hub.fetch_file(REPO, "model.safetensors") is None


def test_without_network_one_message_says_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:  # a port where nobody listens
        closed.bind(("127.0.0.1", 0))
        use_hub(monkeypatch, f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path)
    with pytest.raises(MissingWeightsError) as caught:
        hub.fetch(FILE, needed_by="some-net")
    text = str(caught.value)
    for needed in (
        "some-net",
        "net.pth",
        "1 MB",
        "Apache-2.0",
        f"{REPO}/resolve/main",
        "--weights",
    ):
        assert needed in text
    assert "\n" not in text


def test_offline_mode_is_respected(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingWeightsError, match=r"net\.pth"):
        hub.fetch(FILE)
    assert server.requests == []


def test_an_unknown_repository_is_told(server: HubServer) -> None:
    with pytest.raises(MissingWeightsError, match=r"did not deliver"):
        hub.fetch(WeightsFile(repo="no-one/nothing", file="x.pth"))


def test_embedded_files_lie_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "EMBEDDED_FOLDER", tmp_path)
    inside = WeightsFile(file="x.onnx")
    assert hub.locate(inside) is None
    with pytest.raises(MissingWeightsError, match="Install Leadline again"):
        hub.fetch(inside)
    (tmp_path / "x.onnx").write_bytes(b"x")
    assert hub.fetch(inside) == tmp_path / "x.onnx"
    assert hub.address(inside) == "inside the package"


def test_repo_of_other_paths_is_none(tmp_path: Path) -> None:
    assert hub.repo_of(tmp_path / "net.pth") is None


def test_the_digest_of_a_model_counts_the_weights_beside_its_graph(tmp_path: Path) -> None:
    graph, weights = tmp_path / "lite.onnx", tmp_path / "lite.safetensors"
    shutil.copy(hub.EMBEDDED_FOLDER / "lite.onnx", graph)
    assert hub.weights_beside(graph) == [weights]
    assert hub.sha256_of_model(graph) == hub.sha256_of(graph)
    weights.write_bytes(b"once")
    once = hub.sha256_of_model(graph)
    weights.write_bytes(b"trained further")
    assert len({once, hub.sha256_of_model(graph), hub.sha256_of(graph)}) == 3
    assert hub.weights_beside(weights) == []


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ({REPO: "cc-by-nc-4.0"}, "licence CC-BY-NC-4.0 (no commercial use)"),
        ({REPO: "their-own"}, "licence their-own (read it before commercial use)"),
        ({}, "licence unknown (read it before commercial use)"),
    ],
)
def test_a_repository_outside_the_catalogue_is_announced_with_its_cards_licence(
    says: dict[str, str], shown: str, server: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.licences = says
    assert hub.fetch_file(REPO, "net.pth") is not None
    said = capsys.readouterr().err
    assert f"downloading net.pth from {REPO}, {len(CONTENT) / 1e6:.1f} MB, {shown}" in said


def test_the_catalogues_licence_is_not_asked_for(server: HubServer) -> None:
    server.licences = {REPO: "mit"}
    hub.fetch(FILE)
    assert not any("/api/" in path for _, path, _ in server.requests)
