"""A model learned from a handful of toy pictures; quick to make, rough, but whole."""

from pathlib import Path

import numpy as np
import pytest


def toy(seed: int, size: tuple[int, int] = (96, 128)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sky, a floor below the horizon and a box on it: picture, depth (inf sky), ground."""
    rng = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[:height, :width]
    horizon = height * rng.uniform(0.3, 0.5)
    depth = np.where(y > horizon + 2, 1.5 * height / np.maximum(y - horizon, 1e-3), np.inf)
    ground = np.isfinite(depth)
    rgb = np.where(ground[..., None], (110, 100, 70), (120, 170, 240)).astype(float)
    foot, left = int(height * rng.uniform(0.7, 0.9)), int(width * rng.uniform(0.1, 0.6))
    box = (y < foot) & (y > horizon - 10) & (x > left) & (x < left + 40)
    depth[box], ground[box] = 1.5 * height / (foot - horizon), False
    rgb[box] = rng.uniform(30, 220, 3)
    rgb += rng.normal(0, 5, rgb.shape) * (1 + 2 * ground[..., None])
    return np.clip(rgb, 0, 255).astype(np.uint8), depth, ground


@pytest.fixture(scope="session")
def toy_parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of parameters fitted to six toy pictures."""
    pytest.importorskip("scipy")
    pytest.importorskip("skimage")
    from leadline.superpixel.examples import make_example
    from leadline.superpixel.training import SuperpixelTraining, fit

    folder = tmp_path_factory.mktemp("superpixel")
    paths = []
    for seed in range(6):
        rgb, depth, ground = toy(seed)
        paths.append(folder / f"{seed}.npz")
        make_example(rgb, depth, ground=ground, horizon=-0.2).save(paths[-1])
    parameters, _ = fit(paths, SuperpixelTraining(cells=60, penalty=1.0), lambda line: None)
    parameters.save(folder / "toy-parameters.npz")
    return folder / "toy-parameters.npz"
