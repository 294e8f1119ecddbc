"""Small pictures resampled by OpenCV, PyTorch and Pillow, kept so that tests need none of them.

``python -m testing.resampled`` writes ``tests/data/resampled.npz`` anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

PATH = Path(__file__).resolve().parents[1] / "tests" / "data" / "resampled.npz"

SIZES = (
    ((12, 17), (20, 31)),
    ((31, 23), (9, 7)),
    ((24, 36), (12, 12)),
    ((6, 300), (5, 130)),
    ((1, 1), (3, 4)),
    ((7, 9), (7, 9)),
)


def picture(size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) uint8 noise of one seed per size."""
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8)


def key(convention: str, source: tuple[int, int], size: tuple[int, int]) -> str:
    """Name of an array in the file."""
    return f"{convention}/{source[0]}x{source[1]}/{size[0]}x{size[1]}"


def cv2_reference(array: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """The result of ``cv2.resize`` on floating-point values, float32 or float64."""
    import cv2

    flag = getattr(cv2, f"INTER_{interpolation.upper()}")
    out = cv2.resize(array, size[::-1], interpolation=flag)
    return out.reshape(*size, *array.shape[2:])


def torch_reference(
    array: np.ndarray, size: tuple[int, int], interpolation: str, align_corners: bool
) -> np.ndarray:
    """The float32 result of ``torch.nn.functional.interpolate``."""
    import torch

    batch = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]
    mode = {"linear": "bilinear", "cubic": "bicubic"}[interpolation]
    out = torch.nn.functional.interpolate(batch, size, mode=mode, align_corners=align_corners)
    return out[0].permute(1, 2, 0).numpy()


def pillow_reference(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The uint8 result of ``Image.resize`` with BICUBIC."""
    from PIL import Image

    resized = Image.fromarray(array).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(resized)


def write() -> Path:
    """Run every original on every size."""
    arrays = {}
    for source, size in SIZES:
        array = picture(source)
        for name in ("nearest", "linear", "cubic", "area"):
            for kind in ("float32", "float64"):
                out = cv2_reference(array.astype(kind), size, name)
                arrays[key(f"cv2_{name}_{kind}", source, size)] = out.astype(np.float32)
        for name in ("linear", "cubic"):
            for corners in (False, True):
                convention = f"torch_{name}_{corners}"
                out = torch_reference(array, size, name, corners)
                arrays[key(convention, source, size)] = out
        arrays[key("pillow", source, size)] = pillow_reference(array, size)
    PATH.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(PATH, allow_pickle=False, **arrays)
    return PATH


if __name__ == "__main__":
    print(write())
