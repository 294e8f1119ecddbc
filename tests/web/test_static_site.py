"""The page's files, and the static site that is made of them."""

import gzip
import json
import re
from pathlib import Path

import pytest

from leadline import viz
from leadline.errors import InputError
from leadline.load_options import LoadOptions
from leadline.static_site import WEB, write_site

MODELS = ("lite", "lite-metric")
OWN = [path for path in WEB.rglob("*") if path.is_file() and "vendor" not in path.parts]
MODULES = [path for path in OWN if path.suffix in (".mjs", ".js")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, [LoadOptions(model=name) for name in MODELS])
    return folder


def test_site_holds_all_it_lists(site: Path):
    listed = json.loads((site / "site.json").read_text())
    assert len(listed["version"]) == 16
    assert "web/vendor/ort-wasm-simd-threaded.wasm" in listed["files"]
    assert "models/lite-metric.safetensors" in listed["files"]  # which the page opens with
    assert "models/lite.safetensors" not in listed["files"]
    for name in listed["files"]:
        assert (site / name).exists(), name


def test_models_are_described_as_python_runs_them(site: Path):
    models = json.loads((site / "models/models.json").read_text())["models"]
    assert [model["name"] for model in models] == list(MODELS)
    for model in models:
        spec = LoadOptions(model=model["name"]).identify("graph").spec
        assert model["kind"] == spec.kind
        assert tuple(model["preprocess"]["size"]) == spec.preprocess.size
        assert model["canonical_focal_px"] == spec.canonical_focal_px
        for name in (model["graph"], *model["external"]):
            assert (site / "models" / name).is_file()


def test_site_is_for_browsers_and_forbids_foreign_hosts(site: Path):
    page = (site / "index.html").read_text()
    assert 'data-backend="browser"' in page
    assert "default-src 'self'" in page
    assert (site / "web/vendor/ort-wasm-simd-threaded.wasm").read_bytes()[:4] == b"\0asm"
    assert (site / "sw.js").is_file()


def test_site_replaces_its_own_folder_alone(site: Path, tmp_path: Path):
    (site / "models" / "old.onnx").touch()
    write_site(site, [LoadOptions(model=name) for name in MODELS])
    assert not (site / "models" / "old.onnx").exists()
    (tmp_path / "letter.txt").touch()
    with pytest.raises(InputError, match="an empty folder"):
        write_site(tmp_path, [LoadOptions(model="lite")])
    with pytest.raises(InputError, match="is a file"):
        write_site(tmp_path / "letter.txt", [LoadOptions(model="lite")])


def test_model_that_browsers_cannot_run_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no ONNX graph"):
        write_site(tmp_path, [LoadOptions(model="superpixel")])
    assert not any(tmp_path.iterdir())


def test_page_is_small():
    text = [path for path in OWN if path.suffix != ".jpg"]
    total = sum(len(gzip.compress(path.read_bytes())) for path in text)
    assert total <= 100_000  # 400 kB is the limit of the page, with its libraries' small parts
    runtime = WEB / "vendor" / "ort.wasm.bundle.min.mjs"
    assert total + len(gzip.compress(runtime.read_bytes())) <= 400_000


def test_modules_import_what_is_there():
    for module in MODULES:
        for name in re.findall(r"(?:from|import)\(?\s*\"(\.[^\"]+)\"", module.read_text()):
            assert (module.parent / name).is_file(), f"{module.name}: {name}"


def test_page_names_no_foreign_host():
    for path in OWN:
        if path.suffix == ".jpg":
            continue
        hosts = set(re.findall(r"https?://([\w.]+)", path.read_text()))
        assert hosts <= {"www.w3.org"}, path.name  # the name of SVG, which nothing opens


def test_colours_are_those_of_python():
    text = (WEB / "colormaps.mjs").read_text()
    tables = re.sub(r"\"\s*\+\s*\"", "", text)
    for name, colors in viz._TABLES.items():
        assert f'{name}:\n    "{colors}"' in tables or f'{name}: "{colors}"' in tables


def test_every_element_that_modules_ask_for_is_in_the_page():
    page = (WEB / "index.html").read_text()
    for module in MODULES:
        for name in re.findall(r"(?:byId|getElementById)\(\"(\w+)\"\)", module.read_text()):
            assert f'id="{name}"' in page


def test_command_writes_the_site_without_a_server(tmp_path: Path):
    from leadline.cli import main

    with pytest.raises(SystemExit) as done:
        main(["serve", "--static", str(tmp_path / "site"), "--model", "fastdepth-world"])
    assert done.value.code in (0, None)
    assert (tmp_path / "site" / "index.html").is_file()
    assert (tmp_path / "site" / "models" / "fastdepth-world.onnx").is_file()
