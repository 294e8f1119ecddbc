"""What Depth Anything and MiDaS make of pictures: input sizes and input tensors.

The full golden files lie beside the repository on some machines; ``python -m testing.prepared``
writes the committed extract, ``tests/data/prepared.npz``: every size, and some pixels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from leadline.spec import PreprocessSpec

ROOT = Path(__file__).resolve().parents[1]
FULL = ROOT.parent / "shared" / "goldens"
PATH = ROOT / "tests" / "data" / "prepared.npz"

_HALF = (0.5, 0.5, 0.5)


def _square(size: int, **rules) -> PreprocessSpec:
    return PreprocessSpec(size=(size, size), max_aspect=None, **rules)


def _core(height: int, width: int, multiple: int, *, keep_aspect: bool) -> PreprocessSpec:
    """The size rule of the networks inside ZoeDepth."""
    return PreprocessSpec(
        size=(height, width),
        resize="minimal" if keep_aspect else "exact",
        multiple_of=multiple,
        max_aspect=None,
    )


SPECS = {
    "da_518": _square(518, multiple_of=14),
    "da_252": _square(252, multiple_of=14),
    "midas_dpt_384_minimal": _square(384, multiple_of=32, resize="minimal", mean=_HALF, std=_HALF),
    "midas_v21_384_upper": _square(384, multiple_of=32, resize="upper_bound"),
    "midas_small_256_upper": _square(256, multiple_of=32, resize="upper_bound"),
    "midas_square_384_minimal_noar": _square(
        384, multiple_of=32, resize="exact", mean=_HALF, std=_HALF
    ),
    "midas_256_lower": _square(256, multiple_of=32),
    "zoe_midascore_384x512_ar1": _core(384, 512, 32, keep_aspect=True),
    "zoe_midascore_384x512_ar0": _core(384, 512, 32, keep_aspect=False),
    "zoe_midascore_384x768_ar1": _core(384, 768, 32, keep_aspect=True),
    "zoe_midascore_384x768_ar0": _core(384, 768, 32, keep_aspect=False),
    "da1_core_392x518_ar1": _core(392, 518, 14, keep_aspect=True),
    "da1_core_392x518_ar0": _core(392, 518, 14, keep_aspect=False),
    "da1_core_384x768_ar1": _core(384, 768, 14, keep_aspect=True),
    "da1_core_384x768_ar0": _core(384, 768, 14, keep_aspect=False),
}
"""The originals' configurations."""

TENSORS = tuple(list(SPECS)[:7])
"""Those whose tensors are kept."""

_PICTURE = 3  # of the golden pictures, the one that is committed
_STRIDE = 3  # of its kept pixels, every third


def write() -> Path:
    """Write the extract of the full files."""
    arrays = {}
    with np.load(FULL / "prep_sizes.npz") as sizes:
        arrays["wh"] = sizes["wh"].astype(np.int32)
        for name in SPECS:
            arrays[f"{name}/new_wh"] = sizes[f"{name}/new_wh"].astype(np.int32)
    with np.load(FULL / "prep_synth.npz") as tensors:
        arrays["image"] = tensors[f"{_PICTURE}/image"]
        for name in TENSORS:
            arrays[f"{name}/tensor"] = tensors[f"{_PICTURE}/{name}"][:, ::_STRIDE, ::_STRIDE]
            kept = json.loads(str(tensors["meta"]))["subsampled"][f"{_PICTURE}/{name}"]["kept"]
            arrays[f"{name}/stride"] = np.array(int(kept.rstrip("]").split("::")[-1]) * _STRIDE)
    PATH.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(PATH, allow_pickle=False, **arrays)
    return PATH


if __name__ == "__main__":
    print(write())
