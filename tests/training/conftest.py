"""A miniature folder of pictures with depth, and the smallest run that learns from it."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Six pictures whose brightness tells the depth, in the layout of the data set `folder`."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "rgb").mkdir()
    (root / "depth").mkdir()
    rng = np.random.default_rng(0)
    for n in range(6):
        ramp = np.linspace(0, 1, 40 * 48).reshape(40, 48) * rng.uniform(0.5, 1) + 0.05 * n
        rgb = np.repeat((ramp * 200)[..., None], 3, axis=2) + rng.uniform(0, 20, (40, 48, 3))
        Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(root / "rgb" / f"{n}.png")
        np.save(root / "depth" / f"{n}.npy", (1 + 6 * ramp).astype(np.float32))
    lens = {"fx": 40.0, "fy": 40.0, "cx": 23.5, "cy": 19.5}
    (root / "camera.json").write_text(json.dumps(lens), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def tiny(pictures):
    """A run of a few steps of a very small FastDepth on the miniature folder."""
    for package in ("torch", "timm", "cv2"):
        pytest.importorskip(package)
    from leadline.training import TrainConfig

    return TrainConfig.from_dict(
        {
            "recipe": "supervised",
            "model": "fastdepth-plain",
            "model_options": {"widths": [4] * 14, "decoder_widths": [4] * 5},
            "data": [f"folder={pictures}"],
            "sizes": [[32, 32]],
            "steps": 6,
            "batch": 4,
            "warmup": 2,
            "lr": 1e-2,
            "encoder_lr": 1e-2,
            "threads": 1,
            "device": "cpu",  # where runs are repeated bit by bit
            "checkpoint_every": 2,
            "log_every": 2,
            "validate_every": -1,
            "validate_frames": 2,
        }
    )
