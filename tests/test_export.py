"""Exports run without PyTorch, at every size, and give what PyTorch gives."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import leadline  # noqa: E402
import leadline.models as models  # noqa: E402
from leadline import catalog  # noqa: E402
from leadline import export as exporting  # noqa: E402
from leadline.errors import InputError, LeadlineError, MissingDependencyError  # noqa: E402
from leadline.estimator import DepthEstimator  # noqa: E402
from leadline.export import Check, export, export_module  # noqa: E402
from leadline.load_options import LoadOptions, resize_input  # noqa: E402
from leadline.models.base import DepthModule  # noqa: E402
from leadline.models.depth_anything import DepthAnything, DepthAnythingConfig  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.weights import save_weights  # noqa: E402
from leadline.runtime.torch import TorchRuntime  # noqa: E402
from leadline.spec import ModelSpec, Sidecar, name_outputs, sidecar_path  # noqa: E402
from testing.goldens import filled  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

METRIC = catalog.get("depth-anything-v2-metric-indoor-vits")
SPEC = replace(METRIC, preprocess=resize_input(METRIC.preprocess, 56))  # small pictures are fast
TINY = EncoderConfig(width=32, depth=4, heads=2)
FORMATS = ["model.xml", pytest.param("model.onnx", marks=pytest.mark.slow)]


class Convolution(DepthModule):
    """The smallest network that has something to trace."""

    multiple_of = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, batch: Tensor) -> Tensor:
        return self.conv(batch)[:, 0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported convolution."""
    exported = export_module(Convolution(), SPEC, tmp_path_factory.mktemp("whole") / "model.xml")
    assert exported.sidecar == sidecar_path(exported.path)
    return exported.path


