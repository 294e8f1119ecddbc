"""From a photo to metres through the door, against the authors' inference written out in torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

import leadline  # noqa: E402
import leadline.models as models  # noqa: E402
from leadline import catalog  # noqa: E402
from leadline.models.weights import save_weights  # noqa: E402
from testing.goldens import filled  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

NAME = "zoedepth-n-depth-anything-vits"
HEAD = {
    "core.core.depth_head.scratch.output_conv2.2.bias": {"add": 0.5},
    "seed_bin_regressor._net.2.bias": {"mul": 100.0},
}


def infer(module: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Pad, look at the picture and its mirror image, enlarge, cut, average."""
    height, width = pixels.shape[:2]
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    rows, columns = int(np.sqrt(height / 2) * 3), int(np.sqrt(width / 2) * 3)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def once(x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (columns, columns, rows, rows), mode="reflect")
        h, w = x.shape[-2:]
        scales = (392 / h, 518 / w)
        scale = min(scales, key=lambda s: abs(1 - s))
        size = [round(side * scale / 14) * 14 for side in (h, w)]
        small = F.interpolate(x, size, mode="bilinear", align_corners=True)
        depth = module((small - mean) / std)[:, None]
        depth = F.interpolate(depth, (h, w), mode="bicubic", align_corners=False)
        return depth[..., rows : rows + height, columns : columns + width]

    with torch.no_grad():
        return ((once(picture) + once(picture.flip(3)).flip(3)) / 2)[0, 0].numpy()


@pytest.mark.slow
def test_a_photo_becomes_metres_as_the_authors_do_it(tmp_path: Path) -> None:
    module = models.build(NAME)
    models.load_weights(module, filled(module, overrides=HEAD))
    file = tmp_path / "weights.safetensors"
    save_weights(module, file)
    pixels = np.random.default_rng(0).integers(0, 256, (90, 130, 3)).astype(np.uint8)
    estimator = leadline.load(
        NAME, weights=file, policy="pad-flip", runtime="torch", precision="f32"
    )
    prediction = estimator.predict(pixels)
    expected = infer(module, pixels)
    assert prediction.kind is leadline.DepthKind.METRIC_DEPTH
    assert prediction.size == (90, 130)
    error = np.abs(prediction.values - expected).max() / np.abs(expected).max()
    assert error < 1e-4
    single = leadline.load(NAME, weights=file, runtime="torch", precision="f32").predict(pixels)
    assert np.abs(single.values - expected).max() / np.abs(expected).max() > 1e-4


def test_a_file_tells_which_zoedepth_it_is(tmp_path: Path) -> None:
    module = models.build(NAME)
    file = tmp_path / "zoe.pth"
    torch.save({"model": module.state_dict()}, file)
    estimator = leadline.load(file, runtime="torch")
    assert estimator.spec.name == NAME
    assert estimator.spec.preprocess == catalog.PREPROCESS["zoedepth-n-depth-anything"]
    assert estimator.preprocess.input_size(480, 640) == (392, 518)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("zoedepth-n", (480, 640), (384, 512)),
        ("zoedepth-k", (375, 1242), (384, 1280)),
        ("zoedepth-k-depth-anything-vitl", (384, 768), (378, 770)),
        ("dpt-large-384", (480, 640), (384, 512)),
        ("midas-v21-small", (480, 640), (192, 256)),
    ],
)
def test_input_sizes_are_the_originals(
    name: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    from leadline.preprocess import Preprocess

    assert Preprocess(catalog.get(name).preprocess).input_size(*size) == expected
