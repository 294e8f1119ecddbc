"""Checkpoints from file to map: the whole path with torch."""

from pathlib import Path

import numpy as np
import pytest

import leadline
from leadline.errors import DeviceError, WeightsError

torch = pytest.importorskip("torch")

NAME = "depth-anything-v2-vits"
METRIC = "depth-anything-v2-metric-indoor-vits"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of ViT-S as the originals save them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(leadline.models.build(NAME).state_dict(), path)
    return path


def test_a_checkpoint_predicts_what_its_module_gives(checkpoint: Path) -> None:
    estimator = leadline.load(NAME, weights=checkpoint, size=56, device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    prepared = estimator.prepare(picture)
    assert prepared.input_size == (56, 84)
    module = leadline.models.build(NAME)
    leadline.models.load_weights(module, checkpoint)
    with torch.inference_mode():
        wanted = module(torch.from_numpy(np.asarray(prepared.arrays["image"]))).numpy()
    found = estimator.runtime.run(prepared.arrays)["depth"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert estimator.predict(picture).size == (40, 60)


def test_the_same_file_is_metric_when_that_is_said(checkpoint: Path) -> None:
    estimator = leadline.load(checkpoint, max_depth=7.5, size=28, device="cpu")
    prediction = estimator.predict(np.full((30, 30, 3), 90, np.uint8))
    assert prediction.kind is leadline.DepthKind.METRIC_DEPTH
    assert 0 <= prediction.values.min() <= prediction.values.max() <= 7.5
    with pytest.raises(WeightsError, match="max_depth=METRES"):
        leadline.load(checkpoint)


def test_weights_of_another_model_name_what_they_are(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=NAME):
        leadline.load("depth-anything-v2-vitb", weights=checkpoint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without CUDA")
def test_a_gpu_that_is_not_here_is_told(checkpoint: Path) -> None:
    with pytest.raises(DeviceError, match=r"torch on cpu"):
        leadline.load(NAME, weights=checkpoint, device="cuda")