@pytest.fixture
def convolution() -> Convolution:
    torch.manual_seed(0)
    return Convolution()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> DepthAnything:
    monkeypatch.setitem(ENCODERS, "tiny", TINY)
    module = DepthAnything(
        DepthAnythingConfig(
            encoder="tiny",
            taps=(0, 1, 2, 3),
            features=16,
            out_channels=(8, 12, 16, 20),
            max_depth=20.0,
        )
    )
    module.load_state_dict(filled(module))
    return module


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def need_onnx(name: str) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnxscript")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.xml", "model.onnx"])
def test_an_export_loads_back_without_torch(name: str, tiny: DepthAnything, tmp_path: Path) -> None:
    need_onnx(name)
    path = tmp_path / "new folder" / name
    exported = export_module(tiny, SPEC, path, licence="Apache-2.0")
    assert exported.path == path
    assert len(exported.checks) >= 2
    assert all(check.relative_error < 5e-5 for check in exported.checks)
    sidecar = Sidecar.from_json(exported.sidecar.read_text())
    assert (sidecar.name, sidecar.kind, sidecar.max_depth) == (SPEC.name, SPEC.kind, 20.0)
    assert sidecar.preprocess == SPEC.preprocess
    assert sidecar.licence == "Apache-2.0"
    np.save(tmp_path / "photo.npy", photo(60, 90))
    code = (
        "import sys, numpy as np, leadline;"
        f"e = leadline.load({str(path)!r}, precision='f32');"
        f"p = e.predict(np.load({str(tmp_path / 'photo.npy')!r}));"
        f"np.save({str(tmp_path / 'depth.npy')!r}, p.values);"
        "assert 'torch' not in sys.modules; print(p.kind)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "metric_depth\n", run.stderr
    expected = DepthEstimator(TorchRuntime(tiny), SPEC).predict(photo(60, 90)).values
    np.testing.assert_allclose(np.load(tmp_path / "depth.npy"), expected, rtol=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_one_size_can_be_fixed(name: str, convolution: Convolution, tmp_path: Path) -> None:
    need_onnx(name)
    exported = export_module(convolution, SPEC, tmp_path / name, sides=(24, 40))
    assert {check.shape for check in exported.checks} == {(1, 3, 24, 40)}
    estimator = leadline.load(exported.path)
    assert estimator.spec.preprocess.resize == "exact"
    prepared = estimator.prepare(photo(60, 90))
    assert prepared.input_size == (24, 40)
    assert estimator.predict(photo(60, 90)).values.shape == (60, 90)
    assert len(estimator.predict_batch([photo(60, 90)] * 3)) == 3  # the batch stays dynamic


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a depth-anything-v2-vits whose encoder is shrunk."""
    small = EncoderConfig(width=32, depth=12, heads=2)
    monkeypatch.setitem(ENCODERS, "vits", small)
    path = tmp_path / "checkpoint.safetensors"
    save_weights(models.build("depth-anything-v2-vits"), path)
    return path


@pytest.mark.slow
def test_a_checkpoint_is_exported_by_name(checkpoint: Path, tmp_path: Path) -> None:
    exported = export(
        LoadOptions(model="depth-anything-v2-vits", weights=checkpoint, size=56), tmp_path / "m.xml"
    )
    assert exported.checks
    sidecar = Sidecar.from_json(exported.sidecar.read_text())
    assert (sidecar.name, sidecar.licence) == ("depth-anything-v2-vits", "unknown")
    assert (sidecar.preprocess.size, sidecar.preprocess.resize) == ((56, 56), "lower_bound")
    estimator = leadline.load(exported.path)
    assert estimator.prepare(photo(100, 200)).input_size == (56, 112)


@pytest.mark.slow
def test_a_model_of_the_package_is_exported_by_name(tmp_path: Path) -> None:
    exported = export("lite", tmp_path / "lite.onnx")
    assert exported.checks
    assert not (tmp_path / "lite.safetensors").exists()
    after = leadline.load(exported.path).predict(photo(70, 90)).values
    np.testing.assert_allclose(
        after, leadline.load("lite").predict(photo(70, 90)).values, rtol=0.01
    )


def test_a_graph_gives_way_to_the_checkpoint_where_it_cannot_be_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OpenedError(Exception):
        pass

    def opened(_spec: ModelSpec, path: Path) -> None:
        raise OpenedError(path.name)

    monkeypatch.setattr(exporting, "_open", opened)
    for out, size, sides in (
        ("m.onnx", None, None),
        ("m.onnx", 192, None),
        ("m.xml", None, (64, 96)),
    ):
        with pytest.raises(OpenedError, match=r"lite\.safetensors"):
            export(LoadOptions(model="lite", size=size), tmp_path / out, sides=sides)


def test_an_onnx_file_becomes_an_openvino_file(tiny_model: Path, tmp_path: Path) -> None:
    exported = export(tiny_model, tmp_path / "converted.xml")
    picture = photo(70, 90)
    before = leadline.load(tiny_model).predict(picture)
    after = leadline.load(exported.path).predict(picture)
    np.testing.assert_allclose(before.values, after.values, rtol=1e-5, atol=1e-5)
    assert before.kind == after.kind
    with pytest.raises(InputError, match="keeps its own"):
        export(tiny_model, tmp_path / "converted.xml", sides=(64, 64))
    with pytest.raises(InputError, match="already an exported network"):
        export(exported.path, tmp_path / "back.onnx")


def test_a_file_that_computes_something_else_is_not_written(
    convolution: Convolution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = (Check(runtime="openvino", shape=(1, 3, 4, 4), relative_error=0.01),)
    monkeypatch.setattr(exporting, "_compare", lambda *_args, **_options: wrong)
    with pytest.raises(LeadlineError, match=r"differs from PyTorch by 1\.0e-02 on openvino"):
        export_module(convolution, SPEC, tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())


def test_not_a_number_is_never_equal(convolution: Convolution, tmp_path: Path) -> None:
    with torch.no_grad():
        convolution.conv.weight.fill_(float("nan"))
    with pytest.raises(LeadlineError, match="differs from PyTorch"):
        export_module(convolution, SPEC, tmp_path / "model.xml")


def test_not_a_number_is_never_equal_in_a_second_output(tmp_path: Path) -> None:
    class Unsure(Convolution):
        def outputs(self, image: Tensor) -> dict[str, Tensor]:
            depth = self(image)
            return {"depth": depth, "confidence": (-1 - depth.square()).sqrt()}

    spec = replace(SPEC, outputs=name_outputs("depth", "confidence"))
    with pytest.raises(LeadlineError, match="differs from PyTorch by nan"):
        export_module(Unsure(), spec, tmp_path / "model.xml")


def test_a_broken_export_leaves_the_old_files(
    convolution: Convolution, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in whole.parent.iterdir():
        shutil.copy(file, tmp_path)
    old = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def broken(*_args: object, **_ports: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(exporting, "_describe", broken)
    with pytest.raises(OSError, match="disk full"):
        export_module(convolution, SPEC, tmp_path / "model.xml")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == old


def test_a_network_that_cannot_be_traced_says_so_in_one_line(
    convolution: Convolution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def branches(self: Convolution, batch: Tensor) -> Tensor:
        return batch[:, 0] if float(batch.sum()) > 0 else batch[:, 1]

    monkeypatch.setattr(Convolution, "forward", branches)
    with pytest.raises(LeadlineError, match="cannot be exported with dynamic sides") as caught:
        export_module(convolution, SPEC, tmp_path / "model.xml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("out", "sides", "message"),
    [
        ("model.pt", None, "ends in .onnx or .xml"),
        ("model.xml", (25, 40), "multiples of 4. Resize to 24x40"),
    ],
)
def test_bad_requests_are_refused(
    out: str,
    sides: tuple[int, int] | None,
    message: str,
    convolution: Convolution,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=message):
        export_module(convolution, SPEC, tmp_path / out, sides=sides)


def test_a_missing_package_is_named(
    convolution: Convolution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match="onnx"):
        export_module(convolution, SPEC, tmp_path / "model.onnx")


def test_the_sidecar_lies_beside_its_file(whole: Path, tmp_path: Path) -> None:
    assert sidecar_path(whole).is_file()
    for file in whole.parent.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / whole.name
    leadline.load(path)
    path.write_text(path.read_text() + " ")
    with pytest.raises(LeadlineError, match="SHA-256 differ"):
        leadline.load(path)
