"""A bundle: PyTorch, OpenVINO and ONNX Runtime read the same bytes and compute the same map."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

import leadline  # noqa: E402
from leadline import catalog, models  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.spec import Sidecar  # noqa: E402
from tools.bundle import bundle  # noqa: E402


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    torch.manual_seed(0)
    module = models.build("lite")
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
            torch.nn.init.normal_(norm.running_mean)
    out = tmp_path_factory.mktemp("bundle") / "lite.onnx"
    return bundle(module, catalog.get("lite"), out, licence="Apache-2.0")


@pytest.mark.slow
def test_the_graph_holds_no_weights_of_its_own(written):
    weights = written.with_suffix(".safetensors")
    assert written.stat().st_size < 0.05 * weights.stat().st_size
    assert weights.stat().st_size + written.stat().st_size < 10e6
    assert Sidecar.from_json(written.with_suffix(".json").read_text()).name == "lite"


@pytest.mark.slow
def test_every_runtime_gives_the_map_of_pytorch(written):
    module = models.build("lite")
    models.load_weights(module, written.with_suffix(".safetensors"))
    picture = np.random.default_rng(0).integers(0, 255, (100, 140, 3), dtype=np.uint8)
    estimator = leadline.load(written, runtime="openvino", precision="f32")
    prepared = estimator.prepare(picture)
    with torch.no_grad():
        expected = module(torch.from_numpy(prepared.arrays["image"])).numpy()
    for runtime in ("openvino", "onnxruntime"):
        given = leadline.load(written, runtime=runtime, precision="f32").runtime
        outputs = given.run(prepared.arrays)
        np.testing.assert_allclose(outputs["depth"], expected, rtol=1e-4, atol=1e-4)


def test_name_without_onnx_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.onnx"):
        bundle(models.build("lite"), catalog.get("lite"), tmp_path / "lite.bin", licence="x")


@pytest.mark.slow
def test_a_routed_metric_network_gives_the_map_of_pytorch(tmp_path):
    torch.manual_seed(0)
    options = {"encoder": "lite", "width": 16, "n_bins": 8, "n_attractors": (4, 2, 2, 1)}
    module = models.build("metric", **options).eval()
    spec = replace(catalog.get("metric"), options=options, preprocess=catalog.PREPROCESS["lite"])
    out = bundle(module, spec, tmp_path / "metric.onnx", licence="x")
    models.load_weights(module, out.with_suffix(".safetensors"))
    picture = np.random.default_rng(0).integers(0, 255, (100, 140, 3), dtype=np.uint8)
    estimator = leadline.load(out, runtime="openvino", precision="f32")
    prepared = estimator.prepare(picture)
    with torch.no_grad():
        expected = module(torch.from_numpy(prepared.arrays["image"])).numpy()
    outputs = estimator.runtime.run(prepared.arrays)
    np.testing.assert_allclose(outputs["depth"], expected, rtol=1e-3, atol=1e-3)
