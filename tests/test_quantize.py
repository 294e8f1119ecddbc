"""int8 files: right within the error, smaller, described, and refused where they cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError, LeadlineError
from leadline.image import Image
from leadline.load_options import load
from leadline.quantize import Layer, _best_range, _choose, _grid, _rounded, quantize


def pictures(count: int = 2) -> list[Image]:
    """Smooth seeded pictures."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [Image(pixels=np.kron(c, np.ones((8, 8, 1), np.uint8))) for c in coarse]


@pytest.fixture(scope="module", params=["fixed", "dynamic"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions and three linear layers, two of which read one map, exported."""
    torch = pytest.importorskip("torch")
    from leadline.export import export_module
    from leadline.kinds import DepthKind
    from leadline.models.base import DepthModule
    from leadline.spec import ModelSpec, PreprocessSpec

    class Small(DepthModule):
        multiple_of = 8

        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 16, 4, stride=4)
            self.wide, self.narrow = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
            self.beside = torch.nn.Linear(16, 16)
            self.last = torch.nn.ConvTranspose2d(16, 1, 4, stride=4)

        def forward(self, batch):
            x = self.first(batch)
            tokens = x.flatten(2).transpose(1, 2)
            wide = torch.nn.functional.gelu(self.wide(tokens))
            tokens = tokens + self.narrow(wide) + self.beside(tokens)
            x = tokens.transpose(1, 2).reshape(x.shape)
            return self.last(x)[:, 0] + 3

    torch.manual_seed(0)
    spec = ModelSpec(
        name="small",
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PreprocessSpec(size=(64, 64), multiple_of=8),
    )
    sides = (64, 64) if request.param == "fixed" else None
    folder = tmp_path_factory.mktemp(request.param)
    return export_module(Small(), spec, folder / "small.xml", sides=sides).path


def test_the_file_is_right_within_the_error(network: Path, tmp_path: Path) -> None:
    done = quantize(network, tmp_path / "int8" / "small.xml", pictures=pictures())
    assert {layer.kind for layer in done.layers} == {"matmul", "convolution"}
    assert len(done.layers) == 4
    assert 0 < done.error <= 0.02
    assert done.share == 1
    before, after = load(network, precision="f32"), load(done.path, precision="f32")
    assert after.spec.preprocess == before.spec.preprocess
    for picture in pictures(3):
        a, b = before.predict(picture).values, after.predict(picture).values
        assert 0 < np.linalg.norm(a - b) / np.linalg.norm(a) < 0.03


def test_what_cannot_be_is_refused_and_nothing_is_written(network: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "small.xml"
    with pytest.raises(LeadlineError, match="Allow more with --max-error"):
        # Even the best choice of layers is none, and bf16 or rounding of all is above this.
        quantize(network, out, pictures=pictures(), max_error=1e-12)
    with pytest.raises(InputError, match=r"\.xml"):
        quantize(network, out.with_suffix(".onnx"), pictures=pictures())
    with pytest.raises(InputError, match="at least one"):
        quantize(network, out, pictures=[])
    with pytest.raises(InputError, match="max_error"):
        quantize(network, out, pictures=pictures(), max_error=2)
    assert not out.exists()


def test_layers_can_be_kept(network: Path, tmp_path: Path) -> None:
    first = quantize(network, tmp_path / "all" / "small.xml", pictures=pictures())
    name = first.layers[0].name
    done = quantize(network, tmp_path / "some" / "small.xml", pictures=pictures(), keep=[name])
    assert [layer.name for layer in done.layers if layer.kept] == [name]
    assert done.share < 1


def test_costly_layers_stay() -> None:
    layers = [
        Layer(name="good", kind="matmul", operations=10, error=0.01),
        Layer(name="small and bad", kind="matmul", operations=1, error=0.01),
        Layer(name="bad", kind="convolution", operations=10, error=0.1),
    ]
    assert _choose(layers, 0.012) == {"good"}
    assert _choose(layers, 0.02) == {"good", "small and bad"}
    assert _choose(layers, 0.2) == {"good", "small and bad", "bad"}
    assert _choose(layers, 0.001) == set()


def test_ranges_hold_zero_and_cut_outliers() -> None:
    limits = _grid(-0.5, 2.0, unsigned=True)
    assert _rounded(np.array([0.0]), limits)[0] == pytest.approx(0, abs=1e-7)
    assert _grid(0.0, 3.0, unsigned=False).low == 0
    values = np.random.default_rng(0).standard_normal(20000).astype(np.float32)
    values[0] = 100
    best, whole = _best_range(values, unsigned=False), _grid(-100.0, 100.0, unsigned=False)
    assert best.high < 95
    off, widest = (np.mean((_rounded(values, r) - values) ** 2) for r in (best, whole))
    assert off < 0.95 * widest
    signed = _grid(-1.0, 0.5, unsigned=False)
    assert -signed.low / signed.high == pytest.approx(128 / 127)


def test_a_network_of_many_outputs_is_judged_by_its_map(tmp_path):
    pytest.importorskip("onnxscript")
    from leadline.export import export_module
    from testing.decoding import MANY, build_many

    source = export_module(build_many(), MANY, tmp_path / "many.xml").path
    camera = Camera.from_fov(64, 64, fov_deg=60)
    views = [replace(picture, camera=camera) for picture in pictures()]
    done = quantize(source, tmp_path / "int8.xml", pictures=views, max_error=0.2)
    whole, small = load(source), load(done.path)
    assert small.spec.outputs == whole.spec.outputs
    wanted, found = whole.predict(views[0]), small.predict(views[0])
    error = np.linalg.norm(found.values - wanted.values) / np.linalg.norm(wanted.values)
    assert 0 < error < 0.2
    assert found.normals is not None
